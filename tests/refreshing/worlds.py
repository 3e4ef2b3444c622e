"""Indexes as they could be: the recorded ones with releases that appear, and pages that fail."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from extensions.refreshing.refresh import Options, refresh
from extensions.tables.releases import load
from tests.pytorch_index import PyTorchIndex
from tests.pytorch_index.listing import Entry, Listing, as_recorded
from tests.pytorch_index.recorded import PYPI, Wheel, stand_in_hash
from tests.support import frozen

TODAY = date(2026, 12, 1)
TAGS = {
    "linux-x86_64": "manylinux_2_28_x86_64",
    "linux-aarch64": "manylinux_2_28_aarch64",
    "windows-amd64": "win_amd64",
    "macos-arm64": "macosx_14_0_arm64",
}
LINUX = ("linux-x86_64", "linux-aarch64")
THREE = (*LINUX, "windows-amd64")
ALL = (*THREE, "macos-arm64")
PYTHONS = ("cp311", "cp312", "cp313", "cp314", "cp315")


def copy(listing: Listing | None = None) -> Listing:
    """A listing that may be changed."""
    return {index: dict(packages) for index, packages in (listing or as_recorded()).items()}


def without(listing: Listing, gone: Callable[[Entry], bool]) -> Listing:
    """The same without some of its wheels; a page without any is not there."""
    found = {
        index: {package: [e for e in group if not gone(e)] for package, group in packages.items()}
        for index, packages in listing.items()
    }
    return {
        i: {p: group for p, group in packages.items() if group} for i, packages in found.items()
    }


@dataclass(frozen=True)
class Release:
    """A release of a package: its builds by index, and what they require there."""

    package: str
    version: str
    builds: Mapping[str, Iterable[str]]
    requires: Mapping[str, list[str]] = field(default_factory=dict)
    pythons: tuple[str, ...] = PYTHONS
    at: str = "2026-12-01T16:00:00Z"
    local: bool = True

    def entries(self, index: str) -> list[Entry]:
        local = f"+{index}" if self.local and index != PYPI else ""
        lines = [
            "Metadata-Version: 2.1",
            f"Name: {self.package}",
            f"Version: {self.version}{local}",
        ]
        needs = self.requires.get(index, self.requires.get("", []))
        text = "\n".join([*lines, *(f"Requires-Dist: {need}" for need in needs), "", ""])
        stem = f"{self.package.replace('-', '_')}-{self.version}{local}"
        names = [
            f"{stem}-{python}-{python}-{TAGS[platform]}.whl"
            for platform in self.builds[index]
            for python in self.pythons
        ]
        return [
            Entry(
                Wheel(n, index, stand_in_hash(n, index), "world"), stated=text.encode(), at=self.at
            )
            for n in names
        ]


def appears(listing: Listing, *releases: Release) -> Listing:
    """The same with releases added to the pages of their indexes."""
    found = copy(listing)
    for release in releases:
        for index in release.builds:
            packages = found.setdefault(index, {})
            packages[release.package] = [
                *packages.get(release.package, []),
                *release.entries(index),
            ]
    return found


def changed(listing: Listing, of: Callable[[Entry], bool], **fields: Any) -> Listing:
    """The same with other fields for some of its wheels."""
    return {
        index: {p: [replace(e, **fields) if of(e) else e for e in group] for p, group in on.items()}
        for index, on in listing.items()
    }


def is_of(package: str, version: str, index: str = "", platform: str = "") -> Callable[..., bool]:
    """Whether an entry is a wheel of a release, of one index and with a part in its tags."""

    def found(entry: Entry) -> bool:
        wheel = entry.wheel
        here = (wheel.package, wheel.release) == (package, version)
        return here and index in ("", wheel.index) and platform in wheel.filename

    return found


def tables(folder: Path) -> Path:
    """A copy of the tables, to be changed; without what is newer than what was recorded."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("releases.yml", "backends.yml"):
        shutil.copy(frozen.tables() / name, folder)
    return folder


def blocks(folder: Path) -> dict[str, Any]:
    """The blocks of a table by their lines."""
    content = yaml.safe_load((folder / "releases.yml").read_text("utf-8"))
    return {block["line"]: block for block in content["releases"]}


def drop(folder: Path, line: str) -> str:
    """Take a line's block out of a table; the block's text."""
    file = folder / "releases.yml"
    text = file.read_text("utf-8")
    left = frozen.without(text, line)
    file.write_text(left, "utf-8")
    start = text.index(f'  - line: "{line}"')
    return text[start : start + len(text) - len(left)]


def look(folder: Path, served: PyTorchIndex, **options: Any) -> int:
    """`refresh.py` on a copy of the tables, as a process of its own reads them; its exit code."""
    load.cache_clear()
    given: dict[str, Any] = {"index_url": served.url, "pypi_url": served.pypi_url}
    given |= {"today": TODAY, "pauses": (), "policy": folder / "policy.yml"} | options
    return refresh(Options(folder, **given))
