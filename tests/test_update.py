"""`copier update` with another release line: what is not offered any more moves to the nearest."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from copier import run_copy, run_update
from copier.errors import UserMessageError

from extensions.conflicts import conflicts, files
from tests.git import committed, git, tagged_template
from tests.project import Project, copied


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    return tagged_template(tmp_path / "template")


def updated(
    template: Path,
    answers: dict[str, Any],
    to: dict[str, Any],
    edit: Callable[[Project], None] = lambda project: None,
    quiet: bool = True,
) -> Project:
    project = template.parent / "project"
    run_copy(str(template), project, answers, defaults=True, unsafe=True, quiet=True)
    edit(Project(project))
    committed(project)
    run_update(project, to, defaults=True, overwrite=True, unsafe=True, quiet=quiet)
    return Project(project)


def test_the_result_is_a_fresh_render(tagged: Path) -> None:
    answers = {"backends": ["cpu", "cu126"], "default_backend": "cu126"}
    project = updated(tagged, {"torch_version": "2.13", **answers}, {"torch_version": "2.14"})
    fresh = tagged.parent / "fresh" / "project"
    run_copy(str(tagged), fresh, answers, defaults=True, unsafe=True, quiet=True)
    for path in Project(fresh).files:
        name = str(path.relative_to(fresh))
        assert project.text(name) == path.read_text(encoding="utf-8"), name


@pytest.mark.parametrize(
    ("answers", "to", "nearest"),
    [
        ({"strategy": "index", "backend": "cu126"}, "2.15", {"backend": "cu130"}),
        (
            {"strategy": "groups", "backends": ["cpu", "cu126"], "default_backend": "cu126"},
            "2.15",
            {"backends": ["cpu", "cu130"], "default_backend": "cu130"},
        ),
        ({"torch_version": "2.14", "python_version": "3.10"}, "2.15", {"python_version": "3.11"}),
        ({"torch_version": "2.11", "strategy": "extras", "backends": ["cpu", "cu128"]}, "2.12",
         {"backends": ["cpu", "cu129"]}),
    ],
)  # fmt: skip
def test_what_is_retired_moves_to_the_nearest_and_says_so(
    tagged: Path, capsys, answers: dict[str, Any], to: str, nearest: dict[str, Any]
) -> None:
    project = updated(tagged, answers, {"torch_version": to})
    assert {key: project.answers[key] for key in nearest} == nearest
    said = capsys.readouterr().err
    for key, value in nearest.items():
        assert f"{key}: " in said
        assert f"Taken: {value}." in said


def test_an_update_says_what_to_do_next(tagged: Path, capsys) -> None:
    answers = {"strategy": "extras", "backends": ["cpu", "cu130"], "torch_version": "2.13"}
    project = updated(tagged, answers, {"torch_version": "2.14"}, quiet=False)
    said = capsys.readouterr().err
    assert "project is up to date with its template. Next:\n\n  uv sync --extra cu130\n" in said
    assert "<<<<<<<" not in project.text("pyproject.toml")


def test_what_cannot_merge_is_a_conflict_in_its_file_and_counted(tagged: Path, capsys) -> None:
    answers = {"strategy": "index", "backend": "cu126", "torch_version": "2.13"}
    mine = '"torch==2.13.0"'

    def pin(project: Project) -> None:
        file = project.path / "pyproject.toml"
        text = file.read_text("utf-8").replace('"torch>=2.13.0,<2.14"', mine)
        file.write_text(text.replace('select = ["E"', 'select = ["N"'), "utf-8")

    project = updated(tagged, answers, {"torch_version": "2.14"}, edit=pin, quiet=False)
    text = project.text("pyproject.toml")
    assert text.count("<<<<<<< before updating") == 1
    assert mine in text and '"torch>=2.14.1,<2.15"' in text and 'select = ["N"' in text
    said = capsys.readouterr().err
    assert "1 conflict to resolve,\nas after a merge, in pyproject.toml. Then:" in said


def own_lines(project: Project, name: str) -> None:
    file = project.path / name
    file.write_text(file.read_text("utf-8").replace("torch", "my torch"), "utf-8")


def test_a_conflict_is_found_in_a_package_of_any_name(tagged: Path, capsys) -> None:
    answers = {"package_name": "runs", "torch_version": "2.13"}
    updated(tagged, answers, {}, edit=lambda project: own_lines(project, "src/runs/device.py"))
    module = tagged / "template" / "src" / "{{ package_name }}" / "device.py"
    module.write_text(module.read_text("utf-8").replace("torch", "pytorch"), "utf-8")
    git(committed(tagged, "Next"), "tag", "v1.1.0")
    project = tagged.parent / "project"
    committed(project)
    run_update(project, defaults=True, overwrite=True, unsafe=True)
    assert "to resolve,\nas after a merge, in src/runs/device.py. Then:" in capsys.readouterr().err


def test_rejected_changes_count_too(tagged: Path, capsys) -> None:
    project = updated(
        tagged, {"torch_version": "2.13"}, {}, edit=lambda project: own_lines(project, "README.md")
    )
    committed(project.path)
    run_update(
        project.path, {"torch_version": "2.14"}, defaults=True, overwrite=True, unsafe=True,
        conflict="rej",
    )  # fmt: skip
    assert re.search(r"\d+ conflicts? to resolve,\nas .* README.md.rej", capsys.readouterr().err)


def test_a_file_that_the_answers_have_no_use_for_is_named(tagged: Path, capsys) -> None:
    """What its owner wrote in it goes along, and must be looked for in git."""
    answers = {"containers": ["docker"], "strategy": "groups"}
    updated(tagged, answers, {"containers": [], "strategy": "pip", "backend": "cpu"}, quiet=False)
    said = capsys.readouterr().err
    names = ".dockerignore, .github/workflows/gpu.yml, Dockerfile, scripts/check_lock.py"
    gone = (
        f"Gone, as these answers have no use for them: {names}.\nWhat you wrote there is in git.\n"
    )
    assert gone in said


def test_a_mirror_that_had_a_login_before_it_was_asked_for_is_spoken_of(
    tagged: Path, capsys
) -> None:
    def before(project: Project) -> None:
        file = project.path / ".copier-answers.yml"
        file.write_text(file.read_text("utf-8").replace("authenticate: auto\n", ""), "utf-8")

    mirror = {"index_url": "https://mirror.example.org/whl"}
    updated(tagged, mirror, {}, edit=before)
    assert capsys.readouterr().err.count("authenticate: so far CI had a login") == 1


def test_a_lock_is_neither_rendered_nor_touched(tagged: Path) -> None:
    lock = "# a lock, whatever is in it\n"
    answers = {"strategy": "groups", "torch_version": "2.13"}
    project = updated(
        tagged,
        answers,
        {"torch_version": "2.14"},
        edit=lambda project: (project.path / "uv.lock").write_text(lock, "utf-8"),
    )
    assert project.text("uv.lock") == lock
    assert not list((tagged / "template").rglob("*uv.lock*"))


def test_a_copy_from_a_folder_without_git_works_and_its_update_says_what_is_missing(
    template: Path, tmp_path: Path
) -> None:
    project = copied(template, tmp_path / "project", {})
    assert "_commit" not in project.answers
    committed(project.path)
    with pytest.raises(UserMessageError, match="cannot obtain old template references"):
        run_update(project.path, defaults=True, overwrite=True, unsafe=True, quiet=True)


def test_the_answers_file_names_the_template_in_full(tagged: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tagged)
    run_copy(".", tmp_path / "project", {}, defaults=True, unsafe=True, quiet=True)
    assert Project(tmp_path / "project").answers["_src_path"] == str(tagged)


MARKED = b"<<<<<<< before updating\nmine\n=======\n"


def test_conflicts_are_looked_for_in_files_and_nothing_else(tmp_path: Path) -> None:
    """Not in what has no end, in what nobody writes to, or outside of the project."""
    project, outside = tmp_path / "project", tmp_path / "outside"
    project.mkdir()
    outside.write_bytes(MARKED)
    odd = os.fsdecode(b"\xff.txt")
    for name in ("file", odd, "link target"):
        (project / name).write_bytes(MARKED)
    (project / "large").write_bytes(MARKED * 100_000)
    os.mkfifo(project / "pipe")
    links = {"zero": "/dev/zero", "memory": "/proc/self/mem", "out": str(outside), "self": "self",
             "long": "x" * 300, "in": "link target", "nothing": "none", "up": ".."}  # fmt: skip
    for name, target in links.items():
        (project / name).symlink_to(target)
    assert conflicts(project) == {"file": 1, odd: 1, "link target": 1, "in": 1}
    assert files(project) >= {"file", odd, "large", "zero"}
    assert "pipe" not in files(project)


def test_a_file_that_vanishes_or_is_closed_to_us_has_no_conflicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(MARKED)
    real = os.lstat

    def lstat(path: Any, **more: Any) -> os.stat_result:
        if Path(path).name in ("a", "b"):
            raise {"a": PermissionError, "b": FileNotFoundError}[Path(path).name]
        return real(path, **more)

    monkeypatch.setattr(os, "lstat", lstat)
    assert conflicts(tmp_path) == {"c": 1}


def test_an_update_beside_odd_files_ends(tagged: Path, capsys) -> None:
    def odd(project: Project) -> None:
        os.mkfifo(project.path / "pipe")
        (project.path / "zero").symlink_to("/dev/zero")
        (project.path / "long").symlink_to("x" * 300)

    updated(tagged, {"torch_version": "2.13"}, {"torch_version": "2.14"}, edit=odd, quiet=False)
    assert "project is up to date with its template. Next:" in capsys.readouterr().err
