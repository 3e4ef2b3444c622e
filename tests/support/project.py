"""A rendered project, as the tests see it: its files, its table of builds, and uv run on it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from copier import run_copy

from extensions.questions.contract import PYTORCH_URL
from extensions.tables.platforms import PLATFORMS

# Of PEP 508 markers and of uv's --python-platform, in the words of docs/pytorch.md.
TARGETS = {
    "Linux x86-64": "x86_64-manylinux_2_28",
    "Linux aarch64": "aarch64-manylinux_2_28",
    "Windows x86-64": "x86_64-pc-windows-msvc",
    "macOS arm64": "aarch64-apple-darwin",
}
PYTORCH = "docs/pytorch.md"
NEAREST_UV = Path(sys.executable).with_name("uv")
UV = str(NEAREST_UV) if NEAREST_UV.exists() else shutil.which("uv") or "uv"


@dataclass
class Project:
    """A project folder. `environment` is added to uv's environment variables."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        return (self.path / name).read_text(encoding="utf-8")

    @property
    def files(self) -> list[Path]:
        return sorted(path for path in self.path.rglob("*") if path.is_file())

    @cached_property
    def pyproject(self) -> dict[str, Any]:
        return tomllib.loads(self.text("pyproject.toml"))

    @cached_property
    def answers(self) -> dict[str, Any]:
        return yaml.safe_load(self.text(".copier-answers.yml"))

    def platform(self, label: str) -> str:
        """The answer's name of a platform that docs/pytorch.md calls `label`."""
        return {p.label: p.name for p in PLATFORMS.values()}[label]

    @property
    def uv_settings(self) -> dict[str, Any]:
        return self.pyproject["tool"].get("uv", {})

    @property
    def is_member(self) -> bool:
        """Whether it was rendered as a member of a workspace."""
        return self.answers["place"] == "member"

    @property
    def commands(self) -> list[str]:
        """Every command that docs/pytorch.md and the README show and that begins with `uv `."""
        texts = self.text(PYTORCH) + self.text("README.md")
        return re.findall(r"(?:^|`)(uv [^`\n]+)", texts, re.MULTILINE)

    @property
    def setup(self) -> list[str]:
        """From a checkout to the end of the smoke test: one command per line."""
        blocks = [self.text(name).split("```sh\n")[1] for name in (PYTORCH, "README.md")]
        lines = [block.split("```")[0].splitlines() for block in blocks]
        return [*lines[0], lines[1][-1]]

    @property
    def build_table(self) -> dict[str, dict[str, str]]:
        """The table of builds: command to platform to version of torch."""
        rows = [
            [cell.strip().strip("`") for cell in line.strip("|").split("|")]
            for line in self.text(PYTORCH).split("## What a GPU needs")[0].splitlines()
            if line.startswith("| ")
        ]
        head, *body = rows
        if head[0] == "Platform":
            found: dict[str, dict[str, str]] = {}
            for platform, flags, build in body:
                found.setdefault(flags, {})[platform] = build
            return found
        return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in body}

    def uv(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run uv in the project. Raises AssertionError with its output if it fails."""
        environment = {**_clean_environment(), **self.environment}
        if (self.path / ".venv").exists():
            # For `uv pip` the variable would name the environment to install into.
            del environment["UV_PYTHON"]
        done = subprocess.run(
            [UV, *arguments],
            cwd=self.path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"uv {' '.join(arguments)}\n{done.stdout}{done.stderr}"
        return done

    def redirect(self, url: str) -> None:
        """Replace the host of the PyTorch indexes, and nothing else."""
        file = self.path / "pyproject.toml"
        file.write_text(file.read_text("utf-8").replace(PYTORCH_URL, url), "utf-8")

    def lock(self) -> dict[str, Any]:
        """`uv lock` without a warning; the lock."""
        done = self.uv("lock")
        assert "warning:" not in done.stderr, done.stderr
        return tomllib.loads(self.text("uv.lock"))

    def would_install(self, command: str, platform: str) -> dict[str, str]:
        """What a `uv sync` or `uv pip install` would install on a platform."""
        arguments = command.split()[1:]
        where = ["--dry-run", "--python-platform", TARGETS[platform]]
        if arguments[0] == "sync":
            where.append("--frozen")
        done = self.uv(*arguments, *where)
        return dict(re.findall(r"^ \+ ([a-z0-9-]+)==(\S+)$", done.stderr, re.MULTILINE))


def copied(template: Path, folder: Path, answers: dict[str, Any], **options: Any) -> Project:
    """`copier copy --defaults --trust --quiet` into a folder."""
    run_copy(str(template), folder, answers, defaults=True, unsafe=True, quiet=True, **options)
    return Project(folder)


def _clean_environment() -> dict[str, str]:
    """This process's environment without what would steer uv, and with what the tests need."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("UV_", "PIP_", "VIRTUAL_"))}
    return {
        **kept,
        "UV_NO_CONFIG": "1",
        "UV_PYTHON": sys.executable,
        "UV_PYTHON_DOWNLOADS": "never",
        # uv assumes macOS 13; torch's wheels need 14.
        "MACOSX_DEPLOYMENT_TARGET": "14.0",
    }
