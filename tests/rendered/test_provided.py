"""A torch that is there already: nothing installs or replaces it, whatever requires it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from extensions.plan.plan import VENV
from extensions.questions.names import FAMILY
from extensions.tables.provided import CUDA_LIBRARIES
from tests.conftest import Render
from tests.pytorch_index import PyTorchIndex
from tests.pytorch_index.metadata import metadata
from tests.pytorch_index.recorded import wheels
from tests.support.outer import outer_python
from tests.support.project import UV, Project

THERE = FAMILY | CUDA_LIBRARIES
# What torch requires that is neither PyTorch's nor NVIDIA's: plain packages, in any project.
PLAIN = {
    *("filelock", "typing-extensions", "setuptools", "sympy", "networkx", "jinja2", "fsspec"),
    *("numpy", "pillow", "intel-cmplr-lib-rt"),
}


def locked(project: Project) -> set[str]:
    return {package["name"] for package in tomllib.loads(project.text("uv.lock"))["package"]}


def guard(project: Project) -> subprocess.CompletedProcess[str]:
    script = [sys.executable, "scripts/check_lock.py"]
    return subprocess.run(script, cwd=project.path, capture_output=True, text=True, check=False)


def test_all_that_a_build_of_torch_requires_is_there_or_plain() -> None:
    required = set()
    for wheel in wheels():
        if wheel.package in ("torch", "torchvision", "torchaudio"):
            lines = metadata(wheel).decode().splitlines()
            requires = (line.partition(": ")[2] for line in lines if line.startswith("Requires-D"))
            required |= {re.split(r"[^\w.-]", text)[0] for text in requires}
    required -= {name for name in required if name.endswith("-cu11")}
    assert required > {"triton", "nvidia-cudnn-cu13", "cuda-toolkit"}
    assert required <= THERE | PLAIN


def test_dependents_resolve_and_the_lock_leaves_it_alone(lockable: Render) -> None:
    project = lockable(strategy="provided", packages=["torchvision", "torchaudio"])
    project.lock()
    # Packages that require torch, one of them exactly; and the very packages.
    for packages in (["lightning", "vllm"], ["torch", "torchaudio==2.11.0", "triton"]):
        project.uv("add", "--no-sync", *packages)
    project.uv("add", "--no-sync", "--dev", "nvidia-cudnn-cu13", "cuda-toolkit")
    names = locked(project)
    assert names >= {"lightning", "vllm", "ruff"} and not names & THERE
    assert guard(project).returncode == 0, guard(project).stdout
    for platform in ("Linux x86-64", "Linux aarch64"):
        assert not set(project.would_install("uv sync", platform)) & THERE


def test_the_guard_names_what_would_be_installed(lockable: Render) -> None:
    project = lockable(strategy="provided", packages=[], torch_version="2.14")
    text = project.text("pyproject.toml")
    left = re.sub(r'\n    "(torch|nvidia-nccl-cu13)",', "", text)
    (project.path / "pyproject.toml").write_text(left, "utf-8")
    project.uv("add", "--no-sync", "lightning")
    done = guard(project)
    assert done.returncode == 1
    named = re.findall(r"uv\.lock: (\S+) \S+ is there already, and exclude-dep", done.stdout)
    assert named == ["nvidia-nccl-cu13", "torch"]


@pytest.mark.parametrize(
    ("image", "key", "value"),
    [
        ("nvcr.io/nvidia/pytorch:26.09-py3", "hostRequirements", {"gpu": "optional"}),
        ("rocm/pytorch:rocm7.2_ubuntu24.04", "runArgs", ["--device=/dev/kfd"]),
    ],
)
def test_containers_build_on_the_image_that_has_it(
    render: Render, image: str, key: str, value: Any
) -> None:
    project = render(
        strategy="provided", containers=["docker", "devcontainer"], base_image=image, packages=[]
    )
    docker = project.text("Dockerfile")
    assert re.findall(r"(?m)^FROM (\S+)", docker) == [image, image]
    first, second = re.findall(r"(?m)^ .*(uv (?:venv|sync)[^\\\n]*)", docker)[:2]
    assert first.strip() == VENV and second.startswith("uv sync --")
    found = json.loads(project.text(".devcontainer/devcontainer.json"))
    assert found["image"] == image and any("/uv:" in name for name in found["features"])
    assert found["postCreateCommand"] == f"{VENV} --clear && uv sync"
    got = found[key]
    assert got[: len(value)] == value if isinstance(value, list) else got == value


def test_an_image_is_asked_for_where_a_container_needs_one(render: Render) -> None:
    assert "base_image" not in render(strategy="provided").answers
    assert "base_image" not in render(strategy="pypi", containers=["docker"]).answers
    for line, tag in (("2.14", "26.09"), ("2.10", "26.01"), ("2.15", "26.09")):
        project = render(strategy="provided", containers=["docker"], torch_version=line)
        assert project.answers["base_image"] == f"nvcr.io/nvidia/pytorch:{tag}-py3"
        # Images have their own Python, which may be an old one.
        assert project.answers["python_version"] == ("3.11" if line == "2.15" else "3.10")
        assert not (project.path / ".python-version").exists()


def test_ci_says_that_its_build_is_another_one(render: Render) -> None:
    for ci, file in (("github", ".github/workflows/ci.yml"), ("gitlab", ".gitlab-ci.yml")):
        project = render(strategy="provided", ci=ci, packages=[])
        assert "# The lock has no PyTorch, nor has this runner" in project.text(file)
        assert "uv pip install torch~=2.14.1 --torch-backend=cpu" in project.text(file)
        assert "That is not the build of your image" in project.text("docs/pytorch.md")
        # No runner is known to have it.
        assert not (project.path / ".github/workflows/gpu.yml").exists()
        assert "GPU_RUNNER" not in project.text(file) + project.text("docs/pytorch.md")


# The real wheel


@pytest.fixture(scope="module")
def machine(
    real_index: PyTorchIndex,
    real_environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """The environment of a machine whose Python has torch."""
    folder = tmp_path_factory.mktemp("machine")
    python = outer_python(folder / "python")
    wanted = ["torch==2.13.0", "numpy", "--index", f"{real_index.url}/cpu"]
    Project(folder, dict(real_environment)).uv("pip", "install", "--python", str(python), *wanted)
    path = os.pathsep.join([str(python.parent), str(Path(UV).parent), os.environ["PATH"]])
    return {**real_environment, "PATH": path, "UV_PYTHON": ""}


def provided(render: Render, machine: dict[str, str], **answers: Any) -> Project:
    given = {"torch_version": "2.13", "python_version": "3.11", "packages": [], **answers}
    project = render(strategy="provided", **given)
    project.environment = dict(machine)
    return project


def state(folder: Path) -> dict[str, int]:
    """The distributions of a folder, each with the place of its record."""
    return {d.name: d.stat().st_ino for d in folder.rglob("*.dist-info")}


@pytest.mark.real
@pytest.mark.skipif(os.name == "nt", reason="the copy of a Python is made of links")
def test_what_is_there_is_used_and_never_replaced(render: Render, machine: dict[str, str]) -> None:
    outer = Path(machine["PATH"].split(os.pathsep)[0]).parent
    before = state(outer)
    project = provided(render, machine)
    tests = next(c for c in project.commands if c.endswith(" pytest"))
    assert project.setup[0] == VENV
    for command in (
        *project.setup,
        tests,
        "uv add tqdm torch torchvision triton",
        "uv run scripts/smoke_test.py",
        "uv sync --reinstall",
        "uv sync --upgrade --exact",
        "uv run scripts/smoke_test.py",
        "uv remove tqdm",
    ):
        done = project.uv(*command.split()[1:])
        assert not {n.partition("-")[0] for n in state(project.path / ".venv")} & {
            name.replace("-", "_") for name in THERE
        }, command
        if "smoke_test" in command:
            assert "OK: torch 2.13.0+cpu works on the CPU" in done.stdout
            assert re.search(r"expected\s+the one that is there\n", done.stdout)
            assert re.search(r"built for\s+cpu\n", done.stdout)
    assert state(outer) == before
    assert guard(project).returncode == 0


@pytest.mark.real
@pytest.mark.skipif(os.name == "nt", reason="the copy of a Python is made of links")
def test_an_environment_that_does_not_see_it_is_said(
    render: Render, machine: dict[str, str], real_index: PyTorchIndex
) -> None:
    project = provided(render, machine)
    project.uv("sync")
    done = project.uv("run", "scripts/smoke_test.py", check=False)
    assert done.returncode == 1
    assert "this environment does not see what the Python below it has" in done.stdout
    command = re.search(r"Next: (uv venv .*) && (uv sync)", done.stdout)
    assert command
    for part in command.groups():
        project.uv(*part.split()[1:])
    assert "OK: torch 2.13.0+cpu" in project.uv("run", "scripts/smoke_test.py").stdout
    # What `uv pip` put beside it is named, and goes by the same command.
    beside = ["torch==2.13.0", "--no-deps", "--reinstall", "--index", f"{real_index.url}/cpu"]
    project.uv("pip", "install", *beside)
    done = project.uv("run", "scripts/smoke_test.py", check=False)
    assert "torch 2.13.0+cpu is found as well" in " ".join(done.stdout.split())
    assert f"Next: {VENV} --clear && uv sync" in done.stdout


@pytest.mark.real
@pytest.mark.skipif(os.name == "nt", reason="the copy of a Python is made of links")
def test_another_line_than_the_answer_is_accepted_and_said(
    render: Render, machine: dict[str, str]
) -> None:
    project = provided(render, machine, torch_version="2.14")
    for command in project.setup[:-1]:
        project.uv(*command.split()[1:])
    done = project.uv("run", "scripts/smoke_test.py")
    assert "; the project is made for torch 2.14." in done.stdout
    wrong = project.uv("run", "scripts/smoke_test.py", "--expect", "cu130", check=False)
    assert wrong.returncode == 1 and "WRONG BUILD: torch is built for cpu, and not for cu130" in (
        wrong.stdout
    )
