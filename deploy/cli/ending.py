"""Knows how a command ends: with its result, with a problem and its cure, or at Ctrl-C; and with which exit code."""

from __future__ import annotations

import json
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

from invoke.exceptions import Exit

from deploy.cli.cures import cure
from deploy.errors import (
    BuildFailed,
    CommandFailed,
    ImageFailed,
    InventoryFailed,
    LoopbackFailed,
    MachineFault,
    NoSecret,
    NotReady,
    SlimdeployError,
)
from deploy.interrupts import ENDING

INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""

FAULT = 70
"""EX_SOFTWARE of sysexits.h: a fault of slimdeploy, shown with its traceback."""


def evidence_of(error: SlimdeployError) -> str:
    """What the error carries beside its sentence: the compiler's output, the script's, the log's last lines."""
    match error:
        case BuildFailed(output=text) if text:
            return text
        case NotReady(log=text) if text:
            return f"the end of the gateway's log:\n{text}"
        case LoopbackFailed(log=text) if text:
            return f"the end of the board's log:\n{text}"
        case ImageFailed(log=text) | NoSecret(log=text) | InventoryFailed(log=text) if text:
            return f"what was printed:\n{text}"
        case CommandFailed(stdout=stdout, stderr=stderr):
            return "\n".join(part for part in (stdout, stderr) if part.strip())
    return ""


def problem_document(error: SlimdeployError) -> dict[str, Any]:
    """The JSON document of a command that ended with a problem (docs/json.md)."""
    return {
        "verdict": {1: "FAIL", 3: "NOT MEASURED"}.get(error.exit_code),
        "reason": error.problem,
        "error": {
            "kind": type(error).__name__,
            "problem": error.problem,
            "cure": cure(error),
            "evidence": evidence_of(error),
            "host": getattr(error, "host", ""),
            "notes": list(getattr(error, "__notes__", [])),
            "exit_code": error.exit_code,
        },
    }


def command(function: Callable[..., int]) -> Callable[..., None]:
    """Make a command of `function`, which returns its exit code: no traceback for a known problem, Ctrl-C in order.

    A `json` parameter of the command decides how a problem is printed: as a document on standard output, or in words on
    standard error.
    """

    @wraps(function)
    def run(*arguments: Any, **options: Any) -> None:
        for number in ENDING:
            if number != signal.SIGINT and signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
                signal.signal(number, _interrupt)
        try:
            code = function(*arguments, **options)
            _flush()
        except SlimdeployError as error:
            _print_problem(error, as_json=bool(options.get("json")))
            code = error.exit_code
        except BrokenPipeError:
            # Whoever read our output (head, less) has gone; nothing is left to say and nowhere to say it.
            sys.stdout = None
            code = 0
        except OSError as error:
            problem = _on_this_machine(error)
            _leave_a_broken_output()
            _print_problem(problem, as_json=bool(options.get("json")))
            code = problem.exit_code
        except KeyboardInterrupt as interrupt:
            notes = getattr(interrupt, "__notes__", [])
            with suppress(OSError):  # the terminal may be what has gone
                print("\n" + "; ".join(["interrupted", *notes]), file=sys.stderr)
            code = INTERRUPTED
        except Exit:
            raise
        except Exception as error:  # a fault of ours; exit code 1, Python's own for it, is a verdict here
            traceback.print_exc()
            if options.get("json"):
                fault = SlimdeployError(f"a fault of slimdeploy: {type(error).__name__}")
                fault.exit_code = FAULT
                _print_problem(fault, as_json=True)
            code = FAULT
        if code:
            raise Exit(code=code)

    return run


def _flush() -> None:
    """What was printed and can't be written shows now. Raises OSError; but that nobody reads it is no fault."""
    if sys.stdout is not None:
        with suppress(BrokenPipeError, ValueError):
            sys.stdout.flush()


def _leave_a_broken_output() -> None:
    """What standard output could not take is not tried again at the end of the program, where nobody could tell it."""
    try:
        _flush()
    except OSError:
        sys.stdout = None


def _on_this_machine(error: OSError) -> MachineFault:
    """A file or folder of the controller that failed, for people; what became of the board stays noted."""
    where = f"{error.filename}: " if error.filename else ""
    problem = MachineFault(f"this machine: {where}{error.strerror or error}")
    for note in getattr(error, "__notes__", []):
        problem.add_note(note)
    return problem


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _print_problem(error: SlimdeployError, *, as_json: bool) -> None:
    if as_json and sys.stdout is not None:
        try:
            print(json.dumps(problem_document(error), indent=2), flush=True)
            return
        except OSError:  # a full disk, whose document is what failed: then in words
            sys.stdout = None
    notes = getattr(error, "__notes__", [])
    host = getattr(error, "host", "")
    lines = [evidence_of(error)] if evidence_of(error) else []
    where = ", ".join([*([host] if host and host not in error.problem else []), *notes])
    lines.append(f"error: {error.problem}" + (f" ({where})" if where else ""))
    if remedy := cure(error):
        lines.append(f"  cure: {remedy}")
    with suppress(OSError):
        print("\n".join(lines), file=sys.stderr)
