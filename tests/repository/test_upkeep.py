"""The repository keeps its tables true: what a daily and a weekly workflow do, with real git, and
stand-ins for GitHub's command line, for `extensions/refresh.py` and for the suite."""

from __future__ import annotations

import datetime
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from extensions.plan import automation
from extensions.questions.age import LIMIT
from tests.conftest import ROOT, THIS_PYTHON, copy_template
from tests.pytorch_index import PyTorchIndex
from tests.support.git import committed, git
from tests.support.github import FORK, GH, issue, pull
from tests.support.project import UV

WORKFLOWS = ROOT / ".github" / "workflows"
TABLES, README = "extensions/releases.yml", "README.md"
LABEL, TITLE = "tables-contradicted", "The tables contradict what PyTorch publishes"
BOT = "41898282+github-actions[bot]@users.noreply.github.com"
# What extensions/refresh.py does, with a file in the place of the indexes.
REFRESH = """\
# /// script
# requires-python = ">=3.11"
# ///
import argparse, os, pathlib, sys

parser = argparse.ArgumentParser()
parser.add_argument("--write", action="store_true")
parser.add_argument("--check", action="store_true")
parser.add_argument("--summary", type=pathlib.Path)
options = parser.parse_args()
world, tables = pathlib.Path(os.environ["WORLD"]), pathlib.Path("extensions/releases.yml")
if not world.exists():
    sys.exit(2)
new, old = world.read_text("utf-8").splitlines(), tables.read_text("utf-8").splitlines()
cells = [f"`{there}` becomes `{here}`" for there, here in zip(old, new) if there != here]
print(*cells, sep="\\n")
if options.write:
    tables.write_text("\\n".join(new) + "\\n", "utf-8")
    if "ODD" in os.environ:
        pathlib.Path("policy.yml").write_text("{}", "utf-8")
    options.summary.write_text("\\n".join(f"- {cell}" for cell in cells), "utf-8")
if options.check:
    sys.exit(bool(cells))
"""
SUITE = """\
echo "The suite runs with ${MIRROR_PASSWORD:-no password}."
grep --quiet 'torch: 2.15.9' extensions/releases.yml && { echo '1 failed, `really`'; exit 1; }
echo '=== 9 passed in 1s ==='
"""


def _module(name: str) -> Any:
    file = ROOT / ".github" / "scripts" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"upkeep_{name}", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


message = _module("message")


def _jobs(workflow: str) -> dict[str, Any]:
    text = (WORKFLOWS / f"{workflow}.yml").read_text("utf-8")
    jobs: dict[str, Any] = yaml.safe_load(text)["jobs"]
    return jobs


def ago(days: int) -> str:
    return str(datetime.date.today() - datetime.timedelta(days))


class Repository:
    """This repository with a remote, and a job that runs in a fresh checkout of it."""

    def __init__(self, base: Path, folder: Path, policy: str = "") -> None:
        self.folder, self.remote = folder, folder / "remote.git"
        self.pulls: list[dict[str, Any]] = []
        self.issues: list[dict[str, Any]] = []
        self.environment: dict[str, str] = {}
        self.work = work = shutil.copytree(base, folder / "work")
        if policy:
            (work / "policy.yml").write_text(policy, "utf-8")
        committed(work)
        git(work, "branch", "--move", "main")
        git(work, "clone", "--quiet", "--bare", str(work), str(self.remote))
        self.world = folder / "world.yml"
        shutil.copy(work / TABLES, self.world)
        tools = folder / "tools"
        tools.mkdir()
        (tools / "gh").write_text(GH, "utf-8")
        # `uv run` of this repository's own scripts: the environment of the tests is theirs.
        own = f'[ "$1 $2" = "run --no-dev" ] && shift 2 && exec {sys.executable} "$@"'
        (tools / "uv").write_text(f'#!/bin/sh\n{own}\nexec {UV} "$@"\n', "utf-8")
        for tool in tools.iterdir():
            tool.chmod(0o755)

    def edit(self, name: str, pattern: str, text: str) -> None:
        file = self.work / name
        before = file.read_text("utf-8")
        after = re.sub(pattern, text, before)
        assert after != before
        file.write_text(after, "utf-8")

    def push(self, branch: str = "main") -> None:
        committed(self.work, "Others")
        git(self.work, "push", "--quiet", "--force", str(self.remote), f"HEAD:{branch}")

    def say(self, *changes: tuple[str, str]) -> None:
        """Have the world say something else than the tables on main."""
        text = (self.work / TABLES).read_text("utf-8")
        for pattern, to in changes:
            assert re.search(pattern, text)
            text = re.sub(pattern, to, text)
        self.world.write_text(text, "utf-8")

    def run(self, workflow: str) -> str:
        """Both jobs of a workflow, as its file has them; what they print."""
        self._check_out()
        output = self.folder / "output"
        output.write_text("", "utf-8")
        looked = self._step(_jobs(workflow)["look"], {"GITHUB_OUTPUT": str(output)})
        found = re.findall(r"^found=(\S*)$", output.read_text("utf-8"), re.MULTILINE)
        if found:
            return looked.stderr + self.tell(workflow, message.unpacked(found[0]))
        assert looked.returncode
        return f"{looked.stderr}\nended with {looked.returncode}"

    def tell(self, workflow: str, found: dict[str, Any]) -> str:
        """The second job alone, in a checkout of its own."""
        self._check_out()
        told = self._step(_jobs(workflow)["tell"], {"FOUND": message.packed(found)})
        assert told.returncode == 0, told.stdout + told.stderr
        return told.stdout

    def _check_out(self) -> None:
        shutil.rmtree(self.folder / "checkout", ignore_errors=True)
        git(self.folder, "clone", "--quiet", str(self.remote), "checkout")

    def _step(self, job: dict[str, Any], more: dict[str, str]) -> subprocess.CompletedProcess[str]:
        (script,) = [step["run"] for step in job["steps"] if "run" in step]
        for name, known in (("open", self.pulls), ("issues", self.issues)):
            (self.folder / name).write_text(json.dumps(known), "utf-8")
        return subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=self.folder / "checkout",
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("UV_")},
                "PATH": os.pathsep.join([str(self.folder / "tools"), os.environ["PATH"]]),
                "GH_LOG": str(self.folder / "log"),
                "GH_OPEN": str(self.folder / "open"),
                "GH_ISSUES": str(self.folder / "issues"),
                "GH_BODY": str(self.folder / "body"),
                "WORLD": str(self.world),
                "UV_PYTHON": sys.executable,
                "UV_PYTHON_DOWNLOADS": "never",
                **more,
                **self.environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[str]:
        """What gh was called for since the last look, but to list and to log in."""
        log = self.folder / "log"
        lines = log.read_text("utf-8").splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [line for line in lines if " list " not in line and not line.startswith("auth")]

    @property
    def body(self) -> str:
        return (self.folder / "body").read_text("utf-8")

    def branch(self) -> str:
        return git(self.remote, "rev-parse", "--verify", "--quiet", "tables")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What of this repository the jobs need, with facts of ten days ago."""
    folder = copy_template(tmp_path_factory.mktemp("base") / "work")
    shutil.copytree(ROOT / ".github", folder / ".github")
    for name in (README, ".gitignore"):
        shutil.copy(ROOT / name, folder)
    (folder / "extensions" / "refresh.py").write_text(REFRESH, "utf-8")
    (folder / ".ci").mkdir()
    (folder / ".ci" / "run").write_text(SUITE, "utf-8")
    tables = folder / TABLES
    text = re.sub(r"(?m)^checked: .*", f"checked: {ago(10)}", tables.read_text("utf-8"))
    tables.write_text(text, "utf-8")
    subprocess.run([sys.executable, folder / ".github/scripts/readme.py"], check=True)
    return folder


@pytest.fixture
def repository(base: Path, tmp_path: Path) -> Repository:
    return Repository(base, tmp_path)


def ours(number: int = 7, **fields: Any) -> dict[str, Any]:
    return pull(number, **{"headRefName": "tables", **fields})


PATCH = (r"torch: 2\.14\.1", "torch: 2.14.2")
OTHER = (r"torch: 2\.15\.0", "torch: 2.15.9")
TODAY = (r"(?m)^checked: .*", f"checked: {ago(0)}")


def _patched(repository: Repository) -> list[str]:
    """What got another text; nothing else was done."""
    form = r"api --method PATCH repos/\{owner\}/\{repo\}/(\S+) --field body=@\S+"
    matches = [re.fullmatch(form, call) for call in repository.calls()]
    assert all(matches)
    return [match[1] for match in matches if match]


def news(repository: Repository, *changes: tuple[str, str], suite: str = "ok") -> dict[str, Any]:
    """What the first job finds where the world says something else."""
    repository.say(*changes)
    tables = repository.world.read_text("utf-8")
    return {"files": {TABLES: tables}, "words": f"{len(changes)} changes", "suite": suite}


def test_the_login_of_a_mirror_goes_to_no_public_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror, pytorch = "https://mirror.example.org/{backend}", "https://download.pytorch.org/whl"
    rules = {"index_url": [mirror, pytorch], "pypi_url": ["https://pypi.org/simple"]}
    policy = {key: {"allow": urls} for key, urls in rules.items()}
    (tmp_path / "policy.yml").write_text(yaml.safe_dump(policy), "utf-8")
    look = _module("look")
    monkeypatch.setattr(look, "ROOT", tmp_path)
    monkeypatch.setenv("MIRROR_USERNAME", "ci")
    monkeypatch.setenv("MIRROR_PASSWORD", "secret")
    known = Path(look.netrc(tmp_path)["NETRC"]).read_text("utf-8")
    assert known == "machine mirror.example.org login ci password secret\n"


def test_one_pull_request_has_what_is_new(repository: Repository) -> None:
    repository.say(PATCH, OTHER, TODAY)
    repository.environment = {"MIRROR_USERNAME": "ci", "MIRROR_PASSWORD": "secret"}
    repository.pulls = [ours(8, **FORK)]
    repository.run("tables")
    (create,) = repository.calls()
    assert create.startswith("pr create --head tables --title Refresh the tables --body-file ")
    changed = git(repository.remote, "diff", "--name-only", "main", "tables").splitlines()
    assert changed == [README, TABLES]
    assert "2.14.2, 2026-09-30" in git(repository.remote, "show", f"tables:{README}")
    assert git(repository.remote, "log", "--format=%ae", "main..tables") == BOT
    assert "`    torch: 2.14.1` becomes `    torch: 2.14.2`" in repository.body
    assert "**The suite fails** (exit status 1)" in repository.body
    # The suite is nobody's to whom a login was given.
    assert "1 failed, `really`" in repository.body and "with no password." in repository.body


def test_it_is_refreshed_by_what_is_new_and_nothing_else(repository: Repository) -> None:
    repository.tell("tables", news(repository, PATCH, TODAY))
    assert [call[:9] for call in repository.calls()] == ["pr create"]
    first = repository.branch()
    repository.pulls = [ours(8, **FORK), ours(7)]
    tomorrow = (r"(?m)^checked: .*", f"checked: {ago(-1)}")
    again = news(repository, PATCH, tomorrow, suite="It passes by now.")
    assert "7 has it already" in repository.tell("tables", again)
    assert _patched(repository) == ["pulls/7"] and repository.branch() == first
    assert "It passes by now." in repository.body
    # The same, and no more: what was taken back goes.
    told = repository.tell("tables", news(repository, PATCH, OTHER, tomorrow))
    assert "Refreshed" in told and _patched(repository) == ["pulls/7"]
    files = {"extensions/backends.yml": "drivers: {}\n"}
    more = {**again, "files": {**again["files"], **files}}
    assert "Refreshed" in repository.tell("tables", more)
    assert "Refreshed" in repository.tell("tables", again)
    assert _patched(repository) == ["pulls/7"] * 2
    # But what is done on main meanwhile must not conflict with it.
    repository.edit(README, "The right PyTorch", "A right PyTorch")
    repository.push()
    repository.tell("tables", news(repository, PATCH, tomorrow))
    assert _patched(repository) == ["pulls/7"]
    repository.tell("tables", news(repository, PATCH, OTHER, TODAY, suite="All passed."))
    assert _patched(repository) == ["pulls/7"]
    assert repository.body == "3 changes\n\nAll passed.\n"
    assert git(repository.remote, "log", "--format=%ae", "main..tables") == BOT
    # What somebody did there stays.
    git(repository.work, "fetch", "--quiet", str(repository.remote), "tables")
    git(repository.work, "switch", "--quiet", "--create", "mine", "FETCH_HEAD")
    repository.edit(README, "A right PyTorch", "Our PyTorch")
    repository.push("tables")
    theirs = repository.branch()
    told = repository.tell("tables", news(repository, (r"torch: 2\.13\.0", "torch: 2.13.1")))
    assert "others worked on tables: Others" in told
    assert not repository.calls() and repository.branch() == theirs


def test_what_somebody_closed_is_not_opened_again(repository: Repository) -> None:
    repository.tell("tables", news(repository, PATCH, TODAY))
    repository.calls()
    repository.pulls = [ours(state="CLOSED"), ours(8, **FORK)]
    found = news(repository, PATCH)
    assert "is not opened again" in repository.tell("tables", found)
    assert not repository.calls()
    # But if it was never opened, as when GitHub did not answer, it is; and so is other news.
    for pulls, changes in (([], [PATCH]), (repository.pulls, [PATCH, OTHER])):
        repository.pulls = pulls
        repository.tell("tables", news(repository, *changes))
        assert [call[:9] for call in repository.calls()] == ["pr create"]
    # Once main says it, an open one is closed.
    repository.pulls = [ours(7)]
    repository.tell("tables", {"files": {}})
    assert [call[:10] for call in repository.calls()] == ["pr close 7"]


def test_a_new_day_alone_is_worth_one_before_the_questions_complain() -> None:
    look = _module("look")
    before = {TABLES: f"checked: {ago(30)}\nx: 1\n", README: "These are facts of 2026-11-23.\n"}
    after = {TABLES: f"checked: {ago(0)}\nx: 1\n", README: "These are facts of 2027-01-02.\n"}
    assert not look.essential(after, before) and not look.due(before[TABLES])
    assert look.essential({TABLES: after[TABLES] + "y: 2\n"}, before)
    assert look.due(f"checked: {ago(31)}\n") and LIMIT.days > 31


def test_a_refresh_that_changes_more_than_tables_is_not_told(repository: Repository) -> None:
    repository.say(PATCH)
    repository.environment = {"ODD": "1"}
    assert "refresh.py changed policy.yml, which holds no tables" in repository.run("tables")
    assert not repository.calls()


def test_who_could_not_look_says_nothing(repository: Repository) -> None:
    repository.world.unlink()
    for workflow in ("tables", "world"):
        repository.issues = [issue(labels=[{"name": LABEL}], title=TITLE)]
        (repository.work / "policy.yml").write_text("strategy: {allow: [provided]}\n", "utf-8")
        repository.push()
        assert "Could not look: refresh.py" in repository.run(workflow)
        assert not repository.calls()


@pytest.mark.parametrize(
    "found",
    [{"files": {".github/workflows/ci.yml": "on: push"}, "words": "", "suite": ""}, {"files": 1}],
)
def test_nothing_but_the_tables_is_ever_written(
    repository: Repository, found: dict[str, Any]
) -> None:
    git(repository.folder, "clone", "--quiet", str(repository.remote), "checkout")
    step = {"steps": [{"run": "python3 .github/scripts/tell.py tables"}]}
    for text in (message.packed(found), "", "bm9uc2Vuc2U="):
        done = repository._step(step, {"FOUND": text})
        assert done.returncode == 1 and "Traceback" not in done.stderr
    assert not repository.calls()
    assert git(repository.remote, "branch", "--list", "tables") == ""


@given(st.dictionaries(st.text(), st.text() | st.booleans() | st.lists(st.text())))
def test_a_message_arrives_as_it_was_sent(found: dict[str, Any]) -> None:
    line = message.packed(found)
    assert re.fullmatch(r"[\w+/=]+", line) and message.unpacked(line) == found


@given(st.text(st.sampled_from("`\nx@#"), max_size=60))
def test_no_text_ends_its_block(text: str) -> None:
    first, *inside, last = message.fenced(text).split("\n")
    assert first == f"{last}text" and "\n".join(inside) == text
    assert last not in text


def world(base: Path, folder: Path, index_url: str, pypi_url: str, strategies: str) -> Repository:
    """A fork whose policy names a mirror."""
    return Repository(
        base,
        folder,
        f"index_url: {{allow: ['{index_url}']}}\npypi_url: {{allow: ['{pypi_url}']}}\n"
        f"python_version: {{allow: ['{THIS_PYTHON}']}}\nstrategy: {{allow: [{strategies}]}}\n",
    )


def test_an_issue_says_where_the_world_contradicts_the_tables(
    base: Path, tmp_path: Path, index: PyTorchIndex
) -> None:
    names = "groups, pip, provided"
    repository = world(base, tmp_path, index.url, index.pypi_url, names)
    repository.say(PATCH)
    repository.issues = [issue(labels=[{"name": LABEL}])]
    # As `uv run` has it for what it runs.
    repository.environment = {"VIRTUAL_ENV": sys.prefix}
    # Else uv would say where it looks.
    assert not re.search(r"Using Python \S+ environment", repository.run("world"))
    label, create = repository.calls()
    assert label.startswith(f"label create {LABEL} --force")
    assert create.startswith(f"issue create --title {TITLE} --label {LABEL} --body-file ")
    assert "torch: 2.14.2" in repository.body and "a new project" not in repository.body
    # And then all is well.
    repository.issues.append(issue(7, labels=[{"name": LABEL}], title=TITLE))
    repository.edit("policy.yml", r"strategy: .*", "strategy: {allow: [provided]}")
    repository.push()
    repository.say()
    assert "All is well." in repository.run("world")
    assert [call[:13] for call in repository.calls()] == ["issue close 7"]


def test_the_issue_is_refreshed_and_closed_when_all_was_seen(repository: Repository) -> None:
    repository.tell("world", {"wrong": ["One", "Two"], "blind": True})
    assert [call.split()[0] for call in repository.calls()] == ["label", "issue"]
    repository.issues = [issue(7, labels=[{"name": LABEL}], title=TITLE, body=repository.body)]
    same = repository.tell("world", {"wrong": ["One", "Two"], "blind": False})
    assert "Issue 7 says it already." in same and not repository.calls()
    repository.tell("world", {"wrong": ["Two"], "blind": False})
    assert _patched(repository) == ["issues/7"]
    assert repository.body.startswith("Two\n")
    assert "nothing is closed" in repository.tell("world", {"wrong": [], "blind": True})
    assert not repository.calls()


def test_a_lock_that_fails_is_told_apart_from_a_host_that_is_away(
    base: Path, tmp_path: Path, index: PyTorchIndex
) -> None:
    nowhere = world(base, tmp_path / "1", f"{index.url}/nowhere", index.pypi_url, "index")
    nowhere.run("world")
    assert [call.split()[1] for call in nowhere.calls()] == ["create", "create"]
    assert "`uv lock` of a new project with `strategy=index` fails" in nowhere.body
    assert str(tmp_path) not in nowhere.body
    away = world(base, tmp_path / "2", "http://127.0.0.1:9/whl", index.pypi_url, "index")
    away.environment = {"UV_HTTP_RETRIES": "0"}
    away.issues = [issue(7, labels=[{"name": LABEL}], title=TITLE)]
    assert "could not look" in away.run("world")
    assert not away.calls()


# The one that publishes the page has rights of another kind: tests/site/test_build.py.
UPKEEP = [file for file in sorted(WORKFLOWS.iterdir()) if file.stem != "page"]


@pytest.mark.parametrize("file", UPKEEP, ids=lambda file: file.stem)
def test_the_workflows_are_pinned_and_have_few_rights(file: Path) -> None:
    text = file.read_text("utf-8")
    assert set(re.findall(r"uses: (.*)", text)) <= {automation.CHECKOUT, automation.SETUP_UV}
    assert set(re.findall(r"^ +version: (.*)", text, re.MULTILINE)) <= {automation.UV}
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    rights = {"look": {"contents": "read"}, "test": {"contents": "read"}}
    rights["tell"] = {
        "tables": {"contents": "write", "pull-requests": "write"},
        "world": {"contents": "read", "issues": "write"},
    }.get(file.stem, {})
    for name, job in workflow["jobs"].items():
        assert job["permissions"] == rights[name]
        # Nothing but this repository's own program runs where a token may write.
        ran = [step["run"] for step in job["steps"] if "run" in step]
        if name == "tell":
            assert ran == [f"python3 .github/scripts/tell.py {file.stem}"]
            assert "uses" in job["steps"][0] and len(job["steps"]) == 2
        else:
            assert "GH_TOKEN" not in str(job) and "github.token" not in str(job)


def test_the_workflows_pass_their_linters() -> None:
    beside = Path(sys.executable).parent
    for command in (
        [beside / "zizmor", "--offline", "--quiet", WORKFLOWS],
        [beside / "actionlint", *sorted(WORKFLOWS.iterdir())],
    ):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
