"""The bounds of a line stand in the requirements themselves: packages that pin its first release
can be had, and whoever installs a project gets the torch that it was made for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from extensions.questions.contract import PYTORCH_URL
from tests.conftest import THIS_PYTHON, Render
from tests.pytorch_index import PyTorchIndex
from tests.pytorch_index.recorded import releases
from tests.support.cells import LINES, TABLES, others
from tests.support.git import committed, git
from tests.support.project import Project

BIN = Path(sys.executable).parent
LINE = "2.14"
# The recorded index has torch 2.15.0 and torchvision 0.29.2 as well.
NEWEST = {"torch": "2.14.1", "torchvision": "0.29.1"}
BOUNDS = {"torch": SpecifierSet(">=2.14,<2.15"), "torchvision": SpecifierSet(">=0.29,<0.29.2")}
STRATEGIES: dict[str, dict[str, Any]] = {
    "pypi": {},
    "index": {"backend": "cu130"},
    "markers": {"linux_backend": "cpu", "windows_backend": "cu130"},
    "extras": {"backends": ["cpu", "cu130"]},
    "groups": {"backends": ["cpu", "cu130"], "default_backend": "cu130"},
    "pip": {"backend": "cpu"},
}


@pytest.mark.parametrize("line", LINES)
def test_bounds_admit_all_releases_of_their_line_and_no_other(line: str) -> None:
    """Against the recorded releases: torch's own, and the companions that each of them wants."""
    table = TABLES.lines[line]
    recorded = [r for r in releases() if r["torch"].rsplit(".", 1)[0] == line]
    foreign = [r for r in releases() if r not in recorded]
    assert recorded
    for package in ("torch", *table.companions):
        bounds = SpecifierSet(f">={TABLES.floor(table, package)},<{TABLES.cap(table, package)}")
        if package in recorded[0]:
            own, others = ({r[package] for r in some} for some in (recorded, foreign))
        else:
            # Not released with torch: one line may take several, and its own is the newest.
            newest = table.companions[package].version
            own, found = {newest}, {x.companions[package].version for x in TABLES.lines.values()}
            others = {version for version in found if Version(version) > Version(newest)}
        assert all(bounds.contains(version) for version in own), (package, bounds)
        assert {version for version in others if bounds.contains(version)} <= own
    for kind, triton in table.triton.items():
        pins = [Requirement(r["triton"][kind]) for r in recorded if kind in r["triton"]]
        assert {pin.name for pin in pins} == {triton.name}
        if triton.version:
            own_series = triton.version.rsplit(".", 1)[0]
            assert all(str(pin.specifier).startswith((f"=={own_series}.", f"~={own_series}."))
                       for pin in pins)  # fmt: skip


def lock_of(project: Project) -> dict[str, set[str]]:
    """The locked versions of each package."""
    found: dict[str, set[str]] = {}
    for package in project.lock()["package"]:
        found.setdefault(package["name"], set()).add(package.get("version", ""))
    return found


@pytest.mark.parametrize(
    ("packages", "wanted"),
    # Beside torchvision, which it pins as well, uv tries its older releases before older ones of
    # both: docs/pytorch.md says to name the oldest that will do.
    [([], "vllm"), (["torchvision"], "vllm>=0.30")],
)
@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "pip"])
def test_a_package_that_pins_the_first_release_locks_to_its_newest(
    lockable: Render, strategy: str, packages: list[str], wanted: str
) -> None:
    answers = {**STRATEGIES[strategy], "packages": packages}
    project = lockable(strategy=strategy, torch_version=LINE, **answers)
    project.uv("add", "--no-sync", wanted)
    locked = lock_of(project)
    assert locked["vllm"] == {"0.33.0"}
    assert {version.partition("+")[0] for version in locked["torch"]} == {"2.14.0"}
    for command, cells in project.build_table.items():
        local = cells["Linux x86-64"].partition("+")[2]
        build = f"2.14.0+{local}" if local else "2.14.0"
        assert project.would_install(command, "Linux x86-64")["torch"] == build


FIRSTS = [name for name in LINES if not TABLES.lines[name].torch.endswith(".0")]


@pytest.mark.parametrize("line", FIRSTS)
def test_the_first_release_of_a_line_can_be_had_for_every_build(
    lockable: Render, line: str
) -> None:
    """With its own companions and triton packages, which torch pins."""
    # torch 2.12.0 has no builds for CUDA 12.9.
    backends = ["cpu", *(b for b in others(line) if (line, b) != ("2.12", "cu129"))]
    project = lockable(
        strategy="groups", torch_version=line, backends=backends, default_backend="cpu"
    )
    file = project.path / "pyproject.toml"
    pin = f'[tool.uv]\nconstraint-dependencies = ["torch=={line}.0"]\n'
    file.write_text(project.text(file.name).replace("[tool.uv]\n", pin), "utf-8")
    locked = lock_of(project)
    assert {version.partition("+")[0] for version in locked["torch"]} == {f"{line}.0"}
    for command in project.build_table:
        assert project.would_install(command, "Linux x86-64")["torch"].startswith(f"{line}.0")


def test_pip_has_the_first_release_beside_a_package_that_pins_it(
    lockable: Render, index: PyTorchIndex
) -> None:
    project = lockable(strategy="pip", torch_version=LINE, backend="cpu", index_url=index.url)
    project.uv("venv")
    done = project.uv("pip", "install", "--dry-run", "--requirements", "pyproject.toml", "vllm")
    assert " + vllm==0.33.0\n" in done.stderr and " + torch==2.14.0\n" in done.stderr


# What a project builds


def built(project: Project) -> list[Path]:
    """The wheel and the sdist that uv makes."""
    project.uv("build")
    files = sorted((project.path / "dist").glob("my_project-*"))
    assert [file.suffix for file in files] == [".whl", ".gz"]
    return files


def metadata(file: Path) -> str:
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as wheel:
            (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
            return wheel.read(name).decode()
    with tarfile.open(file) as archive:
        (name,) = (n for n in archive.getnames() if n.endswith("/PKG-INFO"))
        extracted = archive.extractfile(name)
        assert extracted
        return extracted.read().decode()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_built_files_say_the_bounds(lockable: Render, strategy: str) -> None:
    project = lockable(strategy=strategy, torch_version=LINE, **STRATEGIES[strategy])
    for file in built(project):
        head = HeaderParser().parsestr(metadata(file))
        named = [Requirement(text) for text in head.get_all("Requires-Dist", ())]
        family = [r for r in named if r.name in BOUNDS]
        extras = ["cpu", "cu130"] if strategy == "extras" else [""]
        assert len(family) == len(BOUNDS) * len(extras)
        assert all(r.specifier == BOUNDS[r.name] for r in family)
        for extra in extras:
            held = {r.name for r in family if not r.marker or r.marker.evaluate({"extra": extra})}
            assert held == set(BOUNDS)
        if strategy == "extras":
            assert head.get_all("Provides-Extra") == extras
            base = {r.name for r in named if not r.marker or r.marker.evaluate({"extra": ""})}
            assert not base & set(BOUNDS)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_built_files_install_with_the_torch_of_their_line(
    lockable: Render, index: PyTorchIndex, strategy: str
) -> None:
    """By uv and by pip, from PyPI alone: the wheel, and the sdist, which pip builds itself."""
    project = lockable(strategy=strategy, torch_version=LINE, **STRATEGIES[strategy])
    for file in built(project):
        wanted = f"{file}[cu130]" if strategy == "extras" else str(file)
        for install in (uv_installs, pip_installs):
            installed = install(project, index, wanted)
            assert {name: installed.get(name) for name in NEWEST} == NEWEST, (install, file)


@pytest.mark.parametrize(
    "answers",
    [
        {"strategy": "index", "backend": "rocm7.2"},
        {"strategy": "extras", "backends": ["cpu", "rocm7.2"]},
    ],
    ids=lambda answers: answers["strategy"],
)
def test_a_wheel_for_rocm_installs_as_the_docs_say(
    lockable: Render, index: PyTorchIndex, answers: dict[str, Any]
) -> None:
    project = lockable(torch_version=LINE, **answers)
    wheel, _ = built(project)
    switch = re.search(r"with `(--extra-index-url) (\S+)`", project.text("docs/pytorch.md"))
    assert switch
    extra = "[rocm7-2]" if answers["strategy"] == "extras" else ""
    url = switch[2].replace(PYTORCH_URL, index.url)
    installed = pip_installs(project, index, f"{wheel}{extra}", switch[1], url)
    assert installed["torch"] == "2.14.1+rocm7.2" and installed["triton-rocm"] == "3.8.0"


def uv_installs(project: Project, index: PyTorchIndex, *wanted: str) -> dict[str, str]:
    # Outside of the project, whose sources are nobody else's.
    outside = Project(project.path.parent, project.environment)
    done = outside.uv("pip", "install", "--dry-run", "--reinstall", *wanted)
    lines = (line.split("==") for line in done.stderr.splitlines() if "==" in line)
    return {name.removeprefix(" + "): version for name, version in lines}


def pip_installs(project: Project, index: PyTorchIndex, *wanted: str) -> dict[str, str]:
    """The build backend is the one beside the tests: the recorded PyPI has no files."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--isolated", "install"),
            *("--dry-run", "--ignore-installed", "--quiet", "--report", "-"),
            *("--no-build-isolation", "--no-cache-dir", "--index-url", index.pypi_url, *wanted),
        ],
        env={
            **inherited,
            "PIP_CONFIG_FILE": os.devnull,
            "PATH": os.pathsep.join([str(BIN), inherited["PATH"]]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = (item["metadata"] for item in json.loads(done.stdout)["install"])
    return {item["name"]: item["version"] for item in found}


# Projects that take it in


def consumer(project: Project, folder: Path, requirement: str, *tables: str) -> Project:
    """Another project that requires it, read as uv reads it from git or from a workspace."""
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        "\n".join(
            [
                "[project]",
                'name = "consumer"',
                'version = "0"',
                f'requires-python = "=={THIS_PYTHON}.*"',
                f'dependencies = ["{requirement}"]',
                *tables,
                "",
            ]
        ),
        "utf-8",
    )
    return Project(folder, project.environment)


LOCALS = {"pypi": "", "index": "+cu130", "markers": "+cpu", "extras": "+cu130", "groups": ""}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_git_dependency_brings_the_torch_of_its_line(
    lockable: Render, tmp_path: Path, strategy: str
) -> None:
    """Sources of plain dependencies and of extras travel; groups stay at home."""
    project = lockable(strategy=strategy, torch_version=LINE, **STRATEGIES[strategy])
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "All"]):
        git(project.path, *command)
    extra = "[cu130]" if strategy == "extras" else ""
    source = f'[tool.uv.sources]\nmy-project = {{ git = "{project.path.as_uri()}" }}'
    other = consumer(project, tmp_path / "consumer", f"my-project{extra}", source)
    other.lock()
    installed = other.would_install("uv sync", "Linux x86-64")
    local = LOCALS.get(strategy, "")
    assert {n: installed[n] for n in NEWEST} == {n: v + local for n, v in NEWEST.items()}


@pytest.mark.parametrize("strategy", ["pypi", "groups", "index", "markers"])
def test_a_library_leaves_the_choice_of_the_build_to_its_users(
    lockable: Render, index: PyTorchIndex, tmp_path: Path, strategy: str
) -> None:
    """With `pypi` and `groups`; sources of plain dependencies clash with those of another build."""
    project = lockable(strategy=strategy, torch_version=LINE, **STRATEGIES[strategy])
    committed(project.path)
    git_source = f'my-project = {{ git = "{project.path.as_uri()}" }}'
    other = consumer(
        project,
        tmp_path / "consumer",
        'my-project", "torch", "torchvision',
        "[tool.uv.sources]",
        git_source,
        *(f'{name} = {{ index = "theirs" }}' for name in NEWEST),
        "[[tool.uv.index]]",
        'name = "theirs"',
        f'url = "{index.url}/cu126"',
        "explicit = true",
        "[tool.uv]",
        "environments = [\"sys_platform == 'linux' and platform_machine == 'x86_64'\"]",
    )
    done = other.uv("lock", check=False)
    if strategy in ("index", "markers"):
        assert "conflicting indexes" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    installed = other.would_install("uv sync", "Linux x86-64")
    assert {n: installed[n] for n in NEWEST} == {n: f"{v}+cu126" for n, v in NEWEST.items()}


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "pip"])
def test_a_member_of_a_workspace_keeps_to_its_line(
    lockable: Render, tmp_path: Path, strategy: str
) -> None:
    project = lockable(strategy=strategy, torch_version=LINE, **STRATEGIES[strategy])
    extra = "[cu130]" if strategy == "extras" else ""
    folder = tmp_path / "workspace"
    root = consumer(
        project,
        folder,
        f"my-project{extra}",
        '[tool.uv.workspace]\nmembers = ["member"]',
        "[tool.uv.sources]\nmy-project = { workspace = true }",
    )
    project.path.rename(folder / "member")
    locked = lock_of(root)
    assert {version.partition("+")[0] for version in locked["torch"]} == {NEWEST["torch"]}
    assert {version.partition("+")[0] for version in locked["torchvision"]} == {
        NEWEST["torchvision"]
    }
    installed = root.would_install("uv sync", "Linux x86-64")
    assert installed["torch"] == NEWEST["torch"] + LOCALS[strategy]
