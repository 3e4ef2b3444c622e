"""Machines that are none: network namespaces with host names of their own, joined by a bridge.

For root on Linux. Nothing outside of them changes, and nothing of them outlives the tests: each is
held by a process that dies with this one.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

TOOLS = ("ip", "mount", "nsenter", "pgrep", "setpriv", "unshare")
NETWORK = "10.77.0"
# The one that the others are reached from.
HEAD = f"{NETWORK}.1"
# With its parent, the process of this command ends.
MORTAL = ("setpriv", "--pdeathsig", "KILL")


def why_none() -> str:
    """Why there can be no machines here; empty if there can."""
    if os.name == "nt" or os.geteuid() != 0:
        return "only root can make network namespaces"
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        return f"there is no {', '.join(missing)} here"
    done = subprocess.run(
        ["unshare", "--mount", "--net", "--uts", "ip", "link", "add", "x", "type", "bridge"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"no network namespaces here: {done.stderr.strip()}" if done.returncode else ""


def until(happened: Callable[[], object], what: str, seconds: float = 120) -> None:
    """Wait. Raises AssertionError with `what` if it does not happen in that time."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"after {seconds} s not yet: {what}"
        time.sleep(0.1)


@dataclass
class Machines:
    """`addresses` are by name; `processes` all that was started."""

    folder: Path
    addresses: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _holders: dict[str, int] = field(default_factory=dict)

    def inside(self, name: str) -> list[str]:
        """The beginning of a command that runs on a machine, "" being the one between them."""
        return ["nsenter", "-t", str(self._holders[name]), "--mount", "--net", "--uts"]

    def start(
        self,
        name: str,
        *command: str,
        environment: Mapping[str, str] = os.environ,
        place: str = "/",
    ) -> subprocess.Popen[bytes]:
        """A process on a machine, in a place; its output goes to a file in the folder."""
        log = self.folder / f"{len(self.processes)}.log"
        with log.open("wb") as opened:
            process = subprocess.Popen(
                # Whoever enters another tree of mounts stands at its root.
                [*self.inside(name), *MORTAL, "env", "--chdir", place, *command],
                stdout=opened,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        self.processes.append(process)
        return process

    def run(self, name: str, *command: str) -> str:
        """The output of a command on a machine, which must succeed."""
        done = subprocess.run(
            [*self.inside(name), *command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def cable(self, name: str, state: str) -> None:
        """Pull the cable of a machine (`down`), as when its power goes, or plug it in (`up`)."""
        self.run("", "ip", "link", "set", f"to-{name}", state)

    def _hold(self, name: str, beginning: list[str], *kinds: str) -> None:
        script = f"{'hostname ' + name + '; ' if name else ''}exec sleep infinity"
        process = subprocess.Popen([*beginning, *MORTAL, "unshare", *kinds, "sh", "-c", script])
        self.processes.append(process)
        self._holders[name] = process.pid

        def sleeps() -> bool:
            return b"sleep" in Path(f"/proc/{process.pid}/cmdline").read_bytes()[:6]

        until(sleeps, f"a machine {name}")

    def _connect(self) -> None:
        hosts = "".join(f"{address} {name}\n" for name, address in self.addresses.items())
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n{HEAD} head\n{hosts}", "utf-8")
        self._hold("", [], "--mount", "--net", "--uts")
        self.run("", "hostname", "head")
        self.run("", "mount", "--bind", str(self.folder / "hosts"), "/etc/hosts")
        for words in ("set lo up", "add br0 type bridge", "set br0 up"):
            self.run("", "ip", "link", *words.split())
        self.run("", "ip", "addr", "add", f"{HEAD}/24", "dev", "br0")
        for name, address in self.addresses.items():
            self._hold(name, self.inside(""), "--net", "--uts")
            peer = f"add to-{name} type veth peer name eth0 netns {self._holders[name]}"
            for words in (peer, f"set to-{name} master br0 up"):
                self.run("", "ip", "link", *words.split())
            self.run(name, "ip", "addr", "add", f"{address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                self.run(name, "ip", "link", "set", device, "up")

    def stop(self) -> None:
        """End all that runs on the machines, whoever started it."""
        ours = {_network(pid) for pid in self._holders.values()} - {_network(os.getpid()), ""}
        for entry in Path("/proc").glob("[0-9]*"):
            if _network(int(entry.name)) in ours:
                with suppress(ProcessLookupError):
                    os.kill(int(entry.name), signal.SIGKILL)
        for process in reversed(self.processes):
            process.kill()
            process.wait()


def _network(pid: int) -> str:
    """The network namespace of a process; empty for one that is gone."""
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""


@contextmanager
def machines(folder: Path, *names: str) -> Iterator[Machines]:
    """Some machines that reach each other by their names, and no one else."""
    folder.mkdir(parents=True, exist_ok=True)
    found = Machines(folder, {name: f"{NETWORK}.{n}" for n, name in enumerate(names, 11)})
    try:
        found._connect()
        yield found
    finally:
        found.stop()
