"""Knows the manifest beside an artifact: JSON, the same bytes for the same artifact. Where it lies is `build.py`'s."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deploy.model.artifact import Artifact
from deploy.model.target import Target

SCHEMA = 1
"""Counted up when a key changes its meaning or goes away."""

_TEXTS = ("name", "sha256", "ldflags", "package", "version", "toolchain", "revision", "source_digest", "elf")


def document(artifact: Artifact) -> dict[str, Any]:
    """Every field but `path`, for JSON; no time of day, so that two builds of one source have one manifest."""
    target = artifact.target
    return {
        "schema": SCHEMA,
        **{name: getattr(artifact, name) for name in _TEXTS},
        "size_bytes": artifact.size_bytes,
        "tags": list(artifact.tags),
        "target": {"goos": target.goos, "goarch": target.goarch, "variant": target.variant},
    }


def render(artifact: Artifact) -> str:
    """The manifest's text."""
    return json.dumps(document(artifact), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def parse(text: str, path: Path) -> Artifact:
    """The artifact at `path` by its manifest. Raises ValueError where the text is not one of this schema."""
    told = json.loads(text)
    try:
        if told["schema"] != SCHEMA:
            raise ValueError(f"schema {told['schema']!r} is not {SCHEMA}")
        texts = {name: told[name] for name in _TEXTS}
        target = told["target"]
        parts = (target["goarch"], target["variant"], target["goos"])
        size_bytes, tags = told["size_bytes"], told["tags"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"it lacks {error}") from None
    if not all(isinstance(text, str) for text in (*texts.values(), *parts, *tags)) or type(size_bytes) is not int:
        raise ValueError("a value is not of its kind")
    return Artifact(path=path, size_bytes=size_bytes, tags=tuple(tags), target=Target(*parts), **texts)
