"""A project made by `uv init` and `uv add` moves to the template as the README says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from copier import run_update
from copier.errors import UserMessageError

from extensions.project.adoption import adopt as read
from tests.conftest import ROOT, THIS_PYTHON
from tests.git import committed, git, tagged_template
from tests.project import Project, copied

COPIER = Path(sys.executable).with_name("copier")


def steps() -> list[list[str]]:
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Adopt a project")[1]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block
    return [shlex.split(line, comments=True) for line in block[1].splitlines()]


OWN_TABLES = """
[project.scripts]
think = "deep_thought:main"

# Ours since 2019.
[tool.ruff]
line-length = 120

[tool.ruff.lint]
select = ["ALL"]

[[tool.other.list]]
text = '''
[no.table]
'''
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """What an owner has after a while, without a template."""
    project = Project(tmp_path / "deep-thought")
    project.path.mkdir()
    project.uv("init", "--lib", "--python", THIS_PYTHON, "--description", "It thinks.")
    project.uv("add", "--frozen", "torch>=2.13", "einops>=0.8", "httpx", "numpy>=2")
    project.uv("add", "--frozen", "--dev", "ipython>=9", "pytest>=9")
    project.uv("add", "--frozen", "--optional", "viz", "plotly>=6")
    project.uv("add", "--frozen", "--group", "docs", "mkdocs>=1.6; sys_platform != 'win32'")
    file = project.path / "pyproject.toml"
    text = file.read_text("utf-8").replace('version = "0.1.0"', 'version = "3.4.1"')
    file.write_text(text + OWN_TABLES, "utf-8")
    (project.path / "src" / "deep_thought" / "__init__.py").write_text('"""Mine."""\n', "utf-8")
    (project.path / "README.md").write_text("# Mine\n", "utf-8")
    (project.path / ".gitignore").write_text("/secret/\n", "utf-8")
    (project.path / "tests").mkdir()
    (project.path / "tests" / "test_package.py").write_text('"""Mine, too."""\n', "utf-8")
    committed(project.path)
    return project


def adopt(project: Project, template: Path, *answers: str) -> dict[str, Any]:
    """Take the steps; the new pyproject.toml."""
    for program, *arguments in steps():
        words = [str(template) if a.startswith("gh:") else a for a in arguments]
        if program == "copier":
            data = [word for answer in answers for word in ("--data", answer)]
            words = [words[0], "--defaults", "--quiet", *data, *words[1:]]
        command = {"copier": [COPIER], "git": ["git", "--no-pager"]}[program]
        subprocess.run([*command, *words], cwd=project.path, check=True, capture_output=True)
    return tomllib.loads(project.text("pyproject.toml"))


ANSWERS = (
    ("strategy=groups",),
    ("strategy=extras",),
    ("strategy=pypi",),
    ("strategy=index", "backend=cpu"),
    ("strategy=pip", "backend=cpu"),
)


@pytest.mark.parametrize("answers", ANSWERS)
def test_an_existing_project_keeps_its_packages_files_and_history(
    template: Path, project: Project, answers: tuple[str, ...]
) -> None:
    found = adopt(project, template, *answers)
    about = found["project"]
    assert (about["name"], about["version"]) == ("deep-thought", "3.4.1")
    assert about["description"] == "It thinks."
    assert about["requires-python"].startswith(f">={THIS_PYTHON},")
    assert {"einops>=0.8", "httpx", "numpy>=2"} <= set(about["dependencies"])
    extras, groups = about["optional-dependencies"], found["dependency-groups"]
    dev = extras["dev"] if "strategy=pip" in answers else groups["dev"]
    assert {"ipython>=9", "pytest>=9", "ruff>=0.14"} <= set(dev)
    assert not {"numpy>=1.26", "pytest>=8.4"} & {*about["dependencies"], *dev}
    assert extras["viz"] == ["plotly>=6"]
    assert groups["docs"] == ["mkdocs>=1.6 ; sys_platform != 'win32'"]
    assert about["scripts"] == {"think": "deep_thought:main"}
    assert "# Ours since 2019.\n[tool.ruff]\nline-length = 120\n" in project.text("pyproject.toml")
    assert found["tool"]["ruff"]["lint"]["select"] != ["ALL"]
    assert found["tool"]["other"] == {"list": [{"text": "[no.table]\n"}]}
    assert "\n\n\n" not in project.text("pyproject.toml")
    assert project.text("src/deep_thought/__init__.py") == '"""Mine."""\n'
    assert project.text("tests/test_package.py") == '"""Mine, too."""\n'
    assert (project.path / "tests" / "test_device.py").exists()
    assert project.text("README.md") == "# Mine\n"
    assert project.text(".gitignore") == "/secret/\n"
    git(project.path, "add", "--all")
    git(project.path, "commit", "--quiet", "--message", "Adopt the template")
    assert git(project.path, "log", "--format=%s").splitlines() == ["Adopt the template", "Start"]


def test_an_update_keeps_what_was_adopted(tmp_path: Path, project: Project) -> None:
    template = tagged_template(tmp_path / "template")
    adopt(project, template, "torch_version=2.13")
    git(project.path, "add", "--all")
    git(project.path, "commit", "--quiet", "--message", "Adopt the template")
    before = tomllib.loads(project.text("pyproject.toml"))
    run_update(
        project.path,
        {"torch_version": "2.14"},
        defaults=True,
        overwrite=True,
        unsafe=True,
        quiet=True,
    )
    after = tomllib.loads(project.text("pyproject.toml"))
    assert after["tool"]["uv"]["constraint-dependencies"][0].startswith("torch>=2.14")
    assert after["project"]["dependencies"] == before["project"]["dependencies"]
    assert after["dependency-groups"]["docs"] == before["dependency-groups"]["docs"]
    assert after["tool"]["ruff"] == before["tool"]["ruff"]


def test_a_copy_over_a_rendered_project_adopts_nothing(template: Path, tmp_path: Path) -> None:
    """Else a second copy would take the lines of another answer for the owner's."""
    again = copied(template, tmp_path / "project", {"example": "training"})
    copied(template, again.path, {"example": "none"}, overwrite=True)
    assert "tqdm" not in again.text("pyproject.toml")


@pytest.mark.parametrize("text", ["", "\ufeff", "[tool.poetry]\n"])
def test_what_says_nothing_is_no_obstacle(template: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "pyproject.toml").write_text(text, "utf-8")
    found = copied(template, tmp_path / "project", {}, overwrite=True)
    assert found.answers["project_name"] == "project"
    tomllib.loads(found.text("pyproject.toml"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no toml", "cannot be read: Expected '='"),
        ("<<<<<<< HEAD\n", "cannot be read"),
        ("project = 3", "of another shape"),
        ("[project]\nname = 1", "of another shape than the standard's (1 is no text)"),
        ("[project]\nauthors = ['Ada']", "of another shape"),
        ("[project]\ndependencies = [['a']]", "of another shape"),
        ("dependency-groups = 3", "of another shape"),
        ("[project]\nlicense = 'GPL-3.0'", "license: there is no license 'GPL-3.0'"),
        ("[project.license]\ntext = 'GPL-3.0'", "Or: proprietary, and your line again"),
    ],
)
def test_what_cannot_be_adopted_is_refused_and_left_alone(
    template: Path, tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(UserMessageError) as refused:
        copied(template, tmp_path, {}, overwrite=True)
    assert message in refused.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["pyproject.toml"]
    assert file.read_text("utf-8") == text


# What real files have: per file, the answers, texts that stay, and what is named as lost.
ODD: list[tuple[str, dict[str, Any], list[str], str]] = [
    (
        "dependencies = ["
        "\"numpy<2; python_version < '3.12'\", 'numpy>=2; python_version >= \"3.12\"']",
        {},
        ["\"numpy<2; python_version < '3.12'\",\n    \"numpy>=2; python_version >= '3.12'\","],
        "",
    ),
    (
        'dependencies = ["corp", "flask", "lib @ git+https://git.example.org/lib"]\n'
        '[tool.uv.sources]\ncorp = { index = "acme" }\nflask = { path = "../flask" }\n'
        'torch = [{ index = "pytorch-cpu" }]\n'
        '[[tool.uv.index]]\nname = "acme"\nurl = "https://acme.example.org/simple"\n'
        "explicit = true\n"
        '[[tool.uv.index]]\nname = "pytorch-cpu"\nurl = "https://download.pytorch.org/whl/cpu"\n',
        {},
        [
            'corp = { index = "acme" }',
            'flask = { path = "../flask" }',
            '"https://acme.example.org/',
        ],
        "",
    ),
    ('[project.optional-dependencies]\n"py3.8" = ["einops"]', {}, ['"py3.8" = ['], ""),
    (
        '[project.optional-dependencies]\ndev = ["black"]\ncpu = ["onnxruntime"]',
        {},
        ['dev = [\n    "black",', 'cpu = [\n    "onnxruntime",'],
        "",
    ),
    (
        '[project.optional-dependencies]\ncpu = ["onnxruntime"]',
        {"strategy": "extras"},
        [],
        "the list cpu of extras",
    ),
    (
        '[dependency-groups]\ntest = ["pytest-cov"]\ndev = [{ include-group = "test" }]',
        {},
        ['{ include-group = "test" },', 'test = [\n    "pytest-cov",'],
        "",
    ),
    (
        "scripts.run = 'a:b'\nkeywords = ['x']\n[project.urls]\nhome = 'https://x.example'\n"
        "  [tool.black]\n  line-length = 99\n",
        {},
        ['scripts = { run = "a:b" }', 'keywords = ["x"]', "[project.urls]", "line-length = 99"],
        "",
    ),
    (
        "dynamic = ['version']\n[tool.uv]\npackage = false\n[tool.mypy]\nstrict = true\n"
        "[tool.pytest]\naddopts = ['-q']\n[tool.ruff]\nlint.select = ['ALL']\n"
        "[tool.ruff.lint.per-file-ignores]\n'tests/*' = ['S']\n",
        {},
        ["[tool.ruff.lint.per-file-ignores]"],
        "tool.uv.package, tool.mypy, tool.pytest, tool.ruff, project.dynamic",
    ),
    (
        "license = { text = 'MIT' }\nauthors = [{ email = 'a@b.example' }]",
        {},
        ['license = "MIT"'],
        "",
    ),
    ("[tool.x]\r\na = 1\r\n# about y\r\n[tool.y]\r\nb = 2\r\n", {}, ["# about y\n[tool.y]"], ""),
]


@pytest.mark.parametrize(("text", "answers", "kept", "lost"), ODD)
@pytest.mark.parametrize("strategy", ["groups", "pypi"])
def test_what_real_files_have_stays_or_is_named(
    template: Path, tmp_path: Path, capsys, strategy: str, text: str, answers: dict[str, Any],
    kept: list[str], lost: str,
) -> None:  # fmt: skip
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "pyproject.toml").write_bytes(f"[project]\nname = 'lab'\n{text}".encode())
    answers = {"python_version": THIS_PYTHON, "strategy": strategy, **answers}
    project = copied(template, folder, answers, overwrite=True)
    found = project.text("pyproject.toml")
    for piece in kept:
        assert piece in found
    # uv reads all of it before it adds a line.
    project.uv("add", "--frozen", "six")
    said = capsys.readouterr().err
    assert (f"not taken over, though git has it: {lost}.\n" in said) if lost else not said


def test_its_package_torch_and_python_are_the_defaults(template: Path, tmp_path: Path) -> None:
    (tmp_path / "src" / "realname").mkdir(parents=True)
    (tmp_path / "src" / "realname" / "__init__.py").touch()
    text = "[project]\nname = 'lab'\nrequires-python = '~=3.12'\n"
    text += "dependencies = ['torch==2.11.0', 'torchaudio']\n"
    (tmp_path / "pyproject.toml").write_text(text, "utf-8")
    answers = copied(template, tmp_path, {}, overwrite=True).answers
    assert (answers["package_name"], answers["torch_version"]) == ("realname", "2.11")
    assert (answers["python_version"], answers["packages"]) == ("3.12", ["torchaudio"])


def test_the_answers_to_another_template_are_no_obstacle(template: Path, tmp_path: Path) -> None:
    (tmp_path / ".copier-answers.yml").write_text("_src_path: gh:other/template\n", "utf-8")
    text = "[project]\nname = 'lab'\ndependencies = ['einops']\n"
    (tmp_path / "pyproject.toml").write_text(text, "utf-8")
    assert '"einops",' in copied(template, tmp_path, {}, overwrite=True).text("pyproject.toml")


def test_a_description_that_nobody_wrote_is_no_answer(tmp_path: Path) -> None:
    project = Project(tmp_path / "new")
    project.path.mkdir()
    project.uv("init", "--python", THIS_PYTHON)
    answers = read(project.path).answers
    assert (answers["project_name"], answers["python_version"]) == ("new", THIS_PYTHON)
    assert "project_description" not in answers
