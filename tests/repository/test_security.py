"""What SECURITY.md promises: the extensions write nothing, open no socket, and start no process
but the documented look at the GPU; a render that fails leaves the destination as it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

AUDITED = ROOT / "tests" / "support" / "audited.py"
# What a person who renders does not have set.
UNSET = {"TORCH_TEMPLATE_MACHINE", "PYTHONDONTWRITEBYTECODE"}


def watched(template: Path, tmp_path: Path, **environment: str) -> list[list[str]]:
    command = [sys.executable, AUDITED, template, tmp_path / "project"]
    kept = {k: v for k, v in os.environ.items() if k not in UNSET}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**kept, **environment}
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "project" / "pyproject.toml").exists()
    found: list[list[str]] = json.loads(done.stdout)
    return found


def test_extensions_do_nothing_but_read(template: Path, tmp_path: Path) -> None:
    assert watched(template, tmp_path, TORCH_TEMPLATE_MACHINE="none") == []


@pytest.mark.skipif(os.name == "nt", reason="the fake nvidia-smi is a shell script")
def test_the_look_at_the_gpu_is_the_only_process(template: Path, tmp_path: Path) -> None:
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho 580.95.05, 9.0\n", "utf-8")
    tool.chmod(0o755)
    path = f"{tool.parent}{os.pathsep}{os.environ['PATH']}"
    seen = {tuple(event) for event in watched(template, tmp_path, PATH=path)}
    # A shell would be the program that is started. The tool gets no input, and its output goes to
    # a temporary file without a name.
    opened = {("open", os.devnull), ("open", tempfile.gettempdir())}
    assert seen == {("subprocess.Popen", str(tool)), *opened}


def test_what_extensions_do_is_seen(template: Path, tmp_path: Path) -> None:
    """The test above can fail: a write, a process and a socket in an extension are reported."""
    import shutil

    bad = tmp_path / "bad"
    shutil.copytree(template, bad)
    module = bad / "extensions" / "questions" / "machine.py"
    module.write_text(
        module.read_text("utf-8")
        + "\nimport socket\nPath(__file__).with_name('x').write_text('x')\n"
        + "subprocess.run('true', shell=True)\nsocket.gethostbyname('localhost')\n",
        "utf-8",
    )
    events = {event for event, _ in watched(bad, tmp_path, TORCH_TEMPLATE_MACHINE="none")}
    assert {"open", "subprocess.Popen", "socket.gethostbyname"} <= events


def test_the_promise_is_written_down() -> None:
    text = (ROOT / ".github" / "SECURITY.md").read_text(encoding="utf-8")
    for words in ("nvidia-smi", "no network", "TORCH_TEMPLATE_MACHINE", "--trust"):
        assert words in text
