"""The built page in a real browser, served as a host of static files serves it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Request, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Milliseconds after which a page that does not answer fails its test.
LIMIT = 60_000


def browser_here() -> str:
    """The path of a browser; empty where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), "")


class _Files(SimpleHTTPRequestHandler):
    extensions_map = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder's files, which is below the top of its host, as on GitHub Pages."""
    above = partial(_Files, directory=str(folder.parent))
    server = ThreadingHTTPServer(("127.0.0.1", 0), above)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/{folder.name}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Visit:
    """A page, with what it did that none should: `errors` of its console, and `strangers`, the
    addresses of other hosts that it asked."""

    page: Page
    address: str
    errors: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(LIMIT)
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.context.on("request", self._asked)

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.strangers.append(request.url)

    def open(self, link: str = "") -> None:
        """Come anew by a link; the result of it is there at the end."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.address}#{link}")
        self.page.locator("body[data-answers]").wait_for()

    def follow(self, link: str) -> None:
        """Change the address, as a link in the page does; the result of it is there at the end."""
        with self.answered():
            self.page.evaluate("link => { location.hash = link }", link or "strategy=groups")

    def open_anew(self) -> None:
        """As a first visit, without waiting for Python to start again: nothing is given."""
        with self.answered():
            script = (
                "history.pushState(null, '', '#'); dispatchEvent(new PopStateEvent('popstate'))"
            )
            self.page.evaluate(script)

    def paste(self, text: str) -> None:
        self.page.locator("#here details").evaluate("one => { one.open = true }")
        with self.answered():
            self.page.locator("[name=pasted]").fill(text)

    @contextmanager
    def answered(self) -> Iterator[None]:
        """What is done here is followed by an answer of Python, which is shown at the end."""
        count = self.page.locator("body").get_attribute("data-answers")
        yield
        # By a selector, since the page lets nobody evaluate a text.
        self.page.locator(f'body:not([data-answers="{count}"])').wait_for()

    def option(self, key: str, value: str) -> Any:
        """The radio button or checkbox of an answer."""
        return self.page.locator(f'#q-{key} input[value="{value}"]')

    def choose(self, key: str, value: str) -> None:
        with self.answered():
            self.option(key, value).click()

    def refused(self, key: str, value: str) -> str:
        """Try an answer that cannot be chosen: what the page says of it."""
        # A mouse can, where Playwright waits until the answer can be chosen.
        self.option(key, value).click(force=True)
        return self.text(f"#n-{key}")

    def chosen(self, key: str) -> list[str]:
        """The values of a question that are chosen."""
        script = "boxes => boxes.filter(box => box.checked).map(box => box.value)"
        return self.page.locator(f"#q-{key} input").evaluate_all(script)

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text().strip()

    def download(self, file: Path) -> Path:
        """Click on the button for the .zip."""
        with self.page.expect_download() as begun:
            self.page.locator("#zip").click()
        begun.value.save_as(file)
        return file


@contextmanager
def browser() -> Iterator[Any]:
    """A browser without a window. What it has of a profile goes with it."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=browser_here(),
            # Root may not have a sandbox, and CI is root.
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        try:
            yield found
        finally:
            found.close()
