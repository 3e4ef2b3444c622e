"""Folders as git repositories, and the template as one with a release."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.conftest import copy_template


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder; its output. Raises CalledProcessError if it fails."""
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def committed(folder: Path, message: str = "Start") -> Path:
    """All of a folder as a commit, the first or another one."""
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return folder


def tagged_template(folder: Path) -> Path:
    """The template as a git repository with a release."""
    return Path(shutil.copytree(Path(_tagged().name, "template"), folder, symlinks=True))


@cache
def _tagged() -> TemporaryDirectory[str]:
    """Made once, and packed: Copier clones it five times in an update."""
    holder = TemporaryDirectory()
    folder = committed(copy_template(Path(holder.name, "template")))
    git(folder, "tag", "v1.0.0")
    git(folder, "repack", "-a", "-d", "--quiet")
    return holder


def settings(file: Path, **values: str) -> dict[str, str]:
    """Write a person's git settings, `core_autocrlf="true"`; the variable that makes git read them.

    GIT_CONFIG_GLOBAL is for git and for all that runs it.
    """
    for name, value in values.items():
        git(file.parent, "config", "--file", str(file), name.replace("_", ".", 1), value)
    return {"GIT_CONFIG_GLOBAL": str(file)}
