"""A signal that stops a render is an error: after errors alone Copier removes what it began."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from copier.errors import UserMessageError

# Ctrl-C, and what a service manager or a CI job sends first. SIGKILL cannot be caught.
DEFAULTS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


def undo_when_stopped() -> None:
    """From now on the first such signal ends a render by UserMessageError.

    Outside a render it does what it did before. A program that handles a signal itself, or ignores
    it as a job in the background does, goes on to do so.
    """
    if threading.current_thread() is threading.main_thread():
        for number, default in DEFAULTS.items():
            if signal.getsignal(number) == default:
                signal.signal(number, _handler(default))


def _handler(before: Any) -> Callable[[int, FrameType | None], None]:
    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, before)
        calls = list(_calls(frame))
        names = {call.f_code.co_name for call in calls}
        if "run_update" in names:
            undo = "git reset --hard && git clean -d --force"
            raise UserMessageError(f"Stopped half way. This undoes it: {undo}")
        if "run_copy" in names:
            # Copier's own note whether it may remove the folder; none before it writes.
            existed = [x.f_locals["was_existing"] for x in calls if "was_existing" in x.f_locals]
            raise UserMessageError(_said(existed[0] if existed else None))
        signal.raise_signal(number)

    return stop


def _calls(frame: FrameType | None) -> Iterator[FrameType]:
    while frame:
        yield frame
        frame = frame.f_back


def _said(was_existing: bool | None) -> str:
    if was_existing is None:
        return "Stopped before anything was written."
    if was_existing:
        return "Stopped half way: some files may be written. The same command writes the others."
    return "Stopped; the folder that was begun is gone again."
