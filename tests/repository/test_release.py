"""A release is one command: version, changelog, commit and tag agree, or nothing happens."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT, copy_template
from tests.support import frozen
from tests.support.git import committed, git
from tests.support.project import UV
from tests.support.releases import released

SCRIPTS = ROOT / ".github" / "scripts"
sys.path.insert(0, str(SCRIPTS))

from table_changes import changes, changes_beside, default_line  # noqa: E402

TABLES = yaml.safe_load((frozen.tables() / "releases.yml").read_text("utf-8"))
SECTION = "## v0.9.0\n\nProjects are rounder.\n"
CHANGELOG = f"# Changelog\n\nAll of it.\n\n{SECTION}\n## v0.2.0\n\nThe second one.\n"


def release(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, folder / ".github" / "scripts" / "release.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This repository, with a release behind it and one ahead."""
    folder = copy_template(tmp_path_factory.mktemp("base") / "repository")
    shutil.copytree(
        ROOT / ".github", folder / ".github", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / ".gitignore", folder)
    for name in ("README.md", "pyproject.toml", "uv.lock"):
        text = (ROOT / name).read_text("utf-8")
        of_ours = r'(?m)(?<=^name = "torch-uv-template"\nversion = ")[^"]+'
        (folder / name).write_text(re.sub(of_ours, "0.2.0", text), "utf-8")
    (folder / "CHANGELOG.md").write_text(CHANGELOG, "utf-8")
    commit = git(committed(folder, "Be version 0.2.0"), "rev-parse", "--short=10", "HEAD")
    git(folder, "tag", "v0.2.0")
    edit(folder, "CHANGELOG.md", "## v0.2.0", f"## v0.2.0 ({commit})")
    edit(folder, "extensions/releases.yml", "torch: 2.14.1", "torch: 2.14.2")
    edit(folder, "extensions/backends.yml", "not_offered:\n", "not_offered:\n  cu999: no\n")
    done = subprocess.run([sys.executable, folder / ".github/scripts/readme.py"], check=False)
    assert done.returncode == 0
    git(committed(folder, "Work"), "branch", "--move", "main")
    return folder


@pytest.fixture
def repository(base: Path, tmp_path: Path) -> Path:
    return shutil.copytree(base, tmp_path / "repository")


def edit(folder: Path, name: str, before: str, after: str) -> None:
    file = folder / name
    text = file.read_text("utf-8")
    assert before in text
    file.write_text(text.replace(before, after, 1), "utf-8")


def state(folder: Path) -> tuple[str, ...]:
    asked = (("rev-parse", "HEAD"), ("tag",), ("status", "--porcelain"), ("diff",))
    return tuple(git(folder, *arguments) for arguments in asked)


def test_what_was_released_agrees() -> None:
    done = release(ROOT, "--check")
    assert done.returncode == 0, done.stdout


def test_one_command_makes_it(repository: Path) -> None:
    remote = repository.parent / "remote.git"
    git(repository, "clone", "--quiet", "--bare", str(repository), str(remote))
    git(repository, "remote", "add", "origin", str(remote))
    done = release(repository, "0.9.0")
    assert done.returncode == 0, done.stderr
    assert "git push --follow-tags" in done.stdout
    assert git(repository, "status", "--porcelain") == ""
    commit = git(repository, "rev-parse", "v0.9.0^{commit}")
    assert released(repository) == {
        "v0.9.0": commit[:10],
        "v0.2.0": git(repository, "rev-parse", "v0.2.0")[:10],
    }
    top = (repository / "CHANGELOG.md").read_text("utf-8").split("\n## v0.2.0")[0]
    assert top.split("## v0.9.0")[1] == (
        f" ({date.today()}, {commit[:10]})\n\nProjects are rounder.\n\n"
        "What the tables say anew:\n\n- torch 2.14: 2.14.2 (was 2.14.1).\n"
        "- Refused with a reason: cu999.\n"
    )
    # The tagged commit has the day, and the version wherever it stands.
    assert f"## v0.9.0 ({date.today()})\n" in git(repository, "show", "v0.9.0:CHANGELOG.md")
    changed = git(repository, "diff", "--name-only", "v0.9.0^", "v0.9.0").splitlines()
    assert changed == ["CHANGELOG.md", "pyproject.toml", "uv.lock"]
    assert release(repository, "--check").returncode == 0
    lock = [UV, "lock", "--check", "--offline"]
    assert subprocess.run(lock, cwd=repository, check=False, capture_output=True).returncode == 0
    # Nothing was pushed.
    assert git(remote, "tag") == "v0.2.0" and git(remote, "rev-parse", "main") != commit

    # And then they disagree again, each in its own way.
    git(repository, "tag", "--force", "v0.9.0", "HEAD")
    assert "v0.9.0 is not the commit" in release(repository, "--check").stdout
    edit(repository, "uv.lock", '"0.9.0"', '"0.8.0"')
    edit(repository, "CHANGELOG.md", "## v0.9.0 (", "## v0.9.1 (")
    said = release(repository, "--check").stdout
    assert "uv.lock has version 0.8.0, and pyproject.toml 0.9.0" in said
    assert "CHANGELOG.md has v0.9.1 as released last" in said


def in_changelog(before: str, after: str) -> Callable[[Path], object]:
    def arrange(folder: Path) -> None:
        edit(folder, "CHANGELOG.md", before, after)
        committed(folder, "Changelog")

    return arrange


@pytest.mark.parametrize(
    ("version", "arrange", "reason"),
    [
        ("0.9", lambda f: None, "'0.9' is no version of a release, such as 1.2.3. Nearest: 0.2.1"),
        ("v0.9.0", lambda f: None, "Nearest: 0.2.1"),
        ("0.9.0rc1", lambda f: None, "is no version of a release"),
        ("soon", lambda f: None, "'soon' is no version"),
        ("0.2.0", lambda f: None, "0.2.0 is not newer than 0.2.0"),
        ("0.1.9", lambda f: None, "is not newer than 0.2.0"),
        ("0.8.0", lambda f: None, "begins with v0.9.0. Nearest: a section `## v0.8.0` on top"),
        ("0.9.0", lambda f: (f / "new").touch(), "not everything is committed: new"),
        ("0.9.0", lambda f: (f / "a new").touch(), 'not everything is committed: "a new"'),
        ("0.9.0", lambda f: git(f, "tag", "v0.9.0"), "there is a tag v0.9.0 already"),
        ("0.9.0", lambda f: git(f, "tag", "v0.10.0"), "v0.10.0 is newer than 0.9.0"),
        ("0.9.0", lambda f: git(f, "switch", "--detach", "--quiet"), "Nearest: git switch main"),
        ("0.9.0", in_changelog("Projects are rounder.\n", ""), "says nothing of v0.9.0"),
        ("0.9.0", in_changelog(SECTION, ""), "begins with v0.2.0"),
        ("0.9.0", in_changelog("v0.9.0\n", "v0.9.0 (2026-01-01)\n"), "was released (2026-01-01)"),
        ("0.9.0", lambda f: git(f, "rm", "-q", "--cached", "README.md"), "not everything is"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_happens(
    repository: Path, version: str, arrange: Callable[[Path], object], reason: str
) -> None:
    arrange(repository)
    before = state(repository)
    done = release(repository, version)
    assert done.returncode == 1 and done.stdout == ""
    assert reason in done.stderr and "Traceback" not in done.stderr
    assert state(repository) == before


def test_a_readme_that_is_not_as_the_tables_are_comes_first(repository: Path) -> None:
    edit(repository, "extensions/releases.yml", "torch: 2.14.2", "torch: 2.14.3")
    committed(repository, "Patch")
    done = release(repository, "0.9.0")
    assert "uv run .github/scripts/readme.py" in done.stderr
    assert git(repository, "tag") == "v0.2.0"


@pytest.mark.parametrize("which", ["1", "2"])
def test_a_release_that_stops_halfway_leaves_nothing(repository: Path, which: str) -> None:
    hook = repository / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    # It fails for the first commit, or for the second.
    hook.write_text(
        f"#!/bin/sh\necho x >> ../count\n[ $(wc -l < ../count) -lt {which} ]\n", "utf-8"
    )
    hook.chmod(0o755)
    before = state(repository)
    done = release(repository, "0.9.0")
    assert done.returncode == 1 and "git commit" in done.stderr
    assert state(repository) == before


# What changed in the tables


def block(tables: dict[str, Any], line: str) -> dict[str, Any]:
    return next(b for b in tables["releases"] if b["line"] == line)


@pytest.mark.parametrize(
    ("line", "change", "said"),
    [
        ("2.14", lambda b: b.update(torch="2.14.2"), "2.14.2 (was 2.14.1)"),
        ("2.14", lambda b: b["indexes"].pop("cu126"), "gone: cu126"),
        ("2.14", lambda b: b["indexes"].update(cu999={"linux-x86_64": "high"}), "new: cu999"),
        ("2.15", lambda b: b["indexes"]["cu132"].update({"linux-x86_64": "high"}),
         "seen now: cu132"),
        ("2.14", lambda b: b["indexes"]["cu130"].pop("windows-amd64"),
         "cu130 has no wheels any more for Windows"),
        ("2.13", lambda b: b["indexes"]["cu129"].update({"windows-amd64": "high"}),
         "cu129 has wheels for Windows"),
        ("2.14", lambda b: b["companions"]["torchvision"].update(version="0.29.3"),
         "torchvision 0.29.3 (was 0.29.1)"),
        ("2.14", lambda b: b["companions"].update(torchnew={"version": "1.0"}),
         "torchnew 1.0 is new"),
        ("2.14", lambda b: b["companions"].pop("torchaudio"), "torchaudio is gone"),
        ("2.14", lambda b: b["python"].update(last="3.15"), "Python 3.10 – 3.15 (was 3.10 – 3.14)"),
        ("2.14", lambda b: b["pypi"].update({"linux-x86_64": "cu132"}),
         "PyPI's build for Linux x86-64 is cu132 (was cu130)"),
    ],
)  # fmt: skip
def test_a_change_of_a_line_is_said_in_words(
    line: str, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    new = copy.deepcopy(TABLES)
    change(block(new, line))
    assert changes(TABLES, new) == [f"torch {line}: {said}."]


def test_lines_come_and_go_and_the_default_moves() -> None:
    without = copy.deepcopy(TABLES)
    without["releases"] = [b for b in TABLES["releases"] if b["line"] != "2.14"]
    came = changes(without, TABLES)
    assert came[0] == "New projects get torch 2.14, so far 2.13."
    assert came[1].startswith("torch 2.14 is new (2.14.1), with cpu, cu126, cu130,")
    assert "xpu (not verified)" in came[1]
    assert changes(TABLES, without)[-1] == "torch 2.14 is gone."
    faults = {"faults": [{"name": "CVE-1"}]}
    assert changes_beside({}, faults) == ["Known faults: CVE-1."]
    assert changes_beside(faults, {**faults, "drivers": {"cu14": {"linux": "600"}}}) == [
        "Drivers for cu14: 600 on linux."
    ]


def test_the_default_line_is_that_of_the_tables() -> None:
    from tests.support.cells import TABLES as loaded

    assert default_line(TABLES) == loaded.default_line()


@settings(max_examples=60)
@given(st.data())
def test_only_what_changed_is_said(data: st.DataObject) -> None:
    new = copy.deepcopy(TABLES)
    lines = [b["line"] for b in TABLES["releases"]]
    moved = data.draw(st.sets(st.sampled_from(lines)))
    for line in moved:
        block(new, line)["torch"] = f"{line}.77"
    said = changes(TABLES, new)
    assert len(said) == len(moved)
    assert all(f"torch {line}: {line}.77 (was " in " ".join(said) for line in moved)
