"""The pages of an index as typed values; a page that is not whole or of another kind is refused."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from mousebender import simple
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from ..tables.backends import kind
from .fetch import CannotLook, Page, shown
from .wheels import Wheel


def folders(page: Page) -> frozenset[str]:
    """The names on a page that lists folders. Raises CannotLook if it lists none."""
    found = _details(page, "folders")["files"]
    # mousebender takes what follows the last slash for a file's name.
    names = (unquote(urlsplit(file["url"]).path).strip("/").rpartition("/")[2] for file in found)
    return frozenset(name for name in names if name)


def backends(page: Page) -> frozenset[str]:
    """Those of its folders that are named as a backend."""
    return frozenset(name for name in folders(page) if kind(name))


@lru_cache(maxsize=1024)
def wheels(page: Page, package: str) -> tuple[Wheel, ...]:
    """The wheels of releases on a package's page, without yanked ones and release candidates.

    Raises CannotLook for a page that lists no file of that package.
    """
    found, others = [], 0
    for file in _details(page, package)["files"]:
        try:
            name, version, _, tags = parse_wheel_filename(file["filename"])
        except InvalidWheelFilename:
            # An sdist, or an old name that no installer reads.
            others += _is_of(file["filename"], package)
            continue
        if name != package:
            continue
        others += 1
        plain = not (version.is_prerelease or version.is_postrelease)
        if not plain or file.get("yanked") not in (None, False):
            continue
        url = urljoin(page.url, file["url"])
        uploaded = str(file.get("upload-time") or "")
        found.append(Wheel(file["filename"], url, version, tags, uploaded, _described(file)))
    if not others:
        raise CannotLook(f"{shown(page.url)}: it is no page of {package}")
    return tuple(found)


def _described(file: dict[str, Any]) -> str:
    told = next((file[k] for k in ("core-metadata", "dist-info-metadata") if file.get(k)), False)
    return str(told.get("sha256", "true")) if isinstance(told, dict) else "true" if told else ""


def _is_of(filename: str, package: str) -> bool:
    return canonicalize_name(filename).startswith(f"{package}-")


def _details(page: Page, name: str) -> dict[str, Any]:
    """What a page lists, in the form of PEP 691, whatever type the server says that it has."""
    start = page.text.lstrip("\ufeff \t\r\n")
    try:
        if start.startswith("{"):
            return _addressed(_json(json.loads(start)))
        # A page that was cut off lacks its end.
        whole = re.search(r"</html>\s*(<!--[^>]*-->\s*)*$", start, re.IGNORECASE)
        if re.match(r"(<!--.*?-->\s*)*<(!doctype\s+html|html)\b", start, re.IGNORECASE) and whole:
            return _addressed(dict(simple.from_project_details_html(start, name)))
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise CannotLook(f"{shown(page.url)}: it is no index page, or not all of one")


def _addressed(found: dict[str, Any]) -> dict[str, Any]:
    """The same. Raises ValueError if a file's address is none."""
    for file in found["files"]:
        urlsplit(file["url"])
    return found


def _json(content: Any) -> dict[str, Any]:
    """Raises KeyError, TypeError or ValueError for an answer of another form."""
    if content["meta"]["api-version"].partition(".")[0] != "1":
        raise ValueError("a version of the API that nobody knows")
    for file in content["files"]:
        if not isinstance(file["filename"], str) or not isinstance(file["url"], str):
            raise TypeError("a file without a name or an address")
    return dict(content)
