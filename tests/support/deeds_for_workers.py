"""What tests have workers of a Dask cluster do; by its name, as it is loaded there."""

from __future__ import annotations

import os
import time
from pathlib import Path

from deploy.model.fleet import Member
from deploy.model.rollout import Result, State


def who(member: Member) -> Result:
    """Which process it is."""
    return Result(member.name, State.UNCHANGED, document={"pid": os.getpid()})


def once_slowly(folder: str, member: Member) -> Result:
    """The first attempt on a member hangs; a later one is quick. Each leaves a file with the process that made it."""
    try:
        with (Path(folder) / member.name).open("x") as file:
            file.write(str(os.getpid()))
    except FileExistsError:
        return who(member)
    time.sleep(120)
    return who(member)


def dies(member: Member) -> Result:
    """It takes its process with it."""
    os._exit(1)
