"""Fixtures: the template as a plain folder, renders of it, and the recorded indexes."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.project import Project
from tests.pytorch_index import PyTorchIndex

ROOT = Path(__file__).resolve().parent.parent
THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

Render = Callable[..., Project]


def copy_template(folder: Path) -> Path:
    """The template's own files, without the repository around them."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "copier.yml", folder)
    for name in ("template", "extensions"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="session", autouse=True)
def no_accelerator() -> None:
    """Defaults must not depend on the machine that runs the tests."""
    os.environ["TORCH_TEMPLATE_MACHINE"] = "none"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_template(tmp_path_factory.mktemp("template") / "torch-uv-template")


@pytest.fixture
def render(copie, template: Path) -> Render:
    """Render a project through pytest-copie: `render(strategy="index", backend="cpu")`."""

    def rendered(**answers: object) -> Project:
        answers.setdefault("project_name", "My Project")
        result = copie.copy(extra_answers=answers, template_dir=template)
        if result.exception:
            raise result.exception
        return Project(result.project_dir)

    return rendered


@pytest.fixture(scope="session")
def index() -> Iterator[PyTorchIndex]:
    with PyTorchIndex() as served:
        yield served


@pytest.fixture
def lockable(render: Render, index: PyTorchIndex, tmp_path_factory) -> Render:
    """Render a project for this Python, with the recorded indexes instead of the real hosts."""
    # One cache for all tests of a worker: metadata is read once, as on a real machine.
    cache = tmp_path_factory.getbasetemp() / "uv-cache"

    def rendered(**answers: object) -> Project:
        answers.setdefault("python_version", THIS_PYTHON)
        project = render(**answers)
        project.redirect(index.url)
        project.environment = {"UV_DEFAULT_INDEX": index.pypi_url, "UV_CACHE_DIR": str(cache)}
        return project

    return rendered
