"""--prefix names a folder of the gateway's own: what is removed later must never be the system's."""

from __future__ import annotations

import pytest

from deploy.cli import options
from deploy.errors import UsageError


@pytest.mark.parametrize(
    "text", ["relative", "/", "~", "~/", "/var", "/var/", "/opt/..", "/etc", "//tmp", "/a/../b", "/x\ny"]
)
def test_a_prefix_that_is_not_the_gateways_own_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="folder of its own"):
        options.prefix(text)


@pytest.mark.parametrize("text", ["", "/opt/picoclaw", "~/.picoclaw", "/mnt/data/a b/picoclaw", "/data"])
def test_a_folder_of_its_own_is_taken(text: str) -> None:
    assert options.prefix(text) == text
