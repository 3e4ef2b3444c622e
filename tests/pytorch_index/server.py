"""An HTTP server on loopback that answers like the PyTorch indexes and PyPI."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import sys
import threading
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from . import pages
from .listing import Entry, Listing, with_wheelhouse
from .recorded import PYPI

# Where an index lies on download.pytorch.org and PyPI, and on mirrors as Artifactory, Nexus and
# devpi make them; a group has the backend, and none PyPI.
PATHS = re.compile(
    r"/(?:whl/([^/]+)|pypi/simple"
    r"|(?:artifactory/api/pypi|repository|root)/(?:pytorch-([^/]+)|pypi)/\+?simple)(?:/([^/]+))?/?"
)
# What else lies at the base of the indexes: no backends, and backends without torch.
FOLDERS = ("cpu-cxx11-abi", "cu92", "cu131", "nightly", "packages", "rocm7.14", "test")
HTML = "text/html; charset=utf-8"
BINARY = "application/octet-stream"


class Request(NamedTuple):
    """One answered request; `path` is as sent, `%2B` and all."""

    method: str
    path: str
    status: int


class Answer(NamedTuple):
    """What the server says; `body` may be a file to send, in whole or by a range.

    `promised` is a length that is not the body's, `chunks` how many pieces of an unknown length it
    comes in. A status of 0 hangs up.
    """

    status: int
    content_type: str
    body: bytes | Path
    promised: int | None = None
    chunks: int = 0


class PyTorchIndex:
    """The recorded indexes, served from entering the context until leaving it.

    `wheelhouse` is a folder of real wheels to serve among the recorded ones, whose files are not
    kept and answer 403. With `auth`, every request needs these basic credentials. `listing` takes
    the place of what was recorded. `apart` puts new files on a host of their own, as PyTorch does;
    a project that is redirected to this server knows of no second one.

    Raises NotADirectoryError or ValueError, from the constructor, for a wheelhouse that is no
    folder or holds a file that is no wheel.
    """

    def __init__(
        self,
        wheelhouse: Path | None = None,
        *,
        auth: tuple[str, str] | None = None,
        listing: Listing | None = None,
        apart: bool = False,
    ) -> None:
        self.requests: list[Request] = []
        self._listing: Listing = with_wheelhouse(wheelhouse) if listing is None else listing
        self._files: dict[str, Entry] = {
            entry.wheel.path: entry
            for packages in self._listing.values()
            for entries in packages.values()
            for entry in entries
        }
        self._pages: dict[tuple[str, str, str], Answer] = {}
        self._credentials = (
            "Basic " + base64.b64encode(":".join(auth).encode()).decode() if auth else None
        )
        self._apart = apart
        self._server: ThreadingHTTPServer | None = None
        self._other: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """The base that stands for https://download.pytorch.org/whl.

        Raises RuntimeError outside the context, as there is no port then.
        """
        return f"{self.base}/whl"

    @property
    def pypi_url(self) -> str:
        """The base that stands for https://pypi.org/simple.

        Raises RuntimeError outside the context.
        """
        return f"{self.base}/pypi/simple"

    @property
    def base(self) -> str:
        """The server's address, below which mirrors of several kinds lie."""
        return _address(self._server)

    @property
    def files(self) -> str:
        """The host of new files, which is not that of the pages; empty where it is the same."""
        return _address(self._other) if self._apart else ""

    def __enter__(self) -> Self:
        self._server = self._started()
        self._other = self._started() if self._apart else None
        return self

    def _started(self) -> ThreadingHTTPServer:
        server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"served": self}))
        # The default of half a second would be added to every `with` block's end.
        serve = partial(server.serve_forever, poll_interval=0.02)
        threading.Thread(target=serve, daemon=True).start()
        return server

    def __exit__(self, *_: object) -> None:
        for server in (self._server, self._other):
            if server is not None:
                server.shutdown()
                server.server_close()
        self._server = self._other = None
        self._pages.clear()

    def answer(self, path: str, accept: str = "", authorization: str | None = None) -> Answer:
        """What the server says to a GET of `path`, the header fields given."""
        if self._credentials is not None and authorization != self._credentials:
            return Answer(HTTPStatus.UNAUTHORIZED, HTML, b"Unauthorized\n")
        path = unquote(urlsplit(path).path)
        if path.rstrip("/") == "/whl":
            return Answer(HTTPStatus.OK, HTML, pages.list_html({*self._listing, *FOLDERS} - {PYPI}))
        if match := PATHS.fullmatch(path):
            index, package = match[1] or match[2] or PYPI, _normalized(match[3] or "")
            if index != PYPI or not (match[1] or match[2]):
                # The PyTorch indexes have no JSON, nor have their mirrors here.
                form = "json" if index == PYPI and pages.JSON_TYPE in accept else "html"
                page = self._page(index, package, "pytorch" if match[1] else form)
                if page is not None:
                    return page
        entry = self._files.get(path.removesuffix(".metadata"))
        if entry is not None:
            if path.endswith(".metadata"):
                return Answer(HTTPStatus.OK, BINARY, entry.metadata)
            if entry.file is not None:
                return Answer(HTTPStatus.OK, BINARY, entry.file)
            return Answer(HTTPStatus.FORBIDDEN, HTML, b"The wheel itself is not recorded\n")
        # download.pytorch.org lies on a store that answers 403 for what it does not have.
        status = HTTPStatus.NOT_FOUND if path.startswith("/pypi/") else HTTPStatus.FORBIDDEN
        return Answer(status, HTML, f"{status.phrase}\n".encode())

    def _page(self, index: str, package: str, form: str) -> Answer | None:
        packages = self._listing.get(index, {})
        if not packages or (package and package not in packages):
            return None
        key = (index, package, form)
        if key not in self._pages:
            if not package:
                body = (pages.list_json if form == "json" else pages.list_html)(packages)
            elif form == "pytorch":
                body = pages.pytorch_html(package, packages[package], self.files)
            else:
                make = pages.package_json if form == "json" else pages.package_html
                body = make(package, packages[package])
            kind = pages.JSON_TYPE if form == "json" else HTML
            self._pages[key] = Answer(HTTPStatus.OK, kind, body)
        return self._pages[key]


def _address(server: ThreadingHTTPServer | None) -> str:
    if server is None:
        raise RuntimeError("the index is served only inside its `with` block")
    return f"http://127.0.0.1:{server.server_address[1]}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # kept-alive connections would hold up the end of a test
    request_queue_size = 128  # uv opens dozens of connections at once

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print a fault of the server, but not that a client hung up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: Nagle would cost 40 ms each
    served: PyTorchIndex

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        accept, authorization = self.headers.get("Accept", ""), self.headers.get("Authorization")
        answer = self.served.answer(self.path, accept, authorization)
        status, content_type, body, promised, chunks = answer
        tag = f'"{hashlib.md5(body).hexdigest()}"' if isinstance(body, bytes) else ""
        if status == HTTPStatus.OK and tag and self.headers.get("If-None-Match") == tag:
            status, body = HTTPStatus.NOT_MODIFIED, b""
        if not status:
            self.close_connection = True
            return
        span = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        part = ""
        if span and isinstance(body, Path):
            whole = body.read_bytes()
            first = int(span[1]) if span[1] else max(len(whole) - int(span[2]), 0)
            last = int(span[2]) if span[1] and span[2] else len(whole) - 1
            part = f"bytes {first}-{last}/{len(whole)}"
            status, body = HTTPStatus.PARTIAL_CONTENT, whole[first : last + 1]
        self.served.requests.append(Request(self.command, self.path, int(status)))
        size = body.stat().st_size if isinstance(body, Path) else len(body)
        self.send_response(status)
        if part:
            self.send_header("Content-Range", part)
        self.send_header("Content-Type", content_type)
        if chunks:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(promised or size))
        if promised is not None:
            self.close_connection = True
        # Ports are used again, so a cache that outlives a server must not keep its pages; real
        # files are checked by hash.
        kept = "max-age=3600, immutable" if isinstance(body, Path) else "no-cache,no-store"
        self.send_header("Cache-Control", kept)
        if tag:
            self.send_header("ETag", tag)
        if status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Basic realm="pytorch"')
        self.end_headers()
        if not with_body:
            return
        if isinstance(body, Path):
            with body.open("rb") as file:
                shutil.copyfileobj(file, self.wfile)
        elif chunks:
            step = len(body) // chunks + 1
            for start in range(0, len(body), step):
                piece = body[start : start + step]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            if promised is None:
                self.wfile.write(b"0\r\n\r\n")
        else:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: `PyTorchIndex.requests` has it."""


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
