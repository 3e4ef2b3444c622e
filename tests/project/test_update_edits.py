"""`copier update` from every release: what is its owner's stays byte for byte, PyTorch's parts of
`pyproject.toml` are those of a fresh render, and the template's files merge as if the edits had
been made after the update, or are in conflicts that are counted."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from copier import run_update
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.version import Version

from extensions.project.conflicts import conflicts
from extensions.project.readme import LINK, MOVED
from tests.conftest import ROOT, THIS_PYTHON
from tests.project.test_editor import choices_of, parts, rest
from tests.pytorch_index import PyTorchIndex
from tests.support.edits import (
    EDITS,
    Edit,
    five_packages,
    own_comments,
    own_conflicts,
    own_description,
    own_extra,
    own_formatting,
    own_group,
    own_ignores,
    own_index,
    own_modules,
    own_rule,
    own_sections,
    own_source,
    own_table,
)
from tests.support.git import committed
from tests.support.project import Project, copied
from tests.support.releases import NEWEST, released, tagged_clone

COPIER = Path(sys.executable).with_name("copier")
# Answers before an update, and those that it changes.
MOVES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "pypi": ({"strategy": "pypi"}, {}),
    "index": ({"strategy": "index", "backend": "cu126"}, {"backend": "cu130"}),
    "markers": (
        {"strategy": "markers", "linux_backend": "cu126", "windows_backend": "cpu"},
        {"linux_backend": "rocm7.2"},
    ),
    "extras": (
        {"strategy": "extras", "backends": ["cpu", "cu126"]},
        {"backends": ["cpu", "cu126", "cu130"]},
    ),
    "groups": (
        {"strategy": "groups", "backends": ["cpu", "cu126"], "default_backend": "cpu"},
        {"backends": ["cpu", "cu130"], "default_backend": "cu130"},
    ),
    "pip": ({"strategy": "pip", "backend": "cu126"}, {"backend": "cu130"}),
    "provided": ({"strategy": "provided"}, {}),
}
STRATEGIES = sorted(MOVES)
# Answers whose defaults follow others that an update may change.
FOLLOWING = ("aarch64_backend", "base_image")
VERSIONS = [*released(), NEWEST]
OLDEST = list(released())[-1]
# The first versions of strategies that came later than the others.
SINCE = {"provided": Version("0.3")}


def has(version: str, strategy: str) -> bool:
    return Version(version) >= SINCE.get(strategy, Version("0"))


REST = st.fixed_dictionaries(
    {},
    optional={
        "example": st.sampled_from(["none", "training"]),
        "ci": st.sampled_from(["github", "gitlab"]),
        "containers": st.sampled_from([[], ["docker", "devcontainer"]]),
        "type_checker": st.sampled_from(["ty", "mypy", "none"]),
        "license": st.sampled_from(["MIT", "proprietary"]),
    },
)
PACKAGES = [[], ["torchvision"], ["torchvision", "torchaudio"]]


@pytest.fixture(scope="module")
def template_with_releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tagged_clone(tmp_path_factory.mktemp("updates") / "template")


# The files of the owner's, beside src and tests.
OWNERS = {
    *("README.md", "LICENSE", ".editorconfig", ".gitattributes", ".gitignore", ".python-version"),
    *(".vscode/extensions.json", ".vscode/settings.json"),
}


def is_owners(name: str) -> bool:
    return name in OWNERS or name.startswith(("src/", "tests/"))


def texts(project: Project) -> dict[str, str]:
    return {
        path.relative_to(project.path).as_posix(): path.read_bytes().decode("utf-8")
        for path in project.files
        if ".git" not in path.relative_to(project.path).parts[:1]
    }


@dataclass
class Update:
    """A project as its owner left it, as it was rendered before that, and after an update; and a
    fresh render of the answers after, with the same edits and without."""

    version: str
    rendered: dict[str, str]
    before: dict[str, str]
    project: Project
    fresh: Project
    unedited: dict[str, str]
    answers: dict[str, Any]

    def check(self) -> None:
        after = texts(self.project)
        self._owners_files(after)
        self._readme(after)
        self._pyproject(after)
        self._templates_files(after)

    def _owners_files(self, after: dict[str, str]) -> None:
        for name in filter(is_owners, {*self.before, *after} - {"README.md"}):
            if name in self.before:
                assert after.get(name) == self.before[name], name
            else:
                # What an answer asks for and none before it did comes once.
                assert after[name] == texts(self.fresh)[name], name

    def _readme(self, after: dict[str, str]) -> None:
        if self.version not in released():
            assert after["README.md"] == self.before["README.md"]
            return
        gone = without(after["README.md"], self.before["README.md"])
        assert set(gone) <= set(self.rendered["README.md"].splitlines())
        new = without(self.before["README.md"], after["README.md"])
        assert set(new) <= set(LINK.splitlines()) and new
        for heading in MOVED:
            assert f"\n## {heading}\n" not in after["README.md"], heading

    def _pyproject(self, after: dict[str, str]) -> None:
        text = after["pyproject.toml"]
        one, other, wanted = (
            tomllib.loads(t)
            for t in (self.before["pyproject.toml"], text, self.fresh.text("pyproject.toml"))
        )
        choices = choices_of(self.answers, self.project.answers)
        assert parts(other, choices) == parts(wanted, choices)
        assert rest(other, choices) == rest(one, choices)
        own = without(self.rendered["pyproject.toml"], self.before["pyproject.toml"])
        lost = without(text, "\n".join(own))
        # Layouts of the owner's, around requirements of the template's.
        ours = re.compile(r'dependencies   = |\s*"(torch|triton|pytorch-triton)')
        assert [line for line in lost if not ours.match(line)] == []

    def _templates_files(self, after: dict[str, str]) -> None:
        fresh, in_conflict = texts(self.fresh), conflicts(self.project.path)
        assert not {"pyproject.toml", "README.md"} & set(in_conflict)
        for name in {*after, *fresh} - {"pyproject.toml"}:
            if name in in_conflict:
                # What is to be resolved holds every line of the owner's.
                own = without(self.rendered[name], self.before[name])
                assert without(after[name], "\n".join(own)) == [], name
            elif not is_owners(name):
                # A file that comes with the update has none of the edits.
                wanted = fresh if name in self.before else self.unedited
                assert after.get(name) == wanted.get(name), name
        assert f"_commit: {NEWEST}\n" in after[".copier-answers.yml"]


def without(text: str, other: str) -> list[str]:
    """The lines of the other text that a text has not, or has less often."""
    left = text.splitlines()
    found = []
    for line in other.splitlines():
        if line in left:
            left.remove(line)
        elif line.strip():
            found.append(line)
    return found


def edited_and_updated(
    template: Path,
    folder: Path,
    version: str,
    edits: Sequence[Edit],
    before: dict[str, Any],
    changed: dict[str, Any],
) -> Update:
    before = {"python_version": THIS_PYTHON, **before}
    start = edited(template, version, edits, before)
    # What was recorded stays, unless the update says so.
    recorded = {k: v for k, v in start.project.answers.items() if k in FOLLOWING}
    fresh = edited(template, NEWEST, edits, {**recorded, **before, **changed})
    project = Project(folder / "project")
    shutil.copytree(start.project.path, project.path)
    run_update(project.path, changed, defaults=True, overwrite=True, unsafe=True, quiet=True)
    answers = dict(start.project.answers)
    return Update(
        version, start.rendered, start.edited, project, fresh.project, fresh.rendered, answers
    )


@dataclass
class Edited:
    """A project that its owner edited and committed; its files as rendered, and after the edits."""

    project: Project
    rendered: dict[str, str]
    edited: dict[str, str]


STARTS: dict[str, Edited] = {}


def edited(template: Path, version: str, edits: Sequence[Edit], answers: dict[str, Any]) -> Edited:
    """Made once for all updates that begin or end with it."""
    key = repr((template, version, [edit.__name__ for edit in edits], sorted(answers.items())))
    if key not in STARTS:
        folder = template.parent / str(len(STARTS)) / "project"
        project = copied(template, folder, answers, vcs_ref=version)
        rendered = texts(project)
        for edit in edits:
            edit(project)
        committed(project.path)
        STARTS[key] = Edited(project, rendered, texts(project))
    return STARTS[key]


def test_every_release_is_in_the_history() -> None:
    assert released()
    for version, commit in released().items():
        done = subprocess.run(
            ["git", "merge-base", "--is-ancestor", commit, "HEAD"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{version}: {commit} is not in the history; {done.stderr}"


@pytest.mark.parametrize(
    ("version", "strategy"), [x for x in itertools.product(VERSIONS, STRATEGIES) if has(*x)]
)
def test_all_edits_outlive_an_update(
    template_with_releases: Path, tmp_path: Path, version: str, strategy: str
) -> None:
    before, changed = MOVES[strategy]
    edited_and_updated(
        template_with_releases,
        tmp_path,
        version,
        EDITS,
        {"torch_version": "2.13", **before},
        {"torch_version": "2.14", "packages": ["torchvision", "torchaudio"], **changed},
    ).check()


# Each strategy from one release or the other; in a longer run, from all of them.
UNEDITED = (
    itertools.product(released(), STRATEGIES)
    if "UPDATE_EXAMPLES" in os.environ
    else zip(itertools.cycle(released()), filter(partial(has, OLDEST), STRATEGIES), strict=False)
)


@pytest.mark.parametrize(("version", "strategy"), [x for x in UNEDITED if has(*x)])
def test_without_an_edit_pyproject_is_that_of_a_fresh_render(
    template_with_releases: Path, tmp_path: Path, version: str, strategy: str
) -> None:
    """Its comments, too: but for order and blank lines, nothing is left of the old one."""
    before, _ = MOVES[strategy]
    update = edited_and_updated(template_with_releases, tmp_path, version, [], before, {})
    update.check()
    texts = [project.text("pyproject.toml") for project in (update.project, update.fresh)]
    # Which uv a project wants, and what builds it, is its owner's.
    owners = re.compile(r"required-version = |requires = \[\"uv_build")
    lines = [sorted(x for x in t.split("\n") if x and not owners.match(x)) for t in texts]
    assert lines[0] == lines[1]


@settings(
    max_examples=int(os.environ.get("UPDATE_EXAMPLES", "8")),
    # The few that each commit is tested with are always the same; a longer run draws anew.
    derandomize="UPDATE_EXAMPLES" not in os.environ,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from(VERSIONS),
    st.sampled_from(STRATEGIES),
    st.sampled_from(STRATEGIES),
    st.lists(st.sampled_from(EDITS), unique=True, min_size=1),
    st.sampled_from(["2.11", "2.12", "2.13"]),
    st.booleans(),
    st.sampled_from(PACKAGES),
    REST,
    REST,
)
def test_any_edits_outlive_any_change_of_answers(
    template_with_releases: Path,
    version: str,
    one: str,
    other: str,
    edits: list[Edit],
    line: str,
    moves: bool,
    packages: list[str],
    rest_before: dict[str, Any],
    rest_after: dict[str, Any],
) -> None:
    before, changed = MOVES[one]
    version = version if has(version, one) else NEWEST
    if one != other:
        changed = MOVES[other][0]
    base = Path(tempfile.mkdtemp())
    try:
        edited_and_updated(
            template_with_releases,
            base,
            version,
            # Comments and layouts last: other edits look for lines as they were rendered.
            sorted(edits, key=EDITS.index),
            {"torch_version": line, "packages": packages, **before, **rest_before},
            {"torch_version": "2.14", **({**changed, **rest_after} if moves else {})},
        ).check()
    finally:
        shutil.rmtree(base)


IN_PYPROJECT = (
    *(five_packages, own_description, own_rule, own_extra, own_group, own_conflicts, own_index),
    *(own_source, own_table, own_comments, own_formatting),
)


# `test_editor` goes from any plan to any other in no time. Through Copier, each strategy is left
# and reached once with each commit, and a longer run makes every change.
CHANGES = (
    list(itertools.permutations(STRATEGIES, 2))
    if "UPDATE_EXAMPLES" in os.environ
    else [
        (one, STRATEGIES[(number + 3) % len(STRATEGIES)]) for number, one in enumerate(STRATEGIES)
    ]
)


@pytest.mark.parametrize(("one", "other"), CHANGES)
def test_a_change_of_strategy_leaves_no_remains(
    template_with_releases: Path, tmp_path: Path, one: str, other: str
) -> None:
    edits = (own_sections, own_modules, own_ignores, *IN_PYPROJECT)
    before = {"torch_version": "2.14", **MOVES[one][0]}
    version = OLDEST if has(OLDEST, one) else NEWEST
    edited_and_updated(
        template_with_releases, tmp_path, version, edits, before, MOVES[other][0]
    ).check()


def own_tools(project: Project) -> None:
    """Extras that exclude each other and a group, of packages that the recorded index has."""
    for kind, name in (("optional", "one"), ("optional", "other"), ("group", "docs")):
        project.uv("add", "--frozen", f"--{kind}", name, "tqdm>=4.70")
    text = project.text("pyproject.toml")
    entry = '[{ extra = "one" }, { extra = "other" }],'
    known = "\nconflicts = [\n"
    if known in text:
        text = text.replace(known, f"{known}    {entry}\n")
    else:
        text = text.replace("[tool.uv]\n", f"[tool.uv]\nconflicts = [\n    {entry}\n]\n")
    (project.path / "pyproject.toml").write_text(text, "utf-8")


@pytest.mark.parametrize(
    ("one", "other"),
    [("groups", "extras"), ("extras", "markers"), ("index", "groups"), ("provided", "extras")],
)
def test_what_changed_its_strategy_can_be_locked(
    template_with_releases: Path, tmp_path: Path, index: PyTorchIndex, one: str, other: str
) -> None:
    edits = (own_description, own_rule, own_comments, own_table, own_tools)
    before = {"torch_version": "2.13", **MOVES[one][0]}
    update = edited_and_updated(
        template_with_releases, tmp_path, NEWEST, edits, before, MOVES[other][0]
    )
    update.check()
    update.project.redirect(index.url)
    update.project.environment = {"UV_DEFAULT_INDEX": index.pypi_url}
    assert {p["name"] for p in update.project.lock()["package"]} >= {"torch", "ruff", "tqdm"}


@pytest.mark.parametrize("version", released())
def test_a_section_of_an_old_readme_that_was_edited_stays_and_is_named(
    template_with_releases: Path, tmp_path: Path, capfd, version: str
) -> None:
    project = copied(template_with_releases, tmp_path / "project", {}, vcs_ref=version)
    readme = project.path / "README.md"
    text = project.text("README.md").replace(
        "\n## Not supported\n\n", "\n## Not supported\n\nAnd not on my laptop.\n\n"
    )
    readme.write_text(text, "utf-8")
    committed(project.path)
    run_update(project.path, defaults=True, overwrite=True, unsafe=True)
    after = project.text("README.md")
    assert "And not on my laptop." in after and "\n## Upgrade PyTorch\n" not in after
    said = capfd.readouterr().err
    assert "README.md: docs/pytorch.md says now what it says under Not supported, which you" in said


def test_copier_knows_that_a_project_is_behind(
    template_with_releases: Path, tmp_path: Path
) -> None:
    copied(template_with_releases, tmp_path, {}, vcs_ref=next(iter(released())))
    committed(tmp_path)
    command = [COPIER, "check-update", "--output-format", "json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert '"update_available": true' in done.stdout, done.stdout + done.stderr
    assert f'"latest_version": "{NEWEST[1:]}"' in done.stdout
