"""The plan: everything that a render needs to know, decided once, as a frozen value.

`pyproject.toml`, `docs/pytorch.md` and the smoke test of a project all read the same plan, so that
they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..questions.contract import PYTORCH_URL
from ..questions.names import FAMILY, index_of
from ..tables.backends import index_name, kind
from ..tables.platforms import MACOS, PLATFORMS
from ..tables.provided import CUDA_LIBRARIES
from ..tables.releases import next_minor

# The oldest uv with all that projects and their docs use; Dependabot runs 0.11.31. Locks alone
# would do with less: 0.7.0's have the versions of 0.13.9's, in every strategy. What fails below:
# - 0.11.4 does not know `exclude-newer = false` of an index: no lock behind one without dates;
# - 0.9 has `extra-build-dependencies` for a preview alone;
# - 0.8.0 has no `uv auth login`, which is once for all indexes of a host.
UV_FLOOR = "0.11.5"
# uv_build's own advice is an upper bound; uv's minor series moved to 0.13 on 2026-10-09.
UV_CAP = "0.14"
# An environment that sees the packages of the Python in PATH; uv's own Pythons have none to see.
VENV = "uv venv --system-site-packages --no-managed-python"


@dataclass(frozen=True)
class Requirement:
    """A direct requirement; without a `floor` torch's own pin decides, without a `cap` uv.

    `newest` is the newest release within these bounds, for a command that names a release.
    """

    name: str
    floor: str | None
    cap: str = ""
    marker: str = ""
    newest: str = ""

    def __str__(self) -> str:
        bounds = f">={self.floor}" if self.floor else ""
        cap = f",<{self.cap}" if self.cap else ""
        return f"{self.name}{bounds}{cap}{f'; {self.marker}' if self.marker else ''}"

    @property
    def pin(self) -> str:
        """The newest release on a command line, without characters that a shell would read."""
        # Later patch releases will do, unless they belong to the next line of torch.
        operator = "~=" if self.cap == next_minor(self.newest) else "=="
        return f"{self.name}{operator}{self.newest}"


@dataclass(frozen=True)
class Source:
    """One entry of a package's list in `[tool.uv.sources]`; `choice` is its extra or group."""

    index: str
    marker: str
    choice: str = ""


@dataclass(frozen=True)
class Index:
    """One `[[tool.uv.index]]`: PyPI is the default, all others are explicit.

    `mirror` says that it stands for PyTorch's or PyPI's own host.
    """

    name: str
    url: str
    mirror: bool = False
    default: bool = False

    @property
    def variable(self) -> str:
        """The beginning of the environment variables from which uv reads its credentials."""
        return f"UV_INDEX_{self.name.upper().replace('-', '_')}"


@dataclass(frozen=True)
class Build:
    """What one platform gets for one choice.

    `backend` is what the build is made for, `index` where it comes from (empty: PyPI), `versions`
    maps each package to the version that is installed, local version included.
    """

    platform: str
    backend: str
    index: str
    versions: Mapping[str, str]
    verified: bool

    @property
    def torch(self) -> str:
        """torch's version as installed, e.g. `2.14.1+cu130`."""
        return self.versions["torch"]

    @property
    def shown(self) -> str:
        """The same for a table: with the backend where the version does not tell it."""
        told = "+" in self.torch or not self.index or self.platform == MACOS
        return self.torch if told else f"{self.torch} ({self.backend})"


@dataclass(frozen=True)
class Choice:
    """One way to install: an extra, a group, or the only way there is (then `name` is empty)."""

    name: str
    backend: str
    label: str
    requirements: tuple[Requirement, ...]
    builds: tuple[Build, ...]
    flags: str = ""


@dataclass(frozen=True)
class Need:
    """What a backend needs: driver floors (empty: none is known) and GPUs.

    `gpus` maps the machines of its platforms to architectures of AMD's GPUs, or to compute
    capabilities of NVIDIA's; a machine without any is one of which no source says.
    """

    backend: str
    label: str
    linux_driver: str
    windows_driver: str
    gpus: Mapping[str, tuple[str, ...]]
    jetson_driver: str = ""

    @property
    def driver(self) -> str:
        """The driver in words, e.g. "NVIDIA 580.65.06 or newer (Windows: 580)"."""
        floors = [self.linux_driver, self.windows_driver]
        if not any(floors):
            return {"rocm": "AMD's amdgpu", "xpu": "Intel's GPU driver"}.get(
                kind(self.backend), "NVIDIA's"
            )
        linux, windows = floors
        others = [f"Windows: {windows}"] if linux and windows else []
        others += [f"Jetson: {self.jetson_driver}"] if self.jetson_driver else []
        words = f"NVIDIA {linux or windows} or newer"
        return f"{words} ({', '.join(others)})" if others else words

    @property
    def gpu(self) -> str:
        """The GPUs in words, e.g. "compute capability 7.5, 8.0 (aarch64: 8.0)": each of them, since
        a range would have holes.
        """
        if not any(self.gpus.values()):
            return {"xpu": "Intel Arc, Data Center GPU Max"}.get(kind(self.backend), "see PyTorch")
        first, *others = self.gpus.values()
        if kind(self.backend) != "cuda":
            return ", ".join(first)
        words = {", ".join(names) or "not known" for names in others} - {", ".join(first)}
        return f"compute capability {', '.join(first)}{''.join(f' (aarch64: {w})' for w in words)}"


@dataclass(frozen=True)
class Notes:
    """What the tables of builds and needs leave to be said.

    `beside` is companions whose CPU build stands beside certain builds of torch; `pypi` is
    platforms and build of PyPI's wheels; `older` is the compute capability, backend and line of the
    newest build for GPUs that are too old for the project's; `downloads` is how much an install on
    Linux fetches per kind of build, where that is known.
    """

    stand_in: bool
    beside: tuple[tuple[str, tuple[str, ...]], ...]
    macos: bool
    pypi: tuple[tuple[str, str], ...]
    older: tuple[str, str, str] | None
    downloads: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Plan:
    """All decisions. Tuples are in the order in which they are shown.

    Of a member of a workspace, uv locks at the root of that, and reads there alone for which
    platforms and from which default index.
    """

    strategy: str
    distribution: str
    module: str
    line: str
    torch: str
    oldest_glibc: str
    oldest_macos: str
    requires_python: str
    python_version: str
    packages: Mapping[str, str]
    requirements: tuple[Requirement, ...]
    others: tuple[Requirement, ...]
    dev: tuple[Requirement, ...]
    choices: tuple[Choice, ...]
    default: Choice
    sources: Mapping[str, tuple[Source, ...]]
    indexes: tuple[Index, ...]
    platforms: tuple[str, ...]
    needs: tuple[Need, ...]
    notes: Notes
    index_url: str
    pypi: Index
    mirror: bool
    authenticate: bool
    place: str
    uv_floor: str = UV_FLOOR
    uv_cap: str = UV_CAP

    @property
    def dependencies(self) -> tuple[Requirement, ...]:
        """PyTorch's packages among the dependencies of the project itself.

        With groups, whoever installs its wheel gets torch too; a group brings the triton of its
        build, which PyPI does not have. With extras, the extras do all that. Beside the groups of
        a member torch stands in them alone: without `environments`, which are the root's, uv would
        lock for macOS what a group has on Linux.
        """
        match self.strategy:
            case "extras" | "provided":
                return ()
            case "groups" if self.member:
                return ()
            case "groups":
                return tuple(r for r in self.requirements if r.name in self.packages)
        return self.requirements

    @property
    def capped(self) -> tuple[Requirement, ...]:
        """The packages that are bound to the line, each once."""
        if self.strategy == "provided":
            return ()
        found = {r.name: r for choice in self.choices for r in choice.requirements if r.cap}
        return tuple(found.values())

    @property
    def listed_indexes(self) -> tuple[Index, ...]:
        """Those that pyproject.toml has to name."""
        return (*self.indexes, *([self.pypi] if self.pypi.mirror and not self.member else []))

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts of these, each once, as `uv auth login` wants them."""
        parts = [urlsplit(index.url) for index in self.logins]
        return tuple(dict.fromkeys(f"{part.scheme}://{part.netloc}" for part in parts))

    @property
    def export(self) -> str:
        """The command that writes what a deployment installs to a `pylock.toml`."""
        flags = {
            "extras": f"--no-dev --extra {self.default.name}",
            # Neither another build nor the tools.
            "groups": f"--no-default-groups --group {self.default.name}",
        }.get(self.strategy, "--no-dev")
        file = "--format pylock.toml --output-file pylock.toml"
        return f"uv export --locked --no-emit-project {flags} {file}"

    @property
    def member(self) -> bool:
        """Whether the project is a member of a uv workspace."""
        return self.place == "member"

    @property
    def member_flags(self) -> str:
        """What `uv sync --all-packages` wants at the root of a workspace for the default choice.

        The default groups of members have no effect there, as seen with uv 0.13.9.
        """
        kind = {"extras": "--extra", "groups": "--group"}.get(self.strategy)
        return f"{kind} {self.default.name}" if kind else ""

    @property
    def at_the_top(self) -> bool:
        """Whether the hooks, services and bots of a repository look at this project."""
        return self.place == "repository"

    @property
    def logins(self) -> tuple[Index, ...]:
        """The indexes of that list for which uv needs credentials."""
        return tuple(i for i in self.listed_indexes if i.mirror and self.authenticate)

    @property
    def environments(self) -> tuple[str, ...]:
        """A marker per claimed platform."""
        return tuple(PLATFORMS[platform].marker for platform in self.platforms)

    @property
    def switchable(self) -> bool:
        """Whether the project has extras or groups to choose from."""
        return bool(self.choices[0].name)

    @property
    def platform_labels(self) -> tuple[str, ...]:
        """The claimed platforms as people call them."""
        return tuple(PLATFORMS[platform].label for platform in self.platforms)

    @property
    def unclaimed(self) -> tuple[str, ...]:
        """The platforms that torch supports and the project does not, as people call them."""
        return tuple(p.label for p in PLATFORMS.values() if p.name not in self.platforms)

    @property
    def excluded(self) -> tuple[str, ...]:
        """What uv must never install, since it is there already."""
        return tuple(sorted(FAMILY | CUDA_LIBRARIES)) if self.strategy == "provided" else ()

    @property
    def venv(self) -> str:
        """The command that makes the environment; empty where the install does that."""
        return {"pip": "uv venv", "provided": VENV}.get(self.strategy, "")

    @property
    def install(self) -> str:
        """The command that installs the default choice."""
        return self.sync(self.default)

    @property
    def expected(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Per claimed platform the builds that are right there, for the smoke test."""
        found: dict[str, dict[str, None]] = {platform: {} for platform in self.platforms}
        for choice in self.choices:
            for build in choice.builds:
                found[build.platform][build.backend] = None
        return tuple((platform, tuple(builds)) for platform, builds in found.items())

    @property
    def unverified(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Backends whose index nobody has observed, each with the platforms concerned."""
        found: dict[str, dict[str, None]] = {}
        for choice in self.choices:
            for build in choice.builds:
                if not build.verified:
                    name = PLATFORMS[build.platform].label
                    found.setdefault(build.backend, {})[name] = None
        return tuple((backend, tuple(names)) for backend, names in found.items())

    def sync(self, choice: Choice) -> str:
        """The command that installs a choice."""
        if self.strategy != "pip":
            return " ".join(filter(None, ["uv sync", choice.flags]))
        if self.mirror:
            return f"uv pip install {' '.join(r.pin for r in self.requirements)} {choice.flags}"
        return f"uv pip install --requirements pyproject.toml --extra dev {choice.flags}"

    def run(self, choice: Choice) -> str:
        """The beginning of a command that runs in the environment of a choice and keeps it."""
        if self.strategy == "pip":
            # `managed = false` keeps uv's hands off the environment.
            return "uv run"
        return " ".join(filter(None, ["uv run", choice.flags]))

    @property
    def upgrade(self) -> str:
        """The command that moves every package of the family at once."""
        return " ".join(["uv lock", *(f"--upgrade-package {name}" for name in self.family)])

    @property
    def family(self) -> tuple[str, ...]:
        """torch, its companions, and the triton packages that are required directly."""
        triton = [name for name in self.sources if name not in self.packages]
        return (*self.packages, *triton)

    def pip_flags(self, build: Build) -> str:
        """For the strategy `pip`: the switch that installs this build."""
        return pip_flags(self.index_url, build.backend)

    def platform_label(self, platform: str) -> str:
        """A platform as people call it."""
        return PLATFORMS[platform].label


def pip_flags(index_url: str, backend: str) -> str:
    """`--torch-backend` knows PyTorch's own host alone (astral-sh/uv #19569)."""
    if index_url == PYTORCH_URL:
        return f"--torch-backend={backend}"
    return f"--index-url {index_of(index_url, backend)}"


def named_flags(index_url: str, backend: str) -> str:
    """The same for a job without a keyboard: by the name of an index uv finds its credentials."""
    if index_url == PYTORCH_URL:
        return pip_flags(index_url, backend)
    return f"--default-index {index_name(backend)}={index_of(index_url, backend)}"
