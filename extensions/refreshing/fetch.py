"""Pages over HTTP: few requests, several at a time, and no answer taken for another one."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TypeVar

import requests
from cachecontrol import CacheControlAdapter
from cachecontrol.caches import SeparateBodyFileCache
from cachecontrol.heuristics import BaseHeuristic
from remotezip import RemoteZip, RemoteZipError
from urllib3 import HTTPResponse
from urllib3.exceptions import HTTPError

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 8
SECONDS = 30  # without a byte, on one connection
PAUSES = (1.0, 3.0)  # in seconds, before the second and the third try
LONGEST_PAUSE = 30.0  # whatever Retry-After asks for
AGAIN = {408, 425, 429, 500, 502, 503, 504}
ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.2"


class CannotLook(Exception):
    """An index did not say what it has; the message says which page, and why."""


@dataclass(frozen=True)
class Page:
    """A page as it came; `url` is where it was found, after redirects."""

    url: str
    content_type: str
    text: str


class _AskEachTime(BaseHeuristic):
    """Keep what has an ETag, and ask each time whether it holds.

    download.pytorch.org forbids to keep its pages, so that nobody takes an old one for new.
    """

    def update_headers(self, response: HTTPResponse) -> dict[str, str]:
        kept = "immutable" in response.headers.get("Cache-Control", "")
        return {} if kept else {"Cache-Control": "no-cache"}


class Web:
    """Reads pages. Counts `asked`, those that came, and `unchanged`, those known before.

    `cache` is a folder for pages of earlier runs; None keeps none.
    """

    def __init__(self, cache: Path | None = None, pauses: tuple[float, ...] = PAUSES) -> None:
        self._pauses = pauses
        self._session = requests.Session()
        kept = SeparateBodyFileCache(str(cache)) if cache else None
        adapter = CacheControlAdapter(
            kept, heuristic=_AskEachTime(), pool_connections=AT_ONCE, pool_maxsize=AT_ONCE
        )
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, adapter)
        self._counting = threading.Lock()
        self.asked = self.unchanged = 0

    def each(self, read: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """The results in their order, several at a time; the first failure ends it."""
        with ThreadPoolExecutor(AT_ONCE) as workers:
            try:
                yield from workers.map(read, items)
            except BaseException:
                workers.shutdown(cancel_futures=True)
                raise

    def page(self, url: str, absent: frozenset[int]) -> Page | None:
        """A page; None for one of the statuses that mean "not there".

        Raises CannotLook for whatever else is no page.
        """
        answer = self._again(url, lambda: self._session.get(url, **self._options))
        if answer.status_code in absent:
            return None
        if answer.status_code != 200:
            raise CannotLook(f"{shown(url)}: {answer.status_code} {answer.reason}")
        try:
            text = answer.content.decode("utf-8")
        except UnicodeDecodeError:
            raise CannotLook(f"{shown(url)}: it is no text in UTF-8") from None
        return Page(answer.url, answer.headers.get("Content-Type", ""), text)

    def metadata_in(self, url: str) -> str:
        """The METADATA inside a wheel, of which some kilobytes are read. Raises CannotLook."""

        def read() -> str:
            with RemoteZip(url, session=self._session, timeout=SECONDS) as wheel:
                (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
                return wheel.read(name).decode("utf-8")

        return self._again(url, read)

    @property
    def _options(self) -> dict[str, object]:
        return {"timeout": SECONDS, "headers": {"Accept": ACCEPT}}

    def _again(self, url: str, get: Callable[[], R]) -> R:
        """Try several times what may work a little later."""
        for pause in (*self._pauses, None):
            asks = 0.0
            try:
                answer = get()
            except (requests.RequestException, HTTPError, RemoteZipError, OSError) as error:
                problem = _why(error)
            except ValueError as error:  # of zipfile's kind, too: no METADATA or two of them
                raise CannotLook(f"{shown(url)}: {_why(error)}") from None
            else:
                if getattr(answer, "status_code", 200) not in AGAIN:
                    self._count(answer)
                    return answer
                problem, asks = f"{answer.status_code} {answer.reason}", _retry_after(answer)
            if pause is None:
                raise CannotLook(f"{shown(url)}: {problem}")
            time.sleep(min(max(pause, asks), LONGEST_PAUSE))
        raise AssertionError  # the last pause is None

    def _count(self, answer: object) -> None:
        with self._counting:
            self.asked += 1
            self.unchanged += bool(getattr(answer, "from_cache", False))


def _retry_after(answer: requests.Response) -> float:
    """The seconds that a server asks for, as a number or as a date; 0 without."""
    asked = answer.headers.get("Retry-After", "")
    if asked.isdigit():
        return float(asked)
    try:
        return parsedate_to_datetime(asked).timestamp() - time.time()
    except ValueError:
        return 0.0


def _why(error: BaseException) -> str:
    """The innermost reason: requests and urllib3 wrap it several times."""
    while isinstance(inner := getattr(error, "reason", None) or [*error.args, None][0], Exception):
        error = inner
    # urllib3 says what happened, and then has the exception itself.
    said = error.args[0] if isinstance(error, HTTPError) and error.args else error
    reason = " ".join(str(said).split()).rstrip(".")
    return shown(re.sub(r"^HTTPS?Connection(Pool)?\(.*?\): ", "", reason) or type(error).__name__)


def shown(url: str) -> str:
    """An address for people, without the password that may stand in it."""
    return re.sub(r"//[^/@\s]+@", "//", url)
