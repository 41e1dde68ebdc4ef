"""Every word survives a real sh as it was, whatever is in it; paths reach the folders that they name."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.board_shell.quoting import quote, quote_path

SHELLS = [
    pytest.param(("/bin/sh",), id="sh"),
    pytest.param(("dash",), id="dash", marks=pytest.mark.install_check),
    pytest.param(("busybox", "ash"), id="busybox", marks=pytest.mark.install_check),
]

# A surrogate has no bytes in UTF-8, and no argument can hold a NUL.
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
nasty = st.sampled_from(
    ["", "'", "''", '"', "\\", "\\'", "\n", "$HOME", "$(echo no)", "`echo no`", "*", "?", "[a]", "!!", "~", "~/x",
     "a b", "\t", "-n", "--", "#x", "x;echo no", "x&", "|", ">no", "{a,b}", "é", "🦞", "\x7f", "\x1b[31m"]
)  # fmt: skip


def shell(argv: tuple[str, ...]) -> tuple[str, ...]:
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not installed (apt-get install {argv[0]})")
    return argv


def expanded(argv: tuple[str, ...], quoted: list[str], home: str = "/root") -> list[str]:
    """What the shell makes of the words, all in one call."""
    text = "print() { printf '%s\\0' \"$@\"; }\nprint " + " ".join(quoted)
    ended = subprocess.run(
        [*argv, "-c", text],
        env={"PATH": os.environ["PATH"], "HOME": home},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        timeout=20,
        check=True,
    )
    return ended.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("argv", SHELLS)
@settings(max_examples=25, deadline=None)
@given(many=st.lists(words | nasty, min_size=1, max_size=80))
def test_every_word_without_a_nul_survives_a_real_shell(argv: tuple[str, ...], many: list[str]) -> None:
    assert expanded(shell(argv), [quote(word) for word in many]) == many


@pytest.mark.parametrize("argv", SHELLS)
def test_each_character_of_ascii_survives_alone_in_front_and_at_the_end(argv: tuple[str, ...]) -> None:
    many = [form.format(chr(code)) for code in range(1, 128) for form in ("{0}", "{0}x", "x{0}", "x{0}y", "{0}{0}")]
    many = [word for word in many if word]
    assert expanded(shell(argv), [quote(word) for word in many]) == many


@pytest.mark.parametrize("word", ["\0", "a\0b"])
def test_a_nul_is_refused_because_no_argument_can_hold_one(word: str) -> None:
    with pytest.raises(ValueError, match="NUL"):
        quote(word)
    for path in (word, f"/{word}", f"~/{word}"):
        with pytest.raises(ValueError, match="NUL"):
            quote_path(path)


PATHS = {
    "/opt/pico claw": "/opt/pico claw",
    "/": "/",
    "~": "{home}",
    "~/": "{home}/",
    "~/.picoclaw": "{home}/.picoclaw",
    "~/a b/$c/'d'": "{home}/a b/$c/'d'",
    "~/~": "{home}/~",
    "~root/x": "./~root/x",
    "a/~/b": "./a/~/b",
    "-rf": "./-rf",
    "": "./",
    "*": "./*",
}


@pytest.mark.parametrize("argv", SHELLS)
@pytest.mark.parametrize("home", ["/root", "/home/a b", "/home/$x/*'\""])
def test_only_a_leading_tilde_becomes_the_home_folder_and_no_path_looks_like_an_option(
    argv: tuple[str, ...], home: str
) -> None:
    found = expanded(shell(argv), [quote_path(path) for path in PATHS], home)
    assert found == [path.format(home=home) for path in PATHS.values()]


@given(path=words)
def test_no_quoted_path_can_be_taken_for_an_option(path: str) -> None:
    assert quote_path(path).lstrip("'\"").startswith(("/", "./", "$HOME"))


def test_a_file_made_under_a_quoted_path_lies_where_the_path_says(tmp_path: Path) -> None:
    for name in ("plain", "a b", "$HOME", "`x`", "'", '"', "-rf", "*", "new\nline", "~"):
        target = tmp_path / name
        subprocess.run(["/bin/sh", "-c", f"echo here >{quote_path(str(target))}"], timeout=20, check=True)
        assert target.read_text() == "here\n"
    assert len(list(tmp_path.iterdir())) == 11  # the ten, and the test's own home folder
