"""Invented later versions of the template that retire an answer or rename a question: an update
takes the nearest, says so, and asks nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import THIS_PYTHON
from tests.support.command import copier
from tests.support.git import committed, git, tagged_template
from tests.support.project import Project, copied


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return tagged_template(tmp_path / "template")


def retire(template: Path, edit: Callable[[list[dict[str, Any]]], object]) -> None:
    """Edit the blocks of the release lines."""
    file = template / "extensions" / "releases.yml"
    content = yaml.safe_load(file.read_text("utf-8"))
    edit(content["releases"])
    file.write_text(yaml.safe_dump(content), "utf-8")


def without_backend(name: str) -> Callable[[list[dict[str, Any]]], object]:
    return lambda lines: [line["indexes"].pop(name, None) for line in lines]


def without_line(name: str) -> Callable[[list[dict[str, Any]]], object]:
    return lambda lines: lines.remove(next(line for line in lines if line["line"] == name))


def updated(template: Path, project: Project) -> tuple[Project, str]:
    """Release the template's next version, and update to it as a machine would."""
    committed(template, "Next")
    git(template, "tag", "v2.0.0")
    committed(project.path)
    done = copier("update", "--trust", "--defaults", folder=project.path)
    assert done.returncode == 0, done.stderr
    return Project(project.path), done.stderr


RETIRED: list[tuple[dict[str, Any], Any, dict[str, Any], str]] = [
    (
        {"strategy": "index", "backend": "cu126"},
        without_backend("cu126"),
        {"backend": "cu130"},
        "backend: there is no backend 'cu126'",
    ),
    (
        {"strategy": "groups", "backends": ["cpu", "cu126"], "default_backend": "cu126"},
        without_backend("cu126"),
        {"backends": ["cpu", "cu130"], "default_backend": "cu130"},
        "default_backend: 'cu126' is not among the backends (cpu, cu130)",
    ),
    (
        {"strategy": "extras", "backends": ["cpu", "gpu=cu126"]},
        without_backend("cu126"),
        {"backends": ["cpu", "gpu=cu130"]},
        "backends: there is no backend 'cu126'",
    ),
    (
        {"torch_version": "2.12", "strategy": "pypi"},
        without_line("2.12"),
        {"torch_version": "2.13"},
        "torch_version: there is no torch line '2.12'",
    ),
    (
        {"packages": ["torchvision", "torchaudio"]},
        lambda lines: [line["companions"].pop("torchaudio") for line in lines],
        {"packages": ["torchvision"]},
        "packages: there is no package 'torchaudio'",
    ),
]


@pytest.mark.parametrize(("answers", "edit", "nearest", "reason"), RETIRED)
def test_a_retired_answer_moves_to_the_nearest_and_says_why(
    template: Path,
    tmp_path: Path,
    answers: dict[str, Any],
    edit: Callable[[list[dict[str, Any]]], object],
    nearest: dict[str, Any],
    reason: str,
) -> None:
    answers = {"python_version": THIS_PYTHON, **answers}
    project = copied(template, tmp_path / "project", answers)
    retire(template, edit)
    project, said = updated(template, project)
    assert {key: project.answers[key] for key in nearest} == nearest
    assert reason in said
    for value in nearest.values():
        assert f"Taken: {value}." in said
    fresh = copied(template, tmp_path / "fresh" / "project", {**answers, **nearest})
    assert {p.relative_to(fresh.path): p.read_text("utf-8") for p in fresh.files} == {
        p.relative_to(project.path): p.read_text("utf-8")
        for p in project.files
        if ".git" not in p.relative_to(project.path).parts[:1]
    }


def test_a_license_that_a_policy_forbids_from_now_on_is_replaced(
    template: Path, tmp_path: Path
) -> None:
    project = copied(template, tmp_path / "project", {"license": "MIT"})
    policy = "license: {allow: [proprietary], because: the code is ours}\n"
    (template / "policy.yml").write_text(policy, "utf-8")
    project, said = updated(template, project)
    assert project.answers["license"] == "proprietary"
    assert "license: MIT is outside the organization's policy: the code is ours" in said
    # The file, and the line in pyproject.toml, are their owner's to change.
    assert (project.path / "LICENSE").exists()
    assert "- license: the license in pyproject.toml, and a LICENSE that was there, are" in said


def test_an_answer_moves_with_the_name_of_its_question(template: Path, tmp_path: Path) -> None:
    project = copied(template, tmp_path / "project", {"type_checker": "mypy"})
    for file in [template / "copier.yml", *template.rglob("*.py"), *template.rglob("*.jinja")]:
        text = file.read_text("utf-8")
        file.write_text(text.replace("type_checker", "typing_tool"), "utf-8")
    answers = template / "extensions" / "questions" / "contract.py"
    text = answers.read_text("utf-8")
    empty = "RENAMED: Mapping[str, str] = {}"
    assert empty in text
    renamed = 'RENAMED: Mapping[str, str] = {"typing_tool": "type_checker"}'
    answers.write_text(text.replace(empty, renamed), "utf-8")
    project, _ = updated(template, project)
    assert project.answers["typing_tool"] == "mypy"
    assert "type_checker" not in project.answers
    assert "[tool.mypy]" in project.text("pyproject.toml")
