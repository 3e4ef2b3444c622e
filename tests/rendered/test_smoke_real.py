"""The smoke test with the real torch 2.13.0+cpu, and its next commands carried out by uv."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.rendered.test_real import project  # noqa: F401  (a fixture)
from tests.support.project import Project

pytestmark = pytest.mark.real
SCRIPT = "scripts/smoke_test.py"


def smoke_test(project: Project, *options: str) -> dict[str, Any]:  # noqa: F811
    python = project.path / ".venv" / "bin" / "python"
    done = subprocess.run(
        [python, "scripts/smoke_test.py", "--json", *options],
        cwd=project.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    report = json.loads(done.stdout)
    assert report["exit_code"] == done.returncode
    return report


@pytest.mark.parametrize("project", ["groups"], indirect=True)
def test_it_diagnoses_and_its_next_command_helps(project: Project) -> None:  # noqa: F811
    project.uv("sync")
    report = smoke_test(project, "--distributed")
    assert (report["diagnosis"], report["distributed"]) == ("ok", "ok"), report
    errors = {x["dtype"]: x["relative_error"] for x in report["checks"]}
    assert errors["float32"] < 1e-6 < errors["float16"] < errors["bfloat16"] < 5e-3

    site = next((project.path / ".venv").glob("lib/python*/site-packages"))
    (site / "torch-2.12.0.dist-info").mkdir()
    (site / "torch-2.12.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torch\nVersion: 2.12.0\n"
    )
    (site / "torch-2.12.0.dist-info" / "RECORD").write_text(
        "torch-2.12.0.dist-info/METADATA,,\ntorch-2.12.0.dist-info/RECORD,,\n"
    )
    report = smoke_test(project)
    assert report["diagnosis"] == "two-torches"
    project.uv(*shlex.split(report["next"])[1:])
    assert smoke_test(project)["diagnosis"] == "ok"

    (site / "torch" / "version.py").unlink()
    report = smoke_test(project)
    assert report["diagnosis"] == "torch-broken"
    project.uv(*shlex.split(report["next"])[1:])
    assert smoke_test(project)["diagnosis"] == "ok"

    project.uv("pip", "uninstall", "torch")
    report = smoke_test(project)
    assert report["diagnosis"] == "torch-missing"
    project.uv(*shlex.split(report["next"])[1:])
    assert smoke_test(project)["diagnosis"] == "ok"


@pytest.mark.parametrize("project", ["groups"], indirect=True)
def test_the_surroundings_change_no_verdict(project: Project, tmp_path: Path) -> None:  # noqa: F811
    """Flags and variables of Python, and a torch that the flags leave out."""
    project.uv("sync")
    python = str(project.path / ".venv" / "bin" / "python")
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise OSError('not this one')")
    cases: list[tuple[list[str], dict[str, str]]] = [
        (["-OO", "-W", "error"], {"PYTHONINSPECT": "1", "PYTHONWARNINGS": "error"}),
        (["-I"], {"PYTHONPATH": str(tmp_path)}),
        (["-P"], {"PYTHONOPTIMIZE": "2", "PYTHONWARNDEFAULTENCODING": "1", "PYTHONDEVMODE": "1"}),
    ]
    for flags, variables in cases:
        done = subprocess.run(
            [python, *flags, project.path / SCRIPT, "--json", "--distributed"],
            # A torch beside it must not get in the way of its processes either.
            cwd=tmp_path,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
        )
        report = json.loads(done.stdout)
        assert (report["diagnosis"], report["distributed"]) == ("ok", "ok"), report
        assert (done.returncode, report["warnings"]) == (0, [])


@pytest.mark.parametrize("project", ["groups"], indirect=True)
def test_it_starts_in_a_fraction_of_an_import_of_torch(project: Project) -> None:  # noqa: F811
    """A ratio of two times in one run, as machines differ."""
    project.uv("sync")
    python = str(project.path / ".venv" / "bin" / "python")

    def seconds(*command: str, code: int) -> float:
        start = time.perf_counter()
        done = subprocess.run([python, *command], cwd=project.path, capture_output=True)
        assert done.returncode == code, done.stderr
        return time.perf_counter() - start

    # Without site-packages there is no torch, so that nothing but the script is timed.
    own = min(seconds("-S", "scripts/smoke_test.py", code=1) for _ in range(5))
    torch = min(seconds("-c", "import torch", code=0) for _ in range(5))
    assert own < 0.2 * torch, f"{own:.3f} s beside {torch:.3f} s"
