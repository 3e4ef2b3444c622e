"""What docs/pytorch.md says of a machine without uv: the `pylock.toml` that uv writes has the build
of the default choice, where to get it, and what it must be."""

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

from tests.conftest import Render
from tests.pytorch_index import PyTorchIndex
from tests.rendered.test_mirrors import STRATEGIES as MIRRORED
from tests.support.project import Project

LOCAL = "Linux x86-64"
# `pip` has no lock to export.
STRATEGIES = {name: answers for name, answers in MIRRORED.items() if name != "pip"}


def exported(project: Project) -> dict[str, Any]:
    project.lock()
    command = next(c for c in project.commands if c.startswith("uv export"))
    done = project.uv(*command.split()[1:])
    assert "warning" not in done.stderr
    return tomllib.loads(project.text("pylock.toml"))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_pylock_says_where_the_build_is(lockable: Render, strategy: str) -> None:
    project = lockable(torch_version="2.14", strategy=strategy, **STRATEGIES[strategy])
    found = exported(project)
    assert not {"pytest", "my-project"} & {p["name"] for p in found["packages"]}
    torch = [p for p in found["packages"] if p["name"] == "torch"]
    assert all(wheel["hashes"] for p in torch for wheel in p["wheels"])
    wanted = project.build_table[project.commands[0]][LOCAL]
    urls = {str(p["version"]): p["wheels"][0]["url"] for p in torch}
    assert ("%2B" in urls[wanted]) == ("+" in wanted)
    assert ("A `requirements.txt`" in project.text("docs/pytorch.md")) == ("+" in wanted)
    # uv installs from it, without a word of the project's indexes.
    outside = Project(project.path.parent / "outside", project.environment)
    outside.path.mkdir()
    (project.path / "pylock.toml").rename(outside.path / "pylock.toml")
    outside.uv("venv")
    installed = outside.would_install("uv pip sync pylock.toml", LOCAL)
    assert installed["torch"] == wanted and "pytest" not in installed


@pytest.mark.real
def test_pip_installs_the_real_wheel_from_a_pylock(
    render: Render, real_index: PyTorchIndex, tmp_path: Path
) -> None:
    answers = {**STRATEGIES["groups"], "torch_version": "2.13", "python_version": "3.11"}
    project = render(strategy="groups", packages=[], **answers)
    project.redirect(real_index.url)
    cache = {"UV_CACHE_DIR": str(tmp_path / "cache")}
    project.environment = {"UV_DEFAULT_INDEX": real_index.pypi_url, **cache}
    exported(project)
    assert re.search(r"from version 26\.1 on", project.text("docs/pytorch.md"))
    project.uv("export", "--frozen", "--quiet", "--no-emit-project", "-o", "requirements.txt")
    found = {}
    for file in ("pylock.toml", "requirements.txt"):
        command = [sys.executable, "-m", "pip", "--isolated", "install", "--dry-run", "--quiet"]
        options = ["--ignore-installed", "--no-cache-dir", "--report", "report.json", "-r", file]
        done = subprocess.run(
            [*command, "--index-url", real_index.pypi_url, *options],
            cwd=project.path,
            env={**os.environ, "PIP_CONFIG_FILE": os.devnull},
            capture_output=True,
            text=True,
            check=False,
        )
        found[file] = done.returncode, done.stderr
        if done.returncode == 0:
            report = json.loads(project.text("report.json"))
            names = {i["metadata"]["name"]: i["metadata"]["version"] for i in report["install"]}
            assert names["torch"] == "2.13.0+cpu"
    # As the docs say, that file does not know which index has the build.
    assert found["pylock.toml"][0] == 0, found["pylock.toml"][1]
    assert found["requirements.txt"][0] and "torch==2.13.0+cpu" in found["requirements.txt"][1]
