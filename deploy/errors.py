"""Every way in which a command can end without its result; the sentence that cures each one is `deploy/cli/cures.py`'s.

    SlimdeployError                    a bare problem; `exit_code` is what the process will end with
    ├── UsageError            (2)      what was asked can't be done as it was asked; no network was touched
    │   ├── UnknownName                a board or host that nobody knows; carries the near misses
    │   ├── BadFile                    a TOML or state file with faults; carries all of them
    │   ├── InventoryFailed            a program that should print an inventory ends badly; carries what it printed
    │   ├── BadToken                   a bot token that is missing or not `digits:35 characters`
    │   ├── NoSecret                   a command, keyring or file that should give a token or key gives none
    │   ├── NoHost                     a board for which no host is remembered
    │   ├── NoPublicKey                no public key of the user's that a board could be given
    │   ├── ToolchainMissing           no Go that is new enough
    │   ├── BuildFailed                `go build` ended with a fault, or the ELF header is not the target's
    │   ├── Unsupported                this machine can't do it (no /proc, no fork)
    │   ├── ImageFailed                the image of an emulated board can't be made; carries what the tool printed
    │   ├── MachineFault               a file or folder of this machine can't be read or written
    │   ├── BadCluster                 a Dask cluster that can't be reached, or can't do what is asked of it
    │   ├── BadHistory                 the file of readings can't be used
    │   └── BadRollouts                the file of rollouts can't be used
    ├── NotMeasured           (3)      a proof is missing, so there is no figure
    │   └── NothingThere               there is no process to be measured, or nothing says which one it should be
    └── HostError             (4)      the host is out of reach, refused, or failed; carries the host's address
        ├── Unreachable                nothing answers, or not in time
        │   └── WorkersLost            who was to reach it from elsewhere has gone
        ├── HostKeyUnknown             the key has not been seen before; carries its fingerprint
        ├── HostKeyChanged             the key is not the one that is remembered
        ├── AuthenticationRefused      the server takes none of the keys that were offered
        │   ├── PasswordRefused        nor the password; says whether it takes any
        │   └── KeyNotTaken            a key that was just put on the board is not taken there
        ├── ForwardRefused             the server opens no forwarded channel
        ├── DeadlineExceeded           a command on the board did not end in time
        ├── ConnectionLost             the connection went away in mid-command
        ├── CommandFailed              a script ended with a non-zero status; carries what it printed
        ├── BadAnswer                  what the board printed is not an answer to what it was asked
        ├── Refused                    preflight, the probe or provisioning found what the board can't take
        ├── NotReady                   the release started and did not become, or stay, ready
        ├── TelegramRefused            Telegram itself is out of reach, or refuses a user's account
        ├── OverBudget       (1, 3)    a reading does not let the release stay that it is about
        └── LoopbackFailed             the loopback board or its Bot API does not come up, answer or go down

No traceback reaches a user for any of these; anything else is a fault of slimdeploy and is shown as one.
"""

from __future__ import annotations

from collections.abc import Sequence


class SlimdeployError(Exception):
    """A bare problem, in one sentence without a final stop and without a cure."""

    exit_code = 1

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class UsageError(SlimdeployError):
    """What was asked can't be done as it was asked."""

    exit_code = 2


class UnknownName(UsageError):
    """`kind` has no entry called `name`; `near` are the closest that exist, best first."""

    def __init__(self, kind: str, name: str, near: Sequence[str] = (), known: Sequence[str] = ()) -> None:
        super().__init__(f"there is no {kind} called {name!r}")
        self.kind, self.name, self.near, self.known = kind, name, tuple(near), tuple(known)


class BadFile(UsageError):
    """The file at `path` has faults; `faults` holds all of them, a sentence each; `of` is a key of `cli/cures.py`."""

    def __init__(self, path: str, faults: Sequence[str], of: str = "") -> None:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(f"{path} has {count}:" + "".join(f"\n  - {fault}" for fault in faults))
        self.path, self.faults, self.of = path, tuple(faults), of


class _Logged(UsageError):
    def __init__(self, problem: str, *, log: str = "") -> None:
        super().__init__(problem)
        self.log = log


class InventoryFailed(_Logged):
    """A program that should print an inventory ends badly; `log` is the end of its standard error, cleaned."""


class BadToken(UsageError):
    """No bot token, or one that Telegram can't have given. The token itself is never in the message."""


class NoSecret(UsageError):
    """What should give a token or key gives none, or nothing that can be one; what it printed is never in the message.

    `log` is what it wrote to its standard error; `extra` the extra of slimdeploy that is not installed, "" otherwise.
    """

    def __init__(self, problem: str, *, log: str = "", extra: str = "") -> None:
        super().__init__(problem)
        self.log, self.extra = log, extra


class NoHost(UsageError):
    """No host is remembered for `board`."""

    def __init__(self, board: str) -> None:
        super().__init__(f"no host is remembered for the board {board!r}")
        self.board = board


class NoPublicKey(UsageError):
    """There is no public key of the user's that a board could be given."""


class ToolchainMissing(UsageError):
    """No Go toolchain is new enough; `looked_at` says what was found where, a line each."""

    def __init__(self, needed: str, looked_at: Sequence[str]) -> None:
        super().__init__(f"no Go {needed} or newer was found" + "".join(f"\n  - {line}" for line in looked_at))
        self.needed, self.looked_at = needed, tuple(looked_at)


class BuildFailed(UsageError):
    """The build ended with a fault; `output` is what the Go command printed."""

    def __init__(self, problem: str, output: str = "") -> None:
        super().__init__(problem)
        self.output = output


class Unsupported(UsageError):
    """This machine lacks what the command needs."""


class ImageFailed(_Logged):
    """The image of an emulated board can't be made, read or written; `log` is what the tool printed."""


class MachineFault(UsageError):
    """A file or folder of this machine can't be read or written; notes tell what was done before it showed."""


class BadHistory(UsageError):
    """The history of readings at `path` can't be read or written; `why` is a clause, `reading` the one it is about."""

    def __init__(self, path: str, why: str, reading: int | None = None) -> None:
        super().__init__(f"the history of readings, {path}, can't be used: {why}")
        self.path, self.why, self.reading = path, why, reading


class BadRollouts(UsageError):
    """The file of rollouts at `path` can't be read or written; `why` is a clause."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"the file of rollouts, {path}, can't be used: {why}")
        self.path, self.why = path, why


class BadCluster(UsageError):
    """A Dask cluster is out of reach or can't do it; `site` has no worker, `extra` is not installed; "" otherwise."""

    def __init__(self, problem: str, *, site: str = "", extra: str = "") -> None:
        super().__init__(problem)
        self.site, self.extra = site, extra


class NotMeasured(SlimdeployError):
    """A proof is missing; the problem names it."""

    exit_code = 3


class NothingThere(NotMeasured):
    """Nothing was there to be measured, or nothing says what it should be: no proof would tell more."""


class HostError(SlimdeployError):
    """Something about a host; `host` is its address as the user would write it."""

    exit_code = 4

    def __init__(self, problem: str, host: str = "") -> None:
        super().__init__(problem)
        self.host = host


class Unreachable(HostError):
    """Nothing answers at the host's address, or not in time."""


class WorkersLost(Unreachable):
    """Who was to reach the host from elsewhere has gone: the workers, or the way to them."""


class HostKeyUnknown(HostError):
    """The host's key has not been seen before; `fingerprint` is `SHA256:…` as OpenSSH prints it, `key` the base64."""

    def __init__(self, host: str, key_type: str, fingerprint: str, key: str = "") -> None:
        super().__init__(f"the {key_type} host key {fingerprint} of {host} has not been seen before", host)
        self.key_type, self.fingerprint, self.key = key_type, fingerprint, key
        self.of_jump_host = False
        """Whether it is the key of a host on the way there."""


class HostKeyChanged(HostError):
    """The host's key is not the one remembered in `known_hosts`; both fingerprints are carried."""

    def __init__(self, host: str, offered: str, remembered: str, known_hosts: str) -> None:
        super().__init__(f"the host key of {host} has changed: it offers {offered}, remembered is {remembered}", host)
        self.offered, self.remembered, self.known_hosts = offered, remembered, known_hosts


class AuthenticationRefused(HostError):
    """The server takes none of the keys that were offered."""


class PasswordRefused(AuthenticationRefused):
    """The server does not take the password; `takes_any` is False where it takes none from anybody."""

    def __init__(self, problem: str, host: str = "", *, takes_any: bool = True) -> None:
        super().__init__(problem, host)
        self.takes_any = takes_any


class KeyNotTaken(AuthenticationRefused):
    """A key that was just put on the board is not taken there."""


class ForwardRefused(HostError):
    """The server opens no forwarded channel: `prohibited` (AllowTcpForwarding no), or nothing listens at its end."""

    def __init__(self, problem: str, host: str = "", *, prohibited: bool = False) -> None:
        super().__init__(problem, host)
        self.prohibited = prohibited


class DeadlineExceeded(HostError):
    """A command on the board did not end within its deadline."""


class ConnectionLost(HostError):
    """The connection went away in mid-command."""


class CommandFailed(HostError):
    """A script ended with a status other than 0; `stdout` and `stderr` are what it printed, cleaned for display."""

    def __init__(
        self, problem: str, host: str = "", *, exit_status: int = 1, stdout: str = "", stderr: str = ""
    ) -> None:
        super().__init__(problem, host)
        self.exit_status, self.stdout, self.stderr = exit_status, stdout, stderr


class BadAnswer(HostError):
    """What the board printed is not an answer to the question; `detail` quotes the start of it."""

    def __init__(self, problem: str, host: str = "", *, detail: str = "") -> None:
        super().__init__(problem, host)
        self.detail = detail


class Refused(HostError):
    """The board can't take it: preflight, the probe or provisioning found so; `reason` is a key of `cli/cures.py`."""

    def __init__(self, reason: str, problem: str, host: str = "") -> None:
        super().__init__(problem, host)
        self.reason = reason


class NotReady(HostError):
    """The release started and did not become, or stay, ready; `log` is the end of its log, cleaned for display."""

    def __init__(self, problem: str, host: str = "", *, log: str = "", restored: bool = False) -> None:
        super().__init__(problem, host)
        self.log, self.restored = log, restored


class TelegramRefused(HostError):
    """Telegram itself is out of reach, or does not do what the user's account asks for."""


class OverBudget(HostError):
    """A reading is over its budget, or is none, and the user wants no such release to stay; its verdict's exit code."""

    def __init__(self, problem: str, host: str, exit_code: int) -> None:
        super().__init__(problem, host)
        self.exit_code = exit_code


class LoopbackFailed(HostError):
    """The loopback board or its Bot API does not come up, answer or go down; `log` is the end of its log."""

    def __init__(self, problem: str, host: str = "local", *, log: str = "") -> None:
        super().__init__(problem, host)
        self.log = log
