"""The answers that choose PyTorch builds, in every valid combination: through Copier, each backend
of the newest and oldest lines in each role that it can have, and each line with every strategy."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from plumbum import local

from extensions.questions.contract import KEYS, PYPI_URL, PYTORCH_URL, VALUES
from extensions.questions.refusals import why_not_any
from extensions.tables.platforms import PLATFORMS
from tests.support.cells import LINES, TABLES
from tests.support.checks import check_everything
from tests.support.project import copied

SETS_OF_PLATFORMS = [
    list(chosen)
    for size in range(len(PLATFORMS), 0, -1)
    for chosen in itertools.combinations(PLATFORMS, size)
]
SETS_OF_PACKAGES: list[list[str]] = [
    ["torchvision"],
    ["torchvision", "torchaudio"],
    ["torchaudio"],
    ["torchvision", "torchcodec"],
    [],
]
RUFF = Path(sys.executable).with_name("ruff")
STRATEGIES = list(VALUES["strategy"])


def combinations(strategy: str, name: str) -> Iterator[dict[str, Any]]:
    """Every choice of backends of a line; sets of them as pairs and as the whole."""
    line = TABLES.lines[name]
    backends = line.backends()
    on_windows = [b for b in backends if "windows-amd64" in line.indexes[b]]
    match strategy:
        case "pypi" | "provided":
            yield {}
        case "index":
            yield from ({"backend": backend} for backend in backends)
        case "pip":
            yield from ({"backend": backend} for backend in [*backends, "auto"])
        case "markers":
            on_arm = itertools.cycle(b for b in backends if "linux-aarch64" in line.indexes[b])
            for linux, windows in itertools.product(backends, on_windows):
                pair = {"linux_backend": linux, "windows_backend": windows}
                yield {**pair, "aarch64_backend": next(on_arm)}
        case "extras":
            yield from ({"backends": list(p)} for p in itertools.combinations(backends, 2))
            yield {"backends": backends}
        case "groups":
            yield from (
                {"backends": [first, second], "default_backend": first}
                for first, second in itertools.permutations(backends, 2)
            )
            yield {"backends": backends, "default_backend": backends[-1]}


# What differs in names alone is tried with the newest line and the oldest; or, if asked for, all.
SOME_LINES = LINES if "LINE_EXAMPLES" in os.environ else (LINES[0], LINES[-1])


def rendered(strategy: str, line: str) -> Iterator[dict[str, Any]]:
    """Of these, enough to see each backend in each of its roles: each as the first, the default and
    the other one of a pair, on either system, alone and beside all others.

    Which pair it is changes names, and the plan: `test_plan` goes through all of them. Of a line in
    the middle one combination will do: `test_matrix` locks all of its backends.
    """
    backends = TABLES.lines[line].backends()
    if line not in SOME_LINES:
        *_, last = combinations(strategy, line)
        yield last
        return
    following = dict(zip(backends, [*backends[1:], backends[0]], strict=True))
    for answers in combinations(strategy, line):
        pair = answers.get("backends", ())
        systems = answers.get("linux_backend"), answers.get("windows_backend")
        if len(pair) == 2 and following[pair[0]] != pair[1]:
            continue
        if strategy == "markers" and "cpu" not in systems and systems[0] != systems[1]:
            continue
        yield answers


def surroundings(seed: str) -> Iterator[dict[str, Any]]:
    """What is rendered around the code: any values, always the same for a seed."""
    values = {
        "place": ["repository", *VALUES["place"]],
        "ci": list(VALUES["ci"]),
        "containers": [["docker", "devcontainer"], ["docker"], ["devcontainer"], []],
        "launcher": list(VALUES["launcher"]),
        "type_checker": list(VALUES["type_checker"]),
        "example": list(VALUES["example"]),
        "license": list(VALUES["license"]),
        "index_url": [PYTORCH_URL, "https://mirror.example.org/whl"],
        "pypi_url": [PYPI_URL, "https://mirror.example.org/simple"],
        "authenticate": list(VALUES["authenticate"]),
        "template_updates": list(VALUES["template_updates"]),
    }
    random = Random(seed)
    while True:
        yield {key: random.choice(options) for key, options in values.items()}


def completed(strategy: str, line: str) -> Iterator[dict[str, Any]]:
    """Each combination with the next platforms, packages and Python that fit it.

    All sets of platforms and packages take their turn, so that each meets many backends.
    `test_plan` goes through their whole product, without rendering.
    """
    rest = itertools.cycle(
        itertools.product(SETS_OF_PLATFORMS, TABLES.lines[line].pythons, SETS_OF_PACKAGES)
    )
    around = surroundings(f"{strategy} {line}")
    for backends in rendered(strategy, line):
        yield next(
            answers
            for platforms, python, packages in rest
            if fits(
                answers := {
                    "strategy": strategy,
                    "torch_version": line,
                    "python_version": python,
                    **backends,
                    "packages": packages,
                    "platforms": platforms,
                    **next(around),
                }
            )
        )


def fits(answers: dict[str, Any]) -> bool:
    return why_not_any(KEYS, TABLES, answers) is None


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("line", LINES)
def test_every_backend_renders_in_every_role(
    template: Path, tmp_path: Path, strategy: str, line: str
) -> None:
    # Where Copier finds git, it asks it about each file that it writes.
    with local.env(PATH=str(tmp_path)):
        projects = [
            copied(template, tmp_path / str(number), {"project_name": "My Project", **answers})
            for number, answers in enumerate(completed(strategy, line))
        ]
    for project in projects:
        check_everything(project)
    # Each project's own settings apply to its files.
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [RUFF, *command, "--quiet", "--no-cache", tmp_path],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
