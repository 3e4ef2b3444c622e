"""End to end with the real torch 2.13.0+cpu wheel behind the recorded index, as the files of
the rendered project say it: lock, sync, run, smoke test, tests."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from tests.conftest import Render
from tests.pytorch_index import PyTorchIndex
from tests.support.project import Project

pytestmark = pytest.mark.real

ANSWERS: dict[str, dict[str, Any]] = {
    "index": {"backend": "cpu"},
    "extras": {"backends": ["cpu", "cu130"]},
    "groups": {"backends": ["cpu", "cu130"], "default_backend": "cpu"},
    "markers": {"linux_backend": "cpu", "windows_backend": "cpu"},
    "pip": {"backend": "cpu"},
}


@pytest.fixture
def project(
    request, render: Render, real_index: PyTorchIndex, real_environment: dict[str, str]
) -> Project:
    strategy = request.param
    url = {"index_url": real_index.url} if strategy == "pip" else {}
    project = render(
        strategy=strategy,
        torch_version="2.13",
        python_version="3.11",
        packages=[],
        **ANSWERS[strategy],
        **url,
    )
    project.redirect(real_index.url)
    project.environment = dict(real_environment)
    return project


def torch_in(project: Project) -> tuple[str, int]:
    """torch's version in the environment, and when it was put there."""
    (folder,) = (project.path / ".venv").rglob("torch-*.dist-info")
    return folder.name, folder.stat().st_ino


@pytest.mark.parametrize("project", ANSWERS, indirect=True)
def test_the_docs_lead_to_a_working_pytorch(project: Project) -> None:
    tests = next(c for c in project.commands if c.endswith(" pytest"))
    environment = dict(project.environment)
    seen = []
    for command in [*project.setup, tests]:
        command = command.replace("--extra cu130", "--extra cpu")
        # That variable would win over --index-url: docs/pytorch.md says so.
        hidden = "UV_DEFAULT_INDEX" if "--index-url" in command else ""
        project.environment = {k: v for k, v in environment.items() if k != hidden}
        done = project.uv(*command.split()[1:])
        assert "warning:" not in done.stderr
        if (project.path / ".venv").exists() and "venv" not in command:
            seen.append(torch_in(project))
        if "smoke_test" in command:
            assert "OK: torch 2.13.0+cpu" in done.stdout
    # `uv run` neither replaced torch nor put a second one beside it.
    assert len(seen) >= 3 and set(seen) == {seen[0]}
    assert seen[0][0] == "torch-2.13.0+cpu.dist-info"


@pytest.mark.parametrize("project", ["groups"], indirect=True)
def test_adding_a_package_keeps_the_build(project: Project) -> None:
    project.uv("sync")
    before = torch_in(project)
    project.uv("add", "markupsafe")
    project.uv("run", "scripts/smoke_test.py")
    assert torch_in(project) == before


@pytest.mark.parametrize("project", ["index"], indirect=True)
def test_the_smoke_test_sees_a_build_that_is_not_expected(project: Project) -> None:
    project.uv("sync")
    python = next((project.path / ".venv").glob("[bS][ic][nr]*/python*"))
    script = ["scripts/smoke_test.py", "--expect", "cu130"]
    done = subprocess.run(
        [python, *script], cwd=project.path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "WRONG BUILD" in done.stdout
