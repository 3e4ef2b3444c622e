"""Standard output, in whatever state it is: a result is printed in full, or it is said why not."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import NoReturn

NOT_PRINTED = 4


class CannotPrint(Exception):
    """Standard output does not take a result; the message says why."""


def say(text: str, end: str = "\n") -> None:
    """Print now. Raises CannotPrint."""
    if sys.stdout is None:
        raise CannotPrint("standard output is closed")
    try:
        print(text, end=end, flush=True)
    except (OSError, ValueError) as error:
        raise CannotPrint(getattr(error, "strerror", None) or str(error)) from None


def complain(text: str) -> None:
    """Print one line to standard error, if that works."""
    with contextlib.suppress(OSError, ValueError):
        print(f"drift.py: {one_line(text)}", file=sys.stderr or None, flush=True)


def one_line(text: str, longest: int | None = None) -> str:
    """A text of others as one line that does nothing to a terminal or a table."""
    told = text if longest is None or len(text) <= longest else f"{text[:longest]}..."
    return "".join(c if c.isprintable() else " " if c.isspace() else _escaped(c) for c in told)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def leave(main: Callable[[], int]) -> NoReturn:
    """End this process with the exit code of `main`, or with 4 if its result was not printed.

    Whatever else is raised is 2 and one line: Python would end with 1, which has a meaning.
    """
    for stream in range(3):
        # Else the next file that is opened gets its number.
        try:
            os.fstat(stream)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is not None:
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        code = main()
    except CannotPrint as error:
        complain(f"the result could not be printed: {error}.")
        code = NOT_PRINTED
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 2
    except Exception as error:
        complain(f"{type(error).__name__}: {error}.")
        code = 2
    try:
        # The help is not printed by `say`.
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        code = NOT_PRINTED
    # sys.exit would wait for processes that do not end, and flush what cannot be flushed.
    os._exit(code)
