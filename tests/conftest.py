"""Fixtures: the template as a plain folder, renders of it, and the recorded indexes."""

from __future__ import annotations

import compileall
import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from importlib._bootstrap_external import SourceLoader
from pathlib import Path
from py_compile import PycInvalidationMode
from types import CodeType
from typing import Any

import copier._template
import jinja2
import pytest
from plumbum import local

from tests.pytorch_index import PyTorchIndex
from tests.support import frozen, world
from tests.support.project import Project

world.enter()

ROOT = Path(__file__).resolve().parent.parent
THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

# What Copier needs of this repository.
TEMPLATE = ("copier.yml", ".gitattributes", "policy.yml", "template", "extensions")

Render = Callable[..., Project]
# uv may write other times into the copies of a file than the cache has.
UNCHECKED = PycInvalidationMode.UNCHECKED_HASH


def pytest_collection_finish() -> None:
    """Have the garbage collector look less often, and never at what lives until the end.

    What was imported and collected by now stays, and looking through it all again frees nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000)


def copy_template(folder: Path) -> Path:
    """The template's own files, without the repository around them, and with an empty policy.

    A fork that fills its own must not fail the tests of what it leaves as it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for source in (ROOT / name for name in TEMPLATE):
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / source.name, ignore=ignored)
        elif source.exists():
            shutil.copy(source, folder)
    (folder / "policy.yml").write_text("# Everything is allowed.\n", encoding="utf-8")
    for name in ("releases.yml", "backends.yml"):
        shutil.copy(frozen.tables() / name, folder / "extensions")
    return folder


@pytest.fixture(scope="session", autouse=True)
def templates_are_compiled_once() -> Iterator[None]:
    """Files, and the short texts of `copier.yml`: to compile them is half of a render.

    An update renders fresh clones, whose files have the same names and texts in other folders.
    """
    known: dict[object, CodeType] = {}
    usual = jinja2.Environment.compile

    def compile_once(
        self: jinja2.Environment, source: Any, name: Any = None, filename: Any = None, **raw: Any
    ) -> Any:
        if raw or not isinstance(source, str):
            return usual(self, source, name, filename, **raw)
        key = (source, name, self.optimized, *self.extensions)
        if key not in known:
            known[key] = usual(self, source, name, filename)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jinja2.Environment, "compile", compile_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def modules_are_compiled_once() -> Iterator[None]:
    """Those of the template: an update imports them from four clones, without bytecode."""
    texts: dict[bytes, CodeType] = {}
    compiled = SourceLoader.source_to_code

    def compile_once(self: SourceLoader, data: Any, path: Any, **options: Any) -> CodeType:
        if not sys.dont_write_bytecode or not isinstance(data, bytes):
            return compiled(self, data, path, **options)
        if data not in texts:
            texts[data] = compiled(self, data, path, **options)
        return texts[data]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SourceLoader, "source_to_code", compile_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def questions_are_read_once() -> Iterator[None]:
    """PyYAML reads `copier.yml` in a sixth of the time of a render, the same text each time."""
    texts: dict[bytes, dict[str, Any]] = {}
    read = copier._template.load_template_config

    def load(file: Path, quiet: bool = False) -> dict[str, Any]:
        text = file.read_bytes()
        if text not in texts:
            texts[text] = read(file, quiet)
        return deepcopy(texts[text])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copier._template, "load_template_config", load)
        yield


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_template(tmp_path_factory.mktemp("template") / "torch-uv-template")


@pytest.fixture
def render(copie, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Render a project through pytest-copie: `render(strategy="index", backend="cpu")`."""
    # Where Copier finds git, it asks it about each file that it writes.
    without_git = tmp_path_factory.getbasetemp()

    def rendered(**answers: object) -> Project:
        answers.setdefault("project_name", "My Project")
        with local.env(PATH=str(without_git)):
            result = copie.copy(extra_answers=answers, template_dir=template)
        if result.exception:
            raise result.exception
        return Project(result.project_dir)

    return rendered


@pytest.fixture(scope="session")
def index() -> Iterator[PyTorchIndex]:
    with PyTorchIndex() as served:
        yield served


@pytest.fixture(scope="session")
def real_index() -> Iterator[PyTorchIndex]:
    """The recorded indexes with the real wheels of torch 2.13.0+cpu and what goes with it."""
    if "REAL_WHEELS" not in os.environ:
        pytest.skip("REAL_WHEELS names no folder with the wheels of torch 2.13.0+cpu (see README)")
    assert sys.version_info[:2] == (3, 11), "the recorded real wheel is for Python 3.11"
    folder = Path(os.environ["REAL_WHEELS"])
    assert list(folder.glob("torch-2.13.0+cpu-cp311-*.whl")), f"no torch wheel in {folder}"
    with PyTorchIndex(wheelhouse=folder) as served:
        yield served


@pytest.fixture(scope="session")
def real_environment(
    real_index: PyTorchIndex, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What uv needs to install the real wheels: the index, and a cache in which they are compiled.

    Else each fresh environment would compile the thousand modules of torch on its first import.
    """
    folder = tmp_path_factory.mktemp("real")
    environment = {
        "UV_DEFAULT_INDEX": real_index.pypi_url,
        "UV_CACHE_DIR": str(folder / "cache"),
    }
    first = Project(folder, environment)
    first.uv("venv")
    first.uv("pip", "install", "torch==2.13.0", "--index", f"{real_index.url}/cpu")
    for archive in (folder / "cache").glob("archive-v*"):
        compileall.compile_dir(archive, quiet=2, invalidation_mode=UNCHECKED, workers=1)
    return environment


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
