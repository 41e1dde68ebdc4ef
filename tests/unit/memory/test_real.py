"""How far the gateway has read, as `memory.live --real` reads it from the file that the gateway keeps."""

from __future__ import annotations

import pytest

from deploy.memory import real
from deploy.model.layout import Layout
from deploy.transport.scripted import ScriptedTransport


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("12345 700000004                               \n", 700_000_004),
        ("12345 0                                       \n", None),  # a gateway that has started and received nothing
        ("- 0\n", None),
        ("", None),
        ("12345\n", None),
    ],
)
def test_the_offset_is_what_the_gateway_has_received_or_none(text: str, offset: int | None) -> None:
    transport = ScriptedTransport({"read how far it has read": text.encode()})
    assert real._offset(transport, Layout("/opt/picoclaw")) == offset
