"""Whether a project can be written to a folder: asked before the first file is."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

import yaml

from ..questions.names import is_one_line

# A render with everything in it takes a fifth of this.
NEEDED = 1_000_000
# Bytes of the longest path in a project, from its folder on.
LONGEST = 120
# Bytes of a file of answers, which has a few hundred.
ANSWERS = 100_000
_MOVE = "Nearest: move it away, or take another folder"
_WHY = {
    errno.ELOOP: "is a link that leads back to itself",
    errno.ENAMETOOLONG: "is too long a path for this system",
    errno.EACCES: "cannot be looked into",
}


def refusal(folder: Path, answers_file: str, template: Path) -> str | None:
    """Why nothing can be written to a folder that may not exist yet; None if it can.

    `answers_file` is the path of Copier's file in it, and `template` the folder that is rendered.
    """
    if not is_one_line(str(folder)):
        return f"{str(folder)!a} has a line break or a control character. Nearest: a plain name"
    place = folder
    while True:
        try:
            mode = place.stat().st_mode
            break
        except (FileNotFoundError, NotADirectoryError):
            if place.is_symlink():
                there = os.readlink(place)
                return f"{place} is a link to {there}, which is not there. Nearest: make that first"
        except OSError as error:
            why = _WHY.get(error.errno or 0, f"cannot be read ({error.strerror})")
            return f"{_short(place)} {why}. Nearest: another folder"
        place = place.parent
    if not stat.S_ISDIR(mode):
        what = "file" if stat.S_ISREG(mode) else "special file"
        return f"{place} is a {what}. Nearest: {place}-project"
    if not os.access(place, os.W_OK | os.X_OK):
        return f"{place} is read-only. Nearest: a folder of your own, such as {_home(folder)}"
    if hasattr(os, "pathconf"):
        longest = os.pathconf(place, "PC_PATH_MAX")
        if len(os.fsencode(folder)) + LONGEST > longest:
            return f"{_short(folder)} {_WHY[errno.ENAMETOOLONG]}. Nearest: another folder"
    free = shutil.disk_usage(place).free
    if free < NEEDED:
        return (
            f"the disk of {place} is full: {free // 1000} kB are free, and a project needs "
            f"{NEEDED // 1000}. Nearest: free some, or take another disk"
        )
    if place == folder:
        return _answers_refusal(folder / answers_file) or _in_the_way(folder, template)
    return None


def _short(path: Path) -> str:
    text = str(path)
    return text if len(text) < 200 else f"{text[:80]}…"


def _home(folder: Path) -> Path:
    return Path.home() / folder.name


def _answers_refusal(file: Path) -> str | None:
    """Why Copier cannot read the answers of a project that is there."""
    nearest = "Nearest: restore it from git, or remove it"
    if not file.exists():
        return None
    if not file.is_file():
        return f"{file} is no file of answers. {nearest}"
    if file.stat().st_size > ANSWERS:
        return f"{file} is too large for answers. {nearest}"
    try:
        if isinstance(yaml.safe_load(file.read_bytes()), dict):
            return None
    except (OSError, ValueError, RecursionError, LookupError, yaml.YAMLError):
        # PyYAML raises all of these for odd scalars and deep nesting.
        pass
    return f"{file} holds no names with answers. {nearest}"


def _in_the_way(folder: Path, template: Path) -> str | None:
    """Why a file or folder that every project has cannot be written: another thing is there."""
    for source in sorted(template.rglob("*")):
        name = source.relative_to(template).as_posix().removesuffix(".jinja")
        target = folder / name
        if "{" in name or not target.exists():
            continue
        if source.is_dir():
            if not target.is_dir():
                return f"{target} is a file, and a project has a folder there. {_MOVE}"
            if not target.resolve().is_relative_to(folder.resolve()):
                return f"{target} leads out of the project. {_MOVE}"
        elif not target.is_file() and not target.is_symlink():
            what = "folder" if target.is_dir() else "special file"
            return f"{target} is a {what}, and a project has a file there. {_MOVE}"
    return None


def is_versioned(folder: Path) -> bool:
    """Whether a folder lies in a git repository."""
    return any((place / ".git").exists() for place in (folder, *folder.parents))
