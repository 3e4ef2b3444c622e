"""Index pages: PEP 503 as download.pytorch.org renders it, PEP 691 for PyPI."""

from __future__ import annotations

import hashlib
import html
import json
import time
from collections.abc import Iterable
from functools import cache
from urllib.parse import quote

from .listing import Entry

# Since when PyTorch's index has another host for files, and upload times; its pages are written by
# s3_management/manage_v2.py of pytorch/test-infra.
OTHER_HOST_SINCE = "2026-07-06"
UPLOAD_TIMES_SINCE = "2026-04-23"
JSON_TYPE = "application/vnd.pypi.simple.v1+json"


def escaped(path: str) -> str:
    """A path as the indexes write it in an href: `+` becomes `%2B`."""
    return quote(path, safe="/")


def metadata_hash(entry: Entry) -> str:
    return _sha256(entry.metadata)


@cache
def _sha256(text: bytes) -> str:
    """Once for all wheels of a version and all servers of a process."""
    return hashlib.sha256(text).hexdigest()


def pytorch_html(package: str, entries: Iterable[Entry], files: str) -> bytes:
    """The page of one package as download.pytorch.org has it; `files` is the host of new files."""
    lines = ["<!DOCTYPE html>", "<html>", "  <body>", f"    <h1>Links for {package}</h1>"]
    for entry in entries:
        wheel, digest = entry.wheel, f"sha256={metadata_hash(entry)}"
        host = files if entry.uploaded >= OTHER_HOST_SINCE else ""
        fragment = f"#sha256={wheel.sha256}" if entry.hashed else ""
        attributes = f'data-dist-info-metadata="{digest}" data-core-metadata="{digest}"'
        if entry.uploaded >= UPLOAD_TIMES_SINCE:
            attributes += f' data-upload-time="{entry.uploaded}"'
        if entry.yanked:
            attributes += ' data-yanked=""'
        href = f"{host}{escaped(wheel.path)}{fragment}"
        lines.append(f'    <a href="{href}" {attributes}>{wheel.filename}</a><br/>')
    return _text([*lines, "  </body>", "</html>", f"<!--TIMESTAMP {int(time.time())}-->"])


def package_html(package: str, entries: Iterable[Entry]) -> bytes:
    """The page of one package as PyPI and mirrors have it, with what PEP 503 and PEP 658 say."""
    lines = ["<!DOCTYPE html>", "<html>", "  <body>", f"    <h1>Links for {package}</h1>"]
    for entry in entries:
        wheel, digest = entry.wheel, f"sha256={metadata_hash(entry)}"
        attributes = f'data-dist-info-metadata="{digest}" data-core-metadata="{digest}"'
        if entry.requires_python:
            attributes += f' data-requires-python="{html.escape(entry.requires_python)}"'
        if entry.yanked:
            attributes += ' data-yanked=""'
        href = f"{escaped(wheel.path)}#sha256={wheel.sha256}"
        lines.append(f'    <a href="{href}" {attributes}>{wheel.filename}</a><br/>')
    return _text([*lines, "  </body>", "</html>"])


def list_html(names: Iterable[str]) -> bytes:
    """The page of one index: its packages; or of all of them: their folders."""
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
            "yanked": entry.yanked,
        }
        if entry.described:
            file |= {"core-metadata": core, "data-dist-info-metadata": core}
        if entry.uploaded:
            file["upload-time"] = entry.uploaded
        if entry.requires_python:
            file["requires-python"] = entry.requires_python
        files.append(file)
    page = {"meta": {"api-version": "1.1"}, "name": package, "files": files}
    return json.dumps(page).encode()


def list_json(names: Iterable[str]) -> bytes:
    projects = [{"name": name} for name in sorted(names)]
    return json.dumps({"meta": {"api-version": "1.0"}, "projects": projects}).encode()


def _text(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()
