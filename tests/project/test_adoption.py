"""Projects of other people are adopted by the command of the README: each goes on as it was, but
for PyTorch's parts of its `pyproject.toml`, and what those change is told."""

from __future__ import annotations

import difflib
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from copier import run_update

from extensions.project import adoption
from tests.conftest import ROOT, THIS_PYTHON
from tests.pytorch_index import PyTorchIndex
from tests.support.cells import TABLES
from tests.support.command import Ended, copier
from tests.support.git import committed, git, tagged_template
from tests.support.project import Project

COPIER = Path(sys.executable).with_name("copier")
CASES_FOLDER = ROOT / "tests" / "project" / "adopted"
ADDED = {
    ".copier-answers.yml",
    "docs/pytorch.md",
    "scripts/check_lock.py",
    "scripts/smoke_test.py",
}
# What a line of PyTorch's parts may be about.
PYTORCH = re.compile(
    r"torch|index|dependencies = |requires-python|\bname = |error-codes|cache-control|^[\]}]",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Case:
    """`files` stand beside the project's pyproject.toml, `kept` are texts that stay in it, and
    `said` what the adoption tells."""

    answers: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    said: tuple[str, ...] = ()


PYPI = {"strategy": "pypi", "torch_version": "2.14"}
CASES: dict[str, Case] = {
    "license-file": Case({**PYPI, "license": "other"}, ("LICENSE",), ('{ file = "LICENSE" }',)),
    "license-absent": Case({**PYPI, "license": "other"}, ("LICENSE",)),
    "license-spelled-out": Case({"license": "Apache-2.0"}, (), ('"Apache License 2.0"',)),
    "license-other-spdx": Case({"license": "other"}, (), ('license = "BSD-2-Clause"',)),
    "flat-layout": Case({"package_name": "lab"}, ("lab/__init__.py", "lab/cli.py")),
    "module-of-another-name": Case(
        {"package_name": "art"}, ("src/art/__init__.py", "src/actors/__init__.py")
    ),
    "no-package": Case({}, ("lab/__init__.py", "train.py"), ("package = false",)),
    "builds-by-extra": Case(
        {"strategy": "extras", "backends": ["cpu", "cu128"], "torch_version": "2.9"},
        kept=('cu128 = ["torch==2.9.1", "torchvision==0.24.1"]',),
        said=("uv sync --extra cu128", "torch==2.9.1 (cu128)", "2.9.1+cu128"),
    ),
    "one-cuda-index": Case(
        {"strategy": "index", "backend": "cu128", "torch_version": "2.11"},
        said=("torch>=2.7.1 (cu128)", "2.11.0+cu128"),
    ),
    "plain-pypi": Case(PYPI, said=("torch>=2.7 (PyPI)", "2.14.1 (PyPI)")),
    "torch-with-a-cap": Case({"strategy": "pypi", "torch_version": "2.7"}),
    "torch-in-an-extra": Case(
        {"strategy": "pypi", "torch_version": "2.8"},
        kept=('gpu = ["torch==2.8.0", "vllm"]',),
        said=("a plain `uv sync` installs torch now, which it did not",),
    ),
    "vision-in-a-group": Case(
        PYPI,
        kept=('multimodal = ["torchvision>=0.22", "timm"]', 'audio = ["torchaudio", "soundfile"]'),
    ),
    "triton-of-its-own": Case(PYPI, kept=("\"triton>=3.3; sys_platform == 'linux'\"",)),
    "indexes-as-one-list": Case(PYPI, kept=('index = [{ name = "acme"',)),
    "python-with-a-cap": Case({"python_version": "3.10"}, kept=('">=3.10,<3.12"',)),
    "python-too-old": Case(
        {"python_version": "3.10", "torch_version": "2.5"},
        kept=('requires-python = ">=3.10,<3.11"',),
        said=(
            "requires-python was '>=3.8,<3.11', and torch 2.5 needs '>=3.10,<3.11'",
            "the bound 'torch==2.4.1' is not kept: torch is 2.5.1 now",
        ),
    ),
    "comments": Case(PYPI, kept=("# SPDX-License-Identifier: MIT", '# "deepspeed",')),
    "readme-of-another-name": Case(PYPI, ("README.rst",), ('readme = "README.rst"',)),
    "mirrors": Case(
        {
            "strategy": "index",
            "backend": "cu126",
            "index_url": "https://mirror.example.org/pytorch-wheels",
            "pypi_url": "https://pypi.example.org/simple",
        },
        kept=("https://mirror.example.org/pytorch-wheels/cu126", "https://pypi.example.org/simple"),
    ),
    "settings-of-uv": Case(PYPI, kept=('default-groups = ["dev", "docs"]', "match-runtime = true")),
    "tools-in-other-lists": Case(
        PYPI, kept=('test = ["pytest==8.3.5"]', 'lint = ["ruff==0.11.2"]')
    ),
    "mypy": Case({"type_checker": "mypy"}, kept=('plugins = ["pydantic.mypy"]',)),
    "author-and-settings": Case(
        {"user_name": "Ada Löwe", "user_email": "ada@example.org"},
        kept=('authors = [{ name = "Ada Löwe", email = "ada@example.org" }]',),
    ),
    "own-readme-and-update": Case(PYPI, ("README.md", ".github/workflows/ci.yml")),
    "own-extra-then-strategy-extras": Case(PYPI, kept=('viz = ["plotly>=6"]',)),
    "conflicts-of-its-own": Case(
        PYPI, kept=('conflicts = [[{ extra = "old" }, { extra = "new" }]]',)
    ),
}
REFUSED = {
    "poetry": "in the tables of Poetry, which uv does not read. Nearest: uvx migrate-to-uv",
    "no-project-table": "pyproject.toml has no [project] table: its packages stand in",
}


def command(template: Path, *options: str) -> list[str]:
    """The README's command, with the template in this folder."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Adopt a project")[1]
    line = re.search(r"^(copier copy .*)$", section, re.MULTILINE)
    assert line
    program, *words = shlex.split(line[1])
    assert program == "copier"
    words = [str(template) if word.startswith("gh:") else word for word in words]
    return [words[0], "--defaults", *options, *words[1:]]


def adopt(template: Path, folder: Path, *options: str, **environment: str) -> Ended:
    return copier(*command(template, *options), folder=folder, **environment)


def placed(tmp_path: Path, name: str, files: tuple[str, ...] = ()) -> Project:
    folder = tmp_path / "lab"
    folder.mkdir()
    text = (CASES_FOLDER / f"{name}.toml").read_text("utf-8")
    (folder / "pyproject.toml").write_bytes(text.encode())
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("# Its own.\n", "utf-8")
    committed(folder)
    return Project(folder)


def status(project: Project) -> dict[str, str]:
    lines = git(project.path, "status", "--porcelain", "--untracked-files=all").splitlines()
    return {path: code for code, path in (line.split(maxsplit=1) for line in lines)}


def test_there_is_a_test_for_every_case() -> None:
    names = {path.stem for path in CASES_FOLDER.glob("*.toml")}
    assert names == set(CASES) | set(REFUSED)


@pytest.mark.parametrize("name", CASES)
def test_a_project_is_adopted_in_place(template: Path, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    project = placed(tmp_path, name, case.files)
    before = project.text("pyproject.toml")
    settings = tmp_path / "settings.yml"
    settings.write_text(
        "defaults:\n  user_name: Grace\n  user_email: grace@example.org\n  license: MIT\n", "utf-8"
    )
    done = adopt(template, project.path, COPIER_SETTINGS_PATH=str(settings))
    assert done.returncode == 0, done.stderr
    after = project.text("pyproject.toml")
    tomllib.loads(after)
    answers = project.answers
    assert {key: answers[key] for key in case.answers} == case.answers
    assert answers["user_name"] != "Grace"
    for text in case.kept:
        assert text in after
    for text in case.said:
        assert text in done.stderr
    # Nothing but PyTorch's parts is touched, nothing is added that nobody asked for, and each line
    # is told.
    expected = {file: "??" for file in ADDED} | {"pyproject.toml": "M"}
    assert status(project) == expected
    for line in difflib.ndiff(before.splitlines(), after.splitlines()):
        if line.startswith(("- ", "+ ")) and line[2:].strip():
            assert PYTORCH.search(line[2:].strip()), line
            assert f"  {line[0]}{line[2:]}".rstrip() in done.stderr.splitlines()


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_adopted_is_refused_and_left_alone(
    template: Path, tmp_path: Path, name: str
) -> None:
    project = placed(tmp_path, name, ("requirements.txt",) if name == "no-project-table" else ())
    done = adopt(template, project.path)
    assert done.returncode != 0
    assert REFUSED[name] in " ".join(done.stderr.split())
    assert status(project) == {}


def test_a_mirror_that_speaks_of_a_vendor_is_adopted_as_a_pattern(tmp_path: Path) -> None:
    text = (CASES_FOLDER / "mirrors.toml").read_text("utf-8")
    (tmp_path / "pyproject.toml").write_text(text.replace("pytorch-wheels", "nvidia"), "utf-8")
    found = adoption.adopt(tmp_path, TABLES, {}).answers
    assert found["index_url"] == "https://mirror.example.org/nvidia/{backend}"
    assert found["backend"] == "cu126"


def test_extras_that_were_adopted_are_there_after_an_update_to_the_strategy(
    tmp_path: Path,
) -> None:
    project = placed(tmp_path, "own-extra-then-strategy-extras")
    assert adopt(tagged_template(tmp_path / "template"), project.path).returncode == 0
    committed(project.path)
    run_update(
        project.path,
        {"strategy": "extras"},
        defaults=True,
        overwrite=True,
        unsafe=True,
        quiet=True,
    )
    extras = tomllib.loads(project.text("pyproject.toml"))["project"]["optional-dependencies"]
    assert extras["viz"] == ["plotly>=6"]
    assert {"cpu", "viz"} < set(extras)


def test_an_update_leaves_the_files_alone_that_it_never_wrote(tmp_path: Path) -> None:
    files = ("README.md", ".github/workflows/ci.yml", ".pre-commit-config.yaml")
    project = placed(tmp_path, "own-readme-and-update", files)
    assert adopt(tagged_template(tmp_path / "template"), project.path).returncode == 0
    committed(project.path)
    run_update(
        project.path,
        {"torch_version": "2.11"},
        defaults=True,
        overwrite=True,
        unsafe=True,
        quiet=True,
    )
    for file in files:
        assert project.text(file) == "# Its own.\n"
    assert not set(files) & set(status(project))
    assert '"torch>=2.11,<2.12"' in project.text("pyproject.toml")


def test_a_lock_says_what_was_installed(
    template: Path, tmp_path: Path, index: PyTorchIndex
) -> None:
    project = placed(tmp_path, "plain-pypi")
    project.environment = {"UV_DEFAULT_INDEX": index.pypi_url}
    project.uv("lock", "--upgrade-package", "torch==2.9.1")
    done = adopt(template, project.path)
    assert project.answers["torch_version"] == "2.9"
    rows = re.findall(r"^  (\w+ \S+) +(\S+) \(PyPI\) +(\S+) \(PyPI\)$", done.stderr, re.MULTILINE)
    assert [row[1:] for row in rows] == [("2.9.1", "2.9.1")] * 4


def test_a_person_is_asked_only_for_what_the_project_does_not_say(
    template: Path, tmp_path: Path
) -> None:
    """Without --defaults and a keyboard, one question is enough to end it."""
    project = placed(tmp_path, "one-cuda-index")
    words = [word for word in command(template) if word != "--defaults"]
    done = subprocess.run(
        [COPIER, *words],
        cwd=project.path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert project.answers["strategy"] == "index"


def test_an_answer_that_is_given_goes_before_what_the_project_says(
    template: Path, tmp_path: Path
) -> None:
    project = placed(tmp_path, "plain-pypi")
    given = ("--data", "strategy=extras", "--data", "backends=[cpu, train=cu130]")
    assert adopt(template, project.path, *given, "--data", "ci=github").returncode == 0
    assert project.answers["backends"] == ["cpu", "train=cu130"]
    extras = project.pyproject["project"]["optional-dependencies"]
    assert set(extras) == {"cpu", "train"}
    assert (project.path / ".github" / "workflows" / "ci.yml").exists()


def test_the_history_of_a_new_project_goes_on(template: Path, tmp_path: Path) -> None:
    project = Project(tmp_path / "deep-thought")
    project.path.mkdir()
    project.uv("init", "--lib", "--python", THIS_PYTHON, "--description", "It thinks.")
    project.uv("add", "--frozen", "torch>=2.13", "httpx")
    committed(project.path)
    assert adopt(template, project.path).returncode == 0
    assert set(status(project)) == {*ADDED, "pyproject.toml"}
    assert project.answers["project_description"] == "It thinks."
    assert project.answers["package_name"] == "deep_thought"


def test_a_copy_over_a_rendered_project_adopts_nothing(template: Path, tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    for answer in ("type_checker=mypy", "type_checker=ty"):
        done = adopt(template, folder, "--overwrite", "--data", answer)
        assert done.returncode == 0, done.stderr
    assert Project(folder).answers["type_checker"] == "ty"
    assert "builds:" not in done.stderr
