"""Reads the recorded data, once per process."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

DATA = Path(__file__).with_name("data")
CODECS = Path(__file__).with_name("torchcodec.yml")
UPLOADS = Path(__file__).with_name("uploads.yml")
PYPI = "pypi"
ROOT = "root"  # where files lie that belong to no backend's folder
TRITONS = (
    "triton",
    "pytorch-triton-rocm",
    "triton-rocm",
    "pytorch-triton-xpu",
    "triton-xpu",
)


@dataclass(frozen=True, slots=True)
class Wheel:
    """One wheel as one index lists it; `index` is a backend such as `cu130`, or `pypi`."""

    filename: str
    index: str
    sha256: str
    evidence: str = ""

    @property
    def package(self) -> str:
        """The normalized name."""
        return self.filename.split("-", 1)[0].replace("_", "-").replace(".", "-").lower()

    @property
    def version(self) -> str:
        """The version with its local part."""
        return self.filename.split("-", 2)[1]

    @property
    def release(self) -> str:
        """The version without its local part."""
        return self.version.partition("+")[0]

    @property
    def python_tag(self) -> str:
        return self.filename.removesuffix(".whl").rsplit("-", 3)[1]

    @property
    def platform_tag(self) -> str:
        return self.filename.removesuffix(".whl").rsplit("-", 1)[1]

    @property
    def path(self) -> str:
        """The path on the server, `+` not escaped."""
        return path_of(self.filename, self.index)


def path_of(filename: str, index: str) -> str:
    """Where a wheel lies: the tritons at the root of the indexes, linked from each backend."""
    if index == PYPI:
        return f"/pypi/files/{filename}"
    if index == ROOT or filename.split("-", 1)[0].replace("_", "-") in TRITONS:
        return f"/whl/{filename}"
    return f"/whl/{index}/{filename}"


def stand_in_hash(filename: str, index: str) -> str:
    """The hash of a wheel whose real one was not seen: that of its path.

    Of the path and not of the bare name, because torchvision 0.24 for aarch64 has one name on
    four indexes and is another file on each.
    """
    return hashlib.sha256(path_of(filename, index).encode()).hexdigest()


@cache
def wheels() -> tuple[Wheel, ...]:
    """Every recorded wheel. An empty hash in the data stands for `stand_in_hash`."""
    with (DATA / "wheels.csv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return tuple(
            Wheel(
                filename=row["filename"],
                index=row["index"],
                sha256=row["sha256"] or stand_in_hash(row["filename"], row["index"]),
                evidence=row["evidence"],
            )
            for row in rows
        )


@cache
def releases() -> tuple[dict[str, Any], ...]:
    """Every recorded torch release, oldest first: requirements, companions and index cells."""
    return tuple(read_yaml(DATA / "releases.yml"))


@cache
def uploads() -> dict[str, dict[str, str]]:
    """Package to release to the time at which PyPI got it."""
    found: dict[str, dict[str, str]] = read_yaml(UPLOADS)
    return found


def read_yaml(path: Path) -> Any:
    """Parse with libyaml where PyYAML has it: ten times as fast, and every test process pays."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)


def platform_of(platform_tag: str) -> str | None:
    """The platform of a wheel tag, `None` for one that is not recorded."""
    if platform_tag == "win_amd64":
        return "windows-amd64"
    if platform_tag.startswith("macosx_"):
        return "macos-arm64" if platform_tag.endswith("_arm64") else None
    for machine in ("x86_64", "aarch64"):
        if platform_tag.startswith(("linux_", "manylinux")) and platform_tag.endswith(machine):
            return f"linux-{machine}"
    return None
