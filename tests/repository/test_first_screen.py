"""What a person meets first: the picture of a render in the README, and answers to errors."""

from __future__ import annotations

import contextlib
import re
import subprocess
from pathlib import Path

import pytest
from copier import run_copy

from tests.conftest import ROOT
from tests.support.project import UV

README = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST = re.search(r"^uvx (.*) copier copy --trust gh:\S+ myproj$", README, re.MULTILINE)
EXTENSION = "--with copier-template-extensions"
TOMLKIT = "--with tomlkit"


def test_the_first_screen_shows_what_a_render_says(
    template: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    picture = README.split("```text\n")[1].split("```")[0]
    with contextlib.chdir(tmp_path):
        run_copy(str(template), "myproj", defaults=True, unsafe=True)
    said = capfd.readouterr().err
    builds, commands = picture.split("\nNext:\n")
    assert builds in said
    assert f"\nNext:\n{commands}" in said


def test_the_first_command_needs_nothing_but_uv(template: Path, tmp_path: Path) -> None:
    assert FIRST and FIRST[1] == f"{EXTENSION} {TOMLKIT}"
    assert _copier(template, tmp_path, FIRST[1], "myproj --trust").returncode == 0
    assert (tmp_path / "myproj" / "pyproject.toml").exists()


def test_the_readme_answers_what_copier_says(template: Path, tmp_path: Path) -> None:
    section = README.split("## If it does not start")[1].split("\n## ")[0]
    answered = re.findall(r"^\| `(.+?)` \|", section, re.MULTILINE)
    there = tmp_path / "there"
    there.mkdir()
    (there / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\n', "utf-8")
    tried = [
        ("", "new --trust"),
        (EXTENSION, "new"),
        (EXTENSION, "there --trust"),
        (EXTENSION, "new --trust --data stratgy=index"),
    ]
    for words, (packages, arguments) in zip(answered, tried, strict=True):
        done = _copier(template, tmp_path, packages, arguments)
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        assert words in " ".join(done.stderr.split())
    assert not (tmp_path / "new").exists()


def _copier(
    template: Path, folder: Path, packages: str, arguments: str
) -> subprocess.CompletedProcess[str]:
    """`uvx … copier copy` in a folder, with these packages beside Copier."""
    destination, *options = arguments.split()
    return subprocess.run(
        [
            *(UV, "tool", "run", "--isolated", *packages.split(), "copier", "copy", "--defaults"),
            *(*options, template, destination),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
