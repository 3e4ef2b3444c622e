"""The tables of `releases.yml` and `backends.yml` as typed values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

from .backends import compute_capability, kind, version
from .faults import Fault, fault

# The pure-Python loader is six times slower; a PyYAML without libyaml still works with it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

UNVERIFIED = frozenset({"low", "guess"})


@lru_cache(maxsize=1000)
def minor(text: str) -> tuple[int, ...]:
    """A dotted version as integers, so that 2.9 sorts before 2.10."""
    return tuple(int(part) for part in text.split("."))


def capability_of(text: str) -> tuple[int, int]:
    """A compute capability as its two numbers: `12.1` is (12, 1)."""
    major, second = text.split(".")
    return int(major), int(second)


def series(text: str) -> str:
    """The minor series of a version, which is also its first release: `0.29.1` gives `0.29`."""
    major, second, *_ = text.split(".")
    return f"{major}.{second}"


def next_minor(text: str) -> str:
    """The first version of the next minor series: `0.29.1` gives `0.30`, `3.14` gives `3.15`."""
    major, second, *_ = text.split(".")
    return f"{major}.{int(second) + 1}"


@dataclass(frozen=True)
class Companion:
    """torchvision and its like: the newest release that goes with a torch line, and the first.

    `indexes` and `pypi` are as a line's; None means that its builds are torch's. `needs` is what
    its libraries look for on the machine.
    """

    name: str
    version: str
    first: str
    absent: frozenset[str] = frozenset()
    last_python: str | None = None
    indexes: Mapping[str, Mapping[str, str]] | None = None
    pypi: Mapping[str, str] | None = None
    no_local: frozenset[str] = frozenset()
    needs: str = ""

    def beside(self, backend: str, platform: str) -> str | None:
        """Its build for a build of torch: the same, or else its CPU build; None without either."""
        if self.indexes is None:
            return backend
        fit = (b for b in (backend, "cpu") if platform in self.indexes.get(b, ()))
        return next(fit, None)

    def on_pypi(self, build: str, platform: str) -> str | None:
        """What PyPI has of it beside a build of torch; None without a wheel that works there.

        A CPU build goes with every torch, and one for CUDA with the CUDA of one major version.
        """
        found = build if self.pypi is None else self.pypi.get(platform)
        if found is None or build in self.absent:
            return None
        same = kind(found) == kind(build) and version(found)[:1] == version(build)[:1]
        return found if found == "cpu" or same else None


@dataclass(frozen=True)
class Triton:
    """The triton package of torch's ROCm or XPU wheels; `version` None: torch's pin decides.

    That pin is exact and moves with each patch release of torch, within one minor series.
    """

    name: str
    version: str | None = None
    platforms: frozenset[str] | None = None


@dataclass(frozen=True)
class Line:
    """A release line of torch. `indexes` maps backend to platform to confidence; `released` is the
    day of the release `torch`, as 2026-09-30, or empty."""

    name: str
    torch: str
    first_python: str
    last_python: str
    default_python: str
    oldest_glibc: str
    oldest_macos: str
    companions: Mapping[str, Companion]
    triton: Mapping[str, Triton]
    no_local: Mapping[str, frozenset[str]]
    pypi: Mapping[str, str]
    indexes: Mapping[str, Mapping[str, str]]
    released: str = ""

    @property
    def pythons(self) -> tuple[str, ...]:
        """Every supported minor version, oldest first."""
        first, last = int(self.first_python.split(".")[1]), int(self.last_python.split(".")[1])
        return tuple(f"3.{number}" for number in range(first, last + 1))

    def backends(self, of_kind: str | None = None) -> list[str]:
        """Its backends, `cpu` first and then by kind, oldest version first."""
        order = ["cpu", "cuda", "rocm", "xpu"]
        names = [b for b in self.indexes if of_kind in (None, kind(b))]
        return sorted(names, key=lambda b: (order.index(kind(b)), version(b)))

    def verified(self, backend: str, platform: str | None = None) -> bool:
        """Whether its index was observed: on that platform, or on at least one."""
        cells = self.indexes.get(backend, {})
        seen = [cells[platform]] if platform else list(cells.values())
        return any(confidence not in UNVERIFIED for confidence in seen)


@dataclass(frozen=True)
class Tables:
    """All tables; `lines` is newest first, `checked` the day on which their sources were read."""

    lines: Mapping[str, Line]
    drivers: Mapping[str, Mapping[str, str]]
    cuda_architectures: Mapping[str, list[Mapping[str, Any]]]
    rocm_architectures: Mapping[str, list[str]]
    downloads: Mapping[str, str]
    not_offered: Mapping[str, str]
    images: Mapping[str, str]
    gpus: Mapping[str, Any]
    faults: tuple[Fault, ...]
    checked: date

    def backends(self) -> set[str]:
        """Every backend that some line offers."""
        return {backend for line in self.lines.values() for backend in line.indexes}

    def lines_with(self, backend: str) -> list[str]:
        """The lines that offer a backend, newest first."""
        return [name for name, line in self.lines.items() if backend in line.indexes]

    def default_line(self) -> str:
        """The newest line whose CPU index and, if it has any, one CUDA index were observed."""
        for name, line in self.lines.items():
            cuda = line.backends("cuda")
            if line.verified("cpu") and (not cuda or any(map(line.verified, cuda))):
                return name
        return next(iter(self.lines))

    def driver_floor(self, backend: str, system: str) -> str | None:
        """The oldest NVIDIA driver for a CUDA backend; `system` is `linux` or `windows`."""
        if kind(backend) != "cuda":
            return None
        return self.drivers.get(f"cu{version(backend)[0]}", {}).get(system)

    @property
    def jetson_driver(self) -> str:
        """The oldest driver of a Jetson for any CUDA backend."""
        return str(self.gpus["jetson_driver"])

    def is_jetson(self, capability: tuple[int, int]) -> bool:
        """Whether only a Jetson has a GPU of that compute capability."""
        return f"{capability[0]}.{capability[1]}" in self.gpus["jetson"]

    def runs(self, codes: Iterable[str], capability: tuple[int, int]) -> bool:
        """Whether a GPU runs one of the `sm_75` … for which a CUDA build is compiled.

        Code for sm_80 runs on every later 8.x, and on no other major version.
        """
        built = map(compute_capability, codes)
        return any(code[0] == capability[0] and code <= capability for code in built)

    def capabilities(self, codes: Iterable[str]) -> tuple[str, ...]:
        """The compute capabilities that a build is for, oldest first: of Jetsons those alone for
        which it has code of their own."""
        built = tuple(codes)
        exact = {".".join(map(str, compute_capability(code))) for code in built}
        found = {name for name in self.gpus["others"] if self.runs(built, capability_of(name))}
        return tuple(sorted(found | (exact & {*self.gpus["jetson"]}), key=minor))

    def architectures(self, backend: str, line: str, machine: str = "x86_64") -> list[str]:
        """`sm_75` … or `gfx90a` … in a build; empty where no source says."""
        if kind(backend) == "rocm":
            return list(self.rocm_architectures.get(backend, ()))
        found: list[str] = []
        for block in self.cuda_architectures.get(backend, ()):
            if minor(block["since"]) <= minor(line):
                found = list(block.get(machine, ()))
        return found

    def image(self, line: str) -> str:
        """NGC's newest image with a torch of a line, else the newest known."""
        return self.images.get(line) or next(iter(self.images.values()), "")

    def floor(self, line: Line, package: str) -> str:
        """The first release of a package that goes with this line, e.g. `2.14`.

        Not the newest: a package that pins `torch==2.14.0` can be had beside it.
        """
        return line.name if package == "torch" else line.companions[package].first

    def cap(self, line: Line, package: str) -> str:
        """The exclusive upper bound that keeps a package on this line, e.g. `2.15`.

        The next minor series, or the release that belongs to the next torch line where that comes
        first: torchvision 0.29.1 goes with torch 2.14, and 0.29.2 with 2.15.
        """
        own = line.torch if package == "torch" else line.companions[package].version
        bounds = [next_minor(own)]
        if package != "torch":
            others = (other.companions.get(package) for other in self.lines.values())
            later = [c.version for c in others if c and minor(c.version) > minor(own)]
            bounds.extend(later)
        return min(bounds, key=minor)


def _line(block: Mapping[str, Any]) -> Line:
    python = block["python"]
    companions = {
        name: Companion(
            name,
            c["version"],
            c.get("first", series(c["version"])),
            frozenset(c.get("absent", ())),
            c.get("last_python"),
            c.get("indexes"),
            c.get("pypi"),
            frozenset(c.get("no_local", ())),
            c.get("needs", ""),
        )
        for name, c in block["companions"].items()
    }
    triton = {
        of_kind: Triton(
            t["name"],
            t.get("version"),
            frozenset(t["platforms"]) if "platforms" in t else None,
        )
        for of_kind, t in block.get("triton", {}).items()
    }
    return Line(
        name=block["line"],
        torch=block["torch"],
        first_python=python["first"],
        last_python=python["last"],
        default_python=python["default"],
        oldest_glibc=block["oldest"]["glibc"],
        oldest_macos=block["oldest"]["macos"],
        companions=companions,
        triton=triton,
        no_local={p: frozenset(names) for p, names in block.get("no_local", {}).items()},
        pypi=block["pypi"],
        indexes=block["indexes"],
        released=str(block.get("released", "")),
    )


@lru_cache
def load(folder: Path) -> Tables:
    """Read both files of a folder.

    Raises OSError, yaml.YAMLError, KeyError or ValueError if one is broken.
    """
    releases, backends = (
        yaml.load((folder / name).read_text(encoding="utf-8"), Loader=_LOADER)
        for name in ("releases.yml", "backends.yml")
    )
    lines = sorted((_line(b) for b in releases["releases"]), key=lambda x: minor(x.name))
    return Tables(
        lines={line.name: line for line in reversed(lines)},
        drivers=backends["drivers"],
        cuda_architectures=backends["cuda_architectures"],
        rocm_architectures=backends["rocm_architectures"],
        downloads=backends["downloads"],
        not_offered=backends["not_offered"],
        images=backends["images"],
        gpus=backends["gpus"],
        faults=tuple(map(fault, backends["faults"])),
        checked=date.fromisoformat(str(releases["checked"])),
    )


@cache
def companions() -> tuple[str, ...]:
    """Every companion that these tables know, of any line, in their order there."""
    lines = load(Path(__file__).resolve().parents[1]).lines.values()
    return tuple(dict.fromkeys(name for line in lines for name in line.companions))
