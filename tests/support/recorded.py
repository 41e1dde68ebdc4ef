"""Answers of boards that were captured once (tests/fixtures/proc), and what tests change in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from deploy.board_shell.framing import Framing
from deploy.board_shell.observation import Observation, parse_observation

FIXTURES = Path(__file__).parents[1] / "fixtures" / "proc"
CASES = sorted(path.name for path in FIXTURES.iterdir() if path.is_dir() and not path.name.startswith("_"))
FRAMING = Framing("0" * 32)


@dataclass(frozen=True)
class Answer:
    """One recorded answer, and what tests change in it."""

    text: str

    @classmethod
    def of(cls, case: str) -> Answer:
        return cls((FIXTURES / case / "answer.txt").read_text())

    @property
    def sections(self) -> list[str]:
        """The names of its sections, each once."""
        return list(dict.fromkeys(re.findall(r"\n#0+ begin (\w+)\n", self.text)))

    def replaced(self, section: str, body: str, status: int = 0) -> Answer:
        """With another body and status in every section of that name."""
        pattern = rf"(\n#0+ begin {section}\n).*?\n#0+ end {section} \d+\n"
        end = f"{body}\n#{'0' * 32} end {section} {status}\n"
        text, count = re.subn(pattern, lambda match: match[1] + end, self.text, flags=re.S)
        assert count, f"no section {section}"
        return Answer(text)

    def without(self, section: str) -> Answer:
        """Without the sections of that name, as where the board left them out."""
        text, count = re.subn(rf"\n#0+ begin {section}\n.*?\n#0+ end {section} \d+\n", "", self.text, flags=re.S)
        assert count, f"no section {section}"
        return Answer(text)

    def edited(self, section: str, pattern: str, replacement: str, nth: int | None = None) -> Answer:
        """With `pattern` replaced inside the sections of that name, or in the nth of them only (from 0)."""
        turn = iter(range(1000))
        changed = 0

        def edit(match: re.Match[str]) -> str:
            nonlocal changed
            if nth is not None and next(turn) != nth:
                return match[0]
            text, count = re.subn(pattern, replacement, match[0], flags=re.M)
            changed += count
            return text

        text = re.sub(rf"\n#0+ begin {section}\n.*?\n#0+ end {section} \d+\n", edit, self.text, flags=re.S)
        assert changed, f"{pattern} is not in {section}"
        return Answer(text)

    def observation(self) -> Observation:
        return parse_observation(FRAMING, self.text.encode())
