"""What the smoke test and the guard of a project must know beforehand: which command installs which
build, for which GPUs a build is compiled, where the GPUs that it leaves out find one, and which
answer brings in a companion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..questions.contract import KEYS, Known, items
from ..questions.names import python_string
from ..questions.refusals import why_not_any
from ..tables.backends import kind, version
from ..tables.platforms import AARCH64, MACOS, PLATFORMS, WINDOWS
from ..tables.releases import Line, Tables, companions
from . import faults
from .plan import Build, Choice, Plan

Nested = Mapping[str, Mapping[str, str]]

ABSENT = {
    "extras": "torch is not installed: uv installs it only with an extra",
    "pip": "torch is not installed: it has an install command of its own",
    "provided": "the Python below this environment has no torch",
}


@dataclass(frozen=True)
class Diagnosis:
    """The tables of `scripts/smoke_test.py` and `scripts/check_lock.py`.

    `expected` maps platform to build to command, the default's first; `claims` a platform that the
    project leaves out to the answer that adds it, `others` platform to build to the answers that
    bring it into the project, `architectures` machine to build to GPU architectures, and `drivers`
    the beginning of a CUDA build's name to the oldest driver per system; `jetson` is that of a
    Jetson, where it matters. `companions` maps each companion that the project leaves out to the
    answer that adds it, empty if none is accepted. `needs` maps a companion of the project to what
    it looks for on the machine, `stand_ins` are companions whose CPU build stands beside another of
    torch, and `unlabelled` those with wheels that do not name their build. `faults` are those that
    are known of releases which it may get.
    """

    expected: Nested
    claims: Mapping[str, str]
    others: Nested
    architectures: Nested
    drivers: Nested
    jetson: str
    absent: str
    companions: Mapping[str, str]
    needs: Mapping[str, str]
    stand_ins: tuple[str, ...]
    unlabelled: tuple[str, ...]
    faults: Nested


def make_diagnosis(tables: Tables, known: Known, plan: Plan) -> Diagnosis:
    """The tables that fit a plan and the answers behind it."""
    return _Diagnostician(tables, known, plan).diagnosis()


def python_literal(value: Any, column: int = 0, depth: int = 0) -> str:
    """Nested mappings of text as Python, laid out as `ruff format` leaves it."""
    if isinstance(value, str):
        return python_string(value, column, indent="    " * depth)
    if not value:
        return "{}"
    flat = "{" + ", ".join(f'"{key}": "{item}"' for key, item in value.items()) + "}"
    if all(isinstance(item, str) for item in value.values()) and column + len(flat) <= 88:
        return flat
    inner = "    " * (depth + 1)
    entries = []
    for key, item in value.items():
        head = f'{inner}"{key}": '
        entries.append(f"{head}{python_literal(item, len(head) + 1, depth + 1)},\n")
    return "{\n" + "".join(entries) + "    " * depth + "}"


class _Diagnostician:
    def __init__(self, tables: Tables, known: Known, plan: Plan) -> None:
        self.tables = tables
        self.known = known
        self.plan = plan
        self.architectures: dict[str, dict[str, str]] = {}

    def diagnosis(self) -> Diagnosis:
        expected: dict[str, dict[str, str]] = {platform: {} for platform in self.plan.platforms}
        default = [(build.platform, build.backend) for build in self.plan.default.builds]
        # A build may belong to several choices, as that of macOS to all: the default goes first.
        for choice in sorted(self.plan.choices, key=lambda choice: choice != self.plan.default):
            for build in choice.builds:
                # On macOS the choice of a GPU would read as a mistake.
                if build.platform == MACOS and choice.backend == "cpu":
                    expected[MACOS][build.backend] = self._command(choice, build)
                expected[build.platform].setdefault(build.backend, self._command(choice, build))
        own = self.tables.lines[self.plan.line]
        # PyPI may have a build for which the line has no index.
        order = list(dict.fromkeys([*own.backends(), *own.pypi.values()]))
        for platform, builds in expected.items():
            names = sorted(builds, key=order.index)
            names.sort(key=[name for at, name in default if at == platform].count, reverse=True)
            expected[platform] = {name: builds[name] for name in names}
            for build in builds:
                self._remember(platform, build, self._codes(platform, own, build))
        others = {
            platform: found
            for platform in expected
            if platform != MACOS and (found := self._others(platform, expected[platform]))
        }
        used = {build for table in (expected, others) for row in table.values() for build in row}
        drivers = {
            major: floors
            for major, floors in self.tables.drivers.items()
            if self.plan.strategy == "provided" or any(build.startswith(major) for build in used)
        }
        absent = ABSENT.get(self.plan.strategy, "torch is not installed")
        jetson = self.tables.jetson_driver if AARCH64 in self.plan.platforms and drivers else ""
        return Diagnosis(
            expected,
            self._claims(),
            others,
            self.architectures,
            drivers,
            jetson,
            absent,
            companions=self._companions(),
            needs={
                n: c.needs for n, c in own.companions.items() if n in self.plan.packages and c.needs
            },
            stand_ins=tuple(name for name in own.companions if self._stands_in(own, name)),
            unlabelled=tuple(name for name, c in own.companions.items() if c.no_local),
            faults=faults.of_releases(self.tables, self.plan),
        )

    def _stands_in(self, line: Line, name: str) -> bool:
        """Whether a companion has its CPU build beside another of torch, be it added by hand."""
        builds = [b for choice in self.plan.choices for b in choice.builds if b.index]
        builds = [b for b in builds if b.platform != MACOS]
        found = [(b, line.companions[name].beside(b.backend, b.platform)) for b in builds]
        return any(beside not in (None, build.backend) for build, beside in found)

    def _companions(self) -> dict[str, str]:
        """The companions that the project leaves out, each with the answer that adds it."""
        has = list(self.plan.packages)[1:]
        found = {}
        for name in companions():
            wanted = {"packages": [*has, name]}
            accepted = not why_not_any(KEYS, self.tables, {**self.known, **wanted})
            if name not in has:
                found[name] = f"packages={_yaml(wanted['packages'])}" if accepted else ""
        return found

    def _claims(self) -> dict[str, str]:
        """The platforms that could be claimed as well, each with the answer that does."""
        claims = {}
        for platform in PLATFORMS:
            wanted = [name for name in PLATFORMS if name in (*self.plan.platforms, platform)]
            changed = {**self.known, "platforms": wanted}
            if platform in self.plan.platforms or why_not_any(KEYS, self.tables, changed):
                continue
            claims[platform] = f"platforms={_yaml(wanted)}"
        return claims

    def _command(self, choice: Choice, build: Build) -> str:
        command = self.plan.sync(choice)
        if self.plan.strategy != "pip":
            return command
        return command.replace(choice.flags, self.plan.pip_flags(build))

    def _codes(self, platform: str, line: Line, backend: str) -> tuple[str, ...]:
        machine = PLATFORMS[platform].architecture
        return tuple(self.tables.architectures(backend, line.name, machine))

    def _remember(self, platform: str, backend: str, codes: tuple[str, ...]) -> None:
        if codes:
            machine = self.architectures.setdefault(PLATFORMS[platform].architecture, {})
            machine.setdefault(backend, " ".join(codes))

    # What the project lacks

    def _others(self, platform: str, own: Mapping[str, str]) -> dict[str, str]:
        """The fewest builds that serve every GPU and driver that the project's do not, best first.

        The project's own line goes before all others, and of those the newest.
        """
        if self.plan.strategy == "provided":
            return {}
        line = self.tables.lines[self.plan.line]
        served = {need for backend in own for need in self._served(platform, line, backend)}
        found: dict[str, str] = {}
        for other, backend in self._candidates(platform):
            serves = set(self._served(platform, other, backend))
            if backend in own or backend in found or serves <= served:
                continue
            if answers := self._answers(platform, other, backend):
                found[backend] = answers
                served |= serves
                self._remember(platform, backend, self._codes(platform, other, backend))
        return found

    def _served(self, platform: str, line: Line, backend: str) -> Iterator[str]:
        """The needs that a build meets: architectures, a driver's major version, Intel's GPUs."""
        yield from self._codes(platform, line, backend)
        if kind(backend) == "cuda":
            newest = version(backend)[0]
            yield from (major for major in self.tables.drivers if int(major[2:]) >= newest)
        elif kind(backend) == "xpu":
            yield backend

    def _candidates(self, platform: str) -> Iterator[tuple[Line, str]]:
        own = self.tables.lines[self.plan.line]
        for line in [own, *(x for x in self.tables.lines.values() if x is not own)]:
            for backend in reversed(line.backends()):
                served = platform in line.indexes[backend] and backend != "cpu"
                # Another line is worth an update only if its wheels were seen.
                if served and (line is own or line.verified(backend, platform)):
                    yield line, backend

    def _answers(self, platform: str, line: Line, backend: str) -> str:
        """The answers to `copier update` that bring a build in; empty if none is accepted."""
        for changes in self._changes(platform, backend):
            if line.name != self.plan.line:
                changes = {"torch_version": line.name, **changes}
            if not why_not_any(KEYS, self.tables, {**self.known, **changes}):
                return " ".join(f"{key}={_yaml(value)}" for key, value in changes.items())
        return ""

    def _changes(self, platform: str, backend: str) -> Iterator[dict[str, Any]]:
        match self.plan.strategy:
            case "pypi":
                yield {"strategy": "index", "backend": backend}
            case "index" | "pip":
                yield {"backend": backend}
            case "markers":
                key = {AARCH64: "aarch64", WINDOWS: "windows"}.get(platform, "linux")
                yield {f"{key}_backend": backend}
            case strategy:
                yield {"backends": [*self.known["backends"], backend]}
                default = {"default_backend": "cpu"} if strategy == "groups" else {}
                own = (one.text for one in items(self.known) if one.backend == "cpu")
                yield {"backends": [next(own, "cpu"), backend], **default}


def _yaml(value: str | list[str]) -> str:
    return value if isinstance(value, str) else f"[{','.join(value)}]"
