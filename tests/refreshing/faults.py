"""An index whose pages fail, one by one."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

from tests.pytorch_index import PyTorchIndex
from tests.pytorch_index.server import Answer

HTML = "text/html; charset=utf-8"
Fault = Callable[[Answer], Answer]


def status(number: int) -> Fault:
    return lambda answer: Answer(number, HTML, b"<!DOCTYPE html><html>no</html>\n")


def instead(body: bytes, content_type: str = HTML) -> Fault:
    return lambda answer: Answer(200, content_type, body)


def text(answer: Answer) -> bytes:
    assert isinstance(answer.body, bytes)
    return answer.body


def half(answer: Answer) -> bytes:
    return text(answer)[: len(text(answer)) // 2]


LOGIN = b"<!DOCTYPE html>\n<html><body><form action='/login'>Sign in</form></body></html>\n"
# An answer of one of these is none: it ends the run.
FAULTS: Mapping[str, Fault] = {
    **{str(number): status(number) for number in (400, 401, 404, 410, 418, 429, 500, 502, 503)},
    "hangs up": lambda answer: Answer(0, "", b""),
    "cut off": lambda answer: Answer(200, HTML, half(answer), promised=len(text(answer))),
    "cut off in pieces": lambda answer: Answer(200, HTML, half(answer), promised=0, chunks=3),
    "half of it": lambda answer: answer._replace(body=half(answer)),
    "empty": instead(b""),
    "a login": instead(LOGIN),
    "an error as JSON": instead(b'{"error": "quota"}', "application/json"),
    "no text": instead(random.Random(1).randbytes(5000)),
    "another page": instead(
        b'<!DOCTYPE html>\n<html>\n  <body>\n    <a href="/whl/x-1.0-py3-none-any.whl">x</a>\n'
        b"  </body>\n</html>\n"
    ),
}
# Odd, and as good as any.
ODD: Mapping[str, Fault] = {
    "as bytes": lambda answer: answer._replace(content_type="binary/octet-stream"),
    "as plain text": lambda answer: answer._replace(content_type="text/plain"),
    "without a type": lambda answer: answer._replace(content_type=""),
    "in pieces": lambda answer: answer._replace(chunks=7),
}


class Failing(PyTorchIndex):
    """An index of whose pages some fail, as `fail` says."""

    faults: Mapping[str, Fault] = {}
    left: dict[str, int] = {}

    def fail(self, faults: Mapping[str, Fault], times: int = 10**6) -> Self:
        """Let pages fail, by their paths, for the first `times` of asking; all others do not."""
        self.faults, self.left = faults, dict.fromkeys(faults, times)
        return self

    def answer(self, path: str, accept: str = "", authorization: str | None = None) -> Answer:
        found = super().answer(path, accept, authorization)
        plain = unquote(urlsplit(path).path)
        if self.left.get(plain, 0) and isinstance(found.body, bytes):
            self.left[plain] -= 1
            return self.faults[plain](found)
        return found


def asked(served: PyTorchIndex) -> list[str]:
    """The paths that a run asked for, and got."""
    return sorted({unquote(urlsplit(r.path).path) for r in served.requests if r.status == 200})


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}
