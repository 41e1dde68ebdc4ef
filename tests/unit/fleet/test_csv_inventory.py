"""A table of hosts: separators, empty cells, and every fault with its line and no secret in it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.errors import BadFile, SlimdeployError
from deploy.fleet.inventory import read
from deploy.model.fleet import Inventory


def of(folder: Path, text: str) -> Inventory:
    path = folder / "boards.csv"
    path.write_text(text, encoding="utf-8")
    return read(path)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_line_is_a_host_and_a_column_a_key(tmp_path: Path, separator: str) -> None:
    text = (
        "\ufeffname|address|Board|groups|Memory limit|hostname|password_command|no-password-login\r\n"
        'edge-1|root@10.0.0.1:2222|licheerv|north riscv|"5MiB"|{name}|"pass show ""a b""/{name}"|yes\r\n'
        "\r\n"
        "edge-2|10.0.0.2|||||\r\n"
        "|pi@10.0.0.3\r\n"
    )
    first, second, third = of(tmp_path, text.replace("|", separator)).members
    assert (first.name, str(first.host), first.board, first.groups) == (
        "edge-1",
        "root@10.0.0.1:2222",
        "licheerv",
        {"north", "riscv"},
    )
    assert dict(first.settings) == {"memory_limit": "5MiB"}
    assert dict(first.provisioning) == {
        "hostname": "edge-1",
        "password_command": 'pass show "a b"/edge-1',
        "no_password_login": True,
    }
    assert (str(second.host), second.groups, dict(second.provisioning)) == ("10.0.0.2", frozenset(), {})
    assert (third.name, str(third.host), third.origin) == ("10.0.0.3", "pi@10.0.0.3", f"{tmp_path}/boards.csv:5")


def test_every_fault_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(BadFile) as bad:
        of(
            tmp_path,
            "name,adress,password,name,\na,,hunter2\na,\n,x\nb,1,2,3,4,hunter3\n[x,\nd,,,,,\n",
        )
    said = "\n".join(bad.value.faults)
    for line, words in (
        (1, "there is no key 'adress'; did you mean address?"),
        (1, "password would be a secret itself"),
        (1, "two columns name"),
        (1, "column 5 has no name"),
        (3, "there are two hosts called a"),
        (4, "it has neither a name nor an address"),
        (5, "it has 6 cells for 5 columns"),
        (6, "a host can't be called '[x'"),
    ):
        assert any(f"boards.csv:{line}: " in fault and words in fault for fault in bad.value.faults), (words, said)
    assert "hunter" not in said
    for text, words in (
        ("", "it is empty"),
        ("board\nlicheerv\n", "column name, or address"),
        ('name\n"a', "no table"),
    ):
        with pytest.raises(BadFile, match=words):
            of(tmp_path, text)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.sampled_from(["name", "address", ",", ";", "\n", '"', "a", "\x00", "\r", "groups"]) | st.text(max_size=3)
    )
)
def test_no_text_makes_a_traceback(tmp_path_factory: pytest.TempPathFactory, pieces: list[str]) -> None:
    with suppress(SlimdeployError, UnicodeEncodeError):
        of(tmp_path_factory.mktemp("any"), "".join(pieces))
