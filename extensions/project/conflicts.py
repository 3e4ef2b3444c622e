"""What `copier update` could not merge: the conflicts that it left in the files of a project."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .regular import Unreadable, contents

# Copier's labels for `git merge-file`.
MARKER = b"<<<<<<< before updating"
PRUNED = frozenset({"__pycache__", "node_modules"})
# At the top alone: a package may have such a name.
PRUNED_AT_THE_TOP = frozenset({"build", "dist", "runs"})
HIDDEN = frozenset({".devcontainer", ".github", ".vscode"})


def conflicts(folder: Path) -> dict[str, int]:
    """The number of conflicts in each file that has one, by its path in the project.

    With `copier update --conflict rej` that file is beside the one that it is about.
    """
    found = {}
    for name in sorted(files(folder)):
        text = None
        # What cannot be read has not been merged either.
        with suppress(Unreadable):
            text = contents(folder, name)
        rejected = name.endswith(".rej")
        if count := sum(_begins_conflict(line, rejected) for line in (text or b"").splitlines()):
            found[name] = count
    return found


def files(folder: Path) -> frozenset[str]:
    """The files of a project that an update may touch, by their paths in it."""
    return frozenset(file.relative_to(folder).as_posix() for file in _files(folder))


def _begins_conflict(line: bytes, rejected: bool) -> bool:
    return line.startswith(b"@@ ") if rejected else line.rstrip() == MARKER


def _files(folder: Path) -> Iterator[Path]:
    for top, folders, names in os.walk(folder):
        pruned = PRUNED | PRUNED_AT_THE_TOP if Path(top) == folder else PRUNED
        folders[:] = sorted(
            name
            for name in folders
            if name in HIDDEN or not (name.startswith(".") or name in pruned)
        )
        for name in sorted(names):
            file = Path(top, name)
            # As far as it can be looked at, and whatever it is a link to.
            with suppress(OSError):
                mode = os.lstat(file).st_mode
                if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
                    yield file
