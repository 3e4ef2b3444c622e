"""Projects in a uv workspace and in folders of a repository: the lock, the guard, updates and drift
work there, and what cannot is not rendered."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from copier import run_update
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from extensions.project.drifted import drifted
from extensions.project.place import places, workspace_of
from extensions.questions.choices import default
from extensions.questions.machine import Machine
from extensions.questions.refusals import why_not
from tests.conftest import THIS_PYTHON, Render
from tests.pytorch_index import PyTorchIndex
from tests.support.cells import TABLES
from tests.support.git import committed, git, tagged_template
from tests.support.project import Project, copied

LINE = "2.14"
STRATEGIES: dict[str, dict[str, Any]] = {
    "pypi": {},
    "index": {"backend": "rocm7.2"},
    "markers": {"linux_backend": "cu130", "windows_backend": "cpu"},
    "extras": {"backends": ["cpu", "xpu"]},
    "groups": {"backends": ["cpu", "cu130"], "default_backend": "cpu"},
}
AT_THE_TOP = (".github", ".gitlab-ci.yml", ".pre-commit-config.yaml", "renovate.json")


def table(name: str, *requirements: str) -> str:
    listed = ", ".join(f'"{r}"' for r in requirements)
    head = f'[project]\nname = "{name}"\nversion = "0"\nrequires-python = "=={THIS_PYTHON}.*"\n'
    return f"{head}dependencies = [{listed}]\n"


def put(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(text, "utf-8")
    return folder


@pytest.fixture
def top(tmp_path: Path, index: PyTorchIndex) -> Project:
    """The root of a workspace in a repository, with a member that requires torch."""
    root = put(tmp_path / "top", table("top") + '[tool.uv.workspace]\nmembers = ["packages/*"]\n')
    put(root / "packages" / "plain", table("plain", "torch"))
    committed(root)
    cache = {"UV_DEFAULT_INDEX": index.pypi_url, "UV_CACHE_DIR": str(tmp_path / "cache")}
    return Project(root, cache)


def member(template: Path, top: Project, index: PyTorchIndex, name: str, **answers: Any) -> Project:
    """A render in the folder of a member."""
    answers = {"torch_version": LINE, "python_version": THIS_PYTHON, **answers}
    answers["project_name"] = name
    project = copied(template, top.path / "packages" / name, answers)
    project.redirect(index.url)
    project.environment = top.environment
    return project


def guard(project: Project) -> tuple[int, str]:
    command = [sys.executable, "scripts/check_lock.py"]
    environment = {**os.environ, **project.environment}
    done = subprocess.run(
        command, cwd=project.path, env=environment, capture_output=True, text=True, check=False
    )
    assert not done.stderr
    return done.returncode, done.stdout


# Which folders are members


@pytest.fixture(scope="module")
def guards_root(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The function by which a rendered guard finds the root of the workspace, for a folder."""
    project = copied(template, tmp_path_factory.mktemp("guard") / "project", {})
    spec = importlib.util.spec_from_file_location(
        "rendered_check_lock", project.path / "scripts" / "check_lock.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)

    def found(folder: Path) -> Path | None:
        module.ROOT = folder
        text = (folder / "pyproject.toml").read_text("utf-8")
        root: Path | None = module.root_above(tomllib.loads(text))
        return root

    return found


PARTS = st.sampled_from(
    ["packages", "*", "a", "?", "[ab]", "[!a]", "**", ".", "..", "pack*", "b", ""]
)
GLOBS = st.lists(
    st.lists(PARTS, min_size=1, max_size=3)
    .map("/".join)
    .filter(lambda g: not g.startswith("/") and g.strip("/.")),
    max_size=2,
)


@given(GLOBS, GLOBS, st.sampled_from(["packages/a", "packages/b/c", "a"]))
@example(["*"], ["*/**"], "a")
@example(["*/**"], [], "a")
@example(["**"], ["*"], "packages/a")
@example(["**"], ["**/c"], "packages/b/c")
@example(["packages/*"], ["**/packages/a"], "packages/a")
@example(["packages/*"], [], "packages/a")
@example(["packages/*"], ["packages/a"], "packages/a")
@example(["packages/*"], ["packages"], "packages/a")
@example(["./packages/*/"], [], "packages/a")
@example(["packages"], [], "packages/a")
@example(["pack*"], [], "packages/a")
@example(["packages/**"], [], "packages/b/c")
@example(["x/../packages/a"], [], "packages/a")
@example(["../*[[]*/packages/*"], [], "packages/a")
@settings(
    max_examples=40,
    # The real uv is asked each time: with each commit the same questions.
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
def test_all_agree_on_who_is_a_member(
    guards_root: Any,
    tmp_path_factory: pytest.TempPathFactory,
    members: list[str],
    exclude: list[str],
    name: str,
) -> None:
    """The real uv, which shows it by where it locks, the render, and the guard."""
    # The name of the root is no pattern.
    root = tmp_path_factory.mktemp("globs") / "a[b]*?"
    lists = f"members = {members!r}\nexclude = {exclude!r}\n"
    put(root, f"{table('top')}[tool.uv.workspace]\n{lists}")
    folder = put(root / name, table("here"))
    done = Project(folder).uv("lock", "--offline", check=False)
    found = workspace_of(folder)
    assert found == guards_root(folder)
    if (folder / "uv.lock").exists():
        assert found is None, lists
    elif (root / "uv.lock").exists():
        assert found == root, lists
    else:
        # Another folder that the patterns name is no project, or uv does not read a pattern.
        reason = " ".join(done.stderr.split())
        assert done.returncode and re.search("missing a `pyproject|attern|parse", reason)


def test_the_nearest_pyproject_decides(tmp_path: Path) -> None:
    workspace = '[tool.uv.workspace]\nmembers = ["**"]\n'
    root = put(tmp_path / "top", table("top") + workspace)
    inner = put(root / "inner", table("inner"))
    assert workspace_of(root) is None
    assert workspace_of(inner) == root
    # Below a project that is no root, whatever is above that; and a root is no member.
    assert workspace_of(inner / "deep") is None
    assert workspace_of(put(root / "other", table("other") + workspace)) is None
    # Links: uv looks at the real folders.
    (tmp_path / "link").symlink_to(root)
    assert workspace_of((tmp_path / "link" / "inner").resolve()) == root
    # A root without a list has no members.
    put(root, table("top") + "[tool.uv.workspace]\n")
    assert workspace_of(inner) is None


@pytest.mark.parametrize("text", [b"[project\n", b"\xff", b"", b"tool = 1", None])
def test_a_parent_that_cannot_be_read_stops_nobody(
    template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: bytes | None
) -> None:
    """uv refuses to work below it, in its own words; the guard says so in one line."""
    file = tmp_path / "pyproject.toml"
    file.write_bytes(text) if text is not None else file.mkdir()
    project = copied(template, tmp_path / "project", {})
    assert project.answers["place"] == "repository"
    said = capsys.readouterr().err
    unreadable = text in (b"[project\n", b"\xff", None)
    assert (str(file) in said) == unreadable and "Traceback" not in said
    code, out = guard(project)
    assert code == 1 and len(out.splitlines()) == 1
    assert (str(file) in out) == unreadable


# What is rendered where


def test_a_folder_of_a_repository_has_nothing_that_counts_at_its_top_alone(
    template: Path, tmp_path: Path
) -> None:
    committed(put(tmp_path / "repository", table("top")))
    (tmp_path / "repository" / ".gitignore").write_text("scratch\n", "utf-8")
    answers = {"containers": ["docker", "devcontainer"]}
    project = copied(template, tmp_path / "repository" / "a" / "project", answers)
    assert project.answers["place"] == "folder" and project.answers["ci"] == "none"
    assert not [name for name in AT_THE_TOP if (project.path / name).exists()]
    assert (project.path / "Dockerfile").exists()
    for text in (project.text("README.md"), project.text("pyproject.toml")):
        assert "pre-commit" not in text
    assert not re.search("Dependabot|Renovate,", project.text("docs/pytorch.md"))
    # What git ignores is no part of the repository, and a repository within is one of its own.
    assert places(tmp_path / "repository" / "scratch" / "project") == ("repository",)
    committed(project.path)
    assert places(project.path) == ("repository",)
    assert places(tmp_path / "elsewhere") == ("repository",)


@pytest.mark.parametrize(
    ("known", "refused"),
    [
        ({"place": "member", "ci": "github"}, "ci"),
        ({"place": "folder", "ci": "gitlab"}, "ci"),
        ({"place": "folder", "template_updates": "renovate"}, "template_updates"),
        ({"place": "member", "containers": ["docker"]}, "containers"),
        ({"place": "member", "strategy": "pip"}, "place"),
        ({"place": "member", "strategy": "provided"}, "place"),
        ({"place": "nowhere"}, "place"),
        ({"place": "folder", "containers": ["docker"]}, ""),
        ({"place": "member", "containers": ["devcontainer"]}, ""),
        ({"place": "folder", "strategy": "pip"}, ""),
    ],
)
def test_what_cannot_work_there_is_refused(known: dict[str, Any], refused: str) -> None:
    reasons = {key: why_not(key, TABLES, known) for key in known}
    assert {key for key, reason in reasons.items() if reason} == ({refused} if refused else set())
    assert not refused or ". Nearest: " in str(reasons[refused])


@pytest.mark.parametrize("place", ["folder", "member"])
def test_defaults_fit_the_place(place: str) -> None:
    for key, value in {"ci": "none", "containers": [], "template_updates": "none"}.items():
        assert default(key, TABLES, {"place": place}, "x", Machine) == value


# Members


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_member_is_locked_guarded_and_installed(
    template: Path, top: Project, index: PyTorchIndex, strategy: str
) -> None:
    """Without a line in the pyproject.toml of the root."""
    project = member(template, top, index, "one", strategy=strategy, **STRATEGIES[strategy])
    assert project.answers["place"] == "member"
    assert not [name for name in AT_THE_TOP if (project.path / name).exists()]
    # What uv reads at the root alone is not here.
    dead = {"environments", "required-environments", "required-version"}
    assert not dead & set(project.pyproject["tool"].get("uv", {}))
    done = project.uv("lock")
    assert "warning" not in done.stderr
    assert (top.path / "uv.lock").exists() and not (project.path / "uv.lock").exists()
    assert guard(project) == (0, "uv.lock: every platform and choice has its PyTorch build.\n")
    for command, cells in project.build_table.items():
        for platform in ("Linux x86-64", "macOS arm64"):
            installed = project.would_install(command, platform)
            assert installed["torch"] == cells[platform].split(" ")[0], (command, platform)
    # At the root, by the command of the docs.
    command = re.search("`(uv sync --all-packages[^`]*)`", project.text("docs/pytorch.md"))
    assert command
    installed = top.would_install(command[1], "Linux x86-64")
    assert installed["torch"] == project.build_table[project.commands[0]]["Linux x86-64"]
    assert drift_of(project, index) == []
    # A lock of its own, from before it was a member, is not the one that counts.
    (project.path / "uv.lock").write_text("version = 1\n", "utf-8")
    assert guard(project)[0] == 0
    lock = top.path / "uv.lock"
    lock.write_text(lock.read_text("utf-8").replace("+cpu", "+cu126"), "utf-8")
    if "+cpu" in str(project.build_table):
        assert guard(project)[0] == 1
    lock.unlink()
    code, said = guard(project)
    assert code == 1 and said.startswith(f"There is no {lock}")


def drift_of(project: Project, index: PyTorchIndex) -> list[str]:
    """With the usual host again in the place of the recorded indexes."""
    text = project.text("pyproject.toml").replace(index.url, project.answers["index_url"])
    return drifted(text, project.answers)


def test_a_mirror_of_pypi_is_the_root_s(template: Path, top: Project, index: PyTorchIndex) -> None:
    answers = {"strategy": "index", "backend": "cpu", "pypi_url": index.pypi_url}
    project = member(template, top, index, "one", **answers)
    assert [i["name"] for i in project.uv_settings["index"]] == ["pytorch-cpu"]
    # What the docs say that the root wants.
    wanted = project.text("docs/pytorch.md").split(
        "The root wants the mirror of PyPI:\n\n```toml\n"
    )
    file = top.path / "pyproject.toml"
    file.write_text(file.read_text("utf-8") + "\n" + wanted[1].split("```")[0], "utf-8")
    bare = {"UV_CACHE_DIR": top.environment["UV_CACHE_DIR"], "UV_NO_CONFIG": "false"}
    top.environment = project.environment = bare
    project.uv("lock")
    assert guard(project)[0] == 0
    assert "https://" not in (top.path / "uv.lock").read_text("utf-8")


def test_what_the_root_says_of_platforms_and_sources_counts(
    template: Path, top: Project, index: PyTorchIndex
) -> None:
    project = member(template, top, index, "one", strategy="pypi")
    file = top.path / "pyproject.toml"
    more = [
        "[tool.uv]",
        "environments = [\"sys_platform == 'linux' and platform_machine == 'x86_64'\"]",
        "[tool.uv.sources]",
        'torch = { index = "cpu" }',
        "[[tool.uv.index]]",
        'name = "cpu"',
        f'url = "{index.url}/cpu"',
        "explicit = true",
    ]
    file.write_text("\n".join([file.read_text("utf-8"), *more, ""]), "utf-8")
    project.uv("lock")
    torch = [p for p in tomllib.loads(top.text("uv.lock"))["package"] if p["name"] == "torch"]
    assert [p["version"] for p in torch] == ["2.14.1+cpu"]
    # torchvision stays with PyPI here, which is no fault of the source of torch.
    assert "torch 2.14.1+cpu" not in guard(project)[1]


def test_a_member_is_updated_and_drifts(tmp_path: Path, top: Project, index: PyTorchIndex) -> None:
    tagged = tagged_template(tmp_path / "template")
    answers = {"strategy": "groups", "backends": ["cpu", "cu126"], "torch_version": "2.13"}
    project = copied(tagged, top.path / "packages" / "one", {**answers, "project_name": "one"})
    committed(top.path)
    update(project, {"torch_version": "2.14"})
    changed = git(top.path, "status", "--porcelain").split()[1::2]
    assert set(changed) == {
        f"packages/one/{name}"
        for name in (
            ".copier-answers.yml",
            "docs/pytorch.md",
            "pyproject.toml",
            "scripts/smoke_test.py",
        )
    }
    assert "torch>=2.14,<2.15" in project.text("pyproject.toml")
    committed(top.path)
    drift = [sys.executable, str(tagged / "extensions" / "drift.py"), str(project.path)]
    assert subprocess.run(drift, check=False, capture_output=True).returncode == 0
    file = project.path / "scripts" / "check_lock.py"
    file.write_text(file.read_text("utf-8").replace("def main", "def other"), "utf-8")
    done = subprocess.run(drift, check=False, capture_output=True, text=True)
    assert done.returncode == 1 and "check_lock.py: 1 rendered lines gone" in done.stdout


def update(project: Project, data: dict[str, Any]) -> None:
    run_update(project.path, data, defaults=True, overwrite=True, unsafe=True, quiet=True)
    for name in ("pyproject", "answers"):
        project.__dict__.pop(name, None)


def test_a_project_of_a_version_that_did_not_ask_keeps_its_files(tmp_path: Path) -> None:
    """In a folder of a repository: what was rendered for its top stays, with the owner's lines."""
    tagged = tagged_template(tmp_path / "template")
    folder = tmp_path / "repository" / "project"
    project = copied(tagged, folder, {"place": "repository", "torch_version": "2.13"})
    file = folder / ".copier-answers.yml"
    file.write_text(project.text(file.name).replace("place: repository\n", ""), "utf-8")
    committed(folder.parent)
    update(project, {"torch_version": "2.14"})
    assert (project.answers["place"], project.answers["ci"]) == ("repository", "github")
    assert (folder / ".github" / "workflows" / "ci.yml").exists()


def test_a_project_that_moves_into_a_workspace_becomes_a_member(
    tmp_path: Path, top: Project, index: PyTorchIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    tagged = tagged_template(tmp_path / "template")
    answers = {"strategy": "groups", "project_name": "one", "python_version": THIS_PYTHON}
    project = copied(tagged, tmp_path / "alone", answers)
    assert project.answers["place"] == "repository" and project.answers["ci"] == "github"
    project.path.rename(top.path / "packages" / "one")
    project = Project(top.path / "packages" / "one", top.environment)
    committed(top.path)
    # It stays what it was until its owner says so.
    update(project, {"type_checker": "mypy"})
    assert project.answers["place"] == "repository"
    assert "place: a uv workspace has this project" in capsys.readouterr().err
    committed(top.path)
    update(project, {"place": "member"})
    assert "ci: CI is what stands at the top" in capsys.readouterr().err
    assert not [name for name in AT_THE_TOP if (project.path / name).exists()]
    assert not {"environments", "required-environments"} & set(project.uv_settings)
    assert "torch" not in str(project.pyproject["project"]["dependencies"])
    assert drifted(project.text("pyproject.toml"), project.answers) == []
    assert guard(project)[0] == 1
    project.redirect(index.url)
    project.uv("lock")
    assert guard(project)[0] == 0


def test_a_torch_that_is_there_wants_to_be_no_member(
    template: Path, top: Project, index: PyTorchIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    """uv passes over what a member excludes, whatever the render calls its place."""
    project = member(template, top, index, "one", strategy="provided", packages=[])
    assert "torch would come after all" in " ".join(capsys.readouterr().err.split())
    project.uv("add", "--no-sync", "lightning")
    assert "torch" in project.would_install("uv sync", "Linux x86-64")
    assert guard(project)[0] == 1
    file = top.path / "pyproject.toml"
    file.write_text(file.read_text("utf-8") + 'exclude = ["packages/one"]\n', "utf-8")
    project.uv("lock")
    assert "torch" not in project.would_install("uv sync", "Linux x86-64")
    assert guard(project)[0] == 0
    project = member(template, top, index, "one", strategy="provided", packages=[])
    assert "torch would come" not in capsys.readouterr().err


# Roots, and what several members can have


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_root_has_members(
    lockable: Render, template: Path, index: PyTorchIndex, strategy: str
) -> None:
    """One set of choices at the root is for all members; the commands are those of the docs."""
    answers = {"strategy": strategy, "containers": ["docker"], **STRATEGIES[strategy]}
    root = lockable(torch_version=LINE, **answers)
    file = root.path / "pyproject.toml"
    workspace = '\n[tool.uv.workspace]\nmembers = ["packages/*"]\n'
    file.write_text(file.read_text("utf-8") + workspace, "utf-8")
    for name in ("one", "two"):
        put(root.path / "packages" / name, table(name, "torch"))
    root.lock()
    assert guard(root)[0] == 0
    for command, cells in root.build_table.items():
        everything = command.replace("uv sync", "uv sync --all-packages")
        for platform in ("Linux x86-64", "macOS arm64"):
            wanted = cells[platform].split(" ")[0]
            assert root.would_install(everything, platform)["torch"] == wanted
    # The layer of an image in which only these two files are there.
    layer = Project(root.path.parent / "layer", root.environment)
    layer.path.mkdir()
    for name in ("pyproject.toml", "uv.lock"):
        (layer.path / name).write_text(root.text(name), "utf-8")
    docker = re.sub(r"\s*\\\n\s*", " ", root.text("Dockerfile"))
    sync = re.search(r"(uv sync --frozen .*)", docker)
    build = re.search(r"ARG PYTORCH=(.*)", docker)
    assert sync
    command = sync[1].replace('"$PYTORCH"', build[1] if build else "")
    assert "torch" in layer.uv(*command.split()[1:], "--dry-run").stderr
    if strategy == "groups":
        # A member alone does not get the default group of the root.
        alone = "uv sync --package one"
        assert root.would_install(alone, "Linux x86-64")["torch"] == "2.14.1"
        named = root.would_install(f"{alone} --group cpu", "Linux x86-64")
        assert named["torch"] == "2.14.1+cpu"
    assert drift_of(root, index) == []


def test_what_two_members_can_have(template: Path, top: Project, index: PyTorchIndex) -> None:
    """The table of the README."""
    cpu, cuda = {"strategy": "index", "backend": "cpu"}, {"strategy": "index", "backend": "cu130"}
    markers = {"strategy": "markers", "linux_backend": "cu130", "windows_backend": "cu130"}
    groups = {"strategy": "groups", "backends": ["cpu", "cu130"], "default_backend": "cpu"}
    extras = {"strategy": "extras", "backends": ["cpu", "cu130"]}
    pypi = {"strategy": "pypi"}
    rendered: dict[str, str] = {}
    for one, other, locks in [
        (cuda, cuda, True),
        (cuda, markers, True),
        (cuda, pypi, True),
        (groups, pypi, True),
        (cpu, cuda, False),
        (groups, groups, False),
        (extras, extras, False),
        (groups, cpu, False),
    ]:
        for name, answers in (("one", one), ("two", other)):
            key = name + str(answers)
            if key not in rendered:
                folder = top.path / "packages" / name
                subprocess.run(["rm", "-rf", str(folder)], check=True)
                project = member(template, top, index, name, **answers)
                rendered[key] = project.text("pyproject.toml")
            (top.path / "packages" / name / "pyproject.toml").write_text(rendered[key], "utf-8")
        (top.path / "uv.lock").unlink(missing_ok=True)
        done = top.uv("lock", check=False)
        assert (done.returncode == 0) == locks, (one, other, done.stderr)
        assert locks or "conflicting indexes" in done.stderr
