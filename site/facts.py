"""The tables as JSON for other programs, and as rows for the page; `tables.schema.json` has the
meaning of each field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from extensions.tables.backends import kind, label
from extensions.tables.platforms import MACOS, PLATFORMS
from extensions.tables.releases import Line, Tables

CONFIDENCE = {
    "high": "the wheel was seen on the index",
    "medium": "a public file or report has seen it",
    "low": "an announcement or a build script says so",
    "guess": "nobody has recorded it yet",
}


def sources(releases: str) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Of `releases.yml`: its sources in words, as its comments have them, and those of each line.

    Raises ValueError where a line names a source without words.
    """
    words: dict[str, str] = {}
    last = ""
    for text in re.findall(r"^#(.*)$", releases, re.M):
        if named := re.match(r"\s+(S\d+)\s+(.*)", text):
            last = named[1]
            words[last] = named[2].strip()
        elif last and re.match(r"\s{4,}\S", text):
            words[last] += f" {text.strip()}"
        else:
            last = ""
    lines = {
        str(block["line"]): [str(name) for name in block["sources"]]
        for block in yaml.safe_load(releases)["releases"]
    }
    if lacking := {name for names in lines.values() for name in names} - set(words):
        raise ValueError(f"releases.yml does not say what {', '.join(sorted(lacking))} is")
    return words, lines


def as_json(tables: Tables, folder: Path, version: str) -> dict[str, Any]:
    """Everything in one object."""
    words, by_line = sources((folder / "releases.yml").read_text("utf-8"))
    return {
        "$schema": "./tables.schema.json",
        "version": version,
        "date": tables.checked.isoformat(),
        "default_line": tables.default_line(),
        "platforms": {name: platform.label for name, platform in PLATFORMS.items()},
        "confidence": CONFIDENCE,
        "sources": words,
        "downloads": dict(tables.downloads),
        "not_offered": dict(tables.not_offered),
        "backends": {backend: _backend(tables, backend) for backend in _ordered(tables)},
        "lines": [_line(tables, line, by_line[name]) for name, line in tables.lines.items()],
    }


def _ordered(tables: Tables) -> list[str]:
    found: dict[str, None] = {}
    kinds = ("cpu", "cuda", "rocm", "xpu")
    for of_kind in kinds:
        for line in reversed(tables.lines.values()):
            found.update(dict.fromkeys(line.backends(of_kind)))
    return list(found)


def _backend(tables: Tables, backend: str) -> dict[str, Any]:
    floors = {system: tables.driver_floor(backend, system) for system in ("linux", "windows")}
    return {
        "label": label(backend),
        "kind": kind(backend),
        "driver": {system: floor for system, floor in floors.items() if floor},
    }


def _line(tables: Tables, line: Line, by: list[str]) -> dict[str, Any]:
    builds = [
        {
            "backend": backend,
            "platform": platform,
            "confidence": confidence,
            "verified": line.verified(backend, platform),
            "gpus": _gpus(tables, line, backend, platform),
        }
        for backend in line.backends()
        for platform, confidence in line.indexes[backend].items()
    ]
    return {
        "line": line.name,
        "torch": line.torch,
        "released": line.released,
        "pythons": list(line.pythons),
        "oldest": {"glibc": line.oldest_glibc, "macos": line.oldest_macos},
        "companions": {c.name: c.version for c in line.companions.values()},
        "pypi": dict(line.pypi),
        "sources": by,
        "builds": builds,
    }


def _gpus(tables: Tables, line: Line, backend: str, platform: str) -> list[str]:
    machine = PLATFORMS[platform].architecture
    codes = tables.architectures(backend, line.name, machine)
    return list(tables.capabilities(codes)) if kind(backend) == "cuda" else codes


def matrix(tables: Tables) -> list[dict[str, Any]]:
    """Per line the rows of its table on the page: a backend, what it needs, and a cell for each
    platform, which is a confidence or empty."""
    found = []
    for line in tables.lines.values():
        rows = []
        for backend in line.backends():
            cells = [line.indexes[backend].get(p, "") for p in PLATFORMS if p != MACOS]
            rows.append(
                {
                    "backend": backend,
                    "label": label(backend),
                    "driver": _driver(tables, backend),
                    "gpus": _gpu_words(tables, line, backend),
                    "cells": cells,
                }
            )
        found.append({"line": line, "rows": rows})
    return found


def _driver(tables: Tables, backend: str) -> str:
    linux, windows = (tables.driver_floor(backend, s) for s in ("linux", "windows"))
    if linux:
        return f"{linux} (Windows: {windows})"
    return {"rocm": "AMD's amdgpu", "xpu": "Intel's"}.get(kind(backend), "")


def _gpu_words(tables: Tables, line: Line, backend: str) -> str:
    """In short what `Need.gpu` of a plan says."""
    by_platform: Mapping[str, list[str]] = {
        platform: _gpus(tables, line, backend, platform) for platform in line.indexes[backend]
    }
    known = list(dict.fromkeys(", ".join(gpus) for gpus in by_platform.values() if gpus))
    if not known:
        return {"xpu": "Intel Arc, Data Center GPU Max"}.get(kind(backend), "")
    first, *others = known
    return f"{first}{''.join(f' (aarch64: {words})' for words in others)}"
