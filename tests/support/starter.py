"""What the tests of CI and containers share: strategies, and commands run against the loopback."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import yaml

from tests.support.project import Project

STRATEGIES: list[dict[str, Any]] = [
    {"strategy": "pypi"},
    {"strategy": "index", "backend": "cpu"},
    {"strategy": "index", "backend": "cu130"},
    {"strategy": "index", "backend": "rocm7.2"},
    {"strategy": "index", "backend": "xpu"},
    {"strategy": "markers", "linux_backend": "cpu", "windows_backend": "cu130"},
    {"strategy": "markers", "linux_backend": "cu130", "windows_backend": "cpu"},
    {"strategy": "markers", "linux_backend": "rocm7.2", "windows_backend": "cpu"},
    {"strategy": "markers", "linux_backend": "xpu", "windows_backend": "xpu"},
    {"strategy": "extras", "backends": ["cpu", "cu130", "rocm7.2", "xpu"]},
    {"strategy": "extras", "backends": ["cu130", "rocm7.2", "xpu"]},
    *(
        {"strategy": "groups", "backends": ["cpu", "cu130", "rocm7.2", "xpu"],
         "default_backend": default}
        for default in ("cpu", "cu130", "rocm7.2", "xpu")
    ),
    {"strategy": "groups", "backends": ["cu130", "rocm7.2"], "default_backend": "rocm7.2"},
    {"strategy": "pip", "backend": "auto"},
    {"strategy": "pip", "backend": "cu130"},
    {"strategy": "pip", "backend": "rocm7.2"},
    {"strategy": "provided"},
]  # fmt: skip


def name_of(answers: dict[str, Any]) -> str:
    values = [v for v in answers.values() if isinstance(v, str)]
    return "-".join([*values, *answers.get("backends", [])])


def scripts(project: Project) -> dict[str, list[str]]:
    """The commands of each job, from GitHub's workflows or GitLab's."""
    if (project.path / ".gitlab-ci.yml").exists():
        jobs = yaml.safe_load(project.text(".gitlab-ci.yml"))
        return {name: jobs[name]["script"] for name in ("check", "gpu") if name in jobs}
    files = sorted((project.path / ".github" / "workflows").iterdir())
    workflows = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]
    return {
        # A step with variables of its own is GitHub's alone: it writes the mirror's credentials.
        name: [step["run"] for step in job["steps"] if "run" in step and "env" not in step]
        for workflow in workflows
        for name, job in workflow["jobs"].items()
    }


def run(
    project: Project, command: str, pytorch: str, *extra: str
) -> subprocess.CompletedProcess[str]:
    """A uv command, with the loopback's index in the place of the one of `--torch-backend`."""
    words = command.split()
    usual = dict(project.environment)
    if backend := re.search(r" --torch-backend=(\S+)", command):
        words.remove(backend[0].strip())
        config = project.path.parent / f"{backend[1]}.toml"
        index = f'[[index]]\nurl = "{pytorch}/{backend[1]}"\nignore-error-codes = [403]\n'
        config.write_text(index, "utf-8")
        project.environment |= {"UV_CONFIG_FILE": str(config), "UV_NO_CONFIG": "false"}
    if "--index-url" in words:
        # That variable would win: docs/pytorch.md says so.
        del project.environment["UV_DEFAULT_INDEX"]
    done = project.uv(*words[1:], *extra)
    project.environment = usual
    return done


def dry_run(project: Project, commands: list[str], pytorch: str) -> dict[str, str]:
    """What the commands would install together; what only reads or writes files is run for real.

    A later command finds installed what an earlier one names.
    """
    installed: dict[str, str] = {}
    for command in commands:
        dry = ["--dry-run"] if {"install", "sync"} & set(command.split()) else []
        done = run(project, command, pytorch, *dry)
        found = re.findall(r"^ \+ ([a-z0-9-]+)(?:==| @ )(\S+)", done.stderr, re.MULTILINE)
        installed = {**dict(found), **installed}
    return installed
