"""A fleet is as strong as its worst project: whatever is in one costs its own row, and standard
streams in any state cost a result that says so."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extensions.drift import lost
from extensions.fleet import workers
from extensions.fleet.recorded import CannotCompare, own_files, recorded
from extensions.fleet.templates import checkout
from tests.conftest import ROOT, THIS_PYTHON
from tests.support.git import git, tagged_template
from tests.support.project import copied

SCRIPT = ROOT / "extensions" / "drift.py"
ANSWERS = ".copier-answers.yml"
# What keeps a broken program from hanging the tests, and no more: seconds.
LIMIT = 300
Make = Callable[[Path], None]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tagged_template(tmp_path_factory.mktemp("fleet") / "template")


@pytest.fixture(scope="module")
def good(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good") / "project"
    return copied(template, folder, {"python_version": THIS_PYTHON}).path


def drift(
    template: Path, *arguments: Any, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, "--trust", template, *arguments],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )


def link(target: str) -> Make:
    return lambda file: file.symlink_to(target)


def listening(file: Path) -> None:
    # Its name is short, as the path of a socket must be.
    before = Path.cwd()
    os.chdir(file.parent)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(file.name)
    os.chdir(before)


# What may have the name of a file, and a part of what is said of it.
ODD: dict[str, tuple[Make, str]] = {
    "zero": (link("/dev/zero"), "leaves the project"),
    "stdin": (link("/dev/stdin"), "leaves the project"),
    "outside": (link("/etc/passwd"), "leaves the project"),
    "memory": (link("/proc/self/mem"), "leaves the project"),
    "loop": (lambda file: file.symlink_to(file.name), "symbolic links"),
    "long": (link("x" * 300), "name too long"),
    "pipe": (os.mkfifo, "no regular file"),
    "socket": (listening, "no regular file"),
    "folder": (Path.mkdir, "no regular file"),
    "large": (lambda file: file.write_bytes(b"#" * 2_000_000), "more than"),
    "sparse": (lambda file: os.truncate(os.open(file, os.O_CREAT | os.O_WRONLY), 1 << 40), "more"),
}
ANCHORS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 12)
)
RECORDED = "_src_path: SOURCE\n_commit: v1.0.0\n"
OWN = "[tool.torch-uv-template]\nown = "
TEXTS = {
    ANSWERS: [
        (RECORDED + ANCHORS + "strategy: *a11\n", "aliases repeat too much"),
        (RECORDED + MERGES, "aliases repeat too much"),
        (RECORDED + "a: &a [*a]\n", "aliases repeat too much"),
        (RECORDED + f"a: &a {'x' * 30_000}\nb: [{'*a, ' * 1000}]\n", "aliases repeat too much"),
        ("[" * 60_000, "recursion"),
        ("a: " * 10_000, "cannot be read"),
        ("".join(f"k{n}: {n}\n" for n in range(100_000)), "more than 64000 bytes"),
        (f"a: {'9' * 5_000}\n", "4300 digits"),
        ("a: !!int ''\n", "cannot be read"),
        ("a: !!timestamp x\n", "cannot be read"),
        ("a: 2026-99-99\n", "cannot be read"),
        ("a: \0\n", "cannot be read"),
        ('_src_path: "\\ud800"\n_commit: v1.0.0\n', "is not trusted"),
        ('_src_path: "a\\0b"\n_commit: v1.0.0\n', "is not trusted"),
        ("_src_path: SOURCE\n_commit: --upload-pack=touch x\n", "names no version"),
        ("_src_path: --upload-pack=x\n_commit: v1.0.0\n", "is not trusted"),
        ("_src_path: SOURCE\n_commit: v9.9.9\n", "git switch: fatal: "),
        ("_src_path: SOURCE\n_commit: v1.0.0-1-gdeadbeef\n", "git switch: fatal: "),
        (RECORDED + "strategy: 3\n", ""),
        (RECORDED + "3: 4\n", ""),
    ],
    "pyproject.toml": [
        (f"a = {'[' * 100_000}", "cannot be read"),
        # A slow machine runs out of its seconds, a fast one out of its memory.
        ("a." * 40_000 + "a = 1", "not done after 20 seconds|needs more than 2 GiB"),
        (f"a = {'9' * 5_000}\n", "4300 digits"),
        ("a = \0\n", "cannot be read"),
        (OWN + str([f"p{n}" for n in range(50_000)]), "more than 256000 bytes"),
        (OWN + str([f"{n}" for n in range(20_000)]), "more than 1000 patterns"),
        (OWN + str(["*a" * 5_000]), "more than 500 characters"),
    ],
}
# As large as it may be, and no worse than a file of another length.
HARMLESS = [
    ("docs/pytorch.md", "\n" * 999_999),
    ("docs/pytorch.md", "\n```\n" * 199_999),
    ("docs/pytorch.md", "\0\ud800" * 9),
    ("pyproject.toml", OWN + str(["*a" * 200 + str(n) for n in range(500)])),
    ("pyproject.toml", OWN + str(["[" * 400, "[!", "[]-a]", "*" * 500, "?" * 500])),
]


def test_each_kind_of_bad_project_costs_its_own_row(
    template: Path, good: Path, tmp_path: Path
) -> None:
    expected: list[tuple[Path, str]] = []

    def project(name: str, reason: str) -> Path:
        folder = tmp_path / name
        shutil.copytree(good, folder)
        expected.append((folder, reason))
        return folder

    for name in (ANSWERS, "pyproject.toml", "docs/pytorch.md", "scripts/smoke_test.py"):
        for kind, (make, reason) in ODD.items():
            folder = project(f"{kind}-{Path(name).name}", f"{name} cannot be read")
            (folder / name).unlink()
            make(folder / name)
            expected[-1] = (folder, reason)
    for name, texts in TEXTS.items():
        for number, (text, reason) in enumerate(texts):
            folder = project(f"text-{name}-{number}", reason)
            text = text.replace("SOURCE", str(template))
            (folder / name).write_text(text, "utf-8", errors="surrogatepass")
    folder = project("inner", "leaves the project")
    shutil.rmtree(folder / "docs")
    (folder / "docs").symlink_to(good / "docs")
    for name in ("gone", "file", "self"):
        expected.append((tmp_path / name, "no such folder"))
    (tmp_path / "file").write_text("")
    (tmp_path / "self").symlink_to("self")
    bad = len(expected)
    for number, (name, text) in enumerate(HARMLESS):
        folder = project(f"harmless-{number}", "")
        if name == "pyproject.toml":
            text = (folder / name).read_text("utf-8") + text
        (folder / name).write_text(text, "utf-8", errors="surrogatepass")
    folder = project("inside", "")
    (folder / "docs/pytorch.md").rename(folder / "docs/READ.md")
    (folder / "docs/pytorch.md").symlink_to("READ.md")
    folder = project("git", "")
    (folder / ".git").write_text("gitdir: /dev/zero\n")
    folder = project("dangling", "")
    (folder / "docs/pytorch.md").unlink()
    (folder / "docs/pytorch.md").symlink_to("nothing")

    done = drift(
        template, "--json", "--seconds", "20", good, *(folder for folder, _ in expected), good
    )
    assert (done.returncode, done.stderr) == (2, "")
    rows = {Path(row["project"]).name: row for row in json.loads(done.stdout)}
    assert len(rows) == len(expected) + 1
    for folder, reason in expected[:bad]:
        problem = rows[folder.name]["problem"]
        assert any(words in problem for words in reason.split("|")), rows[folder.name]
        assert reason == "" or len(rows[folder.name]["problem"]) < 500
    for folder, _ in expected[bad:]:
        assert rows[folder.name]["problem"] == "", rows[folder.name]
    for name in ("project", "inside", "git"):
        row = rows[name]
        assert (row["missing"], row["extra"], row["changed"]) == ([], [], {})
    assert rows["dangling"]["missing"] == ["docs/pytorch.md"]
    assert list(rows["harmless-0"]["changed"]) == ["docs/pytorch.md"]


BYTES = st.one_of(
    st.binary(max_size=200),
    st.lists(
        st.sampled_from(
            ["_src_path: /srv/t\n", "_commit: v1\n", "own = ", "[tool.torch-uv-template]\n", "a: ",
             "b = ", "&a ", "*a", "<<: ", "!!int ", "!!binary ", "!!set ", "? ", "- ", "[", "]",
             "{", "}", "'", '"', '"""', "\n", "  ", "|", ">-", "#", "%YAML 9.9\n", "---\n", "0x",
             "1e999", "\0", "\ud800", "\\", "é", "\t", ",", "9" * 5000, "2026-99-99", ".inf"]
        ),
        max_size=30,
    ).map(lambda parts: "".join(parts).encode("utf-8", "surrogatepass")),
)  # fmt: skip


@given(content=BYTES)
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_bytes_are_settings_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp() / "bytes"
    folder.mkdir(exist_ok=True)
    for name, read in ((ANSWERS, recorded), ("pyproject.toml", own_files)):
        (folder / name).write_bytes(content)
        try:
            read(folder)
        except CannotCompare as problem:
            assert str(problem).startswith(f"its {name} ")


@given(contents=st.lists(BYTES, min_size=6, max_size=6))
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_bytes_in_any_file_cost_a_row(
    template: Path, good: Path, tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("drawn")
    names = [ANSWERS, "pyproject.toml", "docs/pytorch.md"] * 2
    for number, (name, content) in enumerate(zip(names, contents, strict=True)):
        shutil.copytree(good, folder / str(number))
        (folder / str(number) / name).write_bytes(content)
    done = drift(template, "--json", *(folder / str(number) for number in range(6)), good)
    assert done.returncode in (1, 2) and not done.stderr
    *_, last = json.loads(done.stdout)
    assert (last["project"], last["problem"], last["changed"]) == (str(good), "", {})


@given(
    rendered=st.lists(st.sampled_from("abc"), max_size=9), found=st.lists(st.sampled_from("abcd"))
)
def test_lost_lines_are_all_but_the_longest_common_subsequence(
    rendered: list[str], found: list[str]
) -> None:
    row = [0] * (len(found) + 1)
    for line in rendered:
        before, row = row, [0]
        for number, other in enumerate(found):
            row.append(before[number] + 1 if line == other else max(row[-1], before[number + 1]))
    assert lost(rendered, found) == len(rendered) - row[-1]


def deed(item: str, ask: workers.Ask) -> str:
    """What a comparison may do to the process that makes it."""
    match item:
        case "hang":
            time.sleep(LIMIT)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(7)
        case "raise":
            raise SystemExit(0)
        case "memory":
            try:
                bytearray(workers.MEMORY)
            except MemoryError:
                return "no memory"
        case "noise":
            os.write(1, b"noise")
            subprocess.run("echo noise; echo noise >&2; cat", shell=True, check=True)
        case "child":
            # It outlives a signal to the process alone, and holds whatever that has open.
            subprocess.Popen(["sleep", str(LIMIT)])
            os._exit(3)
        case _ if item.startswith("ask"):
            return ask(item)
    return f"done: {item}"


def reason(item: str, problem: str) -> str:
    return f"{item}: {problem}"


def test_a_process_that_hangs_or_dies_costs_its_own_result(capfd) -> None:
    bad = ["hang", "stop", "killed", "exit", "raise", "memory", "noise", "child"]
    items = [item for name in bad for item in (name, f"after {name}")]
    results = list(workers.each(deed, items, reason, str, seconds=3, patience=LIMIT))
    assert results[1::2] == [f"done: after {name}" for name in bad]
    late = "it was not done after 3 seconds"
    died = "the process that compared it"
    assert results[::2] == [
        f"hang: {late}",
        f"stop: {late}",
        f"killed: {died} was killed by signal 9",
        f"exit: {died} ended with 7",
        f"raise: {died} ended with 0",
        "no memory",
        "done: noise",
        f"child: {died} ended with 3",
    ]
    assert capfd.readouterr() == ("", "")
    assert not workers.PROCESSES.active_children()


def test_one_that_takes_long_lets_the_others_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SLOTS", 2)
    items = ["hang", "a", "b", "c"]
    results = workers.each(deed, items, reason, str, seconds=4, patience=0.5)
    assert [next(results).split(":")[0] for _ in items] == ["done", "done", "done", "hang"]
    # In time they come in their order, whatever is done first.
    results = workers.each(deed, items, reason, str, seconds=1, patience=LIMIT)
    assert [result.split(": ")[-1] for result in results][1:] == ["a", "b", "c"]


def test_the_time_for_an_answer_is_not_counted() -> None:
    first = time.monotonic()

    def answer(question: str) -> str | None:
        return f"answer to {question}" if time.monotonic() > first + 3 else None

    items = ["ask 1", "a", "ask 2"]
    results = list(workers.each(deed, items, reason, answer, seconds=1))
    assert results == ["answer to ask 1", "done: a", "answer to ask 2"]


def test_a_program_that_ignores_its_end_is_not_waited_for(tmp_path: Path) -> None:
    """Its child has a session of its own, and holds its output."""
    command = ["sh", "-c", f"setsid sleep {LIMIT} & echo $!; sleep {LIMIT}"]
    program = workers.Program(command, tmp_path, os.environ, seconds=1)
    try:
        with pytest.raises(TimeoutError, match="not done after 1 seconds"):
            program.wait()
        output = program.texts()[0]
        # One that ends has ended, though its child holds what it printed to.
        command[-1] = f"sleep {LIMIT} & echo done"
        after = workers.Program(command, tmp_path, os.environ, seconds=LIMIT)
        assert (after.wait(), after.texts()) == (0, ("done\n", ""))
        workers.kill_group(after._child.pid)
    finally:
        os.kill(int(output), signal.SIGKILL)


def test_processes_may_check_out_a_version_at_once(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "SLOTS", 4)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--bare", str(template), str(clone))
    for _ in range(20):
        items = [clone] * 4
        results = list(workers.each(checked_out, items, lambda _, problem: problem, str, LIMIT))
        (target,) = set(results)
        assert (Path(target) / "copier.yml").is_file() and not (Path(target) / ".git").exists()
        shutil.rmtree(target)


def checked_out(clone: Path, ask: workers.Ask) -> str:
    try:
        return str(checkout(clone, "v1.0.0"))
    except CannotCompare as problem:
        return str(problem)


def test_a_template_that_cannot_be_cloned_in_time_costs_the_rows_of_its_projects(
    template: Path, good: Path, tmp_path: Path
) -> None:
    """And others do not wait for it: a stand-in for git hangs as a server that does not answer."""
    tools = tmp_path / "tools"
    tools.mkdir()
    real = shutil.which("git")
    (tools / "git").write_text(
        f'#!/bin/sh\ncase "$*" in *example.org*) exec sleep {LIMIT};; esac\nexec {real} "$@"\n'
    )
    (tools / "git").chmod(0o755)
    for name in ("far", "near"):
        shutil.copytree(good, tmp_path / name)
    answers = tmp_path / "far" / ANSWERS
    answers.write_text(answers.read_text().replace(str(template), "https://example.org/t"))
    path = os.pathsep.join([str(tools), os.environ["PATH"]])
    process = subprocess.Popen(
        [sys.executable, SCRIPT, "--trust", template, "--trust", "https://example.org/t",
         tmp_path / "near", tmp_path / "far"],
        env={**os.environ, "PATH": path}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    rows = [process.stdout.readline() for _ in range(2)]
    assert rows[1].split()[0] == str(tmp_path / "near")
    # Nothing that it began is left.
    process.terminate()
    assert process.wait(LIMIT) == 128 + signal.SIGTERM
    assert process.stdout.read() == ""
    left = subprocess.run(["pgrep", "-f", f"^sleep {LIMIT}$"], capture_output=True, check=False)
    assert left.stdout == b""


@pytest.mark.parametrize("option", [[], ["--json"]])
@pytest.mark.parametrize(
    "redirect",
    [">&-", ">/dev/full", "> >(exec true)", "<&- >&-", "<&- >&- 2>&-", ">/dev/full 2>&1"],
)
def test_a_result_that_cannot_be_printed_is_4(
    template: Path, good: Path, option: list[str], redirect: str
) -> None:
    """And no claim about the projects."""
    command = [sys.executable, SCRIPT, "--trust", template, *option, good, good.parent / "nothing"]
    shell = ["bash", "-c", f'"$@" {redirect}', "bash", *map(str, command)]
    done = subprocess.run(shell, capture_output=True, text=True, check=False, timeout=LIMIT)
    assert done.returncode == 4
    assert len(done.stderr.splitlines()) == (0 if "2>" in redirect else 1), done.stderr
    assert "2>" in redirect or "could not be printed: " in done.stderr


def test_streams_that_are_not_needed_may_be_closed(template: Path, good: Path) -> None:
    command = [sys.executable, SCRIPT, "--trust", template, "--json", good, good]
    for redirect in ("<&-", "<&- 2>&-", "2>/dev/full"):
        shell = ["bash", "-c", f'"$@" {redirect}', "bash", *map(str, command)]
        done = subprocess.run(shell, capture_output=True, text=True, check=False, timeout=LIMIT)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert len(json.loads(done.stdout)) == 2


@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
)
def test_a_path_that_cannot_be_printed_is_printed_nearly(
    template: Path, good: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    folders = [tmp_path / name for name in ("prøject", os.fsdecode(b"\xff"), "a\nb\x1b[31m")]
    for folder in folders:
        shutil.copytree(good, folder)
        (folder / "docs/pytorch.md").unlink()
    done = drift(template, *folders, environment=environment)
    assert (done.returncode, done.stderr) == (1, "")
    assert [row.split()[-1] for row in done.stdout.splitlines()] == ["files", "1", "1", "1"]
    assert done.stdout.replace("\n", "").isprintable()
    done = drift(template, "--json", *folders, environment=environment)
    shown = [os.fsencode(row["project"]) for row in json.loads(done.stdout)]
    assert shown == [os.fsencode(folder) for folder in folders]
    (folders[1] / ANSWERS).unlink()
    done = drift(template, folders[1], environment=environment)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.endswith("\\udcff: it has no .copier-answers.yml.\n")


def test_without_git_each_project_says_so(template: Path, good: Path, tmp_path: Path) -> None:
    nothing = {"PATH": str(tmp_path)}
    done = drift(template, good, environment=nothing)
    assert (done.returncode, done.stderr) == (2, "")
    assert "git cannot be run: No such file or directory; is it on PATH?" in done.stdout
    assert len(done.stdout.splitlines()) == 1
    done = drift(template, "--json", good, good, environment=nothing)
    assert done.returncode == 2
    assert all("git cannot be run" in row["problem"] for row in json.loads(done.stdout))


def test_what_git_sets_for_a_hook_does_not_matter(
    template: Path, good: Path, tmp_path: Path
) -> None:
    names = ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY")
    hook = {name: str(tmp_path / name) for name in names}
    done = drift(template, good, environment=hook)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["nothing", "file", "empty", "self"])
def test_an_argument_that_is_no_project_is_2_and_a_sentence(
    template: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "self").symlink_to("self")
    done = drift(template, tmp_path / name)
    assert (done.returncode, done.stderr) == (2, "")
    assert len(done.stdout.splitlines()) == 1
    assert ("it has no .copier" in done.stdout) == (name == "empty")


def test_no_argument_a_wrong_one_and_a_folder_that_is_gone_are_2(
    template: Path, good: Path
) -> None:
    done = drift(template)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("drift.py: name the folder of at least one project")
    assert json.loads(drift(template, "--json").stdout) == []
    assert drift(template, "--seconds", "0", good).returncode == 2
    assert drift(template, "--help").returncode == 0
    gone = 'mkdir "$0" && cd "$0" && rmdir "$0" && exec "$@"'
    command = ["bash", "-c", gone, good.parent / "gone", sys.executable, SCRIPT, "."]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
    assert (done.returncode, len(done.stdout.splitlines()), done.stderr) == (2, 1, "")


def test_a_worker_dies_with_its_parent(tmp_path: Path) -> None:
    program = (
        "import os, sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from extensions.fleet import workers\n"
        "workers.SLOTS = 3\n"
        "def work(item, ask):\n"
        "    open(f'{sys.argv[2]}/{item}', 'w').write(str(os.getpid()))\n"
        "    if item < 3: time.sleep(0.3)\n"
        "for _ in workers.each(work, range(4), str, str, 60): pass\n"
    )
    # Killed while it has idle workers: it cannot end them.
    program = program.replace(": pass\n", ":\n    if _ is None: os.kill(os.getpid(), 9)\n")
    command = [sys.executable, "-c", program, ROOT, tmp_path]
    done = subprocess.run(command, check=False, timeout=LIMIT)
    assert done.returncode == -signal.SIGKILL
    pids = {int(file.read_text()) for file in tmp_path.iterdir()}
    for _ in range(LIMIT * 10):
        alive = [pid for pid in pids if Path(f"/proc/{pid}").exists() and "Z" not in state(pid)]
        if not alive:
            return
        time.sleep(0.1)
    raise AssertionError(alive)


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return "Z"
