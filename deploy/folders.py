"""Knows which folders on the controller are ours. SLIMDEPLOY_HOME puts all of them under one folder.

Nothing is made here: whoever writes makes the folder, 0700 where it holds keys or tokens.
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

APP = "slimdeploy"


def _folder(kind: str, default: str) -> Path:
    home = os.environ.get("SLIMDEPLOY_HOME")
    return Path(home) / kind if home else Path(default)


def config_folder() -> Path:
    """What the user sets: remembered hosts, known host keys, boards of their own."""
    return _folder("config", platformdirs.user_config_dir(APP))


def cache_folder() -> Path:
    """What can be made again: artifacts, Go's build cache."""
    return _folder("cache", platformdirs.user_cache_dir(APP))


def data_folder() -> Path:
    """What can't be made again: the history of readings."""
    return _folder("data", platformdirs.user_data_dir(APP))


def state_folder() -> Path:
    """What runs: the loopback board's keys, ports and logs."""
    return _folder("state", platformdirs.user_state_dir(APP))
