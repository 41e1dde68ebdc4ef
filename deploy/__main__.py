"""Knows how the program starts and ends; `python -m deploy` is `slimdeploy`. Ctrl-C works before anything loads."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress

INTERRUPTED = 130


def main() -> None:
    """The console script."""
    code = _code()
    with suppress(BrokenPipeError, AttributeError, ValueError):  # whoever read our output (head, less) may have gone
        sys.stdout.flush()
        sys.stderr.flush()
    # What has to be put in order has been, by the context that opened it. Python would take a tenth of a second more to
    # take its modules apart.
    os._exit(code)


def _code() -> int:
    """Run the command line; the exit code."""
    # Most objects of a short run live to its end: looking for garbage among them all the time is a tenth of the time.
    gc.set_threshold(20_000, 20, 20)
    try:
        from deploy.cli.program import run

        run()
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(end.code + "\n")
            return 1
        # Invoke makes an exit with 1, which is a verdict here, of a Ctrl-C that comes before or after a command.
        if end.code == 1 and isinstance(end.__context__, KeyboardInterrupt):
            return _interrupted()
        return end.code or 0
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        return _interrupted()
    return 0


def _interrupted() -> int:
    sys.stderr.write("\ninterrupted\n")
    return INTERRUPTED


if __name__ == "__main__":
    main()
