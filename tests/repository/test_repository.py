"""The repository's own files agree with each other and with the tables."""

from __future__ import annotations

import re
import subprocess

import yaml

from extensions.plan.plan import UV_FLOOR
from extensions.questions.contract import KEYS, VALUES
from tests.conftest import ROOT
from tests.support.project import UV

README = (ROOT / "README.md").read_text(encoding="utf-8")


def tracked_files() -> list[str]:
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.rstrip("\0").split("\0")


def test_the_readme_names_every_question_and_strategy() -> None:
    section = README.split("## Questions")[1].split("\n## ")[0]
    assert re.findall(r"`([a-z_]+)`(?=[^|]*\|)", section.split("|---|---|")[1])[: len(KEYS)]
    for key in KEYS:
        assert f"`{key}`" in section
    section = README.split("## Which strategy")[1].split("\n## ")[0]
    for strategy in VALUES["strategy"]:
        assert f"`{strategy}`" in section


def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    command = re.search(r"this runs the tests:\n\n```sh\n.* && (.*)\n```", README)
    assert command and command[1] in script.splitlines()
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["test"]["steps"]
    assert "bash .ci/run" in [step.get("run") for step in steps]
    for step in steps:
        if "uses" in step:
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"])


def test_the_pinned_uv_is_one_everywhere() -> None:
    pins = set()
    for name in (".ci/run", "pyproject.toml"):
        pins |= set(re.findall(r"uv==([0-9.]+)", (ROOT / name).read_text(encoding="utf-8")))
    version = subprocess.run([UV, "--version"], capture_output=True, text=True, check=True).stdout
    assert pins == {version.split()[1]}


def test_the_oldest_copier_is_one_everywhere() -> None:
    """Where it is asked for, installed, and run by a project's workflow."""
    oldest = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))[
        "_min_copier_version"
    ]
    script = next((ROOT / "template").rglob("*template-update.sh*"))
    for file in (ROOT / "pyproject.toml", ROOT / "extensions" / "drift.py", script):
        bounds = re.findall(r"\bcopier>=([\d.]+),<10", file.read_text(encoding="utf-8"))
        assert bounds == [oldest], file


def test_the_oldest_uv_is_the_one_that_the_readme_names() -> None:
    assert f"Projects want uv {UV_FLOOR} or newer" in README


def test_every_file_can_be_checked_out_on_windows() -> None:
    for name in tracked_files():
        assert not re.search(r'[<>:"\\|?*]', name), name
        assert len(name) <= 120, name
        assert not re.search(r"[. ](/|$)", name), name


def test_a_file_without_jinja_is_no_template() -> None:
    """Copier reads such a file as it is, which is faster."""
    for path in (ROOT / "template").rglob("*.jinja"):
        assert re.search(r"\{[{%]", path.read_text(encoding="utf-8")), path.name
