"""Drift: what projects have lost of what was rendered for them, one by one and as a fleet."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from extensions.drift import Templates, own_sources
from extensions.questions.contract import VALUES
from tests.conftest import ROOT, THIS_PYTHON
from tests.support.edits import (
    EDITS,
    dev_packages,
    fewer_packages,
    five_packages,
    own_modules,
    own_sections,
)
from tests.support.git import git, tagged_template
from tests.support.project import Project, copied

SCRIPT = ROOT / "extensions" / "drift.py"


@pytest.fixture(scope="module")
def template_with_releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tagged_template(tmp_path_factory.mktemp("drift") / "template")
    (folder / "template" / "NOTES.md").write_text("Notes\n", "utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "More")
    git(folder, "tag", "v1.1.0")
    return folder


def rendered(template: Path, folder: Path, version: str = "v1.0.0", **answers: Any) -> Project:
    answers.setdefault("python_version", THIS_PYTHON)
    return copied(template, folder, answers, vcs_ref=version)


def drift(*projects: Project, json_too: bool = True, trust: str = "") -> tuple[int, Any]:
    command = [sys.executable, SCRIPT, *(project.path for project in projects)]
    command += ["--trust", trust or projects[0].answers["_src_path"]]
    command += ["--json"] if json_too else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout) if json_too else done.stdout


def test_a_project_as_rendered_and_what_its_owner_added_is_no_drift(
    template_with_releases: Path, tmp_path: Path
) -> None:
    project = rendered(template_with_releases, tmp_path / "project", strategy="index")
    for edit in (five_packages, dev_packages, fewer_packages, own_sections, own_modules):
        edit(project)
    pyproject = project.path / "pyproject.toml"
    text = pyproject.read_text("utf-8").replace('version = "0.1.0"', 'version = "1.2.0"')
    pyproject.write_text(text, "utf-8")
    code, [found] = drift(project)
    assert code == 0
    assert (found["missing"], found["extra"], found["changed"]) == ([], [], {})
    assert (found["version"], found["behind"]) == ("v1.0.0", 1)
    assert (found["strategy"], found["line"]) == ("index", "2.14")
    assert drift(project, json_too=False)[1].endswith("as rendered by v1.0.0.\n")


def test_lost_changed_and_extra_files_are_drift_unless_the_project_owns_them(
    template_with_releases: Path, tmp_path: Path
) -> None:
    project = rendered(template_with_releases, tmp_path / "project")
    (project.path / "scripts" / "check_lock.py").unlink()
    (project.path / "Dockerfile").write_text("FROM scratch\n", "utf-8")
    pyproject = project.path / "pyproject.toml"
    pyproject.write_text(project.text("pyproject.toml").replace("explicit = true\n", ""), "utf-8")
    document = project.path / "docs" / "pytorch.md"
    document.write_text(document.read_text("utf-8").replace("## Install\n", ""), "utf-8")
    code, [found] = drift(project)
    assert code == 1
    assert found["missing"] == ["scripts/check_lock.py"]
    assert found["extra"] == ["Dockerfile"]
    assert found["changed"] == {"docs/pytorch.md": 1}
    assert found["parts"] == ["tool.uv.index"]
    said = drift(project, json_too=False)[1]
    assert "docs/pytorch.md: 1 rendered lines gone" in said
    assert "pyproject.toml: tool.uv.index is not as the answers say" in said
    own = """
[tool.torch-uv-template]
own = ["scripts/*", "Docker*", "pyproject.toml", "docs/*"]
"""
    pyproject.write_text(project.text("pyproject.toml") + own, "utf-8")
    assert drift(project)[0] == 0


def test_nothing_of_the_owner_s_drifts(template_with_releases: Path, tmp_path: Path) -> None:
    project = rendered(template_with_releases, tmp_path / "project", strategy="extras")
    for edit in EDITS:
        edit(project)
    for name in ("LICENSE", "README.md", ".gitignore"):
        (project.path / name).unlink()
    shutil.rmtree(project.path / "src")
    shutil.rmtree(project.path / "tests")
    code, [found] = drift(project)
    assert code == 0, found


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("torch>=2.14,<2.15", "torch>=2.13", "project.optional-dependencies.cpu"),
        ('{ extra = "cpu" }', '{ extra = "dev" }', "tool.uv.conflicts"),
        ("whl/cpu", "whl/nightly/cpu", "tool.uv.index"),
        ('index = "pytorch-cpu"', 'index = "other"', "tool.uv.sources.torch"),
    ],
)
def test_a_part_that_is_not_as_the_answers_say_is_named(
    template_with_releases: Path, tmp_path: Path, old: str, new: str, part: str
) -> None:
    project = rendered(template_with_releases, tmp_path / "project", strategy="extras")
    pyproject = project.path / "pyproject.toml"
    text = pyproject.read_text("utf-8")
    assert old in text
    pyproject.write_text(text.replace(old, new, 1), "utf-8")
    code, [found] = drift(project)
    assert code == 1 and part in found["parts"]
    assert not found["changed"] and not found["missing"]


def test_files_that_name_the_template_are_no_drift(
    template_with_releases: Path, tmp_path: Path
) -> None:
    accepted = [
        {"ci": ci, "template_updates": updates}
        for ci, updates in product(VALUES["ci"], VALUES["template_updates"])
        if updates != "workflow" or ci == "github"
    ]
    fleet = [
        rendered(template_with_releases, tmp_path / f"p{number}", **answers)
        for number, answers in enumerate(accepted)
    ]
    code, found = drift(*fleet)
    assert code == 0, found
    naming = [
        file
        for project in fleet
        for file in project.files
        if file.name != ".copier-answers.yml"
        and str(template_with_releases) in file.read_text("utf-8")
    ]
    assert {file.name for file in naming} == {"template.yml", ".gitlab-ci.yml"}
    # The address of another template is drift.
    for file in naming:
        text = file.read_text("utf-8").replace(str(template_with_releases), "/srv/t")
        file.write_text(text, "utf-8")
    code, found = drift(*fleet)
    assert code == 1
    assert sum(len(project["changed"]) for project in found) == len(naming)


BAD = [
    (".copier-answers.yml", b"a: [b", "cannot be read (expected ',' or ']'"),
    (".copier-answers.yml", b"\xff\xfe", "cannot be read ('utf-8' codec"),
    (".copier-answers.yml", b"- a\n", "holds no names with answers"),
    (".copier-answers.yml", b"text\n", "holds no names with answers"),
    (".copier-answers.yml", b"_src_path: 3\n_commit: v1.0.0\n", "no template and version"),
    (".copier-answers.yml", b"_src_path: SOURCE\n_commit: v%s\n" % (b"1" * 300), "name too long"),
    (".copier-answers.yml", b'_src_path: "/\\n\\e[31m"\n_commit: v1\n', "is not trusted"),
    ("pyproject.toml", b"\xff\xfe", "cannot be read: 'utf-8' codec"),
    ("pyproject.toml", b"[tool]\ntorch-uv-template = 3\n", 'own = [".github/*"]'),
    ("pyproject.toml", b'tool = ["README.md"]\n', 'own = [".github/*"]'),
    ("pyproject.toml", b'[tool.torch-uv-template]\nown = "*"\n', 'own = [".github/*"]'),
    ("pyproject.toml", b"[tool.torch-uv-template]\nown = [3]\n", 'own = [".github/*"]'),
]


def test_a_project_that_cannot_be_compared_costs_one_line(
    template_with_releases: Path, tmp_path: Path
) -> None:
    good = rendered(template_with_releases, tmp_path / "good")
    fleet = [good]
    for number, (name, content, _) in enumerate(BAD):
        shutil.copytree(good.path, tmp_path / f"bad{number}")
        content = content.replace(b"SOURCE", str(template_with_releases).encode())
        (tmp_path / f"bad{number}" / name).write_bytes(content)
        fleet.append(Project(tmp_path / f"bad{number}"))
    # Few projects are compared one after the other, many side by side.
    for some in (fleet[:3], fleet):
        code, text = drift(*some, json_too=False)
        assert code == 2
        _, row, *rows = text.splitlines()
        assert row.split()[-1] == "0"
        assert len(rows) == len(some) - 1
        for (_, _, reason), told in zip(BAD, rows, strict=False):
            assert reason in told and told.isprintable()


def test_a_fleet_is_one_table(template_with_releases: Path, tmp_path: Path) -> None:
    fleet = [rendered(template_with_releases, tmp_path / f"p{n}") for n in range(8)]
    fleet.append(rendered(template_with_releases, tmp_path / "new", version="v1.1.0"))
    (fleet[3].path / "docs" / "pytorch.md").unlink()
    stranger = Project(tmp_path / "stranger")
    stranger.path.mkdir()
    code, text = drift(*fleet, stranger, json_too=False)
    assert code == 2
    head, *rows = text.splitlines()
    assert head.split() == ["project", "version", "behind", "strategy", "torch", "drifted", "files"]
    assert rows[0].split() == [str(fleet[0].path), "v1.0.0", "1", "groups", "2.14", "0"]
    assert rows[3].split()[-1] == "1"
    assert rows[8].split()[1:3] == ["v1.1.0", "0"]
    assert rows[9].endswith("it has no .copier-answers.yml")


def test_a_project_of_an_unknown_version_says_so(
    template_with_releases: Path, tmp_path: Path
) -> None:
    project = rendered(template_with_releases, tmp_path / "project")
    answers = project.path / ".copier-answers.yml"
    answers.write_text(answers.read_text("utf-8").replace("v1.0.0", "v0.0.9"), "utf-8")
    code, [found] = drift(project)
    assert code == 2
    assert "v0.0.9" in found["problem"]


@pytest.mark.parametrize(
    ("trusted", "source", "expected"),
    [
        ("https://github.com/org/t.git", "https://github.com/org/t.git", True),
        ("git@github.com:org/t.git", "https://github.com/org/t.git", True),
        ("ssh://git@github.com/org/t", "https://github.com/org/t.git", True),
        ("https://github.com/org/", "https://github.com/org/t.git", True),
        ("https://github.com/org/", "https://github.com/org/../evil/t.git", False),
        ("https://github.com/org", "https://github.com/org/t.git", False),
        ("https://github.com/org/", "https://github.com/organ/t.git", False),
        ("https://github.com/org/t.git", "https://evil.example/org/t.git", False),
        ("https://github.com/", "https://github.com/org/t.git", True),
        ("git@github.com:org/", "https://github.com/org/sub/t", True),
        ("https://token@github.com/org/t", "https://github.com/org/t.git", True),
        ("https://git.sr.ht/~ada/t", "git@git.sr.ht:~ada/t", True),
        ("https://github.com/org/t.git", "http://github.com/org/t.git", False),
        ("https://github.com/org/t.git", "https://github.com:8443/org/t.git", False),
        ("https://github.com/org/t.git", "github.com/org/t.git", False),
        ("https://github.com/org/t.git", "github.com/org/t", False),
        ("https://github.com/org/t.git", "http://evil.example:1?@github.com/org/t.git", False),
        ("https://github.com/org/t.git", "https://evil.example?@github.com/org/t.git", False),
        ("https://github.com/org/t.git", "https://evil.example#@github.com/org/t.git", False),
        ("https://github.com/org/t.git", "https://github.com@evil.example/org/t.git", False),
        ("https://github.com/org/t.git", "https://evil.example\\@github.com/org/t.git", False),
        ("https://github.com/org/t.git", "https:\\\\github.com/org/t.git", False),
        ("https://github.com/org/t.git", "https://github.com/org/t.git\n", False),
        ("https://github.com/org/t.git", "evil@x:y@github.com:org/t.git", False),
        ("https://github.com/org/t.git", "ext::sh -c x", False),
        ("https://github.com/org/t.git", "ext::sh -c x@github.com:org/t.git", False),
        ("https://github.com/org/t.git", "--upload-pack=x", False),
        ("https://github.com/org/t.git", "", False),
        ("https://github.com/org/", "https://github.com/org/%2e%2e/evil/t.git", False),
        ("https://github.com/org/", "https://github.com/org/t?@evil.example/t", False),
        ("https://github.com/org/", "http://github.com/org/t.git", False),
        ("https://github.com/", "https://github.com@evil.example/org/t.git", False),
        # A path of ssh may begin in the home of its user.
        ("ada@host:t.git", "ada@host:t.git", True),
        ("ada@host:t.git", "eve@host:t.git", False),
        ("http://127.0.0.1:8417/t.git", "http://127.0.0.1:8417/t.git", True),
        ("http://127.0.0.1:8417/", "http://127.0.0.1:8417/t.git", True),
        ("http://127.0.0.1:8417/", "http://127.0.0.1:8417/t.git?x", False),
        ("http://127.0.0.1:8417/t.git", "https://127.0.0.1:8417/t.git", False),
        ("file:///srv/", "file:///srv/../evil", False),
        ("file:///srv/", "file:///srv/%2e%2e/evil", False),
        ("/srv/t", "/srv/t", True),
        ("/srv/t", "/srv/t2", False),
        ("/srv/", "/srv/t", True),
        ("/srv/", "/srv/../evil", False),
        ("/srv/", "/srv/.", False),
        ("/srv/", "/srv/a b", False),
    ],
)
def test_a_template_is_trusted_by_its_address(trusted: str, source: str, expected: bool) -> None:
    assert Templates(Path(), [trusted]).trusts(source) is expected


def test_a_checkout_trusts_where_it_was_cloned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it was typed, which is what projects record: CI likes to put tokens into addresses."""
    address = "https://github.com/org/t.git"
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "remote", "add", "origin", address)
    git(tmp_path, "config", "url.https://x:token@github.com/.insteadOf", "https://github.com/")
    monkeypatch.setattr("extensions.drift.ROOT", tmp_path)
    assert own_sources() == [str(tmp_path), address, "https://x:token@github.com/org/t.git"]


def test_the_code_of_a_template_that_is_not_trusted_does_not_run(
    template_with_releases: Path, tmp_path: Path
) -> None:
    """The answers file of a project must not choose whose code runs."""
    project = rendered(template_with_releases, tmp_path / "project")
    code, [found] = drift(project, trust="https://github.com/org/")
    assert code == 2
    assert "is not trusted; --trust" in found["problem"]
