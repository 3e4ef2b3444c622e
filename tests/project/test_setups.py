"""What the set-up of a project says to the questions: the answers that keep its builds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extensions.plan.planner import make_plan
from extensions.project.adoption import CannotAdopt, adopt
from extensions.project.editor import edit
from extensions.project.report import report
from extensions.questions.contract import KEYS, Answers, asked
from extensions.questions.refusals import why_not_any
from extensions.tables.platforms import PLATFORMS
from tests.pytorch_index import PyTorchIndex
from tests.support.cells import TABLES
from tests.support.project import Project, copied
from tests.support.setups import FIRST, PROJECT, SETUPS, SPELLINGS, WHL, Setup

FAMILY = ("torch", "torchvision", "torchaudio", "torchcodec")


def folder_with(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_bytes(text.encode())
    return folder


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
def test_a_set_up_answers_the_questions(tmp_path: Path, setup: Setup) -> None:
    found = adopt(folder_with(tmp_path / "lab", setup.text), TABLES, {})
    answers = found.answers
    assert {key: answers[key] for key in setup.answers} == setup.answers
    assert set(setup.open) <= found.open
    assert bool(setup.open) == bool(found.open)
    assert why_not_any(KEYS, TABLES, answers) is None
    plan = make_plan(TABLES, Answers.complete(answers))
    edited = edit(setup.text, None, plan)
    uv = tomllib.loads(edited.text).get("tool", {}).get("uv", {})
    sources = [e for s in uv.get("sources", {}).values() for e in (s if type(s) is list else [s])]
    named = {found["name"] for found in uv.get("index", [])}
    assert {entry["index"] for entry in sources if "index" in entry} <= named
    said = report(setup.text, None, edited.text, plan)
    for sentence in setup.said:
        assert sentence in said
    for line in set(setup.text.splitlines()) ^ set(edited.text.splitlines()):
        assert f"-{line}" in said or f"+{line}" in said


@pytest.mark.parametrize("text", [*SPELLINGS.values(), FIRST], ids=[*SPELLINGS, "project-last"])
@pytest.mark.parametrize("newlines", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_a_set_up_may_be_written_in_any_way(tmp_path: Path, text: str, newlines: str) -> None:
    head = PROJECT.replace("\n", newlines)
    whole = f'{text}{head}dependencies = ["torch"]\n' if text is FIRST else f"{head}{text}"
    if text.startswith(SPELLINGS["inline"][:20]) and "tool = {" in text:
        first, second = text.splitlines()
        whole = f"{second}\n{head}{first}\n"
    tomllib.loads(whole)
    answers = adopt(folder_with(tmp_path / "lab", whole), TABLES, {}).answers
    found = {key: answers[key] for key in ("strategy", "backend", "torch_version")}
    assert found == {"strategy": "index", "backend": "cu126", "torch_version": "2.14"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"torch_version": "2.9"}, {"torch_version": "2.9", "backend": "cu128"}),
        ({"strategy": "extras"}, {"backends": ["cpu", "cu128"], "torch_version": "2.11"}),
        ({"strategy": "groups"}, {"default_backend": "cu128"}),
        ({"strategy": "markers"}, {"linux_backend": "cu128", "windows_backend": "cu128"}),
        ({"strategy": "pypi"}, {"strategy": "pypi"}),
        ({"backend": "cu126"}, {"strategy": "index", "backend": "cu126"}),
        ({"platforms": ["linux-x86_64"]}, {"platforms": ["linux-x86_64"], "backend": "cu128"}),
    ],
)
def test_what_is_given_in_advance_goes_before_what_is_read(
    tmp_path: Path, given: dict[str, object], expected: dict[str, object]
) -> None:
    folder = folder_with(tmp_path / "lab", SETUPS["one-index"].text)
    answers = adopt(folder, TABLES, given).answers
    assert {key: answers[key] for key in expected} == expected
    assert why_not_any(KEYS, TABLES, answers) is None


def test_the_lock_says_which_line_is_installed(
    tmp_path: Path, index: PyTorchIndex, tmp_path_factory
) -> None:
    text = f'{PROJECT}dependencies = ["torch>=2.7"]\n'
    project = Project(folder_with(tmp_path / "lab", text))
    project.environment = environment(index, tmp_path_factory)
    project.uv("lock", "--upgrade-package", "torch==2.10.0")
    assert adopt(project.path, TABLES, {}).answers["torch_version"] == "2.10"


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ('override-dependencies = ["torch==2.7.0"]', "2.7"),
        ('constraint-dependencies = ["Torch<2.9"]', "2.8"),
        ('exclude-newer = "2025-09-01T00:00:00Z"', "2.8"),
        ('exclude-newer-package = { torch = "2025-03-01" }', "2.6"),
        ('exclude-newer = "7 days"', TABLES.default_line()),
    ],
)
def test_what_uv_is_told_of_all_releases_bounds_the_line(
    tmp_path: Path, settings: str, line: str
) -> None:
    text = f'[project]\nname = "lab"\ndependencies = ["torch>=2.5"]\n[tool.uv]\n{settings}\n'
    assert adopt(folder_with(tmp_path / "lab", text), TABLES, {}).answers["torch_version"] == line


def test_the_members_of_a_workspace_bound_the_line(tmp_path: Path) -> None:
    text = (
        '[project]\nname = "lab"\ndependencies = ["torch>=2.7"]\n'
        '[tool.uv.workspace]\nmembers = ["libs/*"]\n'
    )
    folder = folder_with(tmp_path / "lab", text)
    member = '[project]\nname = "beta"\nversion = "1"\ndependencies = ["torch>=2.7,<2.10"]\n'
    folder_with(folder / "libs" / "beta", member)
    assert adopt(folder, TABLES, {}).answers["torch_version"] == "2.9"


def test_what_uv_pip_is_told_leaves_the_sources_of_uv_sync_alone(tmp_path: Path) -> None:
    text = (
        f'[project]\nname = "lab"\ndependencies = ["torch==2.6.0"]\n'
        f'[tool.uv]\nextra-index-url = ["{WHL}/cu124"]\npip = {{ torch-backend = "auto" }}\n'
    )
    answers = adopt(folder_with(tmp_path / "lab", text), TABLES, {}).answers
    assert (answers["strategy"], answers["backend"]) == ("index", "cu124")


def test_settings_in_a_file_of_their_own_count(tmp_path: Path) -> None:
    text = f'{PROJECT}dependencies = ["torch"]\n[tool.uv.sources]\ntorch = {{ index = "p" }}\n'
    folder = folder_with(tmp_path / "lab", text)
    (folder / "uv.toml").write_text(
        f'[[index]]\nname = "p"\nurl = "{WHL}/cu126"\nexplicit = true\n', "utf-8"
    )
    answers = adopt(folder, TABLES, {}).answers
    assert (answers["strategy"], answers["backend"]) == ("index", "cu126")


def environment(index: PyTorchIndex, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    cache = tmp_path_factory.getbasetemp() / "uv-cache"
    return {"UV_DEFAULT_INDEX": index.pypi_url, "UV_CACHE_DIR": str(cache)}


def installed(project: Project, commands: list[str]) -> dict[tuple[str, str], dict[str, str]]:
    """The family's versions by command and platform, where they can be installed."""
    found = {}
    for command in commands:
        for platform in PLATFORMS.values():
            try:
                everything = project.would_install(command, platform.label)
            except AssertionError:
                continue
            family = {name: v for name, v in everything.items() if name in FAMILY}
            found[command, platform.label] = family
    return found


GUARDED = "uv.lock: every platform and choice has its PyTorch build.\n"


def guarded(project: Project) -> str:
    """What the guard that an adoption brings says of the lock."""
    done = subprocess.run(
        [sys.executable, "scripts/check_lock.py"],
        cwd=project.path,
        env={**os.environ, "UV_DEFAULT_INDEX": project.environment["UV_DEFAULT_INDEX"]},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


EXACT = {name: setup for name, setup in SETUPS.items() if setup.exact}


@pytest.mark.parametrize("name", EXACT)
def test_every_platform_and_choice_gets_the_build_that_it_got(
    template: Path, tmp_path: Path, index: PyTorchIndex, tmp_path_factory, name: str
) -> None:
    project = Project(folder_with(tmp_path / "lab", EXACT[name].text))
    project.environment = environment(index, tmp_path_factory)
    project.redirect(index.url)
    project.uv("lock")
    text = project.text("pyproject.toml")
    kind = "group" if name == "groups" else "extra"
    tables = tomllib.loads(text)
    lists = {**tables["project"].get("optional-dependencies", {})}
    commands = ["uv sync", *(f"uv sync --{kind} {extra}" for extra in lists)]
    if name == "groups":
        commands.append("uv sync --no-group gpu --group cpu")
    before = installed(project, commands)
    copied(template, project.path, {})
    project.uv("lock")
    after = installed(project, commands)
    assert before == {cell: after.get(cell) for cell in before}
    # What has no wheel on an index of CUDA builds could not be installed there, and can now.
    claimed = [PLATFORMS[p].label for p in EXACT[name].answers.get("platforms", PLATFORMS)]
    assert set(after) == {(command, label) for command in commands for label in claimed}
    assert guarded(project) == GUARDED


# Not every build can stay here; those that the project chose do, and it can be locked.
NEARLY = (
    *("platform-system", "one-machine", "in-one-extra", "open-index", "extra-index-url"),
    *("rocm", "vision-alone", "groups-without-default", "two-pins"),
)


@pytest.mark.parametrize("name", NEARLY)
def test_what_can_be_locked_can_be_locked_again(
    template: Path, tmp_path: Path, index: PyTorchIndex, tmp_path_factory, name: str
) -> None:
    project = Project(folder_with(tmp_path / "lab", SETUPS[name].text))
    project.environment = environment(index, tmp_path_factory)
    project.redirect(index.url)
    project.uv("lock")
    before = installed(project, ["uv sync"])
    copied(template, project.path, {})
    project.uv("lock")
    after = installed(project, ["uv sync"])
    assert {label for _, label in after} == {platform.label for platform in PLATFORMS.values()}
    chosen = {cell: found["torch"] for cell, found in before.items() if "+" in str(found)}
    if name != "extra-index-url":
        assert {cell: after[cell]["torch"] for cell in chosen} == chosen
    assert guarded(project) == GUARDED


# Laws over set-ups that are drawn

BACKENDS = sorted(TABLES.backends())
BOUNDS = ["", ">=2.7", ">=2.6,<2.9", "==2.9.1", "~=2.8.0", "==2.4.1", ">=2.10", "<2.8", "==2.11.*"]
WHERE = ["", f"{'sys_platform'} == 'linux'", "sys_platform != 'darwin'", "sys_platform == 'win32'"]


@st.composite
def drawn(draw: st.DrawFn) -> str:
    """Any mixture of lists, sources, markers and indexes."""
    lists: dict[str, list[str]] = {"": [], "extra": [], "group": []}
    entries = []
    used = set()
    for kind, name in draw(
        st.lists(
            st.sampled_from([("", ""), ("extra", "gpu"), ("extra", "cpu"), ("group", "cu128")]),
            min_size=1,
            max_size=3,
            unique=True,
        )
    ):
        bound = draw(st.sampled_from(BOUNDS))
        beside = draw(st.sampled_from(["", ', "torchvision"', ', "torchaudio", "numpy"']))
        items = f'["torch{bound}"{beside}]'
        lists[kind].append(f"{name or 'dependencies'} = {items}\n")
        if draw(st.booleans()):
            backend = draw(st.sampled_from(BACKENDS))
            used.add(backend)
            marker = draw(st.sampled_from(WHERE))
            condition = f', marker = "{marker}"' if marker else ""
            place = f', {kind} = "{name}"' if kind else ""
            entries.append(f'{{ index = "i-{backend}"{place}{condition} }}')
    text = draw(st.sampled_from([PROJECT, PROJECT.replace(">=3.11", ">=3.9,<3.13")]))
    text += "".join(lists[""])
    for kind, head in (("extra", "project.optional-dependencies"), ("group", "dependency-groups")):
        text += f"[{head}]\n{''.join(lists[kind])}" if lists[kind] else ""
    if entries:
        text += f"[tool.uv.sources]\ntorch = [{', '.join(entries)}]\n"
    base = draw(st.sampled_from([WHL, "https://mirror.example.org/whl"]))
    for backend in sorted(used):
        text += f'[[tool.uv.index]]\nname = "i-{backend}"\nurl = "{base}/{backend}"\n'
        text += "explicit = true\n"
    return text


@settings(max_examples=60, deadline=None)
@given(text=drawn())
def test_any_set_up_is_read_and_answered(text: str, tmp_path_factory) -> None:
    """The answers fit each other, the edit is settled, and everything that changed is told."""
    folder = folder_with(tmp_path_factory.mktemp("drawn") / "lab", text)
    answers = adopt(folder, TABLES, {}).answers
    assert why_not_any(KEYS, TABLES, answers) is None
    assert {key for key in KEYS if asked(key, answers)} - {"user_name", "place"} <= set(answers)
    plan = make_plan(TABLES, Answers.complete(answers))
    edited = edit(text, None, plan).text
    assert edit(edited, None, plan).text == edited
    (folder / "pyproject.toml").write_bytes(edited.encode())
    again = adopt(folder, TABLES, {}).answers
    kept = ("strategy", "torch_version", "backend", "linux_backend", "windows_backend", "backends")
    told = {key: answers.get(key) for key in kept if key != "backends"}
    assert {key: again.get(key) for key in told} == told
    said = report(text, None, edited, plan)
    assert all(platform.label in said for platform in PLATFORMS.values())
    changed = re.findall(r"^  [-+](.*)$", said, re.MULTILINE)
    assert set(changed) >= set(text.splitlines()) ^ set(edited.splitlines()) - {""}


REFUSED: dict[str, tuple[str, str]] = {
    "broken": ("no toml", "cannot be read: Expected '='"),
    "conflict": ("<<<<<<< HEAD\n", "cannot be read"),
    "no-table": ("project = 3", "project is no table"),
    "name": ("[project]\nname = 1", "of another shape than the standard's (1 is no text)"),
    "list": ("[project]\ndependencies = 'torch'\ndynamic = 3", "of another shape"),
    "lists": ("[project]\ndependencies = [3]", "of another shape"),
    "groups": ("dependency-groups = 3\n[project]\n", "of another shape"),
    "python": ("[project]\nrequires-python = 'new'", "is no bound on Python. Nearest: '>=3.11'"),
    "python-too-old": (
        "[project]\nrequires-python = '>=3.7,<3.10'\ndependencies = ['torch']",
        "allows no Python for which PyTorch is offered here. Nearest: '>=3.10'",
    ),
    "nothing": ("", "has no [project] table. Nearest: a [project] table"),
    "tools": ("[tool.ruff]\nline-length = 88\n", "has no [project] table"),
    "poetry": (
        "[tool.poetry.dependencies]\ntorch = '*'\n",
        "in the tables of Poetry, which uv does not read. Nearest: uvx migrate-to-uv",
    ),
    "poetry-groups": ("[tool.poetry.group.dev.dependencies]\ntorch = '*'\n", "of Poetry"),
    "poetry-sources": (
        f"[project]\ndependencies = ['torch']\n[[tool.poetry.source]]\nurl = '{WHL}/cu121'\n",
        "of Poetry",
    ),
    "pdm": (
        f"[project]\ndependencies = ['torch']\n[[tool.pdm.source]]\nurl = '{WHL}/cu121'\n",
        "of PDM",
    ),
    "pixi": ("[project]\nname = 'lab'\n[tool.pixi.dependencies]\npytorch = '*'\n", "of Pixi"),
    "dynamic": (
        "[project]\ndynamic = ['version', 'dependencies']\n",
        "another file states its dependencies, which uv cannot edit. Nearest: take",
    ),
    "http": (
        "[project]\ndependencies = ['torch']\n[tool.uv.sources]\ntorch = { index = 'p' }\n"
        "[[tool.uv.index]]\nname = 'p'\nurl = 'http://host.example.org/whl/cu126'\n",
        "plain http lets anyone on the way replace a wheel. Nearest: https://host.example.org/whl",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_with_a_way(tmp_path: Path, name: str) -> None:
    text, message = REFUSED[name]
    with pytest.raises(CannotAdopt, match=re.escape(message)) as refused:
        adopt(folder_with(tmp_path / "lab", text), TABLES, {})
    assert ". Nearest: " in str(refused.value)


@pytest.mark.parametrize("name", ["requirements.txt", "environment.yml", "setup.py", "pixi.toml"])
def test_packages_in_other_files_are_refused_with_a_way(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(CannotAdopt, match=rf"stand in {re.escape(name)}, .* Nearest: uv init"):
        adopt(tmp_path, TABLES, {})


def test_what_others_add_to_a_standard_project_is_no_obstacle(tmp_path: Path) -> None:
    text = f'{PROJECT}dependencies = ["torch"]\n[tool.poetry]\npackages = [{{ include = "lab" }}]\n'
    text += '[tool.pdm.dev-dependencies]\ntest = ["pytest"]\n'
    assert adopt(folder_with(tmp_path / "lab", text), TABLES, {}).answers["strategy"] == "pypi"
