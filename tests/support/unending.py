"""Processes that do not end: what hangs in a driver looks like this from outside."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

# The kills of a process that has no right to, or of one that the kernel holds.
NO_KILL = "os.kill = os.killpg = lambda *x: None"


@contextmanager
def frozen(folder: Path) -> Iterator[Path]:
    """A file on a frozen file system: no signal ends who writes to it, until it is thawed."""
    image, mount = folder / "image", folder / "frozen"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(1 << 24)
    tools = ("mkfs.ext4", "mount", "fsfreeze", "umount")
    sbin = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    make, attach, freeze, detach = (shutil.which(tool, path=sbin) for tool in tools)
    if not (make and attach and freeze and detach):
        pytest.skip(f"one of {', '.join(tools)} is missing")
    subprocess.run([make, "-q", image], check=True)
    if subprocess.run([attach, "-o", "loop", image, mount], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        subprocess.run([freeze, "--freeze", mount], check=True)
        try:
            yield mount / "file"
        finally:
            subprocess.run([freeze, "--unfreeze", mount], check=True)
    finally:
        subprocess.run([detach, "--lazy", mount], check=True)


def stop(pids: Path) -> None:
    """End the processes whose numbers are in a file."""
    for pid in pids.read_text("utf-8").split() if pids.exists() else []:
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def ends(pid: str) -> bool:
    """Whether a process ends, which takes a moment after a kill."""
    for _ in range(600):
        if not _is_alive(pid):
            return True
        time.sleep(0.05)
    return False


def _is_alive(pid: str) -> bool:
    """Whether a process runs; one that nobody has waited for does not."""
    with suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
        return state not in "ZX"
    return False
