"""Where a project stands: in a repository of its own, in a folder of another, in a workspace."""

from __future__ import annotations

import glob
import os
import posixpath
import re
import subprocess
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

PYPROJECT = "pyproject.toml"
LARGEST = 1_000_000  # bytes


class Unreadable(Exception):
    """A `pyproject.toml` above the project that cannot be read, with the reason."""


def places(folder: Path, *, workspaces: bool = True) -> tuple[str, ...]:
    """The answers to `place` that fit a folder that may not exist yet, the best one first.

    Raises Unreadable, if it is to look for workspaces.
    """
    in_git = "folder" if is_inside_repository(folder) else "repository"
    return ("member", in_git) if workspaces and workspace_of(folder) else (in_git,)


def is_inside_repository(folder: Path) -> bool:
    """Whether git has the folder in a repository whose top is above it, and does not ignore it."""
    if os.path.exists(folder / ".git"):
        return False
    above = next((top for top in folder.parents if os.path.exists(top / ".git")), None)
    if above is None:
        return False
    # Where git does not look, as below a ceiling of the environment, it fails with another code.
    command = ["git", "check-ignore", "--quiet", "--", str(folder)]
    try:
        done = subprocess.run(command, cwd=above, capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 1


def workspace_of(folder: Path) -> Path | None:
    """The root of the uv workspace that has a folder as a member; None if there is none.

    As uv 0.13.9 finds it: the nearest `pyproject.toml` above decides, by `members` and `exclude`.
    A folder that is a root itself is no member. Raises Unreadable.
    """
    above = (parent for parent in folder.parents if os.path.exists(parent / PYPROJECT))
    root = next(above, None)
    if root is None or "workspace" in _settings(folder):
        return None
    workspace: Any = _settings(root).get("workspace")
    path = folder.as_posix()

    def patterns(key: str) -> list[str]:
        """From the root of the file system on, as uv joins them."""
        globs = workspace.get(key) if isinstance(workspace, Mapping) else None
        listed = [x for x in globs if isinstance(x, str)] if isinstance(globs, list) else []
        top = glob.escape(root.as_posix())
        return [posixpath.join(top, posixpath.normpath(pattern)) for pattern in listed]

    parts = tuple(path.split("/"))
    named = any(matches(parts, tuple(x.split("/"))) for x in patterns("members"))
    return root if named and not any(excludes(x, path) for x in patterns("exclude")) else None


def excludes(pattern: str, path: str) -> bool:
    """Whether a pattern of `exclude` names a path: a `*` may be for several parts of it, too."""
    fewer = (pattern[: m.start()] + pattern[m.end() :] for m in re.finditer(r"\*\*/", pattern))
    return fnmatchcase(path, pattern) or any(excludes(other, path) for other in fewer)


@cache
def matches(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a pattern of `members` names a path; `*` is for one part of it, `**` for any number,
    but for one at least at the end."""
    if not pattern or not path:
        return not pattern and not path
    if pattern[0] == "**":
        rest = pattern[1:]
        return matches(path[1:], pattern) or (matches(path, rest) if rest else len(path) == 1)
    return fnmatchcase(path[0], pattern[0]) and matches(path[1:], pattern[1:])


def _settings(folder: Path) -> Mapping[str, Any]:
    """The table `[tool.uv]` of a folder's `pyproject.toml`; empty for none. Raises Unreadable."""
    file = folder / PYPROJECT
    if not os.path.exists(file):
        return {}
    # Most folders have no project above them, and need no parser.
    import tomllib

    try:
        if not file.is_file():
            raise Unreadable(f"{file} is no file")
        if file.stat().st_size > LARGEST:
            raise Unreadable(f"{file} has more than {LARGEST} bytes")
        found: Any = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise Unreadable(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{file} cannot be read: {error}") from None
    for key in ("tool", "uv"):
        found = found.get(key, {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, Mapping) else {}
