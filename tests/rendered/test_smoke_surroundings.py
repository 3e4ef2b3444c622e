"""What surrounds the smoke test has no say in its verdict: streams, variables, processes that
do not end."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.smoke import Machine, Outcome, cpu, cuda, project, smi
from tests.support.unending import NO_KILL, ends, frozen, stop

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the tools are shell scripts")
NO_RESULT = 4
H100 = cuda(devices=["NVIDIA H100"])
DUAL = cuda(devices=["NVIDIA H100", "NVIDIA H100"])
Made = Callable[..., Machine]


@pytest.fixture(scope="module")
def rendered(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return project(template, tmp_path_factory.mktemp("renders"), "groups")


@pytest.fixture
def machine(rendered: Any, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return lambda **options: Machine(tmp_path_factory.mktemp("machine") / "m", rendered, **options)


@pytest.fixture
def pids(tmp_path: Path) -> Iterator[Path]:
    """Where a tool writes the numbers of what it leaves behind, which is ended after the test."""
    yield tmp_path / "pids"
    stop(tmp_path / "pids")


def script(m: Machine, text: str) -> None:
    m.tool("nvidia-smi", "")
    (m.folder / "bin" / "nvidia-smi").write_text(f"#!/bin/sh\n{text}\n", "utf-8")


# Processes that do not end


def test_what_nvidia_smi_leaves_behind_does_not_hold_its_answer(machine: Made, pids: Path) -> None:
    m = machine()
    left = f"sh -c 'trap \"\" HUP INT TERM; echo $$ >> {pids}; exec sleep 600'"
    script(
        m, f"echo '{smi()}'; PATH=/usr/bin:/bin; setsid {left} & until [ -s {pids} ]; do :; done"
    )
    outcome = m.run("--json", torch=H100)
    assert (outcome.code, outcome.report["driver"]) == (0, "580.95.05")


def test_what_hangs_is_ended_with_what_it_has_started(machine: Made, pids: Path) -> None:
    m = machine(limits="1, 1, 1")
    script(m, f"PATH=/usr/bin:/bin; sleep 600 & echo $! >> {pids}; sleep 600")
    outcome = m.run("--json", torch=cuda())
    assert outcome.report["diagnosis"] == "nvidia-smi-hangs"
    assert ends(pids.read_text("utf-8").strip())


def test_a_kill_that_ends_nothing_is_not_waited_for(machine: Made, pids: Path) -> None:
    m = machine(limits="1, 30, 1", before=NO_KILL)
    script(m, f"echo $$ >> {pids}; exec /bin/sleep 600")
    assert m.run("--json", torch=cuda()).report["diagnosis"] == "nvidia-smi-hangs"


def test_nothing_waits_for_a_tool_that_the_kernel_holds(machine: Made, tmp_path: Path) -> None:
    m = machine(limits="1, 30, 1")
    with frozen(tmp_path) as file:
        script(m, f"exec 2> /dev/null; echo x > {file}")
        assert m.run("--json", torch=cuda()).report["diagnosis"] == "nvidia-smi-hangs"


def test_nothing_waits_for_a_torch_that_the_kernel_holds(machine: Made, tmp_path: Path) -> None:
    m = machine(limits="1, 1, 1")
    with frozen(tmp_path) as file:
        report = m.run("--json", torch=cuda(import_ends=str(file))).report
    assert report["diagnosis"] == "torch-broken"
    assert "it does not answer within 1 seconds at import torch" in report["cause"]


def test_nothing_waits_for_devices_that_the_kernel_holds(machine: Made, tmp_path: Path) -> None:
    m = machine(limits="5, 30, 2")
    with frozen(tmp_path) as file:
        facts = {**DUAL, "waits_for_ever": 1, "waits": str(file)}
        report = m.run("--json", "--distributed", torch=facts).report
    assert report["diagnosis"] == "distributed-fails"
    assert report["distributed"] == "nccl does not answer within 2 seconds"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_also_what_was_started(machine: Made, pids: Path, number: int) -> None:
    m = machine()
    # By then the smoke test waits for it.
    script(m, f"/bin/sleep 2; echo $$ >> {pids}; exec /bin/sleep 600")
    command, environment = m.command(torch=None)
    restore = f"import signal; signal.signal({number}, signal.default_int_handler)"
    command[command.index("-c") + 1] = f"{restore}; {command[command.index('-c') + 1]}"
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        while running.poll() is None and not (pids.exists() and pids.read_text("utf-8").strip()):
            time.sleep(0.05)
        running.send_signal(number)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err) == (128 + number, "", "")
    assert ends(pids.read_text("utf-8").strip())


# Variables of Python


def test_devices_that_add_nothing_up_are_found_out(machine: Made) -> None:
    for variables in ({}, {"PYTHONOPTIMIZE": "1"}, {"PYTHONOPTIMIZE": "2"}):
        m = machine(environment=variables)
        report = m.run("--json", "--distributed", torch={**DUAL, "sums": 1}).report
        assert report["diagnosis"] == "distributed-fails"
        assert "the sum is wrong" in report["cause"]


VARIABLES = {
    "PYTHONOPTIMIZE": ("1", "2"),
    "PYTHONINSPECT": ("1",),
    "PYTHONWARNINGS": ("error", "nonsense", "ignore"),
    "PYTHONWARNDEFAULTENCODING": ("1",),
    "PYTHONSAFEPATH": ("1",),
    "PYTHONIOENCODING": ("ascii", "latin-1", "utf-8:strict"),
    "PYTHONUTF8": ("0", "1"),
    "PYTHONCOERCECLOCALE": ("0",),
    "PYTHONSTARTUP": ("/nonexistent",),
    "PYTHONDONTWRITEBYTECODE": ("1",),
    "PYTHONUNBUFFERED": ("1",),
    "PYTHONDEVMODE": ("1",),
    "PYTHONVERBOSE": ("1",),
    "PYTHONPROFILEIMPORTTIME": ("1",),
    "PYTHONHASHSEED": ("0",),
    "PYTHONNOUSERSITE": ("1",),
    "PYTHONFAULTHANDLER": ("1",),
}
# What a torch does that some of them would turn into a failure.
USUAL = "import warnings; warnings.warn('old', DeprecationWarning); assert 1 == 2 - 1, ''\n"


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    variables=st.fixed_dictionaries(
        {}, optional={name: st.sampled_from(values) for name, values in VARIABLES.items()}
    ),
    flags=st.lists(st.sampled_from(["-O", "-OO", "-Werror", "-Xdev", "-u", "-B"]), max_size=2),
    right=st.booleans(),
)
def test_no_variable_of_python_changes_a_verdict(
    machine: Made, variables: dict[str, str], flags: list[str], right: bool
) -> None:
    m = machine(environment=variables, flags=flags)
    m.package("torchvision", "0.29.1", USUAL)
    outcome = ran(m, "--json", torch=H100 if right else cuda(cuda="12.1"))
    expected = ("ok", 0) if right else ("wrong-build", 1)
    report = json.loads(outcome.output)
    assert (report["diagnosis"], outcome.code) == expected, report
    assert report["warnings"] == []


def ran(m: Machine, *options: str, torch: dict[str, Any] | None) -> Outcome:
    """A run, without what Python itself writes to stderr on its way."""
    command, environment = m.command(*options, torch=torch)
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60)
    for trouble in (b"Traceback", b"Exception ignored"):
        assert trouble not in done.stderr, done.stderr
    return Outcome(done.returncode, done.stdout.decode())


def test_help_needs_no_docstring(machine: Made) -> None:
    for variables in ({}, {"PYTHONOPTIMIZE": "2"}):
        outcome = ran(machine(environment=variables), "--help", torch=None)
        assert outcome.code == 0 and "exit codes:" in outcome.output


# Streams

WRITABLE = {"file", "pipe"}
STREAMS = ["file", "pipe", "closed", "closed pipe", "/dev/full", "read-only"]


def streamed(
    m: Machine, options: list[str], torch: dict[str, Any] | None, streams: dict[str, str]
) -> tuple[int, str, str]:
    """Exit code and what arrived on stdout and stderr, each stream in one of the states."""
    command, environment = m.command(*options, torch=torch)
    marks = {"stdin": "<", "stdout": ">", "stderr": "2>"}
    closed = " ".join(f"{marks[x]}&-" for x, state in streams.items() if state == "closed")
    redirected: dict[str, int] = {}
    ends: list[int] = []
    for name, state in streams.items():
        if state in ("pipe", "closed pipe"):
            reading, writing = os.pipe()
            used, other = (reading, writing) if name == "stdin" else (writing, reading)
            ends.append(used)
            if state == "pipe" and name != "stdin":
                ends.append(other)
                redirected[f"{name} end"] = other
            else:
                os.close(other)
            redirected[name] = used
        elif state != "closed":
            path = state if state == "/dev/full" else m.folder / name
            mode = os.O_RDONLY if state == "read-only" or name == "stdin" else os.O_RDWR
            redirected[name] = os.open(path, mode | os.O_CREAT * (state != "/dev/full"), 0o600)
            ends.append(redirected[name])
    with subprocess.Popen(
        ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *command],
        env=environment,
        **{x: redirected.get(x, subprocess.DEVNULL) for x in marks},
    ) as running:
        code = running.wait(60)
    texts = []
    for name in ("stdout", "stderr"):
        text = b""
        if streams[name] == "pipe":
            os.set_blocking(redirected[f"{name} end"], False)
            text = os.read(redirected[f"{name} end"], 1 << 20) if arrived(redirected, name) else b""
        elif streams[name] == "file":
            text = (m.folder / name).read_bytes()
        texts.append(text.decode(errors="replace"))
    for number in ends:
        os.close(number)
    return code, texts[0], texts[1]


def arrived(redirected: dict[str, int], name: str) -> bool:
    return bool(select.select([redirected[f"{name} end"]], [], [], 0)[0])


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    stdin=st.sampled_from(STREAMS),
    stdout=st.sampled_from(STREAMS),
    stderr=st.sampled_from(STREAMS),
    encoding=st.sampled_from(["", "utf-8", "ascii", "latin-1", "utf-16", "cp1252:strict"]),
    option=st.sampled_from(["--json", "--markdown", "--allow-cpu", "--help", "--nope"]),
    case=st.sampled_from(
        [(None, 1), (cpu(), 0), (cuda(devices=["GeForce\u2122"]), 0), (cuda(says="Hello."), 2)]
    ),
)
def test_a_result_that_cannot_be_printed_is_no_diagnosis(
    machine: Made, stdin: str, stdout: str, stderr: str, encoding: str, option: str, case: Any
) -> None:
    torch, verdict = case
    m = machine(environment={"PYTHONIOENCODING": encoding} if encoding else {})
    streams = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
    code, out, err = streamed(m, [option], torch, streams)
    for trouble in ("Traceback", "Exception ignored"):
        assert trouble not in out + err
    right = {"--help": 0, "--nope": 3}.get(option, verdict)
    if option == "--allow-cpu" and right == 2:
        right = 0
    if option == "--nope":
        assert code == right
    elif stdout in WRITABLE:
        assert code == right and out.strip()
    else:
        assert code == NO_RESULT
        assert stderr not in WRITABLE or err.startswith("No result:\n")


@pytest.mark.parametrize("stdout", ["closed", "closed pipe", "/dev/full"])
@pytest.mark.parametrize("options", [[], ["--json"], ["--help"]])
def test_no_stdout_has_a_code_of_its_own(machine: Made, stdout: str, options: list[str]) -> None:
    streams = {"stdin": "file", "stdout": stdout, "stderr": "pipe"}
    code, _, err = streamed(machine(), options, cpu(), streams)
    assert "Traceback" not in err
    assert code == NO_RESULT
    told = {
        "closed": "stdout is closed",
        "closed pipe": "Broken pipe",
        "/dev/full": "No space left",
    }
    assert err.startswith("No result:\n") and told[stdout] in err


def test_no_place_for_temporary_files_is_said(machine: Made) -> None:
    m = machine(before="import tempfile; tempfile._candidate_tempdir_list = lambda: []")
    assert m.run(torch=H100).code == 0
    outcome = m.run("--distributed", torch=DUAL)
    assert outcome.code == NO_RESULT and "No usable temporary directory" in outcome.output
