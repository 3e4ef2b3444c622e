"""Whose a file is: what its owner has is rendered once, and only PyTorch's parts of their
`pyproject.toml` are edited, in place."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from copier import run_copy, run_recopy, run_update
from copier.errors import UserMessageError

from tests.conftest import ROOT
from tests.support.git import committed, git, tagged_template
from tests.support.project import Project, copied

OWNERS = (
    *("README.md", "LICENSE", "src", "tests", ".editorconfig", ".gitattributes", ".gitignore"),
    *(".python-version", ".vscode"),
)
ADOPTED = """\
[project]
name = "thing"
version = "3"
requires-python = ">=3.11"  # Ours.
dependencies = ["numpy"]
"""


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    return tagged_template(tmp_path / "template")


@pytest.fixture
def project(tagged: Path, tmp_path: Path) -> Project:
    return copied(tagged, tmp_path / "project", {"torch_version": "2.13"})


@pytest.fixture
def adopted(tmp_path: Path) -> Project:
    folder = tmp_path / "thing"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(ADOPTED, "utf-8")
    committed(folder)
    return Project(folder)


def update(project: Project, quiet: bool = True, **answers: Any) -> None:
    committed(project.path)
    run_update(project.path, answers, defaults=True, overwrite=True, unsafe=True, quiet=quiet)


def files(project: Project) -> dict[str, bytes]:
    return {
        p.relative_to(project.path).as_posix(): p.read_bytes()
        for p in project.files
        if ".git" not in p.relative_to(project.path).parts[:1]
    }


def changed(project: Project) -> set[str]:
    """What is not as in the last commit, new files included."""
    lines = git(project.path, "status", "--porcelain", "--untracked-files=all").splitlines()
    return {line.split(maxsplit=1)[1] for line in lines}


# The owner's files


def test_the_lists_of_copier_yml_name_the_same_files() -> None:
    content = yaml.safe_load((ROOT / "copier.yml").read_text("utf-8"))
    excluded = content["_exclude"][0].partition("{% endif %}")[0].split("\n")[1:-1]
    skipped = [path for path in content["_skip_if_exists"] if path.startswith("/")]
    assert excluded == ["/pyproject.toml", *skipped]
    assert skipped == [f"/{name}" for name in OWNERS]


def test_an_update_neither_touches_nor_brings_back_an_owner_s_file(project: Project) -> None:
    for name in OWNERS:
        path = project.path / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (project.path / "README.md").write_text("# Mine\n", "utf-8")
    update(project, torch_version="2.14", strategy="extras", license="BSD-3-Clause")
    assert (project.path / "README.md").read_text("utf-8") == "# Mine\n"
    for name in set(OWNERS) - {"README.md"}:
        assert not (project.path / name).exists(), name


def test_a_pyproject_that_was_deleted_stays_away(project: Project, capfd) -> None:
    (project.path / "pyproject.toml").unlink()
    update(project, quiet=False, torch_version="2.14")
    assert not (project.path / "pyproject.toml").exists()
    assert "- there is no pyproject.toml: nothing was edited." in capfd.readouterr().err


def test_what_an_answer_first_asks_for_comes_once(project: Project, tagged: Path) -> None:
    (project.path / "src" / "project" / "device.py").unlink()
    update(project, example="training")
    fresh = copied(tagged, tagged.parent / "fresh" / "project", {"example": "training"})
    for name in ("src/project/training/trainer.py", "src/project/device.py"):
        assert project.text(name) == fresh.text(name)
    (project.path / "src" / "project" / "training" / "data.py").unlink()
    (project.path / "tests" / "test_training.py").write_text("# Mine\n", "utf-8")
    update(project, torch_version="2.14")
    assert not (project.path / "src" / "project" / "training" / "data.py").exists()
    # And it goes on to be its owner's when the answer changes back.
    update(project, example="none")
    assert (project.path / "src" / "project" / "training" / "trainer.py").exists()
    assert project.text("tests/test_training.py") == "# Mine\n"


def test_a_license_comes_where_there_was_none_and_is_not_replaced(
    tagged: Path, tmp_path: Path
) -> None:
    project = copied(tagged, tmp_path / "project", {"license": "proprietary"})
    update(project, license="Apache-2.0")
    assert "Apache License" in project.text("LICENSE")
    update(project, license="MIT")
    assert "Apache License" in project.text("LICENSE")


def test_what_is_there_is_not_replaced_by_what_comes(tagged: Path, tmp_path: Path) -> None:
    project = copied(tagged, tmp_path / "project", {"license": "proprietary"})
    (project.path / "LICENSE").write_text("Ask us.\n", "utf-8")
    update(project, license="MIT")
    assert project.text("LICENSE") == "Ask us.\n"


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"package_name": "other"}, "package_name: src/project is yours, and as before"),
        ({"license": "proprietary"}, "license: the license in pyproject.toml, and a LICENSE"),
        ({"type_checker": "mypy"}, 'packages that the answers need now: uv add --dev "mypy>='),
        ({"example": "training"}, 'packages that the answers need now: uv add "tensorboard>='),
        ({"strategy": "extras"}, "README.md still says `uv sync`, which is `uv sync --extra cu13"),
    ],
)
def test_what_is_left_to_the_owner_is_said(
    project: Project, capfd, answers: dict[str, Any], said: str
) -> None:
    update(project, quiet=False, **answers)
    assert f"- {said}" in capfd.readouterr().err
    update(project, quiet=False)
    assert "\n- " not in capfd.readouterr().err


def test_a_pinned_python_that_the_answers_exclude_is_said(tagged: Path, tmp_path: Path, capfd):
    project = copied(tagged, tmp_path / "project", {"python_version": "3.10"})
    update(project, quiet=False, python_version="3.12")
    said = capfd.readouterr().err
    assert ".python-version: 3.10 is outside of requires-python; `uv python pin 3.12`" in said
    assert project.text(".python-version") == "3.10\n"


# pyproject.toml


def test_newlines_and_mode_of_pyproject_stay(project: Project) -> None:
    file = project.path / "pyproject.toml"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    file.chmod(0o600)
    git(project.path, "init", "--quiet")
    (project.path / ".gitattributes").write_text("* -text\n", "utf-8")
    update(project, torch_version="2.14", strategy="extras")
    content = file.read_bytes()
    assert b"torch>=2.14,<2.15" in content
    assert content.count(b"\n") == content.count(b"\r\n")
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_project_below_the_top_of_its_repository(tagged: Path, tmp_path: Path) -> None:
    project = copied(tagged, tmp_path / "repository" / "project", {"torch_version": "2.13"})
    committed(tmp_path / "repository")
    run_update(
        project.path, {"torch_version": "2.14"}, defaults=True, overwrite=True, unsafe=True,
        quiet=True,
    )  # fmt: skip
    assert '"torch>=2.14,<2.15"' in project.text("pyproject.toml")
    assert "README.md" not in changed(project)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[project\n", "pyproject.toml cannot be read: "),
        ("[tool.poetry]\nname = 'x'\n", "no .project. table"),
        ("[project]\nname = 'x'\ndynamic = ['dependencies']\n", "dynamic"),
        ("[project]\nname = 'x'\ndependencies = 'torch'\n", "unexpected type"),
        ("[project]\nname = 'x'\n[tool.uv]\nsources = 1\n", "unexpected type"),
        ("[project]\nname = 'Gr\u00f6\u00dfe'\n".encode("latin-1"), "UTF-8"),
    ],
)
def test_what_cannot_be_edited_is_refused_before_anything_changes(
    project: Project, text: str | bytes, reason: str
) -> None:
    content = text if isinstance(text, bytes) else text.encode()
    (project.path / "pyproject.toml").write_bytes(content)
    committed(project.path)
    before = files(project)
    for operation in (run_update, run_recopy):
        with pytest.raises(UserMessageError, match=reason) as raised:
            operation(
                project.path, {"strategy": "pypi"}, defaults=True, overwrite=True, unsafe=True,
                quiet=True,
            )  # fmt: skip
        assert "Nearest: " in str(raised.value)
        assert files(project) == before and not changed(project)


@pytest.mark.parametrize("operation", ["copy", "update", "recopy"])
def test_without_tomlkit_nothing_changes_and_the_command_is_said(
    tagged: Path, project: Project, adopted: Project, monkeypatch, operation: str
) -> None:
    committed(project.path)
    run = {
        "copy": lambda: run_copy(str(tagged), adopted.path, {}, defaults=True, unsafe=True),
        "update": lambda: run_update(project.path, defaults=True, overwrite=True, unsafe=True),
        "recopy": lambda: run_recopy(project.path, defaults=True, overwrite=True, unsafe=True),
    }[operation]
    monkeypatch.setitem(sys.modules, "tomlkit", None)
    with pytest.raises(UserMessageError, match="uv tool install copier .* --with tomlkit"):
        run()
    assert not changed(project) and not changed(adopted)
    # A new project needs none.
    copied(tagged, tagged.parent / "new", {})


# copier copy and copier recopy in a project


def test_an_adoption_edits_in_place_and_touches_nothing_else(
    tagged: Path, adopted: Project
) -> None:
    (adopted.path / "scripts").mkdir()
    (adopted.path / "scripts" / "smoke_test.py").write_text("# Mine\n", "utf-8")
    committed(adopted.path)
    copied(tagged, adopted.path, {"strategy": "index", "backend": "cpu"})
    text = adopted.text("pyproject.toml")
    assert text.startswith(ADOPTED.partition("dependencies")[0])
    assert 'dependencies = ["numpy", "torch>=2.14,<2.15"]' in text
    assert adopted.text("scripts/smoke_test.py") == "# Mine\n"
    for name in (*OWNERS, ".pre-commit-config.yaml", "renovate.json"):
        assert not (adopted.path / name).exists(), name
    update(adopted, torch_version="2.13")
    assert '"torch>=2.13,<2.14"' in adopted.text("pyproject.toml")
    for name in (*OWNERS, ".pre-commit-config.yaml", "renovate.json"):
        assert not (adopted.path / name).exists(), name


def test_an_adoption_brings_what_is_asked_for_in_so_many_words(
    tagged: Path, adopted: Project
) -> None:
    copied(tagged, adopted.path, {"license": "MIT", "example": "training"})
    assert "MIT License" in adopted.text("LICENSE")
    assert (adopted.path / "src" / "thing" / "training" / "trainer.py").exists()
    assert not (adopted.path / "README.md").exists()


def test_a_recopy_edits_in_place_from_the_answers_before(project: Project) -> None:
    (project.path / "README.md").write_text("# Mine\n", "utf-8")
    (project.path / ".gitignore").unlink()
    assert "[dependency-groups]" in project.text("pyproject.toml")
    run_recopy(
        project.path, {"strategy": "index", "backend": "cu126"}, defaults=True, overwrite=True,
        unsafe=True, quiet=True,
    )  # fmt: skip
    text = project.text("pyproject.toml")
    assert "cu126" in text and "conflicts" not in text and "default-groups" not in text
    assert project.text("README.md") == "# Mine\n"
    assert not (project.path / ".gitignore").exists()


def test_a_pretended_run_changes_nothing(tagged: Path, project: Project, adopted: Project) -> None:
    committed(project.path)
    options = {"defaults": True, "unsafe": True, "overwrite": True, "pretend": True}
    run_update(project.path, {"strategy": "extras"}, **options)
    run_recopy(project.path, {"strategy": "extras"}, **options)
    run_copy(str(tagged), adopted.path, {}, **options)
    assert not changed(project) and not changed(adopted)


def test_skipped_tasks_leave_pyproject_and_say_so(tagged: Path, adopted: Project, capfd) -> None:
    options = {"defaults": True, "unsafe": True}
    run_copy(str(tagged), adopted.path, {}, skip_tasks=True, **options)
    assert adopted.text("pyproject.toml") == ADOPTED
    said = capfd.readouterr().err
    assert "PyTorch's parts of pyproject.toml are not in yet" in said
    assert "rm .copier-answers.yml\n  and the same command without --skip-tasks" in said
    (adopted.path / ".copier-answers.yml").unlink()
    run_copy(str(tagged), adopted.path, {}, **options)
    assert '"torch>=2.14,<2.15"' in adopted.text("pyproject.toml")


def test_a_new_project_starts_no_task(tagged: Path, tmp_path: Path, capfd) -> None:
    run_copy(str(tagged), tmp_path / "new", {}, defaults=True, unsafe=True)
    assert "Running task" not in capfd.readouterr().err


def test_the_program_says_what_it_cannot_do(tmp_path: Path) -> None:
    program = ROOT / "extensions" / "edit.py"
    done = subprocess.run(
        [sys.executable, program, "loud", ".copier-answers.yml", "--before="],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert ".copier-answers.yml holds no answers. Nothing of pyproject.toml" in done.stderr


# [tool.torch-uv-template] own


OWN = '\n[tool.torch-uv-template]\nown = ["Dockerfile", ".github/*", "docs/*", ".dockerignore"]\n'


def keep(project: Project, own: str = OWN) -> None:
    file = project.path / "pyproject.toml"
    file.write_text(file.read_text("utf-8") + own, "utf-8")


def test_what_a_project_keeps_is_no_update_s_business(tagged: Path, tmp_path: Path, capfd) -> None:
    """Changed, deleted, in conflict, gone by an answer, and new."""
    answers = {"torch_version": "2.13", "containers": ["docker"], "ci": "github"}
    project = copied(tagged, tmp_path / "project", answers)
    keep(project)
    ci = project.path / ".github" / "workflows" / "ci.yml"
    ci.write_text(ci.read_text("utf-8").replace("uv", "my-uv"), "utf-8")
    (project.path / ".dockerignore").unlink()
    committed(project.path)
    before = files(project)
    update(project, quiet=False, torch_version="2.14", strategy="pip", backend="cpu", containers=[])
    kept = ("Dockerfile", ".github/", "docs/", ".dockerignore")
    mine = {n: c for n, c in files(project).items() if n.startswith(kept)}
    assert mine == {n: c for n, c in before.items() if n.startswith(kept)}
    assert not [name for name in changed(project) if name.startswith(kept)]
    assert "project is up to date with its template." in capfd.readouterr().err
    # A file that only other answers bring does not come.
    update(project, template_updates="workflow")
    assert not (project.path / ".github" / "workflows" / "template.yml").exists()


def test_a_project_may_keep_its_pyproject(project: Project, capfd) -> None:
    keep(project, '\n[tool.torch-uv-template]\nown = ["pyproject.toml", "README.md"]\n')
    before = project.text("pyproject.toml")
    update(project, quiet=False, torch_version="2.14")
    assert project.text("pyproject.toml") == before
    assert "PyTorch's parts are as they were" in capfd.readouterr().err
    assert "torch_version: '2.14'" in project.text(".copier-answers.yml")
