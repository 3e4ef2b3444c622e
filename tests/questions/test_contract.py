"""The contract of questions: keys, order, defaults; and that each question matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from extensions.questions.contract import KEYS, MORE
from tests.conftest import ROOT, Render
from tests.support.project import Project

# Two values of each question that must make a difference, with what else they need.
DIFFERENCES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "project_name": ("One", "Two", {}),
    "package_name": ("one", "two", {}),
    "project_description": ("One.", "Two.", {}),
    "user_name": ("Ada", "", {}),
    "user_email": ("ada@example.org", "", {}),
    "license": ("MIT", "proprietary", {}),
    "torch_version": ("2.13", "2.14", {}),
    "python_version": ("3.12", "3.13", {}),
    "strategy": ("pypi", "pip", {}),
    "backend": ("cpu", "cu130", {"strategy": "index"}),
    "linux_backend": ("cpu", "cu130", {"strategy": "markers"}),
    "aarch64_backend": ("cpu", "cu130", {"strategy": "markers"}),
    "windows_backend": ("cpu", "cu130", {"strategy": "markers"}),
    "backends": (["cpu", "cu126"], ["cpu", "cu130"], {"strategy": "extras"}),
    "default_backend": ("cpu", "cu130", {"strategy": "groups", "backends": ["cpu", "cu130"]}),
    "packages": ([], ["torchvision"], {}),
    "platforms": (["linux-x86_64"], ["linux-x86_64", "windows-amd64"], {}),
    "index_url": ("https://download.pytorch.org/whl", "https://mirror.example.org/whl", {}),
    "place": ("repository", "folder", {"ci": "none"}),
    "example": ("none", "training", {}),
    "ci": ("github", "gitlab", {}),
    "containers": ([], ["docker"], {}),
    "launcher": ("none", "slurm", {"example": "training"}),
    "base_image": (
        "nvcr.io/nvidia/pytorch:26.07-py3",
        "rocm/pytorch:rocm7.2_ubuntu24.04_py3.12_pytorch_release_2.14.0",
        {"strategy": "provided", "containers": ["docker"]},
    ),
    "type_checker": ("ty", "mypy", {}),
    "pypi_url": ("https://pypi.org/simple", "https://mirror.example.org/simple", {}),
    "authenticate": ("auto", "always", {"index_url": "https://mirror.example.org/whl"}),
    "template_updates": ("none", "workflow", {}),
}


def questions() -> dict[str, Any]:
    config = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    return {key: q for key, q in config.items() if not key.startswith("_") and key != MORE}


def rendered_files(project: Project) -> dict[str, str]:
    """Every file but the answers file, which repeats any answer."""
    return {
        str(path.relative_to(project.path)): path.read_text(encoding="utf-8")
        for path in project.files
        if path.name != ".copier-answers.yml"
    }


def test_questions_stand_in_the_order_of_the_contract() -> None:
    assert tuple(questions()) == KEYS


def test_every_question_is_decided_by_the_extension() -> None:
    for key, question in questions().items():
        assert question["default"] == f"{{{{ default_for('{key}') }}}}"
        assert question["when"] == f"{{{{ asks_for('{key}') }}}}"
        assert question["help"].strip()
        assert "choices" in question or question["validator"] == f"{{{{ refusal_for('{key}') }}}}"


@pytest.mark.parametrize("key", questions())
def test_every_question_changes_the_render(render: Render, key: str) -> None:
    one, other, rest = DIFFERENCES[key]
    assert rendered_files(render(**rest, **{key: one})) != rendered_files(
        render(**rest, **{key: other})
    )


def test_defaults_alone_render_a_working_project(render: Render) -> None:
    project = render()
    assert project.answers | {"_commit": "", "_src_path": ""} == {
        "_commit": "",
        "_src_path": "",
        "project_name": "My Project",
        "package_name": "my_project",
        "project_description": "A PyTorch project.",
        "user_name": "",
        "user_email": "",
        "license": "MIT",
        "torch_version": "2.14",
        "python_version": "3.13",
        "strategy": "groups",
        "backends": ["cpu", "cu130"],
        "default_backend": "cpu",
        "packages": ["torchvision"],
        "platforms": ["linux-x86_64", "linux-aarch64", "windows-amd64", "macos-arm64"],
        "index_url": "https://download.pytorch.org/whl",
        "place": "repository",
        "example": "none",
        "ci": "github",
        "containers": [],
        "type_checker": "ty",
        "pypi_url": "https://pypi.org/simple",
        "template_updates": "none",
    }


def test_answers_of_questions_that_are_not_asked_are_not_recorded(render: Render) -> None:
    assert "backends" not in render(strategy="pypi").answers
    assert "backend" not in render(strategy="groups").answers


def test_the_project_is_named_after_its_folder(template: Path, tmp_path: Path) -> None:
    from copier import run_copy

    for folder, name, package in [
        ("Deep Thought", "Deep Thought", "deep_thought"),
        ("42", "42", "project_42"),
        ("torch", "torch-project", "torch_project"),
        ("{x}'s", "x s", "x_s"),
        ("🔥", "my-project", "my_project"),
    ]:
        run_copy(str(template), str(tmp_path / folder), defaults=True, unsafe=True, quiet=True)
        answers = Project(tmp_path / folder).answers
        assert (answers["project_name"], answers["package_name"]) == (name, package)
