"""Copier's command line in this process: half a second less than a process of its own."""

from __future__ import annotations

import os
import tempfile
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path

import pytest
from copier._cli import CopierApp
from plumbum import local


@dataclass(frozen=True)
class Ended:
    """The exit code, and what it and the programs that it runs have said."""

    returncode: int
    stderr: str


def copier(*arguments: str | Path, folder: Path | None = None, **environment: str) -> Ended:
    """`copier ARGUMENTS` in a folder. What it has no answer to is raised, as in a traceback."""
    before = os.dup(2)
    with tempfile.TemporaryFile("w+", buffering=1, encoding="utf-8") as said:
        os.dup2(said.fileno(), 2)
        try:
            with redirect_stderr(said), pytest.MonkeyPatch.context() as patch:
                if folder:
                    patch.chdir(folder)
                for name, value in environment.items():
                    patch.setenv(name, value)
                with local.env(**environment):
                    _, code = CopierApp.run(["copier", *map(os.fspath, arguments)], exit=False)
        finally:
            os.dup2(before, 2)
            os.close(before)
        said.seek(0)
        ended = Ended(code, said.read())
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended
