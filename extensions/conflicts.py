"""What `copier update` could not merge: the conflicts that it left in the files of a project."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# Copier's labels for `git merge-file`.
MARKER = b"<<<<<<< before updating"
PRUNED = frozenset({"__pycache__", "build", "dist", "node_modules", "runs"})
HIDDEN = frozenset({".devcontainer", ".github", ".vscode"})
LARGEST = 1_000_000


def conflicts(folder: Path) -> dict[str, int]:
    """The number of conflicts in each file that has one, by its path in the project."""
    found = {}
    for file in _files(folder):
        if count := sum(line.rstrip() == MARKER for line in file.read_bytes().splitlines()):
            found[file.relative_to(folder).as_posix()] = count
    return found


def _files(folder: Path) -> Iterator[Path]:
    for top, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name in HIDDEN or not (name.startswith(".") or name in PRUNED)
        )
        for name in sorted(names):
            file = Path(top, name)
            if file.is_file() and file.stat().st_size <= LARGEST:
                yield file
