"""Every two answers that may meet, with the real torch 2.13.0+cpu wheel: the project installs as in
CI, and its own tools, tests and hooks pass."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from extensions.plan.automation import automate
from extensions.plan.planner import make_plan
from extensions.questions.contract import KEYS, LISTS, VALUES, Answers
from extensions.questions.refusals import why_not_any
from tests.conftest import Render
from tests.pytorch_index import PyTorchIndex
from tests.support.cells import TABLES
from tests.support.pairwise import all_pairs, covered, pairs
from tests.support.project import UV, Project
from tests.support.starter import run

MIRROR = "https://mirror.example.org/whl"
# Per strategy and kind of build the answers that make it the default on Linux.
BACKENDS: dict[tuple[str, str], dict[str, Any]] = {
    ("pypi", "cuda"): {},
    **{
        (strategy, of_kind): answers
        for of_kind, (backend, other) in {
            "cpu": ("cpu", "cu130"),
            "cuda": ("cu130", "cpu"),
            "rocm": ("rocm7.2", "cu130"),
            "xpu": ("xpu", "cpu"),
        }.items()
        for strategy, answers in {
            "index": {"backend": backend},
            "markers": {
                "linux_backend": backend,
                "windows_backend": "cpu" if of_kind == "rocm" else other,
            },
            "extras": {"backends": [backend, other]},
            "groups": {"backends": [other, backend], "default_backend": backend},
            "pip": {"backend": backend},
        }.items()
    },
    ("pip", "auto"): {"backend": "auto"},
    ("provided", "cpu"): {},
}
# In this order few rows are enough.
DOMAIN: dict[str, list[Any]] = {
    "authenticate": ["auto", "always"],
    "template_updates": ["renovate", "workflow", "none"],
    "strategy": ["markers", "pypi", "pip", "index", "groups", "extras"],
    "type_checker": ["ty", "mypy", "none"],
    "kind": ["cuda", "xpu", "rocm", "cpu"],
    "pypi_url": [MIRROR, ""],
    "ci": ["none", "github", "gitlab"],
    "package_name": ["", "spiral_lab"],
    "index_url": ["", MIRROR],
}
# No linter, test or hook of a project meets these, whatever they stand beside: rows take turns.
CARRIED: dict[str, list[Any]] = {
    "license": ["Apache-2.0", "MIT", "proprietary", "BSD-3-Clause", "other"],
    "containers": [["docker", "devcontainer"], ["devcontainer"], ["docker"], []],
    "platforms": [
        ["linux-x86_64", "windows-amd64"],
        ["linux-x86_64", "linux-aarch64", "windows-amd64", "macos-arm64"],
        ["linux-x86_64", "linux-aarch64"],
        ["linux-x86_64", "macos-arm64"],
    ],
    "user_name": ["Ada Lovelace", ""],
}
FIXED = {"torch_version": "2.13", "python_version": "3.11", "packages": []}


def answers_of(row: dict[str, Any]) -> dict[str, Any]:
    """A row, whole or not, as answers."""
    found = {**FIXED, **{k: v for k, v in row.items() if v != "" and k != "kind"}}
    if {"strategy", "kind"} <= set(row):
        found |= BACKENDS[row["strategy"], row["kind"]]
    return found


def fits(row: dict[str, Any]) -> bool:
    if {"strategy", "kind"} <= set(row) and (row["strategy"], row["kind"]) not in BACKENDS:
        return False
    if row.get("authenticate") == "always" and not (
        row.get("index_url", MIRROR) or row.get("pypi_url", MIRROR)
    ):
        return False
    return why_not_any(KEYS, TABLES, answers_of(row)) is None


# `auto` is for one strategy alone: to pair it with all the rest would take as many rows again.
AUTO = {
    **{key: values[0] for key, values in DOMAIN.items()},
    **{"strategy": "pip", "kind": "auto", "package_name": "spiral_lab"},
}
# And so would a torch that is there already, of which CI sees nothing but the CPU build.
PROVIDED = {
    **{key: values[0] for key, values in DOMAIN.items()},
    **{"strategy": "provided", "kind": "cpu", "example": "training", "type_checker": "mypy"},
}
PAIRWISE = all_pairs(DOMAIN, fits)
ROWS = [
    {"example": "none", **row}
    | {key: values[number % len(values)] for key, values in CARRIED.items()}
    for number, row in enumerate([*PAIRWISE, AUTO, PROVIDED])
]
# A training program takes a minute, and what can fail in it are its tests and its types: it meets
# each type checker, each time with another strategy.
for checker, strategy in {"ty": "extras", "mypy": "markers", "none": "pip"}.items():
    wanted = {"type_checker": checker, "strategy": strategy}
    next(row for row in ROWS if wanted.items() <= row.items())["example"] = "training"


def test_every_two_answers_meet() -> None:
    positions = [{key: DOMAIN[key].index(row[key]) for key in DOMAIN} for row in PAIRWISE]
    met = set().union(*map(covered, positions))
    assert pairs(DOMAIN, fits) <= met
    assert all(map(fits, ROWS))
    assert len(ROWS) <= 28
    for key, offered in VALUES.items():
        if key in ("place", "launcher"):
            # All of these are projects on their own; test_workspaces has the others. What a
            # launcher adds, no check of a project reads: test_launchers does.
            continue
        values = [row[key] for row in ROWS]
        chosen = {name for names in values for name in names} if key in LISTS else {*values}
        assert chosen == set(offered)
    assert set(BACKENDS) == {(row["strategy"], row["kind"]) for row in ROWS}


def test_a_refused_pair_does_not_meet() -> None:
    domain = {"a": [0, 1, 2], "b": [0, 1], "c": [0, 1]}
    rows = all_pairs(domain, lambda row: (row.get("a"), row.get("b")) != (2, 1))
    assert {(row["a"], row["b"]) for row in rows} == {(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)}
    assert len(rows) == 6
    with pytest.raises(ValueError, match="no value of c fits"):
        all_pairs(domain, lambda row: len(row) < 3)


@pytest.mark.real
@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(map(str, row.values())))
def test_a_project_passes_its_own_checks(
    row: dict[str, Any],
    render: Render,
    real_index: PyTorchIndex,
    real_environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    answers = answers_of(row)
    for key, url in {"index_url": real_index.url, "pypi_url": real_index.pypi_url}.items():
        if answers.get(key) == MIRROR:
            answers[key] = url
    project = render(**answers)
    project.redirect(real_index.url)
    project.environment = {
        **real_environment,
        **credentials(project),
        # The hooks call uv by name.
        "PATH": os.pathsep.join([str(Path(UV).parent), os.environ["PATH"]]),
        "PRE_COMMIT_HOME": str(tmp_path_factory.getbasetemp() / "pre-commit"),
    }
    known = {**project.answers, **answers}
    complete = Answers.complete(known)
    plan = make_plan(TABLES, complete)
    work = automate(plan, complete)
    if row["strategy"] != "pip":
        project.uv("lock")
    here = [build for build in plan.default.builds if build.platform == "linux-x86_64"]
    if {build.backend for build in here} == {"cpu"}:
        assert project.setup[-1].endswith(" scripts/smoke_test.py")
        for command in project.setup:
            run(project, command, real_index.url)
        assert torch_of(project) == "torch-2.13.0+cpu.dist-info"
        # CI begins with a fresh checkout.
        shutil.rmtree(project.path / ".venv")
    for command in (*work.lock, *work.install):
        run(project, command, real_index.url)
    assert torch_of(project) == "torch-2.13.0+cpu.dist-info"
    for command in work.checks:
        run(project, command, real_index.url)
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=project.path, check=True)
    done = project.uv("run", "--no-sync", "pre-commit", "run", "--all-files")
    assert done.stdout.count("Passed") == len(work.checks) - 2, done.stdout


THREADS = """
import sys
from pathlib import Path
from my_project.training.__main__ import main

code = main()
threads = [file.read_text().strip() for file in Path("/proc/self/task").glob("*/comm")]
sys.exit(code or "gloo" in " ".join(threads))
"""


@pytest.mark.real
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads have names on Linux")
def test_no_thread_outlives_its_process_group(
    render: Render, real_index: PyTorchIndex, real_environment: dict[str, str]
) -> None:
    """One that does may want Python's lock while Python goes, and that aborts the process."""
    answers = {**FIXED, "strategy": "index", "backend": "cpu", "example": "training"}
    project = render(**answers)
    project.redirect(real_index.url)
    project.environment = {**real_environment, "OMP_NUM_THREADS": "1"}
    project.uv("sync")
    (project.path / "threads.py").write_text(THREADS, "utf-8")
    launcher = ["torchrun", "--standalone", "--nproc-per-node=2", "--local-addr=127.0.0.1"]
    settings = ["--steps", "3", "--accumulate", "2", "--device", "cpu"]
    project.uv("run", "--no-sync", *launcher, "threads.py", *settings)


def credentials(project: Project) -> dict[str, str]:
    """Something for each variable that a login needs: the index on loopback lets everybody in."""
    return dict.fromkeys(re.findall(r"`(UV_INDEX_\w+)`", project.text("docs/pytorch.md")), "ada")


def torch_of(project: Project) -> str:
    (installed,) = (project.path / ".venv").rglob("torch-*.dist-info")
    return installed.name
