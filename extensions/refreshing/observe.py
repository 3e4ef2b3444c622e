"""Looks at PyTorch's indexes and at PyPI, and says what is there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ..questions.names import PLACEHOLDER, PYTORCH_URL, index_of
from ..tables.backends import kind, version
from ..tables.releases import Tables, minor, series
from .fetch import CannotLook, Page, Web, shown
from .pages import backends, folders, wheels
from .wheels import Wheel

PYPI = "pypi"
# What an answer of PyTorch's store, of a mirror and of PyPI means "not there".
FORBIDDEN, MISSING = frozenset({403}), frozenset({404})


@dataclass(frozen=True)
class Observed:
    """What was seen. A place is a backend or `pypi`; `shelves` maps a place and a package
    to its wheels, and has no key for a page that is not there. `listed` are the backends that the
    index lists, None for a mirror that lists none. `needs` has what wheels require, by address."""

    listed: frozenset[str] | None
    shelves: Mapping[tuple[str, str], tuple[Wheel, ...]]
    needs: Mapping[str, tuple[Requirement, ...]]

    @property
    def places(self) -> list[str]:
        """The backends whose index has a page of torch."""
        return [place for place, package in self.shelves if package == "torch" and place != PYPI]

    def of(self, place: str, package: str, release: str) -> list[Wheel]:
        """The wheels of a release at a place: of its own build, or without a local version.

        One index lists plain wheels that lie in another's folder.
        """
        return self._groups.get((place, package), {}).get(release, [])

    @cached_property
    def _groups(self) -> dict[tuple[str, str], dict[str, list[Wheel]]]:
        found: dict[tuple[str, str], dict[str, list[Wheel]]] = {}
        for (place, package), shelf in self.shelves.items():
            releases = found.setdefault((place, package), {})
            for wheel in shelf:
                local = wheel.version.local
                here = self.listed is None or f"/{place}/" in wheel.url
                if place == PYPI or local == place or (local is None and here):
                    releases.setdefault(wheel.release, []).append(wheel)
        return found

    def releases(self, package: str, place: str | None = None) -> set[str]:
        """The releases of a package anywhere, or at one place."""
        return {
            release
            for (where, name), releases in self._groups.items()
            if name == package and place in (None, where)
            for release in releases
        }

    def on_pypi(self) -> Observed:
        """The same without PyTorch's indexes."""
        shelves = {key: shelf for key, shelf in self.shelves.items() if key[0] == PYPI}
        return replace(self, listed=None, shelves=shelves)

    def patches(self, line: str, place: str | None = None) -> list[str]:
        """The releases of torch in a line, oldest first."""
        found = (r for r in self.releases("torch", place) if minor(r)[:2] == minor(line))
        return sorted(found, key=minor)

    def newest(self, line: str) -> str | None:
        """Its newest patch: that of PyPI, which comes last, or else that of the indexes."""
        found = self.patches(line, PYPI) or self.patches(line)
        return found[-1] if found else None

    def uploaded(self, package: str, release: str) -> str:
        """When PyPI got the first wheel of a release, as a time in ISO 8601; empty if unknown."""
        times = [w.uploaded for w in self.of(PYPI, package, release)]
        return min(times) if times and all(times) else ""


@dataclass(frozen=True)
class Scope:
    """What to look at: the tables, the lines (None: all, and newer ones), and where. Without
    `index_url` PyPI alone."""

    tables: Tables
    lines: frozenset[str] | None
    index_url: str
    pypi_url: str

    @property
    def first(self) -> str:
        """The oldest line that matters."""
        return min(self.lines or self.tables.lines, key=minor)

    def has(self, line: str) -> bool:
        return line in self.lines if self.lines else minor(line) >= minor(self.first)

    def is_old(self, backend: str) -> bool:
        """Whether it is older than all of its kind that the tables know: gone for good."""
        known = [version(b) for b in self.tables.backends() if kind(b) == kind(backend)]
        return bool(known) and version(backend) < min(known)

    @property
    def companions(self) -> list[str]:
        return list(
            dict.fromkeys(n for line in self.tables.lines.values() for n in line.companions)
        )

    def since(self, package: str) -> tuple[int, ...]:
        """The oldest release of a companion that can go with a line that matters."""
        lines = self.tables.lines
        older = [name for name in lines if minor(name) < minor(self.first)]
        names = [n for n in lines if minor(n) >= minor(self.first)] + older[:1]
        found = (lines[n].companions.get(package) for n in names)
        return min((minor(c.version)[:2] for c in found if c), default=(10**6,))


def observe(web: Web, scope: Scope, tell: Callable[[str], None]) -> Observed:
    """Look at all that matters. Raises CannotLook if one page did not say what it has."""
    tell("Looking at " + shown(" and ".join(filter(None, (scope.index_url, scope.pypi_url)))))
    listed = _listed(web, scope)
    known = sorted(scope.tables.backends() if listed is None else listed)
    known = known if scope.index_url else []
    found = _shelves(web, scope, listed, [(b, "torch") for b in known if not scope.is_old(b)])
    on_pypi = [(PYPI, package) for package in ("torch", *scope.companions)]
    found |= _shelves(web, scope, listed, on_pypi)
    for _, package in on_pypi:
        if (PYPI, package) not in found:
            raise CannotLook(f"{shown(scope.pypi_url)} has no {package}")
    seen = Observed(listed, found, {})
    here = [p for p in seen.places if any(scope.has(series(r)) for r in seen.releases("torch", p))]
    tell(f"Reading the companions of torch on {len(here)} indexes")
    found |= _shelves(web, scope, listed, [(b, p) for b in here for p in scope.companions])
    seen = Observed(listed, found, {})
    described = _described(seen, scope)
    tell(f"Reading what {len(described)} wheels require")
    texts = web.each(lambda pair: _requirements(web, *pair), described)
    needs = {wheel.url: text for (_, wheel), text in zip(described, texts, strict=True)}
    return Observed(listed, found, needs)


def sample(group: Iterable[Wheel], platform: str) -> Wheel | None:
    """The wheel out of a release whose metadata is read for a platform."""
    fit = [wheel for wheel in group if platform in wheel.platforms]
    return max(fit, key=lambda wheel: wheel.filename, default=None)


def _listed(web: Web, scope: Scope) -> frozenset[str] | None:
    if PLACEHOLDER in scope.index_url or not scope.index_url:
        return None
    page = web.page(f"{scope.index_url}/", FORBIDDEN | MISSING)
    found = backends(page) if page else None
    if not found and scope.index_url == PYTORCH_URL:
        raise CannotLook(f"{PYTORCH_URL}/ lists no indexes")
    return found or None


def _shelves(
    web: Web,
    scope: Scope,
    listed: Collection[str] | None,
    wanted: list[tuple[str, str]],
) -> dict[tuple[str, str], tuple[Wheel, ...]]:
    def read(key: tuple[str, str]) -> tuple[Wheel, ...] | None:
        place, package = key
        base = scope.pypi_url if place == PYPI else index_of(scope.index_url, place)
        absent = MISSING if place == PYPI else FORBIDDEN if listed else FORBIDDEN | MISSING
        page = web.page(f"{base}/{package}/", absent)
        if page is None and listed and place != PYPI:
            _agreed_to_be_absent(web.page(f"{base}/", FORBIDDEN), package)
        return wheels(page, package) if page else None

    shelves = zip(wanted, web.each(read, wanted), strict=True)
    return {key: shelf for key, shelf in shelves if shelf is not None}


def _agreed_to_be_absent(folder: Page | None, package: str) -> None:
    """A store that is out of order forbids as well: what a folder lists is there."""
    if folder and package in folders(folder):
        raise CannotLook(f"{shown(folder.url)} lists {package}, and the page of that is forbidden")


def _described(seen: Observed, scope: Scope) -> list[tuple[str, Wheel]]:
    """The wheels whose requirements say something: which triton, which CUDA, for which torch."""
    found: list[tuple[str, Wheel | None]] = []
    for line in sorted({series(r) for r in seen.releases("torch")}, key=minor):
        newest = seen.newest(line)
        if not scope.has(line) or newest is None:
            continue
        on_pypi = seen.of(PYPI, "torch", newest)
        found += [("torch", sample(on_pypi, p)) for p in ("linux-x86_64", "linux-aarch64")]
        for place in seen.places:
            if kind(place) in ("rocm", "xpu"):
                found.append(("torch", sample(seen.of(place, "torch", newest), "linux-x86_64")))
    born = min((seen.uploaded("torch", r) for r in seen.patches(scope.first, PYPI)), default="")
    for package in scope.companions:
        for release in seen.releases(package, PYPI):
            young = "" < born <= seen.uploaded(package, release)
            if young or minor(release)[:2] >= scope.since(package):
                found.append((package, sample(seen.of(PYPI, package, release), "linux-x86_64")))
    return list(dict.fromkeys((package, wheel) for package, wheel in found if wheel))


def _requirements(web: Web, package: str, wheel: Wheel) -> tuple[Requirement, ...]:
    """What a wheel requires: by the file beside it, or else by what is in it."""
    page = web.page(f"{wheel.url}.metadata", FORBIDDEN | MISSING) if wheel.described else None
    text = page.text if page else None
    if text is not None and wheel.described != "true":
        same = hashlib.sha256(text.encode("utf-8")).hexdigest() == wheel.described
        text = text if same else None
    text = web.metadata_in(wheel.url) if text is None else text
    raw, _ = parse_email(text)
    name, stated = canonicalize_name(raw.get("name", "")), raw.get("version", "")
    if name != package or stated.partition("+")[0] != wheel.release:
        raise CannotLook(f"{wheel.filename}: its metadata is that of another file")
    try:
        return tuple(Requirement(text) for text in raw.get("requires_dist", ()))
    except InvalidRequirement as error:
        raise CannotLook(f"{wheel.filename}: {error}") from None
