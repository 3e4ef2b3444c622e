"""A name that is accepted works: git keeps its files, tools look at them, imports find them."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from extensions.questions.names import (
    human_name,
    import_name,
    package_name_refusal,
    project_name_refusal,
)
from tests.conftest import THIS_PYTHON, Render
from tests.pytorch_index import PyTorchIndex
from tests.rendered.test_combinations import RUFF
from tests.support.git import committed, git
from tests.support.project import Project, copied

# What ignore files name: those of this template, GitHub's for Python, and the defaults of tools.
IGNORED = [
    *("bin", "bower_components", "build", "celerybeat", "cover", "coverage", "cvs", "data", "db"),
    *("develop_eggs", "dist", "docs", "downloads", "eggs", "env", "ENV", "env.bak", "htmlcov"),
    *("instance", "ipython_config", "lib", "lib64", "local_settings", "log", "logs", "media"),
    *("models", "node_modules", "out", "output", "outputs", "parts", "pip_wheel_metadata"),
    *("profile_default", "pyenv", "results", "runs", "sdist", "secrets", "share", "site"),
    *("site_packages", "target", "temp", "tmp", "tox", "uv", "var", "vendor", "venv", "wandb"),
    *("wheels",),
]
# What the rendered files say, and what Python and its tools have.
COMMON = [
    *("benchmarks", "check_lock", "cli", "config", "conftest", "device", "dill", "examples"),
    *("kind", "main", "matrix", "metadata", "metrics", "model", "py", "pytest", "scripts"),
    *("smoke_test", "src", "test_device", "test_package", "tests", "torch", "trainer", "training"),
    *("utils", "version"),
]
STDLIB = sorted(name for name in sys.stdlib_module_names if name[0] != "_")
NAMES = st.one_of(*map(st.sampled_from, (IGNORED, COMMON, STDLIB)))
EVERYTHING = {"example": "training", "containers": ["docker"], "template_updates": "workflow"}


@settings(deadline=None, max_examples=8)
@given(NAMES, st.sampled_from([str, str.upper, str.capitalize]))
@example("build", str)
@example("runs", str)
def test_git_keeps_every_file_of_any_name(template: Path, name: str, write) -> None:
    written = write(name)
    assert project_name_refusal(human_name(written)) is None
    package = written if package_name_refusal(written) is None else import_name(written)
    with tempfile.TemporaryDirectory() as folder:
        answers = {"project_name": human_name(written), "package_name": package, **EVERYTHING}
        project = copied(template, Path(folder, "project"), answers)
        files = {file.relative_to(project.path).as_posix() for file in project.files}
        assert f"src/{package}/training/data.py" in files
        # What a person's own git ignores everywhere is no matter of the project.
        git(committed(project.path), "config", "core.excludesFile", os.devnull)
        committed(project.path, "All")
        git(project.path.parent, "clone", "--quiet", "project", "clone")
        clone = Project(project.path.parent / "clone")
        found = {file.relative_to(clone.path).as_posix() for file in clone.files}
        assert files <= found
        # Docker's patterns begin at the root.
        lines = project.text(".dockerignore").splitlines()
        left_out = GitIgnoreSpec.from_lines(f"/{line}" for line in lines)
        assert [file for file in files if left_out.match_file(file)] == []


@pytest.mark.parametrize("folder", ["build", "dist", "runs"])
def test_what_a_project_makes_at_its_root_is_ignored(render: Render, folder: str) -> None:
    project = render(example="training", project_name="build", package_name="build")
    (project.path / folder).mkdir()
    (project.path / folder / "file").touch()
    git(project.path, "init", "--quiet")
    assert git(project.path, "status", "--porcelain", "--", folder) == ""


@pytest.mark.parametrize("name", ["build", "runs", "lib", "version", "docs"])
def test_a_package_of_an_odd_name_is_in_its_wheel(lockable: Render, name: str) -> None:
    project = lockable(project_name=name, package_name=name, example="training")
    project.uv("build", "--wheel")
    (wheel,) = (project.path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert {f"{name}/__init__.py", f"{name}/py.typed", f"{name}/training/data.py"} <= {
            *archive.namelist()
        }


@pytest.mark.parametrize("name", ["build", "runs", "lib", "env", "wheels", "site_packages"])
def test_ruff_looks_into_a_package_of_an_odd_name(render: Render, name: str) -> None:
    project = render(package_name=name, example="training")
    for file in ("device.py", "training/data.py"):
        module = project.path / "src" / name / file
        module.write_text(module.read_text("utf-8") + "\n\nx = undefined\n", "utf-8")
    done = subprocess.run(
        [RUFF, "check", "--no-cache", "--output-format", "concise", project.path],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"(\S+?):\d+:\d+: F821", done.stdout)
    assert [Path(file).name for file in found] == ["device.py", "data.py"], done.stdout


def test_a_folder_that_ruff_passes_over_names_no_package() -> None:
    command = [RUFF, "check", "--isolated", "--show-settings", __file__]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    listed = re.search(r"file_resolver\.exclude = \[(.*?)\]", done.stdout, re.DOTALL)
    assert listed
    folders = re.findall(r'"(.+)"', listed[1])
    assert "node_modules" in folders
    for folder in folders:
        if re.fullmatch(r"[a-z]\w*", folder):
            assert package_name_refusal(folder), folder


def test_a_name_in_the_tests_and_scripts_names_no_package(render: Render) -> None:
    project = render(example="training", package_name="zz_mine")
    modules = [*project.path.glob("tests/*.py"), *project.path.glob("scripts/*.py")]
    assert len(modules) == 5
    for module in modules:
        assert package_name_refusal(module.stem), module
        # Where a module imports the package by its name, no other one may be the same.
        tree = ast.parse(module.read_text("utf-8"))
        bound = [name for node in tree.body for name in _bound(node)]
        if "zz_mine" in bound:
            assert module.stem == "test_package"
            for name in bound:
                assert name == "zz_mine" or package_name_refusal(name), name


def _bound(node: ast.stmt) -> list[str]:
    """The names that a statement at the top of a module binds."""
    match node:
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return [(alias.asname or alias.name).split(".")[0] for alias in names]
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
    return []


# With the packages that a project really installs


@pytest.fixture(scope="module")
def wheels(real_index: PyTorchIndex) -> list[Path]:
    return sorted(Path(os.environ["REAL_WHEELS"]).glob("*.whl"))


@pytest.mark.real
def test_no_project_has_the_name_of_what_it_installs(wheels: list[Path]) -> None:
    for wheel in wheels:
        name = wheel.name.split("-")[0]
        assert project_name_refusal(name), name


@pytest.mark.real
def test_no_package_has_the_name_of_a_module_that_is_installed(wheels: list[Path]) -> None:
    found = {name for wheel in wheels for name in _modules(wheel)}
    assert {"py", "torch", "yaml", "isympy"} <= found
    assert [name for name in sorted(found) if not package_name_refusal(name)] == []


def _modules(wheel: Path) -> set[str]:
    """The names at the top of a wheel that Python can import."""
    tops = r"(?:[^/]+\.data/(?:pure|plat)lib/)?([A-Za-z_]\w*)(?:/.*|(?:\.[\w-]+)*\.(?:py|so|pyd))"
    with zipfile.ZipFile(wheel) as archive:
        return {m[1] for name in archive.namelist() if (m := re.fullmatch(tops, name))}


@pytest.mark.real
def test_no_package_has_the_name_of_a_module_that_mypy_takes_from_python(
    wheels: list[Path],
) -> None:
    (mypy,) = [wheel for wheel in wheels if wheel.name.startswith("mypy-")]
    with zipfile.ZipFile(mypy) as archive:
        text = archive.read("mypy/typeshed/stdlib/VERSIONS").decode()
    versions = re.findall(r"^(\w+): 3\.\d+-(?:3\.(\d+))?", text, re.MULTILINE)
    assert len(versions) > 200
    for name, last in versions:
        if not last or int(last) >= 10:
            assert package_name_refusal(name), name


@pytest.mark.real
@pytest.mark.parametrize("name", ["build", "version"])
def test_the_checks_of_a_project_pass_under_an_odd_name(
    render: Render, real_index: PyTorchIndex, real_environment: dict[str, str], name: str
) -> None:
    answers = {"strategy": "index", "backend": "cpu", "packages": [], "type_checker": "mypy"}
    project = render(
        project_name=name, package_name=name, torch_version="2.13", python_version=THIS_PYTHON,
        **answers,
    )  # fmt: skip
    project.redirect(real_index.url)
    project.environment = dict(real_environment)
    project.uv("sync")
    assert "passed" in project.uv("run", "--no-sync", "pytest", "-q").stdout
    for command in ("mypy", "ruff check", "ruff format --check"):
        project.uv("run", "--no-sync", *command.split())
