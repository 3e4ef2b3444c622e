"""Index pages: PEP 503 as download.pytorch.org renders it, PEP 691 for PyPI."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Iterable
from urllib.parse import quote

from .listing import Entry

JSON_TYPE = "application/vnd.pypi.simple.v1+json"


def escaped(path: str) -> str:
    """A path as the indexes write it in an href: `+` becomes `%2B`."""
    return quote(path, safe="/")


def metadata_hash(entry: Entry) -> str:
    return hashlib.sha256(entry.metadata).hexdigest()


def package_html(package: str, entries: Iterable[Entry]) -> bytes:
    """The page of one package, with hashes and PEP 658 attributes."""
    lines = ["<!DOCTYPE html>", "<html>", "  <body>", f"    <h1>Links for {package}</h1>"]
    for entry in entries:
        wheel, digest = entry.wheel, f"sha256={metadata_hash(entry)}"
        attributes = f'data-dist-info-metadata="{digest}" data-core-metadata="{digest}"'
        if entry.requires_python:
            attributes += f' data-requires-python="{html.escape(entry.requires_python)}"'
        href = f"{escaped(wheel.path)}#sha256={wheel.sha256}"
        lines.append(f'    <a href="{href}" {attributes}>{wheel.filename}</a><br/>')
    return _text([*lines, "  </body>", "</html>"])


def list_html(names: Iterable[str]) -> bytes:
    """The page of one index: its packages."""
    lines = ["<!DOCTYPE html>", "<html>", "  <body>"]
    lines += [f'    <a href="{name}/">{name}</a><br/>' for name in sorted(names)]
    return _text([*lines, "  </body>", "</html>"])


def package_json(package: str, entries: Iterable[Entry]) -> bytes:
    """The page of one package as PyPI gives it to installers."""
    files = []
    for entry in entries:
        core = {"sha256": metadata_hash(entry)}
        file = {
            "filename": entry.wheel.filename,
            "url": escaped(entry.wheel.path),
            "hashes": {"sha256": entry.wheel.sha256},
            "core-metadata": core,
            "data-dist-info-metadata": core,
        }
        if entry.requires_python:
            file["requires-python"] = entry.requires_python
        files.append(file)
    page = {"meta": {"api-version": "1.0"}, "name": package, "files": files}
    return json.dumps(page).encode()


def list_json(names: Iterable[str]) -> bytes:
    projects = [{"name": name} for name in sorted(names)]
    return json.dumps({"meta": {"api-version": "1.0"}, "projects": projects}).encode()


def _text(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()
