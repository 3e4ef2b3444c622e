"""What a project says of itself to drift.py: its answers, and the files that are its own."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from ..project.own import owned
from ..project.regular import Unreadable, contents

ANSWERS, PYPROJECT = ".copier-answers.yml", "pyproject.toml"
# Far more than projects have, and little enough to be handled at once.
LARGEST_ANSWERS = 64_000  # bytes
LARGEST_PYPROJECT = 256_000  # bytes


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
        text = contents(project, PYPROJECT, LARGEST_PYPROJECT)
        return owned((text or b"").decode("utf-8"))
    except (Unreadable, UnicodeDecodeError) as error:
        raise CannotCompare(f"its {PYPROJECT} cannot be read: {error}") from None
    except ValueError as error:
        raise CannotCompare(f"its {PYPROJECT} {error}") from None
