"""New versions of the template by a workflow or by Renovate: the rendered job, run with a stand-in
for GitHub's command line, and what Renovate reads."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import THIS_PYTHON, Render
from tests.pytorch_index import PyTorchIndex
from tests.support.edits import five_packages, own_sections
from tests.support.git import committed, git, tagged_template
from tests.support.github import FORK, GH, pull
from tests.support.project import UV, Project, copied


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A template whose second release moves the default line, so that every project changes."""
    return tagged_template(tmp_path / "template")


def release(template: Path) -> None:
    file = template / "template" / ".pre-commit-config.yaml.jinja"
    file.write_text(file.read_text("utf-8").replace("as CI does.\n", "like CI.\n"), "utf-8")
    committed(template, "Next")
    git(template, "tag", "v1.1.0")


class Repository:
    """A project with a remote, and a workflow that runs in a checkout of it."""

    def __init__(self, template: Path, folder: Path, **answers: Any) -> None:
        answers = {"python_version": THIS_PYTHON, "template_updates": "workflow", **answers}
        self.folder, self.remote = folder, folder / "remote.git"
        self.project = copied(template, folder / "project", answers)
        self.environment: dict[str, str] = {}
        self.pulls: list[dict[str, Any]] = []

    def push(self) -> None:
        path = committed(self.project.path, "Mine")
        git(path, "branch", "--move", "main")
        git(path, "clone", "--quiet", "--bare", str(path), str(self.remote))

    def run(self) -> str:
        """What the job `update` does; its output."""
        checkout, tools = self.folder / "checkout", self.folder / "tools"
        git(self.folder, "clone", "--quiet", str(self.remote), str(checkout))
        tools.mkdir(exist_ok=True)
        (tools / "gh").write_text(GH, "utf-8")
        (tools / "gh").chmod(0o755)
        (self.folder / "open").write_text(json.dumps(self.pulls), "utf-8")
        workflow = yaml.safe_load((checkout / ".github/workflows/template.yml").read_text("utf-8"))
        (script,) = [s["run"] for s in workflow["jobs"]["update"]["steps"] if "run" in s]
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=checkout,
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("UV_")},
                "PATH": os.pathsep.join([str(tools), str(Path(UV).parent), os.environ["PATH"]]),
                "GH_LOG": str(self.folder / "log"),
                "GH_OPEN": str(self.folder / "open"),
                "GH_BODY": str(self.folder / "body"),
                **self.environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def calls(self) -> list[str]:
        return (self.folder / "log").read_text("utf-8").splitlines()

    @property
    def body(self) -> str:
        return (self.folder / "body").read_text("utf-8")

    def changes(self) -> list[str]:
        """The files that the pull request changes."""
        return git(self.remote, "diff", "--name-only", "main", "template-update").splitlines()

    def text(self, name: str) -> str:
        return git(self.remote, "show", f"template-update:{name}")


def test_the_workflow_opens_a_pull_request_with_the_update(template: Path, tmp_path: Path) -> None:
    repository = Repository(template, tmp_path)
    for edit in (five_packages, own_sections):
        edit(repository.project)
    repository.push()
    release(template)
    repository.run()
    assert repository.changes() == [".copier-answers.yml", ".pre-commit-config.yaml"]
    assert "like CI." in repository.text(".pre-commit-config.yaml")
    assert "_commit: v1.1.0" in repository.text(".copier-answers.yml")
    assert "Ask Ada for the data." in repository.text("README.md")
    create = [call for call in repository.calls if call.startswith("pr create")]
    assert re.fullmatch(
        r"pr create --head template-update --title Update to v1\.1\.0 of the template "
        r"--body-file \S+\s*",
        create[0],
    )
    assert repository.body == "What `copier update` changes, for v1.1.0 of the template.\n"
    assert not [call for call in repository.calls if "label" in call]


def test_a_conflict_is_labelled_and_not_committed(template: Path, tmp_path: Path) -> None:
    repository = Repository(template, tmp_path)
    hooks = repository.project.path / ".pre-commit-config.yaml"
    hooks.write_text(hooks.read_text("utf-8").replace("as CI does.\n", "by me.\n"), "utf-8")
    repository.push()
    release(template)
    repository.run()
    # The file is as its owner left it, without a marker.
    assert repository.changes() == [".copier-answers.yml"]
    assert "label create template-conflict --force" in repository.calls
    assert repository.calls[-1].endswith("--label template-conflict")
    for words in ("do not merge with yours", "````diff", "like CI.", "by me.", "pre-commit-config"):
        assert words in repository.body
    # The version is recorded, so this is the only time that people see what does not merge.
    assert "_commit: v1.1.0" in repository.text(".copier-answers.yml")
    assert "by hand before you merge: that records v1.1.0, and no later update" in repository.body


def test_an_update_that_fails_fails_the_job(template: Path, tmp_path: Path) -> None:
    repository = Repository(template, tmp_path)
    repository.push()
    shutil.rmtree(template)
    with pytest.raises(AssertionError, match="only supported in git-tracked"):
        repository.run()
    assert [call[:7] for call in repository.calls if call.startswith("pr")] == ["pr list"]


@pytest.mark.parametrize(
    "others",
    [
        [],
        [pull(8, author={"login": "ada"})],
        [pull(8, **FORK)],
        # The newest come first.
        [pull(number, **FORK) for number in range(150, 8, -1)],
    ],
)
def test_one_pull_request_at_a_time(
    template: Path, tmp_path: Path, others: list[dict[str, Any]]
) -> None:
    """What people did to the open one is not overwritten, whoever opened it."""
    repository = Repository(template, tmp_path)
    repository.push()
    release(template)
    repository.pulls = [*others, pull(7, author={"login": "ada"})]
    assert "comes first: https://github.com/org/project/pull/" in repository.run()
    assert [call[:7] for call in repository.calls] == ["pr list"]
    assert not git(repository.remote, "branch", "--list", "template-update")


@pytest.mark.parametrize(
    "others",
    [
        [pull(8, **FORK)],
        [
            *(pull(number, **FORK) for number in range(150, 13, -1)),
            # A fork by the same owner is another repository, too.
            pull(13, isCrossRepository=True),
            *(pull(12, state="CLOSED", **FORK), pull(11, state="MERGED"), pull(10, state="CLOSED")),
            pull(9, headRefName="mine", labels=[{"name": "template-conflict"}]),
            pull(8, headRefName="template-update-2"),
        ],
    ],
    ids=["one", "many"],
)
def test_pull_requests_from_elsewhere_do_not_stop_the_updates(
    template: Path, tmp_path: Path, others: list[dict[str, Any]]
) -> None:
    repository = Repository(template, tmp_path)
    repository.push()
    release(template)
    repository.pulls = others
    repository.run()
    assert repository.changes() == [".copier-answers.yml", ".pre-commit-config.yaml"]
    assert [call for call in repository.calls if call.startswith("pr create")]


def test_a_branch_without_a_pull_request_is_made_anew(template: Path, tmp_path: Path) -> None:
    repository = Repository(template, tmp_path)
    repository.push()
    release(template)
    git(repository.remote, "branch", "template-update", "main")
    repository.pulls = [pull(state="CLOSED")]
    repository.run()
    assert repository.changes() == [".copier-answers.yml", ".pre-commit-config.yaml"]
    # Again, from a branch that has gone another way.
    git(repository.project.path, "commit", "--quiet", "--allow-empty", "--message", "Other")
    git(repository.project.path, "push", "--quiet", "--force", str(repository.remote),
        "main:template-update")  # fmt: skip
    shutil.rmtree(tmp_path / "checkout")
    repository.run()
    assert repository.changes() == [".copier-answers.yml", ".pre-commit-config.yaml"]


def test_a_failure_to_list_pull_requests_fails_the_job(template: Path, tmp_path: Path) -> None:
    """It says neither that there is one nor that there is none."""
    repository = Repository(template, tmp_path)
    repository.push()
    release(template)
    repository.environment["GH_FAILS"] = "1"
    with pytest.raises(AssertionError, match=r"error connecting to api\.github\.com"):
        repository.run()
    assert [call[:7] for call in repository.calls] == ["pr list"]
    assert not git(repository.remote, "branch", "--list", "template-update")


def test_without_a_new_version_there_is_no_pull_request(template: Path, tmp_path: Path) -> None:
    repository = Repository(template, tmp_path)
    repository.push()
    assert "There is nothing to update." in repository.run()
    assert not [call for call in repository.calls if call.startswith("pr create")]


@pytest.fixture(scope="module")
def index() -> Iterator[PyTorchIndex]:
    with PyTorchIndex() as served:
        yield served


def test_a_lock_is_made_anew(template: Path, tmp_path: Path, index: PyTorchIndex) -> None:
    repository = Repository(
        template, tmp_path, torch_version="2.13", index_url=index.url, strategy="index",
        backend="cpu",
    )  # fmt: skip
    repository.project.environment = {"UV_DEFAULT_INDEX": index.pypi_url}
    repository.project.uv("lock")
    repository.push()
    file = template / "extensions" / "releases.yml"
    # The next version of the template knows nothing of the line.
    lines = yaml.safe_load(file.read_text("utf-8"))
    lines["releases"] = [line for line in lines["releases"] if line["line"] != "2.13"]
    file.write_text(yaml.safe_dump(lines), "utf-8")
    release(template)
    # The job's own tools come from the real PyPI.
    uv = tmp_path / "tools" / "uv"
    uv.parent.mkdir()
    uv.write_text(f'#!/bin/sh\nUV_DEFAULT_INDEX={index.pypi_url} exec {UV} "$@"\n', "utf-8")
    uv.chmod(0o755)
    log = repository.run()
    assert {"pyproject.toml", "uv.lock"} <= set(repository.changes())
    assert 'version = "2.14.1+cpu"' in repository.text("uv.lock")
    # What became of the answer is for the review, and in the job's log.
    (told,) = [line for line in log.splitlines() if line.startswith("torch_version: ")]
    assert told.endswith(" Taken: 2.14.")
    assert f"What it says:\n\n- {told}\n" in repository.body


def test_renovate_finds_the_template_and_may_run_it(render: Render) -> None:
    project = render(template_updates="renovate")
    config = json.loads(project.text("renovate.json"))
    assert config["copier"] == {"ignoreScripts": False}
    assert not (project.path / ".github" / "dependabot.yml").exists()
    words = " ".join(project.text("docs/pytorch.md").split())
    assert "`allowScripts`" in words
    assert "copier-template-extensions and tomlkit beside Copier" in words


@pytest.mark.parametrize("ci", ["gitlab", "none"])
def test_renovate_leaves_the_template_alone_unless_asked(render: Render, ci: str) -> None:
    config = json.loads(render(ci=ci).text("renovate.json"))
    assert config["copier"] == {"enabled": False}


def test_the_answers_file_is_one_that_renovate_looks_up(template: Path, tmp_path: Path) -> None:
    """Its datasource is git tags: a full address, and a tag."""
    server = tmp_path / "org" / "torch-uv-template"
    git(tmp_path, "clone", "--quiet", "--bare", str(template), f"{server}.git")
    config = tmp_path / "gitconfig"
    url = f"url.{tmp_path}/org/.insteadOf"
    git(tmp_path, "config", "--file", str(config), url, "https://github.com/org/")
    answers = _copied_from("gh:org/torch-uv-template", tmp_path / "project", config).answers
    assert answers["_src_path"] == "https://github.com/org/torch-uv-template.git"
    assert answers["_commit"] in git(template, "tag").splitlines()


def _copied_from(source: str, folder: Path, config: Path) -> Project:
    copier = Path(UV).with_name("copier")
    subprocess.run(
        [copier, "copy", "--trust", "--defaults", "--quiet", source, folder],
        env={**os.environ, "GIT_CONFIG_GLOBAL": str(config)},
        check=True,
        capture_output=True,
    )
    return Project(folder)


@pytest.mark.parametrize(
    ("answers", "job"),
    [
        ({"ci": "github", "template_updates": "workflow"}, True),
        ({"ci": "github", "template_updates": "renovate"}, True),
        ({"ci": "gitlab", "template_updates": "renovate"}, True),
        ({"ci": "github"}, False),
        ({"ci": "gitlab"}, False),
    ],
)
def test_drift_is_a_job_of_the_project(render: Render, answers: dict[str, Any], job: bool) -> None:
    project = render(**answers)
    texts = "".join(
        file.read_text("utf-8") for file in project.files if file.suffix in (".yml", ".yaml")
    )
    assert ("extensions/drift.py" in texts) == job
    assert ("[tool.torch-uv-template]" in project.text("docs/pytorch.md")) == job
