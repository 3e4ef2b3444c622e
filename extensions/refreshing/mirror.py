"""Which of the template's builds a mirror has."""

from __future__ import annotations

from dataclasses import dataclass

from ..tables.platforms import MACOS, PLATFORMS
from ..tables.releases import Line, Tables
from .companions import builds
from .observe import Observed


@dataclass(frozen=True)
class Build:
    """A package's build of a line, and where the mirror has no wheel of it."""

    line: str
    package: str
    release: str
    backend: str
    lacking: tuple[str, ...]

    @property
    def words(self) -> str:
        on = ", ".join(PLATFORMS[platform].label for platform in self.lacking)
        return f"{self.package} {self.release}+{self.backend} for {on}"


def held(tables: Tables, lines: frozenset[str], seen: Observed) -> list[Build]:
    """Every build of the tables, and whether the mirror has it; `lines` empty means all."""
    found = []
    for name, line in tables.lines.items():
        if lines and name not in lines:
            continue
        for package, release, backend, platforms in _builds(line):
            there = builds(package, release, seen, [backend]).get(backend, set())
            lacking = tuple(p for p in PLATFORMS if p in platforms - there)
            found.append(Build(name, package, release, backend, lacking))
    return found


def _builds(line: Line) -> list[tuple[str, str, str, set[str]]]:
    every = [("torch", line.torch, b, set(on)) for b, on in line.indexes.items()]
    for name, companion in line.companions.items():
        own = companion.indexes if companion.indexes is not None else line.indexes
        every += [
            (name, companion.version, b, set(own[b]) - {MACOS})
            for b in line.indexes
            if b in own and b not in companion.absent
        ]
    return every
