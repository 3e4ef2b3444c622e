"""A signal that stops a render ends it, and leaves the destination as SECURITY.md promises.

Copier keeps what it began when it is stopped, and an error that a signal raises does not always
arrive: Jinja compiles a template under `except Exception`. So the handler undoes the render itself,
and then raises SystemExit, which no such clause catches and which lets Copier remove its temporary
folders.

What there is to stop, Copier notes in two context variables, which it resets whatever happens:
`_operation` is "copy" or "update" for as long as one runs, and `phase` is "render" while files are
written. (Templates are given both, as `_copier_operation` and `_copier_phase`.) Whose render that
is, where a program has Copier render several templates, tell two things that go when it ends: the
settings, which Copier reads anew for each, and its clone of the template, in which this file is.
"""

from __future__ import annotations

import contextvars
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any
from weakref import ReferenceType, ref

Handler = Callable[[int, FrameType | None], None]

# Ctrl-C, what a service manager or a CI job sends first, and a terminal that is closed, of which
# Windows has the first alone. SIGKILL cannot be caught.
DEFAULTS = MappingProxyType(
    {
        getattr(signal, name): signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
        for name in ("SIGINT", "SIGTERM", "SIGHUP")
        if hasattr(signal, name)
    }
)


@dataclass(frozen=True)
class Render:
    """A render into a folder; `is_new` says that the folder is not there before the first file."""

    folder: Path
    is_new: bool
    settings: ReferenceType[Any]

    @property
    def ended(self) -> bool:
        return self.settings() is None or not Path(__file__).exists()


def undo_when_stopped(folder: Path, conf: Any) -> None:
    """From now on the first such signal undoes the render into a folder, and ends it.

    It raises SystemExit, with the status that a shell reports of who died of the signal. A folder
    that is not there yet is removed again, unless Copier was told in `conf` to keep what fails. To
    be called at every question, as somebody else may make the folder while a person answers.

    Outside of a render a signal does what it did before. A program that handles one itself, or
    ignores it as a job in the background does, goes on to do so, and so does a program that renders
    in another thread, where Python handles no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    is_new = conf["cleanup_on_error"] and not os.path.lexists(folder)
    handler = _handler(Render(folder, is_new, ref(conf["settings"])))
    for number, default in DEFAULTS.items():
        current = signal.getsignal(number)
        if current == default or _is_ours(current):
            signal.signal(number, handler)


def _is_ours(handler: Any) -> bool:
    """Whether an earlier question has set a handler, or an earlier render in this process.

    `copier update` loads this module once for the old and once for the new template: `torch_index`
    makes the names.
    """
    module = getattr(handler, "__module__", None) or ""
    return module == __name__ or module.startswith("torch_uv_template_")


def _handler(render: Render) -> Handler:
    def stop(number: int, frame: FrameType | None) -> None:
        # The impatient press Ctrl-C twice: the second one must not stop the removal.
        held = [n for n in DEFAULTS if signal.getsignal(n) is stop]
        for n in held:
            signal.signal(n, signal.SIG_IGN)
        said = _undo(render)
        for n in held:
            signal.signal(n, DEFAULTS[n])
        if said is None:
            signal.raise_signal(number)
            return
        _say(said)
        stopped = SystemExit(128 + number)
        _end_even_if_dropped(stopped, number)
        raise stopped

    return stop


def _undo(render: Render) -> str | None:
    """Undo what can be undone, and say what the state is; None if there is nothing to stop."""
    operation, phase = _noted("_operation"), _noted("phase")
    if operation == "update":
        # Two of its three renders go to temporary folders, which Copier removes.
        return "Stopped half way. This undoes it: git reset --hard && git clean -d --force"
    if not operation or render.ended:
        return None
    if phase == "prompt":
        return "Stopped before anything was written."
    if phase != "render":
        return "Stopped; no file is half written."
    if not render.is_new:
        return "Stopped half way: some files may be written. The same command writes the others."
    shutil.rmtree(render.folder, ignore_errors=True)
    if render.folder.exists():
        return f"Stopped half way, and {render.folder} could not be removed."
    return "Stopped; the folder that was begun is gone again."


def _noted(name: str) -> str:
    """A context variable of Copier's, as text; empty if it is not set."""
    found = {variable.name: value for variable, value in contextvars.copy_context().items()}
    return str(found.get(name, ""))


def _say(sentence: str) -> None:
    """Past Python's buffer, in which another sentence may be under way."""
    # There may be no stderr, or none any more.
    with suppress(AttributeError, OSError, ValueError):
        os.write(sys.stderr.fileno(), f"{sentence}\n".encode())


def _end_even_if_dropped(stopped: SystemExit, number: int) -> None:
    """Python reports an error in a finalizer and goes on: if it is this one, the process ends."""
    report = sys.unraisablehook

    def end(dropped: Any) -> None:
        if dropped.exc_value is not stopped:
            report(dropped)
            return
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    sys.unraisablehook = end
