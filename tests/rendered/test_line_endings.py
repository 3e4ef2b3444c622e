"""A project's files have LF, whatever a person's git makes of the lines of a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tests.support.git import committed, git, settings, tagged_template
from tests.support.project import Project

COPIER = Path(sys.executable).with_name("copier")
EVERYTHING: dict[str, Any] = {
    "license": "Apache-2.0",
    "example": "training",
    "containers": ["docker", "devcontainer"],
    "template_updates": "workflow",
}


@pytest.fixture(params=[{"core_autocrlf": "true"}, {"core_eol": "crlf"}])
def environment(request, tmp_path: Path) -> dict[str, str]:
    """That of a person whose git is as its installer for Windows sets it up, or as others do."""
    person = {"user_name": "Test", "user_email": "test@example.org"}
    return {**os.environ, **settings(tmp_path / "gitconfig", **person, **request.param)}


def copier(environment: dict[str, str], *arguments: str | Path) -> None:
    """In a process of its own: Copier reads the environment once, at its start."""
    command = [COPIER, arguments[0], "--trust", "--defaults", "--quiet", *arguments[1:]]
    subprocess.run(command, env=environment, check=True, capture_output=True)


def with_cr(project: Project) -> list[str]:
    files = [file for file in project.files if ".git" not in file.relative_to(project.path).parts]
    assert len(files) > 20
    return [str(file.relative_to(project.path)) for file in files if b"\r" in file.read_bytes()]


def rendered(environment: dict[str, str], template: Path, folder: Path) -> Project:
    answers = folder.parent / "answers.yml"
    answers.write_text(yaml.safe_dump(EVERYTHING), "utf-8")
    copier(environment, "copy", "--data-file", answers, template, folder)
    return Project(folder)


def test_a_render_has_lf(environment: dict[str, str], tmp_path: Path) -> None:
    template = tagged_template(tmp_path / "template")
    assert with_cr(rendered(environment, template, tmp_path / "project")) == []


def test_an_update_has_lf_and_changes_no_more_than_it_must(
    environment: dict[str, str], tmp_path: Path
) -> None:
    template = tagged_template(tmp_path / "template")
    project = rendered(environment, template, tmp_path / "project")
    own = project.path / "src" / "project" / "device.py"
    own.write_text(own.read_text("utf-8") + "\n\nMINE = 1\n", "utf-8", newline="\n")
    committed(project.path)
    docs = template / "template" / "docs" / "pytorch.md.jinja"
    docs.write_text(docs.read_text("utf-8") + "\nMore.\n", "utf-8", newline="\n")
    git(committed(template, "Next"), "tag", "v1.1.0")
    copier(environment, "update", project.path)
    assert with_cr(project) == []
    changed = git(project.path, "diff", "--name-only").splitlines()
    assert changed == [".copier-answers.yml", "docs/pytorch.md"]


def test_this_repository_has_lf_in_every_checkout() -> None:
    for line in git(ROOT, "ls-files", "--eol").splitlines():
        assert line.startswith(("i/lf", "i/none", "i/-text")), line
        assert "attr/text=auto eol=lf" in line, line
