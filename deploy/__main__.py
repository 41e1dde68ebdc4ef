"""Knows how the program starts; `python -m deploy` is `slimdeploy`. It loads nothing before Ctrl-C is in order."""

from __future__ import annotations

import sys


def main() -> None:
    """The console script."""
    try:
        from deploy.cli.program import run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
