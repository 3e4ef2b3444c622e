"""What each platform and choice of a project installs, before the template and after."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..plan.plan import Build, Plan
from ..plan.plan import Choice as PlanChoice
from ..tables.backends import kind
from ..tables.platforms import MACOS
from ..tables.releases import Line
from .locked import Lock
from .setup import DEPENDENCIES, Choice, Origin, Setup


@dataclass(frozen=True)
class Cell:
    """One platform with one choice. `kind` is that of an Origin; `none`: no torch, or no wheel."""

    kind: str
    backend: str = ""
    version: str = ""
    url: str = ""


NONE = Cell("none")


def before(
    setup: Setup,
    lock: Lock | None,
    platform: str,
    selection: Collection[Choice],
    line: Line,
) -> Cell:
    """What a set-up installs: by its lock, if it has one, else by its sources and a line."""
    leader = setup.leader or "torch"
    if lock is not None:
        found = lock.find(leader, platform, selection)
        return _cell(found.origin, platform, line, found.version) if found else NONE
    return _cell(setup.origin(platform, selection), platform, line, "")


def _cell(origin: Origin, platform: str, line: Line, version: str) -> Cell:
    match origin.kind:
        case "pypi":
            return Cell("pypi", line.pypi[platform], version, origin.url)
        case "index" if platform == MACOS:
            # The index of CPU builds has the same wheels for macOS as PyPI.
            return Cell("pypi", "cpu", version, origin.url) if origin.backend == "cpu" else NONE
        case "index" if not version and platform not in line.indexes.get(origin.backend, ()):
            return NONE if origin.backend in line.indexes else _plain(origin, version)
    return _plain(origin, version)


def _plain(origin: Origin, version: str) -> Cell:
    return Cell(origin.kind, origin.backend, version, origin.url)


def after(
    plan: Plan, setup: Setup, platform: str, selection: Collection[Choice], line: Line
) -> Cell:
    """What a plan installs in its place."""
    choice = chosen(plan, selection)
    if choice is None:
        stays = any(
            s.name == "torch" and s.place == DEPENDENCIES for s in setup.stated(selection, platform)
        )
        return Cell("pypi", line.pypi[platform], line.torch) if stays else NONE
    builds = [build for build in choice.builds if build.platform == platform]
    return _built(builds[0]) if builds else NONE


def _built(build: Build) -> Cell:
    where = "index" if build.index and build.platform != MACOS else "pypi"
    return Cell(where, build.backend, build.torch)


def chosen(plan: Plan, selection: Collection[Choice]) -> PlanChoice | None:
    """The choice of a plan that a selection makes; None if torch is not among what it installs."""
    if not plan.switchable:
        return plan.choices[0]
    of = plan.strategy.removesuffix("s")
    named = [choice for choice in plan.choices if (of, choice.name) in selection]
    others = [choice for choice in named if choice is not plan.default]
    if others or named:
        return (others or named)[0]
    return plan.default if of == "group" else None


def likeness(old: Cell, new: Cell) -> float:
    """From 0, another build, to 1 or 3, the same build from the same place."""
    if old.kind == "none":
        # What was not there is no loss; to add it is more than to leave it.
        return 0.125 if new.kind == "none" else 0
    # A build that was chosen weighs more than the one that PyPI happens to have.
    weight = 1 if old.kind == "pypi" else 3
    if old.backend and old.backend == new.backend:
        return weight * (1 if old.kind == new.kind else 0.75)
    same_kind = kind(old.backend) and kind(old.backend) == kind(new.backend)
    return 0.25 * weight if same_kind else 0
