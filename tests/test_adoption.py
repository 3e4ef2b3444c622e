"""A project made by `uv init` and `uv add` moves to the template as the README says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, THIS_PYTHON
from tests.git import committed, git
from tests.project import UV, Project

COPIER = Path(sys.executable).with_name("copier")


def steps() -> list[list[str]]:
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Adopt a project")[1]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block
    return [shlex.split(line, comments=True) for line in block[1].splitlines()]


def test_an_existing_project_keeps_its_packages_files_and_history(
    template: Path, tmp_path: Path
) -> None:
    project = Project(tmp_path / "deep-thought")
    project.path.mkdir()
    project.uv("init", "--python", THIS_PYTHON)
    project.uv("add", "--frozen", "torch>=2.13", "einops>=0.8", "httpx")
    own = project.path / "src" / "deep_thought" / "__init__.py"
    own.write_text('"""Mine."""\n', "utf-8")
    (project.path / "README.md").write_text("# Mine\n", "utf-8")
    committed(project.path)

    for program, *arguments in steps():
        words = [str(template) if a.startswith("gh:") else a for a in arguments]
        if program == "copier":
            answers = ["--defaults", "--quiet", "--data", f"python_version={THIS_PYTHON}"]
            command = [str(COPIER), words[0], *answers, *words[1:]]
        elif program == "uv":
            command = [UV, words[0], "--frozen", *words[1:]]
        else:
            command = [program, "--no-pager", *words]
        subprocess.run(command, cwd=project.path, check=True, capture_output=True)

    text = project.text("pyproject.toml")
    for package in ("einops>=0.8", "httpx", "torch>=2.14"):
        assert f'    "{package}' in text
    assert project.answers["project_name"] == "deep-thought"
    assert own.read_text("utf-8") == '"""Mine."""\n'
    assert project.text("README.md") == "# Mine\n"
    assert (project.path / "scripts" / "smoke_test.py").exists()
    git(project.path, "add", "--all")
    git(project.path, "commit", "--quiet", "--message", "Adopt the template")
    log = subprocess.run(
        ["git", "log", "--format=%s"], cwd=project.path, capture_output=True, text=True, check=True
    )
    assert log.stdout.splitlines() == ["Adopt the template", "Start"]
