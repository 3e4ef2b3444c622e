"""What a project says of itself to drift.py: its answers, and the files that are its own."""

from __future__ import annotations

import fnmatch
import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from ..project.regular import Unreadable, contents

ANSWERS = ".copier-answers.yml"
# Far more than projects have, and little enough to be handled at once.
LARGEST_ANSWERS = 64_000  # bytes
LARGEST_PYPROJECT = 256_000  # bytes
MOST_PATTERNS = 1_000
LONGEST_PATTERN = 500  # characters


class CannotCompare(Exception):
    """A project of which nothing can be said, with the reason."""


def recorded(project: Path) -> dict[str, Any]:
    """The answers of a project, with its template and version. Raises CannotCompare."""
    restore = "restore the file that Copier wrote"
    if not os.path.isdir(project):
        raise CannotCompare("there is no such folder")
    try:
        text = contents(project, ANSWERS, LARGEST_ANSWERS)
        answers = None if text is None else _parsed(text.decode("utf-8"))
    except Exception as error:  # PyYAML lets pass what its parts raise, such as IndexError
        mark = getattr(error, "problem_mark", None)
        reason = f"{error.problem}, line {mark.line + 1}" if mark else error
        raise CannotCompare(f"its {ANSWERS} cannot be read ({reason}); {restore}") from None
    if text is None:
        raise CannotCompare(f"it has no {ANSWERS}")
    if not isinstance(answers, dict):
        raise CannotCompare(f"its {ANSWERS} holds no names with answers; {restore}")
    if not all(isinstance(answers.get(key), str) for key in ("_src_path", "_commit")):
        raise CannotCompare(f"its {ANSWERS} names no template and version; {restore}")
    # It becomes an argument of git.
    if not re.fullmatch(r"\w[\w.+-]*", answers["_commit"]):
        raise CannotCompare(f"its {ANSWERS} names no version of the template; {restore}")
    return answers


def _parsed(text: str) -> Any:
    """What YAML says, unless its aliases make a small file say more than a large one may."""
    loader = yaml.SafeLoader(text)
    root = loader.get_single_node()
    nodes, size = [root] if root else [], 0
    while nodes:
        node = nodes.pop()
        size += len(node.value) + 1
        if size > LARGEST_ANSWERS:
            raise ValueError("its aliases repeat too much")
        if isinstance(node, yaml.MappingNode):
            nodes += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value
    return loader.construct_document(root) if root else None


def own_files(project: Path) -> Callable[[str], bool]:
    """Whether a file is the project's own, by its name. Raises CannotCompare."""
    try:
        text = contents(project, "pyproject.toml", LARGEST_PYPROJECT)
        settings = tomllib.loads((text or b"").decode("utf-8"))
    except (RecursionError, Unreadable, ValueError) as error:
        raise CannotCompare(f"its pyproject.toml cannot be read: {error}") from None
    table = settings.get("tool", {})
    if isinstance(table, dict):
        table = table.get("torch-uv-template", {})
    own = table.get("own", []) if isinstance(table, dict) else None
    if not isinstance(own, list) or not all(isinstance(pattern, str) for pattern in own):
        raise CannotCompare(
            "its pyproject.toml names its own files by something else than a list of texts; "
            'expected, below [tool.torch-uv-template]: own = ["README.md"]'
        )
    if len(own) > MOST_PATTERNS or any(len(pattern) > LONGEST_PATTERN for pattern in own):
        raise CannotCompare(
            f"its pyproject.toml names its own files by more than {MOST_PATTERNS} patterns, or by "
            f'one of more than {LONGEST_PATTERN} characters; nearest: own = ["docs/*"]'
        )
    return lambda name: any(fnmatch.fnmatch(name, pattern) for pattern in own)
