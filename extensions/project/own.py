"""The files that a project keeps from its template: `[tool.torch-uv-template] own`."""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Callable
from typing import Any


def owned(pyproject: str) -> Callable[[str], bool]:
    """Whether a path is one of them, as the text of a `pyproject.toml` names them by patterns.

    Raises ValueError, with a reason for people, for a text that is no TOML, or names them by
    something else than a list of texts.
    """
    try:
        table: Any = tomllib.loads(pyproject.removeprefix("\ufeff")).get("tool", {})
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if isinstance(table, dict):
        table = table.get("torch-uv-template", {})
    own = table.get("own", []) if isinstance(table, dict) else None
    if not isinstance(own, list) or not all(isinstance(pattern, str) for pattern in own):
        raise ValueError(
            "it names its own files by something else than a list of texts; "
            'expected, below [tool.torch-uv-template]: own = [".github/*"]'
        )
    return lambda path: any(fnmatch.fnmatch(path, pattern) for pattern in own)
