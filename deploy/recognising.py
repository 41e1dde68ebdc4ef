"""Knows which board of the catalogue a host is, by what it says of itself, and makes one for a host that is none.

What the host says is a `Probed`; which target it takes is `processor.py`'s. A board whose target the host can't run is
never chosen, whatever the device tree says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from deploy.board_toml import same
from deploy.catalogue import INITS, LIBCS, SSH_SERVERS
from deploy.model.board import Board
from deploy.model.probed import Probed
from deploy.model.units import KIB, MIB
from deploy.processor import Choice, choose, runs

_OF_NO_BOARD = frozenset({"linux,dummy-virt", "riscv-virtio", "qemu,virt"})
"""What machines of emulators call themselves: a board is not told by it."""

_BY_SYSTEM = 1000
"""The rank of a match by the system: what the hardware says is more specific, and no device tree names as many."""

_LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class Recognised:
    """The board that a host is taken for, and why."""

    board: Board
    why: str
    """A clause for people."""
    known: bool
    """Whether the catalogue has it; False for a board made from what the host said."""
    choice: Choice
    """The target with the most that the host runs: the board's own may need less."""
    differences: tuple[str, ...] = ()
    """What the host says otherwise than the catalogue's board, a clause each."""


def recognise(probed: Probed, boards: Iterable[Board], host: str = "", today: str = "") -> Recognised:
    """The board that the host is. `today` is written into a board that is made. Raises Refused as `choose` does."""
    choice = choose(probed, host)
    boards = tuple(boards)
    matches = sorted(
        (
            (rank, not runs(board.target, choice.target), board.name, board, why)
            for board in boards
            if board.connection == "ssh"
            for rank, why in [_match(probed, board)]
            if rank is not None
        ),
        key=lambda match: match[:3],
    )
    fitting = [match for match in matches if not match[1]]
    if fitting and fitting[0][0] == matches[0][0]:
        *_, board, why = fitting[0]
        return Recognised(board, why, True, choice, differences(probed, board))
    if matches:  # the hardware is known, and its system is another than the catalogue's
        *_, kin, why = matches[0]
        made = _of_kin(kin, probed, choice, today)
        because = f"{why}, which is {kin.name}; but {choice.why}, and {kin.name} is built for {kin.target}"
    else:
        made = made_board(probed, choice, today)
        named = (
            f"says {_quoted(probed.compatible or (probed.model,))}" if _evidence(probed) else "says nothing of a board"
        )
        because = f"no board of the catalogue fits: the host {named}"
    made = replace(made, name=_free_name(made, boards))
    if any(board.name == made.name for board in boards):
        return Recognised(made, f"{because}; a board like that was made before", True, choice)
    return Recognised(made, because, False, choice)


def _match(probed: Probed, board: Board) -> tuple[int | None, str]:
    """How specific the evidence is, 0 the most; None where there is none."""
    for model in board.models:
        if probed.model == model or probed.model.startswith(f"{model} Rev "):
            return 0, f"it calls itself {probed.model!r}"
    for at, name in enumerate(probed.compatible):
        if name in board.compatible and name not in _OF_NO_BOARD:
            return at, f"its device tree is compatible with {name!r}"
    for system in board.systems:
        if system in (probed.built_for, probed.built_for.partition("/")[0]):
            return _BY_SYSTEM, f"its system says that it was built for {probed.built_for!r}"
    return None, ""


def differences(probed: Probed, board: Board) -> tuple[str, ...]:
    """What the host says otherwise than the catalogue says of the board; a clause each, for people."""
    found = []
    if board.init not in ("detached", probed.init):
        found.append(f"its init is {probed.init}, not {board.init}")
    if board.ssh_server and probed.ssh_server and board.ssh_server != probed.ssh_server:
        found.append(f"its SSH server is {probed.ssh_server}, not {board.ssh_server}")
    if probed.sftp != board.sftp and probed.ssh_server:
        found.append("it has SFTP" if probed.sftp else "no SFTP server was found on it")
    if board.libc and probed.libc and board.libc != probed.libc:
        found.append(f"its C library is {probed.libc}, not {board.libc}")
    if probed.ram_kib > board.ram_kib:
        found.append(f"Linux sees {probed.ram_kib // 1024} MiB of RAM, more than the {board.ram_kib // 1024} MiB known")
    return tuple(found)


def made_board(probed: Probed, choice: Choice, today: str = "") -> Board:
    """A board with what the host said, and nothing else: it names the day as its source."""
    evidence = _evidence(probed)
    compatible = tuple(each for each in probed.compatible[:1] if each not in _OF_NO_BOARD)
    named = probed.model or "".join(compatible) if evidence else ""
    title = named or probed.operating_system or "a host that names no hardware"
    board = Board(
        name=_name(probed, choice),
        title=f"{title}, {choice.target.goarch}",
        target=choice.target,
        ram_kib=_whole_mib(probed.ram_kib),
        user=_user(probed),
        prefix="/opt/picoclaw" if probed.is_root else "~/.picoclaw",
        compatible=compatible,
        models=(probed.model,) if evidence and probed.model and not compatible else (),
        sources=(_source(today),),
        notes=("The RAM is what Linux sees; what is soldered on may be more.",),
    )
    return _with_system(board, probed)


def as_it_is(board: Board, probed: Probed, choice: Choice, today: str = "") -> Board:
    """A board of the catalogue with what this host says otherwise: its system, its login, and the target it takes."""
    target = board.target if runs(board.target, choice.target) else choice.target
    ram_kib = max(board.ram_kib, _whole_mib(probed.ram_kib))
    sources = (_source(today), *board.sources)
    found = replace(board, target=target, ram_kib=ram_kib, user=_user(probed), sources=sources)
    return _with_system(found, probed)


def _of_kin(kin: Board, probed: Probed, choice: Choice, today: str) -> Board:
    variant = choice.target.variant.replace(",", "-")
    name = f"{kin.name}-{choice.target.goarch}" + (f"-{variant}" if variant else "")
    return replace(as_it_is(kin, probed, choice, today), name=name, title=f"{kin.title}, as {choice.target}")


def _with_system(board: Board, probed: Probed) -> Board:
    """With what follows from the system that runs, whatever the hardware."""
    return replace(
        board,
        init=probed.init if probed.init in INITS else "detached",
        libc=probed.libc if probed.libc in LIBCS else "",
        ssh_server=probed.ssh_server if probed.ssh_server in SSH_SERVERS else "",
        sftp=probed.sftp,
    )


def _source(today: str) -> str:
    return "what the host said of itself" + (f" on {today}" if today else "") + " (invoke boards.probe)"


def _user(probed: Probed) -> str:
    return probed.user if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", probed.user) else "root"


def _evidence(probed: Probed) -> bool:
    """Whether the host says what hardware it is."""
    names = probed.compatible or (probed.model,)
    return bool(names[0]) and not set(names) & _OF_NO_BOARD


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(repr(name) for name in names[:3])


def _whole_mib(kib: int) -> int:
    return max(kib * KIB // MIB, 1) * MIB // KIB


def _name(probed: Probed, choice: Choice) -> str:
    """A board's name out of what the host calls itself, or of its architecture."""
    text = (probed.compatible or (probed.model,))[0] if _evidence(probed) else ""
    slug = re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:_LONGEST_NAME].strip("-.")
    return slug or f"some-{choice.target.goarch}"


def _free_name(made: Board, boards: tuple[Board, ...]) -> str:
    """The name of a board just like it, or else the first that no board has."""
    taken = {board.name: board for board in boards}
    number, name = 1, made.name
    while name in taken and not same(taken[name], replace(made, name=name)):
        number += 1
        name = f"{made.name}-{number}"
    return name
