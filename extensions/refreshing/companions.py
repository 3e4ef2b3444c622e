"""Which release of a companion goes with a line of torch, and which builds of it there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from packaging.specifiers import SpecifierSet

from ..tables.platforms import MACOS, PLATFORMS
from ..tables.releases import minor, series
from .observe import PYPI, Observed, sample
from .wheels import PYTHONS

Block = Mapping[str, Any]


@dataclass(frozen=True)
class Fit:
    """A release with its bound on torch, and the line that was the newest when it came out."""

    release: str
    bound: SpecifierSet | None
    home: str


def fits(package: str, seen: Observed) -> list[Fit]:
    """The releases on PyPI whose metadata was read, newest first."""
    births = {}  # of each line of torch, as the time of its first upload
    for release in sorted(seen.releases("torch", PYPI), key=minor):
        births.setdefault(series(release), seen.uploaded("torch", release))
    found = []
    for release in sorted(seen.releases(package, PYPI), key=minor, reverse=True):
        wheel = sample(seen.of(PYPI, package, release), "linux-x86_64")
        if wheel is None or wheel.url not in seen.needs:
            continue
        bound = next((r.specifier for r in seen.needs[wheel.url] if r.name == "torch"), None)
        then = seen.uploaded(package, release)
        before = [line for line, born in births.items() if then and born and born <= then]
        # Of what it allows, that which was there: an exact bound names its line.
        allowed = [x for x in before if bound is None or _allows(bound, x, seen)] or before
        found.append(Fit(release, bound, max(allowed, key=minor, default="")))
    return found


def _allows(bound: SpecifierSet, line: str, seen: Observed) -> bool:
    return any(bound.contains(patch) for patch in seen.patches(line))


@dataclass(frozen=True)
class Choice:
    """The release that goes with a line, its first one where metadata says so, and a newer one of
    which it says nothing."""

    release: str
    first: str = ""
    newer: str = ""


def goes_with(
    package: str, line: str, old: Block, lines: Mapping[str, Block], seen: Observed
) -> Choice | None:
    """The newest release for a line; None where none is known to go with it.

    A release that bounds torch tells itself. One with a lower bound alone belongs to the line that
    was the newest when it came out, and to later ones as long as nothing newer does. One without
    any keeps its place in the table; for a new line it is taken by the time, and by what the lines
    beside it have.
    """
    found = [f for f in fits(package, seen) if f.bound is None or _allows(f.bound, line, seen)]
    due = [f for f in found if not f.home or minor(f.home) <= minor(line)]
    if due and due[0].bound and (due[0].home or _ends(due[0].bound)):
        same = [f for f in due if f.bound and f.home == due[0].home]
        same = [f for f in same if series(f.release) == series(due[0].release)]
        return Choice(due[0].release, same[-1].release)
    kept = old.get("companions", {}).get(package, {}).get("version")
    taken = _taken_by_newer(package, line, lines)
    free = [f.release for f in due if f.release not in taken] or [f.release for f in due]
    if kept in {f.release for f in found}:
        newer = [r for r in free[:1] if minor(r) > minor(kept)]
        return Choice(kept, newer="".join(newer))
    return Choice(free[0]) if free else None


def _ends(bound: SpecifierSet) -> bool:
    return any(part.operator not in (">=", ">", "!=") for part in bound)


def _taken_by_newer(package: str, line: str, lines: Mapping[str, Block]) -> set[str]:
    """What newer lines have, but for what an older one has as well."""

    def of(names: list[str]) -> set[str]:
        found = (lines[name]["companions"].get(package, {}).get("version") for name in names)
        return {version for version in found if version}

    newer = [name for name in lines if minor(name) > minor(line)]
    return of(newer) - of([name for name in lines if minor(name) < minor(line)])


def builds(package: str, release: str, seen: Observed, backends: list[str]) -> dict[str, set[str]]:
    """Backend to the platforms for which its index has wheels of a release, macOS apart."""
    found = {}
    for backend in backends:
        on = {p for w in seen.of(backend, package, release) for p in w.platforms} - {MACOS}
        if on:
            found[backend] = on
    return found


def pythons(package: str, release: str, seen: Observed, places: list[str]) -> set[int]:
    """The Pythons for which each of these places has wheels on each of its platforms."""
    every = set(PYTHONS)
    for place in places:
        group = seen.of(place, package, release)
        for platform in {p for w in group for p in w.platforms}:
            every &= {python for w in group for p, python in w.cells if p == platform}
    return every


def plain(package: str, release: str, seen: Observed, places: list[str], platform: str) -> bool:
    """Whether its wheels for a platform carry no local version on these indexes."""
    group = [w for b in places for w in seen.of(b, package, release) if platform in w.platforms]
    return any(w.version.local is None for w in group)


def companion(
    package: str,
    line: str,
    old: Block,
    near: Block,
    lines: Mapping[str, Block],
    seen: Observed,
    block: Block,
) -> tuple[dict[str, Any] | None, list[str]]:
    """A companion's entry for a block that has all else, and what a person must do about it.

    `old` is the line's own block, empty for a new one, and `near` that of the nearest line.
    """
    choice = goes_with(package, line, old, lines, seen)
    before = old.get("companions", {}).get(package)
    like: Block = before or near.get("companions", {}).get(package, {})
    if choice is None:
        none = [] if before else ["no release goes with this torch yet"]
        return (dict(before) if before else None), none
    todo = []
    if choice.newer:
        todo.append(f"{choice.newer} is out, and does not say for which torch")
    release, first = choice.release, choice.first or like.get("first", "")
    if not choice.first and release != like.get("version"):
        todo.append("version by its date")
    entry: dict[str, Any] = {"version": release}
    if "needs" in like:
        entry["needs"] = like["needs"]
    if first and first != f"{series(release)}.0":
        entry["first"] = first
    torch_s: Block = block["indexes"]
    there = builds(package, release, seen, list(torch_s))
    if "indexes" in like:
        entry |= _own_builds(package, release, like, seen, torch_s, there)
        on_pypi = {p for w in seen.of(PYPI, package, release) for p in w.platforms}
        unknown = [p for p in PLATFORMS if p in on_pypi - {*like.get("pypi", {})}]
        todo += [f"pypi: which build its wheel for {platform} is" for platform in unknown]
        if not before:
            todo.append(f"first and pypi as in {near['line']}")
    elif lacking := [b for b in torch_s if not set(torch_s[b]) <= there.get(b, set())]:
        if seen.listed is None:
            # A mirror need not have all that there is of a line that the table knows.
            told = old.get("indexes", {})
            lacking = [b for b in lacking if b not in told or b in like.get("absent", ())]
        if lacking:
            entry["absent"] = lacking
        partly = [b for b in lacking if b in there]
        todo += [f"{b} has it, but not for every platform of torch" for b in partly]
    # A mirror need not have every wheel.
    have = pythons(package, release, seen, [PYPI, *(there if seen.listed is not None else ())])
    first_python, last = (int(block["python"][end].removeprefix("3.")) for end in ("first", "last"))
    if have and max(have) < last:
        entry["last_python"] = f"3.{max(have)}"
    wanted = range(first_python, min(last, max(have, default=last)) + 1)
    if lacking := ", ".join(f"3.{n}" for n in wanted if n not in have):
        todo.append(f"no wheel on every platform for Python {lacking}")
    return entry, todo


def _own_builds(
    package: str,
    release: str,
    like: Block,
    seen: Observed,
    torch_s: Block,
    there: Mapping[str, set[str]],
) -> dict[str, Any]:
    """What a companion with builds of its own says of them."""
    entry: dict[str, Any] = {}
    bare = [b for b in there if any(plain(package, release, seen, [b], p) for p in there[b])]
    if bare := list(like.get("no_local", ())) if seen.listed is None else bare:
        entry["no_local"] = bare
    on_pypi = {p for w in seen.of(PYPI, package, release) for p in w.platforms}
    # Which builds they are, no index shows.
    entry["pypi"] = {p: build for p, build in like.get("pypi", {}).items() if p in on_pypi}
    known: Block = like.get("indexes", {}) if seen.listed is None else {}
    cells = {
        backend: {
            p: "high" if p in there.get(backend, ()) else known[backend][p]
            for p in on
            if p in there.get(backend, ()) or p in known.get(backend, ())
        }
        for backend, on in torch_s.items()
    }
    entry["indexes"] = {backend: on for backend, on in cells.items() if on}
    return entry
