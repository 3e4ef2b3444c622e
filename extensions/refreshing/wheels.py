"""What the name of a wheel says: the build, the platforms, the Pythons and the oldest systems."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from packaging.tags import Tag
from packaging.version import Version

from ..tables.platforms import PLATFORMS

# Minor versions of Python 3 of which a table may speak. A wheel for all of them has them all.
PYTHONS = range(10, 40)
# glibc of the tags from before PEP 600.
_OLD = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}


@dataclass(frozen=True)
class Wheel:
    """A wheel on a page. `uploaded` is a time in ISO 8601, or empty. `described` is the hash of the
    file with its metadata that the index offers, "true" for one without a hash, empty for none."""

    filename: str
    url: str
    version: Version
    tags: frozenset[Tag]
    uploaded: str = ""
    described: str = ""

    @cached_property
    def cells(self) -> frozenset[tuple[str, int]]:
        """The platforms and the minor versions of Python on which it installs."""
        found = {(p, python) for tag in self.tags for p in _platforms(tag) for python in _of(tag)}
        return frozenset(found)

    @cached_property
    def release(self) -> str:
        """The version without a local part."""
        return self.version.public

    @cached_property
    def platforms(self) -> frozenset[str]:
        return frozenset(platform for platform, _ in self.cells)

    @property
    def glibc(self) -> tuple[int, int] | None:
        """The oldest glibc on which it installs; None where its tags do not say."""
        return min(_floors(self.tags, r"manylinux_(\d+)_(\d+)_\w+", _OLD), default=None)

    @property
    def macos(self) -> tuple[int, int] | None:
        """The oldest macOS on which it installs; None for another system."""
        return min(_floors(self.tags, r"macosx_(\d+)_(\d+)_\w+", {}), default=None)


def _platforms(tag: Tag) -> list[str]:
    name = tag.platform
    if name == "any":
        return list(PLATFORMS)
    if name.startswith("macosx"):
        return ["macos-arm64"] if name.endswith(("_arm64", "_universal2")) else []
    if name == "win_amd64":
        return ["windows-amd64"]
    machine = re.fullmatch(r"(?:linux|manylinux\w*?)_(x86_64|aarch64)", name)
    return [f"linux-{machine[1]}"] if machine else []


def _of(tag: Tag) -> Iterator[int]:
    """The Pythons of a tag; none of those without a GIL."""
    match = re.fullmatch(r"(cp|py)3(\d*)", tag.interpreter)
    if match is None:
        return
    own, first = match[1] == "cp", int(match[2] or 0)
    if own and tag.abi in (f"cp3{first}", "none"):
        yield from {first} & {*PYTHONS}
    elif tag.abi in ("abi3", "none"):
        yield from (python for python in PYTHONS if python >= first)


def _floors(
    tags: frozenset[Tag], pattern: str, old: dict[str, tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    for tag in tags:
        if match := re.fullmatch(pattern, tag.platform):
            yield int(match[1]), int(match[2])
        elif found := old.get(tag.platform.partition("_")[0]):
            yield found
