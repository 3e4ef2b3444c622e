"""The files that a project keeps from its template: `[tool.torch-uv-template] own`."""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Callable
from typing import Any

# Far more than projects have, and little enough to be handled at once.
MOST_PATTERNS = 1_000
LONGEST_PATTERN = 500  # characters


def owned(pyproject: str) -> Callable[[str], bool]:
    """Whether a path is one of them, as the text of a `pyproject.toml` names them by patterns.

    Raises ValueError, with what is wrong with the file, for a text that is no TOML, or names them
    by something else than a list of texts.
    """
    try:
        table: Any = tomllib.loads(pyproject.removeprefix("\ufeff")).get("tool", {})
    except (RecursionError, ValueError) as error:
        raise ValueError(f"cannot be read: {error}") from None
    if isinstance(table, dict):
        table = table.get("torch-uv-template", {})
    own = table.get("own", []) if isinstance(table, dict) else None
    if not isinstance(own, list) or not all(isinstance(pattern, str) for pattern in own):
        raise ValueError(
            "names its own files by something else than a list of texts; "
            'expected, below [tool.torch-uv-template]: own = [".github/*"]'
        )
    if len(own) > MOST_PATTERNS or any(len(pattern) > LONGEST_PATTERN for pattern in own):
        raise ValueError(
            f"names its own files by more than {MOST_PATTERNS} patterns, or by one of more than "
            f'{LONGEST_PATTERN} characters; nearest: own = ["docs/*"]'
        )
    return lambda path: any(fnmatch.fnmatch(path, pattern) for pattern in own)
