"""Knows how the program starts; `python -m deploy` is `slimdeploy`. It loads nothing before Ctrl-C is in order."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """The console script."""
    # Most objects of a short run live to its end: looking for garbage among them all the time is a tenth of the time.
    gc.set_threshold(20_000, 20, 20)
    try:
        from deploy.cli.program import run

        run()
    except BrokenPipeError:
        # Whoever read our output (head, less) has gone; what Python still holds of it must not be tried again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
