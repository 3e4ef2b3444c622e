"""A folder that cannot be written is refused before the first file, and what happens to a render
later loses nothing that was there."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extensions.project import destination
from tests.conftest import ROOT, copy_template
from tests.support.command import copier
from tests.support.git import committed, git, tagged_template
from tests.support.project import copied

COPIER = Path(sys.executable).with_name("copier")
INTERRUPTED = ROOT / "tests" / "support" / "interrupted.py"
EXAMPLES = int(os.environ.get("SIGNAL_EXAMPLES", "4"))


def contents(folder: Path) -> dict[str, bytes]:
    """The files below a folder, without git's own; empty if it is not there."""
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(n): (folder / n).read_bytes() for n in names if n.parts[0] != ".git"}


def copy(template: Path, folder: Path, *options: str, **more: Any) -> subprocess.Popen[str]:
    command = [COPIER, "copy", "--trust", "--defaults", *options, template, folder]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more
    )


def heed_interrupts() -> None:
    """A shell's background job, in which tests may run, ignores them, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def refused(template: Path, folder: Path, *options: str) -> str:
    ended = copier("copy", "--trust", "--defaults", *options, template, folder)
    assert ended.returncode == 1, ended.stderr
    return ended.stderr


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


SIGNALS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
NO_SIGNALS = pytest.mark.skipif(
    os.name == "nt", reason="Windows sends no such signals to one process"
)
GONE = "Stopped; the folder that was begun is gone again.\n"
UNDO = "git reset --hard && git clean -d --force"


@NO_SIGNALS
@pytest.mark.parametrize("number", SIGNALS)
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
    assert process.returncode == 128 + number
    assert said.endswith(GONE), said
    assert not folder.exists()


class Interrupted:
    """Copier, sent a signal at one of the moments that it has after its first question."""

    def __init__(self, folder: Path, *arguments: str | Path) -> None:
        # What is left in it was not cleaned up.
        self.temporary = folder / "tmp"
        self._arguments = arguments
        done = self._run(signal.SIGINT, 0)
        assert done.returncode == 0, done.stderr
        self.moments = int(done.stdout.split()[-1])

    def at(self, number: signal.Signals, moment: float) -> str:
        """Send the signal; `moment` is from 0, the first question, to 1. What Copier says."""
        done = self._run(number, 1 + int(moment * self.moments))
        if done.returncode != 128 + number:
            # In the last moments there is nothing to stop any more.
            assert moment > 0.99, (done.returncode, done.stderr)
            return ""
        assert "Traceback" not in done.stderr
        assert list(self.temporary.iterdir()) == []
        return done.stderr

    def _run(self, number: int, moment: int) -> subprocess.CompletedProcess[str]:
        shutil.rmtree(self.temporary, ignore_errors=True)
        self.temporary.mkdir()
        command = [sys.executable, INTERRUPTED, number, moment, *self._arguments]
        return subprocess.run(
            [str(part) for part in command],
            env={**os.environ, "TMPDIR": str(self.temporary)},
            preexec_fn=heed_interrupts,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tagged_template(tmp_path_factory.mktemp("tagged") / "template")


@NO_SIGNALS
def test_whenever_a_copy_is_stopped_no_part_of_a_folder_is_left(
    tagged: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "new"
    copier = Interrupted(tmp_path, "copy", "--trust", "--defaults", "--quiet", tagged, folder)
    whole = contents(folder)

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(st.sampled_from(SIGNALS), st.floats(0, 1))
    def at_any_moment(number: signal.Signals, moment: float) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        said = copier.at(number, moment)
        if said in (GONE, "Stopped before anything was written.\n"):
            assert not folder.exists()
        else:
            assert said in ("", "Stopped; no file is half written.\n")
            assert contents(folder) in (whole, {})

    at_any_moment()


@NO_SIGNALS
def test_whenever_an_update_is_stopped_it_can_be_undone_as_it_says(
    tagged: Path, tmp_path: Path
) -> None:
    folder = copied(tagged, tmp_path / "project", {}).path
    committed(folder)
    before = contents(folder)
    copier = Interrupted(
        tmp_path,
        *("update", "--trust", "--defaults", "--quiet", "--data", "torch_version=2.13", folder),
    )
    after = contents(folder)
    assert after != before

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(st.sampled_from(SIGNALS), st.floats(0, 1))
    def at_any_moment(number: signal.Signals, moment: float) -> None:
        subprocess.run(UNDO, shell=True, cwd=folder, check=True, capture_output=True)
        if copier.at(number, moment):
            subprocess.run(UNDO, shell=True, cwd=folder, check=True, capture_output=True)
            assert contents(folder) == before
        else:
            assert contents(folder) == after

    at_any_moment()


# A program's calls of Copier; the signal comes while the files of a render are written.
DROPPED = """
class Finalized:
    def __del__(self):
        signal.raise_signal(number)

def act():
    Finalized()
"""
TWICE = """
def act():
    # The second one comes while the first is attended to.
    remove = shutil.rmtree
    def impatient(*arguments, **more):
        signal.raise_signal(number)
        remove(*arguments, **more)
    shutil.rmtree = impatient
    signal.raise_signal(number)
"""
# Jinja tries what it can compute in advance, and takes any Exception for a no.
COMPILING = """
def act():
    attempt = CodeGenerator._output_child_to_const
    def stopped(*arguments, **more):
        CodeGenerator._output_child_to_const = attempt
        signal.raise_signal(number)
        return attempt(*arguments, **more)
    CodeGenerator._output_child_to_const = stopped
"""
PROGRAM = """
import pathlib, shutil, signal, sys
from copier import run_copy
from jinja2.compiler import CodeGenerator

number, template, folder = int(sys.argv[1]), *sys.argv[2:]
{act}
write, calls = pathlib.Path.write_bytes, []

def write_bytes(path, data):
    calls.append(path)
    if len(calls) == 5:
        act()
    return write(path, data)

pathlib.Path.write_bytes = write_bytes
{before}
run_copy(template, folder, defaults=True, unsafe=True, quiet=True)
{after}
"""


def program(number: int, *paths: Path, act: str = "", before: str = "", after: str = "") -> Any:
    text = PROGRAM.format(act=act or "def act(): pass", before=before, after=after)
    return subprocess.run(
        [sys.executable, "-c", text, str(number), *map(str, paths)],
        preexec_fn=heed_interrupts,
        capture_output=True,
        text=True,
        check=False,
    )


@NO_SIGNALS
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("act", [DROPPED, TWICE, COMPILING])
def test_a_signal_stops_a_render_whatever_is_on_the_stack(
    act: str, number: signal.Signals, template: Path, tmp_path: Path
) -> None:
    done = program(number, template, tmp_path / "new", act=act)
    assert done.returncode == (-number if act is DROPPED else 128 + number), done.stderr
    assert done.stderr == GONE
    assert not (tmp_path / "new").exists()


@NO_SIGNALS
def test_a_folder_that_was_there_is_kept(template: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine", "utf-8")
    done = program(signal.SIGTERM, template, tmp_path, act="def act(): signal.raise_signal(number)")
    assert done.returncode == 128 + signal.SIGTERM
    assert "some files may be written" in done.stderr
    assert (tmp_path / "mine").read_text("utf-8") == "mine"


@NO_SIGNALS
@pytest.mark.parametrize(
    ("before", "ends"),
    [
        ("signal.signal(number, signal.SIG_IGN)", 0),
        ("signal.signal(number, lambda *_: print('mine', file=sys.stderr))", 0),
    ],
)
def test_a_program_may_handle_a_signal_itself(
    before: str, ends: int, template: Path, tmp_path: Path
) -> None:
    act = "def act(): signal.raise_signal(number)"
    done = program(signal.SIGTERM, template, tmp_path / "new", act=act, before=before)
    assert done.returncode == ends
    assert done.stderr in ("", "mine\n")
    assert (tmp_path / "new" / "pyproject.toml").exists()


FOREIGN = """
other = pathlib.Path(folder).with_name("other")
other.mkdir()
for name in ("copier.yml", "a.jinja"):
    (other / name).write_text("")
calls[:] = range(4)
run_copy(str(other), folder + "-other", quiet=True)
"""


@NO_SIGNALS
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("after", ["signal.raise_signal(number)", FOREIGN])
def test_after_a_render_a_signal_is_as_before(
    after: str, number: signal.Signals, template: Path, tmp_path: Path
) -> None:
    """Nor does it undo that one, while Copier renders another template."""
    act = "def act(): signal.raise_signal(number) if 0 in calls else None"
    done = program(number, template, tmp_path / "new", act=act, after=after)
    assert done.returncode == -number, done.stderr
    assert "Stopped" not in done.stderr
    assert (tmp_path / "new" / "pyproject.toml").exists()


@NO_SIGNALS
def test_another_thread_is_left_alone(template: Path, tmp_path: Path) -> None:
    done = program(
        signal.SIGTERM,
        *(template, tmp_path / "new"),
        before="import threading\nbefore = signal.getsignal(number)\n"
        "def render(): run_copy(template, folder, defaults=True, unsafe=True, quiet=True)\n"
        "thread = threading.Thread(target=render)\nthread.start(); thread.join()\n"
        "assert signal.getsignal(number) == before\nsys.exit(7)",
    )
    assert done.returncode == 7, done.stderr
    assert (tmp_path / "new" / "pyproject.toml").exists()


@NO_SIGNALS
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_at_a_prompt_ends_it(number: signal.Signals, tagged: Path, tmp_path: Path) -> None:
    import pty
    import termios

    controller, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    command = [COPIER, "copy", "--trust", tagged, tmp_path / "new"]
    with subprocess.Popen(
        command,
        stdin=terminal,
        stdout=terminal,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    ) as process:
        said = b""
        while b"What is the project called" not in said:
            said += os.read(controller, 1024)
        process.send_signal(number)
        _, error = process.communicate()
    assert process.returncode == (1 if number == signal.SIGINT else 128 + number), error
    assert "Traceback" not in error
    assert termios.tcgetattr(terminal) == before
    assert not (tmp_path / "new").exists()
    os.close(controller)
    os.close(terminal)


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
        with subprocess.Popen(
            command, cwd=project.path, stderr=subprocess.DEVNULL, start_new_session=True
        ) as process:
            time.sleep(delay)
            # With all that it runs, which would go on while git undoes it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
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
    assert project.text("pyproject.toml").startswith("[project]")
    assert (folder / "README.md").is_symlink()
    assert (folder / "elsewhere" / "project" / "device.py").exists()
