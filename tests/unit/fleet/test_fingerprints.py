"""Lists of host keys, in the forms that people and OpenSSH's tools write them."""

from __future__ import annotations

import pytest

from deploy.errors import BadFile
from deploy.fleet.fingerprints import read

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIJ1Lh1zGsuJOLD4jWhLpSNCBGaq9oeM5PVZTOkzBHRWO"
# ssh-keygen -l says so of it.
PRINT = "SHA256:3YkYxQvFkXgit/h29yykvwzhI6HHaPhqvw5unRhDiZ4"
OTHER = "SHA256:" + "b" * 43


def test_three_forms_name_the_same_key() -> None:
    found = read(
        f"# comment\n\nedge-1 {PRINT} from its console\n10.0.0.2,Edge-2 ssh-ed25519 {KEY} x\n"
        f"256 {OTHER} 10.0.0.3 (ED25519)\nedge-1 {OTHER}\n",
        "keys",
    )
    assert found.of(["EDGE-1"]) == (PRINT, OTHER)
    assert found.of(["nobody", "10.0.0.2"]) == found.of(["edge-2"]) == (PRINT,)
    assert found.of(["10.0.0.3", "10.0.0.3"]) == (OTHER,) and found.of(["edge-4"]) == ()


def test_lines_that_are_none_are_told_with_their_numbers() -> None:
    with pytest.raises(BadFile) as bad:
        read(f"edge-1\nedge-2 MD5:aa\nedge-3 ssh-ed25519 {KEY[:-9]}\nedge-4 {PRINT[:-1]}\n", "keys")
    assert [fault.partition(": ")[0] for fault in bad.value.faults] == ["keys:1", "keys:2", "keys:3", "keys:4"]
