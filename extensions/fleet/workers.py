"""Work on many items, of which any may hang, die or use up the memory: each costs its own result.

Every slot has a process with a deadline, which is killed and replaced when that has passed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import monotonic
from typing import Any

# A fork has all imports already; elsewhere than on Linux it is not safe.
PROCESSES = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
SLOTS = min(os.cpu_count() or 1, 32)
# Seconds for which an item may hold up the results of those after it.
PATIENCE = 10.0
# Seconds after which waiting connections and programs are looked at again.
TICK = 0.05
# Bytes that a process may map, where the system has such a limit.
MEMORY = 2 * 1024**3

Ask = Callable[[Any], Any]


def each(
    work: Callable[[Any, Ask], Any],
    items: Sequence[Any],
    failed: Callable[[Any, str], Any],
    answer: Callable[[Any], Any],
    seconds: float,
    patience: float = PATIENCE,
) -> Iterator[Any]:
    """The results of `work(item, ask)`, in order; one that takes long lets those after it pass.

    `failed(item, reason)` is the result of an item that takes more than `seconds`, or whose process
    dies. `ask(question)` is answered here, by `answer`: None says that the answer is not there yet.
    The time until then is not counted.
    """
    waiting, order = deque(range(len(items))), deque(range(len(items)))
    idle: list[_Worker] = []
    busy: list[_Worker] = []
    done: dict[int, Any] = {}
    try:
        while order:
            while waiting and len(busy) < SLOTS:
                worker = idle.pop() if idle else _Worker(work)
                if worker.process.is_alive():
                    index = waiting.popleft()
                    worker.begin(index, items[index], seconds)
                    busy.append(worker)
            wait([worker.connection for worker in busy if not worker.question], TICK)
            for worker in list(busy):
                over, result, problem = worker.look(answer, seconds)
                if over:
                    busy.remove(worker)
                    done[worker.index] = failed(items[worker.index], problem) if problem else result
                    if problem:
                        worker.end()
                    else:
                        idle.append(worker)
            slow = {w.index for w in busy if monotonic() - w.begun > patience}
            for index in list(order):
                if index in done:
                    order.remove(index)
                    yield done.pop(index)
                elif index not in slow:
                    break
    finally:
        for worker in [*idle, *busy]:
            worker.end()


class _Worker:
    """A process and what it is at."""

    def __init__(self, work: Callable[[Any, Ask], Any]) -> None:
        self.connection, theirs = PROCESSES.Pipe()
        self.process = PROCESSES.Process(
            target=_serve, args=(theirs, self.connection, work), daemon=True
        )
        self.process.start()
        theirs.close()
        self.index, self.begun, self.deadline = -1, 0.0, 0.0
        self.question: Any = None

    def begin(self, index: int, item: Any, seconds: float) -> None:
        self.index, self.begun, self.question = index, monotonic(), None
        self.deadline = self.begun + seconds
        self._send(item)

    def look(self, answer: Callable[[Any], Any], seconds: float) -> tuple[bool, Any, str]:
        """Whether its item is over, with the result or what went wrong."""
        if self.question is None and self.connection.poll():
            try:
                self.question, result = self.connection.recv()
            except (EOFError, OSError):
                return True, None, self._death()
            if self.question is None:
                return True, result, ""
        if self.question is not None:
            if (reply := answer(self.question)) is not None:
                self.question, self.deadline = None, monotonic() + seconds
                self._send(reply)
        elif not self.process.is_alive() and not self.connection.poll():
            return True, None, self._death()
        elif monotonic() > self.deadline:
            return True, None, f"it was not done after {seconds:g} seconds"
        return False, None, ""

    def end(self) -> None:
        self.connection.close()
        kill_group(self.process.pid)
        self.process.kill()
        # One that the kernel does not let go is left behind.
        self.process.join(1)

    def _send(self, message: Any) -> None:
        # If it died, the next look says so.
        with suppress(OSError):
            self.connection.send(message)

    def _death(self) -> str:
        self.process.join(1)
        code = self.process.exitcode
        how = f"was killed by signal {-code}" if code and code < 0 else f"ended with {code}"
        return f"the process that compared it {how}"


def _serve(connection: Connection, others: Connection, work: Callable[[Any, Ask], Any]) -> None:
    # Then the connection ends with the process at its other end.
    others.close()
    _stand_alone()

    def ask(question: Any) -> Any:
        connection.send((question, None))
        return connection.recv()

    with suppress(EOFError, OSError):
        while True:
            item = connection.recv()
            connection.send((None, work(item, ask)))


def _stand_alone() -> None:
    """Be a group of processes to kill at once, silent, and with an end to its memory."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    if sys.platform != "win32":
        import resource

        os.setsid()
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        limit = MEMORY if most == resource.RLIM_INFINITY else min(MEMORY, most)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (limit, most))


def kill_group(leader: int | None) -> None:
    if leader and sys.platform != "win32":
        with suppress(OSError):
            os.killpg(leader, signal.SIGKILL)


class Program:
    """A program beside this one, for a limited time. Raises OSError if it does not start.

    It may leave others behind that hold its output, and may outlive SIGKILL: nothing waits for it.
    """

    def __init__(
        self, command: Sequence[str], cwd: Path, environment: Mapping[str, str], seconds: float
    ) -> None:
        self._seconds, self._deadline = seconds, monotonic() + seconds
        self._output = tempfile.TemporaryFile()  # noqa: SIM115
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        # A worker's programs are killed with it: they stay in its group.
        self._leads = PROCESSES.parent_process() is None
        self._child = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._errors,
            start_new_session=self._leads,
        )

    def code(self) -> int | None:
        """Its exit code, or None as long as it runs. Raises TimeoutError once its time is over."""
        code = self._child.poll()
        if code is None and monotonic() > self._deadline:
            self.kill()
            raise TimeoutError(f"not done after {self._seconds:g} seconds")
        return code

    def wait(self) -> int:
        """Its exit code. Raises TimeoutError."""
        with suppress(subprocess.TimeoutExpired):
            return self._child.wait(max(0, self._deadline - monotonic()))
        self.kill()
        raise TimeoutError(f"not done after {self._seconds:g} seconds")

    def kill(self) -> None:
        if self._child.returncode is None:
            if self._leads:
                kill_group(self._child.pid)
            self._child.kill()

    def texts(self) -> tuple[str, str]:
        """What it printed, to standard output and to standard error."""
        self._output.seek(0)
        self._errors.seek(0)
        return (
            self._output.read().decode("utf-8", "replace"),
            self._errors.read().decode("utf-8", "replace"),
        )
