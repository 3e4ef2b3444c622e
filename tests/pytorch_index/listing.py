"""Which wheels each index lists, and with what metadata."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from . import later, metadata, wheelhouse
from .recorded import PYPI, ROOT, Wheel, read_yaml, stand_in_hash, uploads, wheels
from .stand_ins import mirrored, stand_ins


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an index page. `real` is set for a wheel of the wheelhouse and its siblings,
    `stated` for one whose METADATA no recorded release tells; a page may lack that METADATA is a
    file of its own, and the hash."""

    wheel: Wheel
    file: Path | None = None
    real: wheelhouse.RealWheel | None = None
    stated: bytes | None = None
    yanked: bool = False
    hashed: bool = True
    described: bool = True
    at: str = ""

    @property
    def metadata(self) -> bytes:
        if self.stated is not None:
            return self.stated
        return self.real.metadata if self.real else metadata.metadata(self.wheel)

    @property
    def requires_python(self) -> str:
        if self.stated is not None:
            return ""
        if self.real:
            return self.real.requires_python
        return metadata.requires_python(self.wheel.package, self.wheel.release)

    @property
    def uploaded(self) -> str:
        """When it came, in ISO 8601; empty where nobody knows."""
        return self.at or uploads().get(self.wheel.package, {}).get(self.wheel.release, "")


TABLES = Path(__file__).resolve().parents[2] / "extensions" / "releases.yml"
Listing = dict[str, dict[str, list[Entry]]]

# Wheels from before local versions, which every index lists to this day, and where they lie.
LEGACY = (
    "torch-2.0.0-1-cp310-cp310-manylinux2014_aarch64.whl",
    "torch-1.13.1-cp310-none-macosx_11_0_arm64.whl",
    "torchvision-0.15.1-cp310-cp310-macosx_11_0_arm64.whl",
    "torchvision-0.17.0-cp311-cp311-linux_aarch64.whl",
    "torchaudio-2.0.1-cp310-cp310-macosx_11_0_arm64.whl",
    "torchaudio-2.2.0-cp311-cp311-linux_aarch64.whl",
)
# An index that has nothing else (astral-sh/uv PR 21642).
ONLY_LEGACY = "cu134"


@cache
def recorded() -> Listing:
    """Index → package → entries, out of the committed data, and of the tables what came later; not
    to be changed."""
    blocks = read_yaml(TABLES)["releases"]
    return completed(as_recorded(), blocks)


def completed(listing: Listing, blocks: list[dict[str, Any]]) -> Listing:
    """With the wheels of which blocks speak, and that it lacks."""
    there = {entry.wheel for on in listing.values() for group in on.values() for entry in group}
    found = {index: dict(packages) for index, packages in listing.items()}
    for wheel, text in later.later(blocks, there):
        packages = found.setdefault(wheel.index, {})
        packages[wheel.package] = [*packages.get(wheel.package, []), Entry(wheel, stated=text)]
    return _mirrored(found)


@cache
def as_recorded() -> Listing:
    """The same out of the committed data alone."""
    found: Listing = defaultdict(lambda: defaultdict(list))
    for wheel in wheels():
        found[wheel.index][wheel.package].append(Entry(wheel))
    for index in [*(index for index in found if index != PYPI), ONLY_LEGACY]:
        for filename in LEGACY:
            entry = _legacy(filename)
            found[index][entry.wheel.package].insert(0, entry)
    for package, group in stand_ins().items():
        found[PYPI][package] += [Entry(wheel) for wheel in group]
    return _mirrored({index: dict(packages) for index, packages in found.items()})


def _legacy(filename: str) -> Entry:
    wheel = Wheel(filename, ROOT, stand_in_hash(filename, ROOT), "legacy")
    text = f"Metadata-Version: 2.1\nName: {wheel.package}\nVersion: {wheel.version}\n\n"
    return Entry(wheel, stated=text.encode())


def _mirrored(listing: Listing) -> Listing:
    """With torch's dependencies on every PyTorch index: there they link to the same files."""
    shared = {name: listing[PYPI][name] for name in mirrored()}
    return {
        index: packages if index == PYPI else {**packages, **shared}
        for index, packages in listing.items()
    }


def with_wheelhouse(folder: Path | None) -> Listing:
    """The recorded listing with the wheels of a folder in their places.

    A real wheel replaces the recorded one of its name; others of its version on its index take its
    METADATA, as they would share one in reality. On PyPI, its version is then the only one of its
    package. Raises what `wheelhouse.read` raises.
    """
    if folder is None:
        return recorded()
    found = {index: dict(packages) for index, packages in recorded().items()}
    groups: dict[tuple[str, str, str], list[wheelhouse.RealWheel]] = defaultdict(list)
    for real in wheelhouse.read(folder):
        groups[real.wheel.index, real.wheel.package, real.wheel.version].append(real)
    on_pypi = {package for index, package, _ in groups if index == PYPI}
    for package in on_pypi:
        versions = {version for index, name, version in groups if (index, name) == (PYPI, package)}
        known = found[PYPI].get(package, [])
        found[PYPI][package] = [one for one in known if one.wheel.version in versions]
    for (index, package, version), group in groups.items():
        packages = found.setdefault(index, {})
        packages[package] = _merged(packages.get(package, []), version, group)
    return _mirrored(found)


def _merged(known: list[Entry], version: str, real: list[wheelhouse.RealWheel]) -> list[Entry]:
    """The entries of one package with the real wheels of one version put in."""
    names = {one.wheel.filename for one in real}
    kept = [
        Entry(one.wheel, real=real[0]) if one.wheel.version == version else one
        for one in known
        if one.wheel.filename not in names
    ]
    index = real[0].wheel.index
    if index == PYPI:
        siblings = {one.wheel.filename for one in kept}
        kept += [
            Entry(Wheel(name, PYPI, stand_in_hash(name, PYPI), "phantom"), real=real[0])
            for name in wheelhouse.phantoms(real)
            if name not in siblings
        ]
    return kept + [Entry(one.wheel, one.file, one) for one in real]
