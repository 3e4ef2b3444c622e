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

from extensions.plan.plan import VENV
from extensions.project.conflicts import conflicts, files
from tests.support.git import committed, git, tagged_template
from tests.support.project import Project, copied


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


def test_what_stays_on_the_other_machine_of_linux_is_said(tagged: Path, capfd) -> None:
    answers = {"strategy": "markers", "torch_version": "2.14", "linux_backend": "cu126"}
    project = updated(tagged, answers, {"linux_backend": "cu130"})
    assert project.answers["aarch64_backend"] == "cu126"
    said = "aarch64_backend: it stays cu126; --data aarch64_backend=cu130 changes it, too."
    assert said in capfd.readouterr().err
    # Whoever names both, or chose the other one, needs no word.
    committed(project.path)
    both = {"linux_backend": "cu126", "aarch64_backend": "cu130"}
    for to in (both, {"linux_backend": "cu132"}):
        run_update(project.path, to, defaults=True, overwrite=True, unsafe=True, quiet=True)
        assert "it stays" not in capfd.readouterr().err
        committed(project.path)


def test_an_update_says_what_to_do_next(tagged: Path, capfd) -> None:
    answers = {"strategy": "extras", "backends": ["cpu", "cu130"], "torch_version": "2.13"}
    project = updated(tagged, answers, {"torch_version": "2.14"}, quiet=False)
    said = capfd.readouterr().err
    assert "project is up to date with its template. Next:\n\n  uv sync --extra cu130\n" in said
    assert "<<<<<<<" not in project.text("pyproject.toml")


def test_a_quiet_update_says_nothing(tagged: Path, capfd) -> None:
    updated(tagged, {"torch_version": "2.13"}, {"torch_version": "2.14", "strategy": "extras"})
    assert capfd.readouterr() == ("", "")


def own_lines(project: Project, name: str = "scripts/smoke_test.py") -> None:
    file = project.path / name
    file.write_text(file.read_text("utf-8").replace("torch", "my_torch"), "utf-8")


def test_what_cannot_merge_is_a_conflict_in_its_file_and_counted(tagged: Path, capfd) -> None:
    project = updated(
        tagged, {"torch_version": "2.13"}, {"torch_version": "2.14"}, edit=own_lines, quiet=False
    )
    count = project.text("scripts/smoke_test.py").count("<<<<<<< before updating")
    said = capfd.readouterr().err
    assert f"{count} conflict{'s' if count > 1 else ''} to resolve,\nas after a merge, in " in said
    assert "in scripts/smoke_test.py. Then:\n\n  uv sync\n" in said
    # What is in conflict is no Python either; that is said once.
    assert "to repair" not in said and "up to date" not in said


def test_rejected_changes_count_too(tagged: Path, capfd) -> None:
    project = updated(tagged, {"torch_version": "2.13"}, {}, edit=own_lines)
    committed(project.path)
    run_update(
        project.path, {"torch_version": "2.14"}, defaults=True, overwrite=True, unsafe=True,
        conflict="rej",
    )  # fmt: skip
    said = capfd.readouterr().err
    assert re.search(r"\d+ conflicts? to resolve,\nas .* scripts/smoke_test.py.rej", said)


BROKEN = {
    "scripts/smoke_test.py": ("def f(:\n", "line 1: invalid syntax"),
    ".github/workflows/ci.yml": ("jobs: {a: 1}\njobs: {}\n", "line 2: jobs stands there twice"),
    ".pre-commit-config.yaml": ("repos: [\n", "line 2: "),
    ".devcontainer/devcontainer.json": ("{", "Expecting property name"),
}


@pytest.mark.parametrize(
    ("names", "words"), [(list(BROKEN), "4 files"), (list(BROKEN)[:1], "1 file")]
)
def test_a_file_that_cannot_be_read_any_more_is_no_success(
    tagged: Path, capfd, names: list[str], words: str
) -> None:
    answers = {"containers": ["devcontainer"], "ci": "github"}
    project = copied(tagged, tagged.parent / "project", answers).path
    committed(project)
    for name in names:
        source = next(p for p in (tagged / "template").rglob("*") if is_source(p, name))
        source.write_text(BROKEN[name][0], "utf-8")
    git(committed(tagged, "Next"), "tag", "v1.1.0")
    run_update(project, defaults=True, overwrite=True, unsafe=True)
    said = capfd.readouterr().err
    assert f"{words} to repair, which could be read before this update:" in said
    for name in names:
        assert f"- {name}: {BROKEN[name][1]}" in said
    assert "up to date" not in said


def is_source(path: Path, name: str) -> bool:
    """Whether a file of the template renders a name."""
    return re.sub(r"\{%.*?%\}|\.jinja$", "", path.as_posix()).endswith(f"template/{name}")


def test_a_file_that_could_not_be_read_before_is_nobody_s_fault(tagged: Path, capfd) -> None:
    def comment(project: Project) -> None:
        file = project.path / ".devcontainer" / "devcontainer.json"
        file.write_text("// Editors read this, JSON does not.\n" + file.read_text("utf-8"), "utf-8")

    answers = {"containers": ["devcontainer"], "strategy": "index", "backend": "cu126"}
    updated(tagged, answers, {"backend": "cpu"}, edit=comment, quiet=False)
    assert "project is up to date with its template." in capfd.readouterr().err


def test_a_file_that_the_answers_have_no_use_for_is_named(tagged: Path, capfd) -> None:
    """What its owner wrote in it goes along, and must be looked for in git."""
    answers = {"containers": ["docker"], "strategy": "groups"}
    updated(tagged, answers, {"containers": [], "strategy": "pip", "backend": "cpu"}, quiet=False)
    said = capfd.readouterr().err
    names = ".dockerignore, .github/workflows/gpu.yml, Dockerfile, scripts/check_lock.py"
    gone = (
        f"Gone, as these answers have no use for them: {names}.\nWhat you wrote there is in git.\n"
    )
    assert gone in said


def test_what_a_torch_that_is_there_asks_of_the_owner_s_files_is_said(tagged: Path, capfd) -> None:
    answers = {"strategy": "groups", "containers": ["docker"]}
    project = updated(tagged, answers, {"strategy": "provided"}, quiet=False)
    said = capfd.readouterr().err
    assert ".python-version: uv looks for Python 3.13, and the one that has torch may be" in said
    assert f"README.md does not say `{VENV}`, which comes first from now on" in said
    assert said.endswith(f"Next:\n\n  {VENV} --clear\n  uv sync\n")
    assert project.answers["base_image"].startswith("nvcr.io/nvidia/pytorch:")
    # The other way round it is the README of such a project that says too much.
    readme = project.path / "README.md"
    readme.write_text(readme.read_text("utf-8").replace("uv sync\n", f"{VENV}\nuv sync\n"), "utf-8")
    committed(project.path)
    run_update(
        project.path, {"strategy": "pypi"}, defaults=True, overwrite=True, unsafe=True, quiet=False
    )
    said = capfd.readouterr().err
    assert f"README.md still says `{VENV}`" in said and ".python-version" not in said
    assert said.endswith("Next:\n\n  uv sync\n")


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


def test_an_update_beside_odd_files_ends(tagged: Path, capfd) -> None:
    def odd(project: Project) -> None:
        os.mkfifo(project.path / "pipe")
        (project.path / "zero").symlink_to("/dev/zero")
        (project.path / "long").symlink_to("x" * 300)

    updated(tagged, {"torch_version": "2.13"}, {"torch_version": "2.14"}, edit=odd, quiet=False)
    assert "project is up to date with its template. Next:" in capfd.readouterr().err
