"""A signal that stops a render is an error: after errors alone Copier removes what it began."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from functools import cache
from types import FrameType
from typing import Any

from copier.errors import UserMessageError

# Ctrl-C, and what a service manager or a CI job sends first. SIGKILL cannot be caught.
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@cache
def undo_when_stopped() -> None:
    """From now on the first such signal ends a render by UserMessageError.

    Outside a render it does what it did before.
    """
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            before = signal.getsignal(number)
            # An ignored signal stays ignored: a job in the background takes no Ctrl-C.
            if before not in (None, signal.SIG_IGN):
                signal.signal(number, _handler(before))


def _handler(before: Any) -> Callable[[int, FrameType | None], None]:
    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, before)
        while frame:
            if frame.f_code.co_name == "run_copy":
                raise UserMessageError("Stopped; a folder that was begun is gone again.")
            frame = frame.f_back
        signal.raise_signal(number)

    return stop
