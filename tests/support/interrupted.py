"""Run Copier, and send it a signal at its n-th call of a function.

    python interrupted.py SIGNAL N ARGUMENTS-OF-COPIER

The calls are counted from the first question on, as from there the template has a say. What a
process does between two calls no signal can interrupt but in the kernel, so that these are all the
moments at which Python can find one. With N = 0 their number is the last line of stdout.
"""

from __future__ import annotations

import runpy
import signal
import sys
from types import FrameType
from typing import Any

number, wanted = int(sys.argv[1]), int(sys.argv[2])
calls = 0
set_handler = signal.signal


def count(frame: FrameType, event: str, argument: Any) -> None:
    global calls
    if event in ("call", "c_call"):
        calls += 1
        if calls == wanted:
            sys.setprofile(None)
            signal.raise_signal(number)


def noticed(which: int, handler: Any) -> Any:
    before = set_handler(which, handler)
    if which == number:
        signal.signal = set_handler
        sys.setprofile(count)
    return before


signal.signal = noticed
sys.argv[1:3] = []
try:
    runpy.run_module("copier", run_name="__main__", alter_sys=True)
finally:
    sys.setprofile(None)
    if not wanted:
        print(calls)
