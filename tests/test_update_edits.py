"""`copier update` from every release keeps every line of the owner's: to edit and then update is to
update and then edit, byte for byte."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from copier import run_update
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT, THIS_PYTHON
from tests.edits import EDITS, Edit, five_packages, own_ignores, own_modules, own_sections
from tests.git import committed
from tests.project import Project, copied
from tests.releases import NEWEST, released, tagged_clone

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
}
STRATEGIES = sorted(MOVES)
VERSIONS = [*released(), NEWEST]
OLDEST = list(released())[-1]
PACKAGES = [[], ["torchvision"], ["torchvision", "torchaudio"]]


@pytest.fixture(scope="module")
def template_with_releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tagged_clone(tmp_path_factory.mktemp("updates") / "template")


def texts(project: Project) -> dict[str, str]:
    return {
        path.relative_to(project.path).as_posix(): path.read_text("utf-8")
        for path in project.files
        if ".git" not in path.relative_to(project.path).parts[:1]
    }


def sorted_lines(project: Project) -> dict[str, list[str]]:
    """uv sorts a list of packages that was sorted before: this leaves their order out."""
    return {name: sorted(text.splitlines()) for name, text in texts(project).items()}


def edited_and_updated(
    template: Path,
    folder: Path,
    version: str,
    edits: Sequence[Edit],
    before: dict[str, Any],
    changed: dict[str, Any],
) -> tuple[Project, Project]:
    """A project that was edited and then updated, and a fresh render with the same edits."""
    before = {"python_version": THIS_PYTHON, **before}
    # Copier takes the newest tag.
    fresh = copied(template, folder / "fresh" / "project", {**before, **changed})
    project = copied(template, folder / "project", before, vcs_ref=version)
    for edit in edits:
        edit(fresh)
        edit(project)
    committed(project.path)
    run_update(project.path, changed, defaults=True, overwrite=True, unsafe=True, quiet=True)
    return project, fresh


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


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("version", VERSIONS)
def test_all_edits_outlive_an_update(
    template_with_releases: Path, tmp_path: Path, version: str, strategy: str
) -> None:
    before, changed = MOVES[strategy]
    project, fresh = edited_and_updated(
        template_with_releases,
        tmp_path,
        version,
        EDITS,
        {"torch_version": "2.13", **before},
        {"torch_version": "2.14", "packages": ["torchvision", "torchaudio"], **changed},
    )
    assert texts(project) == texts(fresh)
    assert f"_commit: {NEWEST}\n" in project.text(".copier-answers.yml")


@pytest.mark.parametrize("version", released())
def test_without_an_edit_the_result_is_a_fresh_render(
    template_with_releases: Path, tmp_path: Path, version: str
) -> None:
    project, fresh = edited_and_updated(template_with_releases, tmp_path, version, [], {}, {})
    assert texts(project) == texts(fresh)


@settings(
    max_examples=int(os.environ.get("UPDATE_EXAMPLES", "30")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from(VERSIONS),
    st.sampled_from(STRATEGIES),
    st.lists(st.sampled_from(EDITS), unique=True, min_size=1),
    st.sampled_from(["2.11", "2.12", "2.13"]),
    st.booleans(),
    st.sampled_from(PACKAGES),
    st.fixed_dictionaries(
        {},
        optional={
            "example": st.sampled_from(["none", "training"]),
            "ci": st.sampled_from(["github", "gitlab"]),
            "containers": st.sampled_from([[], ["docker", "devcontainer"]]),
            "type_checker": st.sampled_from(["ty", "mypy", "none"]),
        },
    ),
)
def test_any_edits_outlive_an_update(
    template_with_releases: Path,
    version: str,
    strategy: str,
    edits: list[Edit],
    line: str,
    moves: bool,
    packages: list[str],
    rest: dict[str, Any],
) -> None:
    before, changed = MOVES[strategy]
    base = Path(tempfile.mkdtemp())
    try:
        project, fresh = edited_and_updated(
            template_with_releases,
            base,
            version,
            edits,
            {"torch_version": line, "packages": packages, **before, **rest},
            {"torch_version": "2.14", **(changed if moves else {})},
        )
        # A backend that comes or goes with a package of its own may change what is sorted.
        assert sorted_lines(project) == sorted_lines(fresh)
        if not moves:
            assert texts(project) == texts(fresh)
    finally:
        shutil.rmtree(base)


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations(STRATEGIES, 2)))
def test_a_change_of_strategy_leaves_no_remains(
    template_with_releases: Path, tmp_path: Path, one: str, other: str
) -> None:
    before = {"torch_version": "2.14", **MOVES[one][0]}
    edits = (own_sections, own_modules, own_ignores, five_packages)
    project, fresh = edited_and_updated(
        template_with_releases, tmp_path, OLDEST, edits, before, MOVES[other][0]
    )
    assert sorted_lines(project) == sorted_lines(fresh)


def test_copier_knows_that_a_project_is_behind(
    template_with_releases: Path, tmp_path: Path
) -> None:
    copied(template_with_releases, tmp_path, {}, vcs_ref=next(iter(released())))
    committed(tmp_path)
    command = [COPIER, "check-update", "--output-format", "json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert '"update_available": true' in done.stdout, done.stdout + done.stderr
    assert f'"latest_version": "{NEWEST[1:]}"' in done.stdout
