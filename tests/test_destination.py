"""A folder that cannot be written is refused before the first file, and what happens to a render
later loses nothing that was there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from copier.errors import UserMessageError

from extensions.project import destination, stopped
from tests.conftest import ROOT, copy_template
from tests.git import committed, git, tagged_template
from tests.project import copied

COPIER = Path(sys.executable).with_name("copier")


def copy(template: Path, folder: Path, *options: str, **more: Any) -> subprocess.Popen[str]:
    command = [COPIER, "copy", "--trust", "--defaults", *options, template, folder]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more
    )


def heed_interrupts() -> None:
    """A shell's background job, in which tests may run, ignores them, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def refused(template: Path, folder: Path, *options: str) -> str:
    process = copy(template, folder, *options)
    _, said = process.communicate()
    assert process.returncode == 1, said
    assert "Traceback" not in said
    return said


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of its own, mounted with the options that the test gives."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", request.param, "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("disk", ["size=256k"], indirect=True)
@pytest.mark.parametrize("name", ["", "project", "deep/project"])
def test_a_full_disk_is_a_clear_error(template: Path, disk: Path, name: str) -> None:
    said = refused(template, disk / name)
    assert "is full: 262 kB are free, and a project needs 1000. Nearest: " in said
    assert list(disk.iterdir()) == []


@pytest.mark.parametrize("disk", ["ro"], indirect=True)
def test_a_read_only_folder_is_a_clear_error(template: Path, disk: Path) -> None:
    said = refused(template, disk / "project")
    assert "is read-only. Nearest: a folder of your own, such as " in said


def test_a_folder_without_the_right_to_write_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write everywhere, so the kernel's answer is given by hand.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    folder = tmp_path / "a" / "b"
    assert f"{tmp_path} is read-only." in str(destination.refusal(folder, "x", ROOT / "template"))


def test_a_file_is_no_destination(template: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine", "utf-8")
    assert f"{file} is a file. Nearest: {file}-project." in refused(template, file)
    assert file.read_text("utf-8") == "mine"


def test_a_render_needs_less_than_is_asked_for(template: Path, tmp_path: Path) -> None:
    everything = {
        "license": "Apache-2.0",
        "example": "training",
        "containers": ["docker", "devcontainer"],
        "template_updates": "workflow",
    }
    project = copied(template, tmp_path / "project", everything)
    # On a disk a file takes whole blocks.
    blocks = sum(-(-file.stat().st_size // 4096) * 4096 for file in project.files)
    assert blocks < destination.NEEDED / 2


def test_a_render_that_fails_leaves_no_new_folder(template: Path, tmp_path: Path) -> None:
    broken = tagged_template(tmp_path / "template")
    (broken / "template" / "zzz.jinja").write_text("{{ no_such_name }}", "utf-8")
    committed(broken, "Break it")
    process = copy(broken, tmp_path / "new", "--vcs-ref", "HEAD")
    process.communicate()
    assert process.returncode
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signals to one process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_copy_that_is_stopped_leaves_no_new_folder(
    number: signal.Signals, tmp_path: Path
) -> None:
    endless = tagged_template(tmp_path / "template")
    loops = "{% for i in range(99999) %}" * 3 + "{% endfor %}" * 3
    (endless / "template" / "zzz.jinja").write_text(loops, "utf-8")
    committed(endless, "Never end")
    folder = tmp_path / "new"
    with copy(endless, folder, "--vcs-ref", "HEAD", preexec_fn=heed_interrupts) as process:
        while process.poll() is None and not folder.exists():
            time.sleep(0.001)
        process.send_signal(number)
        _, said = process.communicate()
    assert process.returncode == 1
    assert said.endswith("Stopped; the folder that was begun is gone again.\n"), said
    assert not folder.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signals to one process")
def test_a_signal_says_what_it_stopped() -> None:
    def run_copy(was_existing: bool) -> None:
        signal.raise_signal(signal.SIGTERM)

    def run_update() -> None:
        run_copy(True)

    def said(call: Callable[..., None], *arguments: Any) -> str:
        stopped.undo_when_stopped()
        with pytest.raises(UserMessageError) as error:
            call(*arguments)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        return error.value.message

    assert said(run_copy, False) == "Stopped; the folder that was begun is gone again."
    assert "some files may be written" in said(run_copy, True)
    assert "git reset --hard" in said(run_update)
    # Outside a render a signal is as before, and a program's own handler is left alone.
    stopped.undo_when_stopped()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    seen: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    stopped.undo_when_stopped()
    run_copy(True)
    assert seen == [signal.SIGTERM]
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_copy_that_is_killed_is_completed_by_the_same_command(
    template: Path, tmp_path: Path
) -> None:
    """Copier writes file after file, so that a part may be there; nothing is half written."""
    folder = tmp_path / "new" / "project"
    with copy(template, folder, "--quiet") as process:
        while process.poll() is None and not folder.exists():
            time.sleep(0.001)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    fresh = copied(template, tmp_path / "fresh" / "project", {})
    names = {file.relative_to(fresh.path) for file in fresh.files}
    found = {file.relative_to(folder) for file in folder.rglob("*") if file.is_file()}
    assert found <= names
    with copy(template, folder, "--quiet", "--overwrite") as process:
        process.communicate()
    assert process.returncode == 0
    for name in names:
        assert (folder / name).read_bytes() == (fresh.path / name).read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_an_update_that_is_killed_can_be_undone_and_done_again(tmp_path: Path) -> None:
    """At any moment git has all that was there, and the second try has the result of the first."""
    template = tagged_template(tmp_path / "template")
    answers = {"torch_version": "2.13", "strategy": "index", "backend": "cpu"}
    project = copied(template, tmp_path / "project", answers)
    own = project.path / "own.txt"
    own.write_text("mine", "utf-8")
    committed(project.path)
    before = {path: path.read_bytes() for path in project.files}
    command = [COPIER, "update", "--trust", "--defaults", "--data", "torch_version=2.14"]
    for delay in (0.8, 1.2, 1.6, 2.0):
        with subprocess.Popen(command, cwd=project.path, stderr=subprocess.DEVNULL) as process:
            time.sleep(delay)
            process.kill()
        (project.path / ".git" / "index.lock").unlink(missing_ok=True)
        git(project.path, "reset", "--quiet", "--hard")
        git(project.path, "clean", "--quiet", "-d", "--force")
        kept = {path: path.read_bytes() for path in before if ".git" not in path.parts}
        assert kept == {path: text for path, text in before.items() if ".git" not in path.parts}
    subprocess.run(command, cwd=project.path, check=True, capture_output=True)
    fresh = copied(template, tmp_path / "fresh" / "project", {**answers, "torch_version": "2.14"})
    for file in fresh.files:
        name = str(file.relative_to(fresh.path))
        assert project.text(name) == file.read_text("utf-8"), name
    assert own.read_text("utf-8") == "mine"


# Whatever stands at the destination


def answers_folder(folder: Path) -> None:
    (folder / ".copier-answers.yml").mkdir(parents=True)


def answers_text(text: bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        folder.mkdir()
        (folder / ".copier-answers.yml").write_bytes(text)

    return write


def in_the_way(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        target = folder / name
        target.parent.mkdir(parents=True)
        make(target)

    return write


def link(to: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(to)


NAME = "n" * 300
ODD: list[tuple[str, Callable[[Path], object], str]] = [
    ("project", answers_folder, "is no file of answers"),
    ("project", in_the_way(".copier-answers.yml", os.mkfifo), "is no file of answers"),
    ("project", in_the_way(".copier-answers.yml", link("/dev/zero")), "is no file of answers"),
    ("project", answers_text(b"a: [\n"), "holds no names with answers"),
    ("project", answers_text(b""), "holds no names with answers"),
    ("project", answers_text(b"- a\n"), "holds no names with answers"),
    ("project", answers_text(b"\xff\xfe\x00"), "holds no names with answers"),
    ("project", answers_text(b"[" * 5000), "holds no names with answers"),
    ("project", answers_text(b"a: b\n" * 50_000), "is too large"),
    ("project", link("nowhere"), "is a link to nowhere, which is not there"),
    ("project/deep", lambda path: path.parent.symlink_to("nowhere"), "is a link to nowhere"),
    ("project", link("project"), "is a link that leads back to itself"),
    ("project/deep", lambda path: path.parent.symlink_to("project"), "leads back to itself"),
    ("file/deep", lambda path: path.parent.touch(), "is a file"),
    ("project", os.mkfifo, "is a special file"),
    (NAME, lambda path: None, "is too long a path"),
    (f"{NAME}/deep", lambda path: None, "is too long a path"),
    ("/".join(["n" * 90] * 44), lambda path: None, "is too long a path"),
    ("a\nb", lambda path: None, "has a line break"),
    ("a\x1b[31mb", lambda path: None, "has a line break or a control character"),
    ("a\udcff", lambda path: None, "has a line break or a control character"),
    ("project", in_the_way("README.md", Path.mkdir), "README.md is a folder"),
    ("project", in_the_way("src", Path.touch), "src is a file, and a project has a folder there"),
    ("project", in_the_way("tests/test_device.py", os.mkfifo), "is a special file"),
    ("project", in_the_way("src", link("/tmp")), "leads out of the project"),
]


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither such links nor special files")
@pytest.mark.parametrize(
    ("name", "make", "words"), ODD, ids=[f"{i}-{words[:20]}" for i, (*_, words) in enumerate(ODD)]
)
def test_an_odd_destination_is_one_sentence(
    template: Path,
    tmp_path: Path,
    name: str,
    make: Callable[[Path], object],
    words: str,
) -> None:
    folder = tmp_path / "in" / name
    (tmp_path / "in").mkdir()
    make(folder)
    before = sorted((tmp_path / "in").rglob("*"))
    # Copier that is quiet reads a file of answers before it asks the template anything.
    quiet = [] if "answers" in words else ["--quiet"]
    said = refused(template, folder, *quiet)
    assert words in said and "Nearest: " in said
    assert len(said.strip().splitlines()) == 1
    assert sorted((tmp_path / "in").rglob("*")) == before


def test_a_template_whose_address_is_no_line_is_refused(tmp_path: Path) -> None:
    odd = copy_template(tmp_path / "a\nb")
    assert "the template's address " in refused(odd, tmp_path / "project")
    assert not (tmp_path / "project").exists()


def test_what_an_owner_made_in_the_usual_places_is_no_obstacle(
    template: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    (folder / "Dockerfile").mkdir(parents=True)
    (folder / "elsewhere").mkdir()
    (folder / "src").symlink_to("elsewhere", target_is_directory=True)
    (folder / "README.md").symlink_to("nowhere")
    project = copied(template, folder, {}, overwrite=True)
    assert project.text("README.md").startswith("# project")
    assert (folder / "elsewhere" / "project" / "device.py").exists()
