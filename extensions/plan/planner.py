"""Makes the plan from the tables and the answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from operator import attrgetter

from ..questions.contract import PYPI_URL, PYTORCH_URL, Answers, Item, item
from ..questions.names import distribution_name, index_of
from ..tables.backends import AUTO, compute_capability, index_name, kind, label
from ..tables.platforms import AARCH64, LINUX, MACOS, PLATFORMS, WINDOWS, marker
from ..tables.releases import Line, Tables, minor, next_minor, series
from .plan import Build, Choice, Index, Need, Notes, Plan, Requirement, Source, pip_flags

# Their oldest releases with wheels for Python 3.10 to 3.14, as PyPI lists them (2026-11-23).
EXAMPLE_REQUIREMENTS = {
    "none": (),
    "training": (Requirement("tensorboard", "2.20"),),
}
# torch needs it for `Tensor.numpy`, without requiring it.
NUMPY = Requirement("numpy", "1.26")
PYTEST, RUFF = Requirement("pytest", "8.4"), Requirement("ruff", "0.14")
PRE_COMMIT = Requirement("pre-commit", "4.3")
CHECKERS = {
    "ty": Requirement("ty", "0.0.100"),
    "mypy": Requirement("mypy", "1.18"),
}
# Python reads TOML by itself from 3.11 on.
TOMLI = Requirement("tomli", "2.2")


def make_plan(tables: Tables, answers: Answers) -> Plan:
    """Decide everything from answers that were checked. Raises KeyError for unchecked ones."""
    return _Planner(tables, answers).plan()


class _Planner:
    def __init__(self, tables: Tables, answers: Answers) -> None:
        self.tables = tables
        self.answers = answers
        self.line: Line = tables.lines[answers.torch_version]
        companions = self.line.companions
        self.packages = {"torch": self.line.torch} | {
            name: companions[name].version for name in answers.packages
        }

    def plan(self) -> Plan:
        answers = self.answers
        choices = self._choices()
        by_backend = {choice.backend: choice for choice in choices}
        default = by_backend.get(answers.default_backend) or _first_accelerator(choices)
        sources = self._sources()
        used = {source.index for entries in sources.values() for source in entries}
        mirror = answers.index_url != PYTORCH_URL
        return Plan(
            strategy=answers.strategy,
            distribution=distribution_name(answers.project_name),
            module=answers.package_name,
            line=self.line.name,
            torch=self.line.torch,
            oldest_glibc=self.line.oldest_glibc,
            oldest_macos=self.line.oldest_macos,
            requires_python=self._requires_python(),
            python_version=answers.python_version,
            packages=self.packages,
            requirements=choices[0].requirements,
            others=self._others(),
            dev=self._dev(),
            choices=choices,
            default=default,
            sources=sources,
            indexes=tuple(
                Index(index_name(backend), index_of(answers.index_url, backend), mirror)
                for backend in self.line.backends()
                if index_name(backend) in used
            ),
            platforms=answers.platforms,
            needs=self._needs(choices),
            notes=self._notes(choices),
            index_url=answers.index_url,
            pypi=Index("pypi", answers.pypi_url, answers.pypi_url != PYPI_URL, default=True),
            mirror=mirror,
            authenticate=answers.authenticate == "always",
            place=answers.place,
        )

    def _requires_python(self) -> str:
        lasts = [self.line.companions[name].last_python for name in self.answers.packages]
        last = min([self.line.last_python, *(x for x in lasts if x)], key=minor)
        return f">={self.answers.python_version},<{next_minor(last)}"

    def _others(self) -> tuple[Requirement, ...]:
        """Beside PyTorch; the example reads its settings from TOML."""
        reads_toml = self._without_tomllib and self.answers.example == "training"
        toml = [replace(TOMLI, marker="python_version < '3.11'")] if reads_toml else []
        return (*EXAMPLE_REQUIREMENTS[self.answers.example], NUMPY, *toml)

    @property
    def _without_tomllib(self) -> bool:
        return self.answers.python_version == "3.10"

    def _dev(self) -> tuple[Requirement, ...]:
        answers = self.answers
        checker = [CHECKERS[answers.type_checker]] if answers.type_checker in CHECKERS else []
        # For scripts/check_lock.py.
        reads_toml = self._without_tomllib and answers.strategy != "pip"
        toml = [TOMLI] if reads_toml else []
        # The hooks of a repository are those at its top.
        hooks = [PRE_COMMIT] if answers.place == "repository" else []
        tools = (PYTEST, RUFF, *hooks, *checker, *toml)
        return tuple(sorted(tools, key=attrgetter("name")))

    # Choices

    def _wanted(self) -> dict[Item, dict[str, str]]:
        """Per choice (the only one has no name) the backend asked for per platform."""
        answers = self.answers
        alone, everywhere = Item("", answers.backend), [*LINUX, WINDOWS]
        match answers.strategy:
            case "markers":
                on_arm = answers.aarch64_backend or answers.linux_backend
                # Their order is that of the sources.
                systems = {LINUX[0]: answers.linux_backend, WINDOWS: answers.windows_backend}
                return {alone: {**systems, AARCH64: on_arm}}
            case "extras" | "groups":
                chosen = map(item, answers.backends)
                return {one: dict.fromkeys(everywhere, one.backend) for one in chosen}
            case "index" | "pip":
                return {alone: dict.fromkeys(everywhere, answers.backend)}
        return {alone: {}}

    def _served(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """The backend of the index that each platform really uses: CPU where there is no wheel."""
        return {
            platform: backend if platform in self.line.indexes.get(backend, ()) else "cpu"
            for platform, backend in wanted.items()
        }

    def _served_to(self, package: str, wanted: Mapping[str, str]) -> dict[str, str]:
        """The same for one package of the family, which may have fewer builds than torch."""
        served = self._served(wanted)
        companion = self.line.companions.get(package)
        if companion is None:
            return served
        found = {p: companion.beside(backend, p) for p, backend in served.items()}
        return {p: backend for p, backend in found.items() if backend}

    def _choices(self) -> tuple[Choice, ...]:
        answers = self.answers
        found = []
        for chosen, wanted in self._wanted().items():
            found.append(
                Choice(
                    name=chosen.name,
                    backend=chosen.backend,
                    label=label(chosen.backend) if chosen.backend else "",
                    requirements=self._requirements(wanted),
                    builds=tuple(b for p in answers.platforms for b in self._builds(p, wanted)),
                    flags=self._flags(chosen),
                )
            )
        return tuple(found)

    def _flags(self, chosen: Item) -> str:
        answers = self.answers
        match answers.strategy:
            case "extras":
                return f"--extra {chosen.name}"
            case "groups" if chosen.backend != answers.default_backend:
                names = {one.backend: one.name for one in map(item, answers.backends)}
                return f"--no-group {names[answers.default_backend]} --group {chosen.name}"
            case "pip":
                return pip_flags(answers.index_url, chosen.backend)
        return ""

    def _requirements(self, wanted: Mapping[str, str]) -> tuple[Requirement, ...]:
        family = [
            Requirement(
                name,
                self.tables.floor(self.line, name),
                self.tables.cap(self.line, name),
                newest=version,
            )
            for name, version in self.packages.items()
        ]
        # With `pip` the PyTorch index is open to every package: uv finds triton by itself.
        if self.answers.strategy != "pip":
            family += self._tritons(wanted)
        return tuple(family)

    def _tritons(self, wanted: Mapping[str, str]) -> list[Requirement]:
        """The triton packages that the builds of a choice need, on the platforms that need them.

        An explicit index serves direct requirements alone, so torch's own pin cannot reach them.
        """
        covered: dict[str, set[str]] = {}
        for platform, backend in self._served(wanted).items():
            triton = self.line.triton.get(kind(backend))
            if triton and (triton.platforms is None or platform in triton.platforms):
                covered.setdefault(backend, set()).add(platform)
        found = []
        for backend, platforms in covered.items():
            triton = self.line.triton[kind(backend)]
            if where := marker(platforms, self.answers.platforms):
                floor = series(triton.version) if triton.version else None
                cap = next_minor(triton.version) if triton.version else ""
                found.append(Requirement(triton.name, floor, cap, where))
        return found

    # Builds

    def _builds(self, platform: str, wanted: Mapping[str, str]) -> list[Build]:
        if self.answers.strategy == "provided":
            return []
        if self.answers.backend == AUTO:
            offered = [b for b in self.line.backends() if platform in self.line.indexes[b]]
            return [self._build(platform, b, b) for b in offered or ["cpu"]]
        if platform not in wanted:
            pypi = self.answers.strategy != "pip"
            return [self._build(platform, self.line.pypi[platform], "" if pypi else "cpu")]
        backend = self._served(wanted)[platform]
        return [self._build(platform, backend, backend)]

    def _build(self, platform: str, backend: str, index: str) -> Build:
        unlabelled = not index or platform == MACOS
        versions = {
            name: version if unlabelled else version + self._local(name, index, platform)
            for name, version in self.packages.items()
        }
        observed = unlabelled or self.line.verified(index, platform)
        return Build(platform, backend, index and index_name(index), versions, observed)

    def _local(self, package: str, index: str, platform: str) -> str:
        """The local version of a package beside a build of torch, with its plus; often the same."""
        companion = self.line.companions.get(package)
        build = (companion.beside(index, platform) if companion else None) or index
        bare = package in self.line.no_local.get(platform, ())
        return "" if bare or (companion and build in companion.no_local) else f"+{build}"

    # Sources

    def _sources(self) -> dict[str, tuple[Source, ...]]:
        if self.answers.strategy in ("pypi", "pip", "provided"):
            return {}
        family: dict[str, list[Source]] = {name: [] for name in self.packages}
        tritons: dict[str, list[Source]] = {}
        for chosen, wanted in self._wanted().items():
            for name, entries in family.items():
                served = self._served_to(name, wanted)
                # The backend that was asked for stands before the CPU index that steps in for it.
                for backend in dict.fromkeys([*wanted.values(), *served.values()]):
                    covered = {p for p, other in served.items() if other == backend}
                    if where := marker(covered, self.answers.platforms):
                        entries.append(Source(index_name(backend), where, chosen.name))
            served = self._served(wanted)
            for backend in dict.fromkeys(served.values()):
                alone = {p: b for p, b in wanted.items() if served[p] == backend}
                for triton in self._tritons(alone):
                    tritons.setdefault(triton.name, []).append(
                        Source(index_name(backend), triton.marker, chosen.name)
                    )
        return {name: tuple(entries) for name, entries in (family | tritons).items()}

    # What docs/pytorch.md says beside the table

    def _notes(self, choices: tuple[Choice, ...]) -> Notes:
        stand_in = any(
            served != asked_for
            for wanted in self._wanted().values()
            for platform, served in self._served(wanted).items()
            if (asked_for := wanted[platform]) != AUTO and platform in self.answers.platforms
        )
        by_backend: dict[str, list[str]] = {}
        for build in choices[0].builds:
            if not build.index and build.platform != MACOS:
                by_backend.setdefault(label(build.backend), []).append(
                    PLATFORMS[build.platform].label
                )
        return Notes(
            stand_in=stand_in,
            beside=self._beside(choices),
            macos=any(b.platform == MACOS and not b.index for b in choices[0].builds),
            pypi=tuple((" and ".join(on), name) for name, on in by_backend.items()),
            older=self._older({build.backend for c in choices for build in c.builds}),
            downloads=self._downloads(),
        )

    def _beside(self, choices: tuple[Choice, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The companions with a CPU build beside torch's, and beside which builds of torch."""
        builds = [b for c in choices for b in c.builds if b.index and b.platform != MACOS]
        found: dict[str, dict[str, None]] = {}
        for name, companion in self.line.companions.items():
            for build in builds if name in self.packages else []:
                if companion.beside(build.backend, build.platform) != build.backend:
                    where = f"{label(build.backend)} on {PLATFORMS[build.platform].label}"
                    found.setdefault(name, {})[where] = None
        return tuple((name, tuple(where)) for name, where in found.items())

    def _downloads(self) -> tuple[tuple[str, str], ...]:
        """The known sizes of the builds that are asked for; a stand-in's would mislead."""
        kinds: set[str] = set()
        if self.answers.strategy == "provided":
            return ()
        for wanted in self._wanted().values():
            for platform in set(self.answers.platforms) & set(LINUX):
                asked_for = wanted.get(platform) or self.line.pypi[platform]
                if asked_for == self._served(wanted).get(platform, asked_for):
                    kinds.add(kind(asked_for))
        sizes = self.tables.downloads
        return tuple((of_kind.upper(), sizes[of_kind]) for of_kind in sizes if of_kind in kinds)

    def _older(self, used: set[str]) -> tuple[str, str, str] | None:
        """Where the GPUs find a build that the project's newest CUDA builds leave out."""
        oldest = [self._oldest(backend, self.line.name) for backend in used]
        ours = min((capability for capability in oldest if capability), default=None)
        if ours is None:
            return None
        for name, line in self.tables.lines.items():
            if minor(name) > minor(self.line.name):
                continue
            for backend in reversed(line.backends("cuda")):
                capability = self._oldest(backend, name)
                if capability and capability < ours:
                    return f"{capability[0]}.{capability[1]}", backend, name
        return None

    def _oldest(self, backend: str, line: str) -> tuple[int, int] | None:
        """The oldest compute capability of a CUDA build on the machines of the project: that for
        x86-64, where it is one of them."""
        if kind(backend) != "cuda":
            return None
        codes = [
            code
            for machine in _machines(self.answers.platforms)
            for code in self.tables.architectures(backend, line, machine)
        ]
        return min(map(compute_capability, codes), default=None)

    def _needs(self, choices: tuple[Choice, ...]) -> tuple[Need, ...]:
        builds = [build for choice in choices for build in choice.builds]
        used = {build.backend for build in builds}
        ordered = [b for b in self.line.backends() if b in used]
        ordered += sorted(used - set(ordered))
        return tuple(self._need(b, builds) for b in ordered if b != "cpu")

    def _need(self, backend: str, builds: list[Build]) -> Need:
        on = {build.platform for build in builds if build.backend == backend}
        built = {m: self.tables.architectures(backend, self.line.name, m) for m in _machines(on)}
        if kind(backend) == "cuda":
            built = {m: list(self.tables.capabilities(codes)) for m, codes in built.items()}
        jetson = set(self.tables.gpus["jetson"]) & set(built.get("aarch64", ()))
        return Need(
            backend=backend,
            label=label(backend),
            linux_driver=self._driver(backend, "linux") if on & set(LINUX) else "",
            windows_driver=self._driver(backend, "windows") if WINDOWS in on else "",
            gpus={machine: tuple(names) for machine, names in built.items()},
            jetson_driver=self.tables.jetson_driver if jetson else "",
        )

    def _driver(self, backend: str, system: str) -> str:
        return self.tables.driver_floor(backend, system) or ""


def _machines(platforms: Iterable[str]) -> list[str]:
    """The machines of platforms that have CUDA or ROCm builds, x86_64 first."""
    return sorted({PLATFORMS[p].architecture for p in platforms if p != MACOS}, reverse=True)


def _first_accelerator(choices: tuple[Choice, ...]) -> Choice:
    return next((choice for choice in choices if choice.backend != "cpu"), choices[0])
