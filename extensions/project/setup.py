"""The PyTorch set-up of a project as its `pyproject.toml` states it: what comes from where."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from ..questions.names import PLACEHOLDER, PYTORCH_URL
from ..tables.platforms import PLATFORMS
from ..tables.releases import companions

# torch, and what tells its line where torch itself is not stated.
LEADERS = ("torch", *companions())
_BUILD = re.compile(r"(?<![a-z0-9])(cpu|xpu|cu\d{2,3}|rocm\d+(?:\.\d+)+)(?![a-z0-9])")
_LOCAL = re.compile(r"\+(cpu|xpu|cu\d{2,3}|rocm\d+(?:\.\d+)+)\b")
_SYSTEMS = {
    "linux": {"platform_system": "Linux", "os_name": "posix"},
    "win32": {"platform_system": "Windows", "os_name": "nt"},
    "darwin": {"platform_system": "Darwin", "os_name": "posix"},
}

Choice = tuple[str, str]
"""`extra` or `group`, and its name as PEP 685 compares it; `("", "")` is `dependencies`."""
DEPENDENCIES: Choice = ("", "")


class CannotAdopt(ValueError):
    """A project that is there and cannot be read, with a reason for people."""


@dataclass(frozen=True)
class Stated:
    """A requirement, and the list that states it."""

    name: str
    requirement: Requirement
    place: Choice

    @property
    def specifier(self) -> SpecifierSet:
        return self.requirement.specifier


@dataclass(frozen=True)
class Index:
    """An index of packages; every package may come from one that is not `explicit`."""

    name: str
    url: str
    explicit: bool = False
    default: bool = False
    authenticate: bool = False


@dataclass(frozen=True)
class Entry:
    """One entry of a package's source. `index` is a name or a URL, or empty: then the package comes
    from `elsewhere`; `place` is the list to which it is bound, if it is."""

    index: str
    elsewhere: str
    place: Choice | None
    marker: Marker | None


@dataclass(frozen=True)
class Origin:
    """Where torch comes from: `none` (it is not installed), `pypi`, `index`, or `elsewhere`.

    `backend` is what the build is made for, where that can be told, `url` the place, and `base` the
    same as `index_url` wants it.
    """

    kind: str
    backend: str = ""
    url: str = ""
    base: str = ""


@dataclass(frozen=True)
class Setup:
    """What a project says of its packages. `selection` is always a collection of choices beside
    `dependencies`, and `provided` says that nothing installs torch, whatever requires it."""

    name: str
    requires_python: str
    lists: Mapping[Choice, Sequence[Any]]
    sources: Mapping[str, tuple[Entry, ...]]
    indexes: tuple[Index, ...]
    default_groups: frozenset[str]
    conflicts: tuple[frozenset[Choice], ...]
    environments: tuple[Marker, ...]
    managed: bool
    pip: Mapping[str, Any] = field(default_factory=dict)
    python: str = "3.12"
    exclude_newer: str = ""
    provided: bool = False

    @property
    def leader(self) -> str:
        """The package of the family that says which build is installed; empty if none is there."""
        stated = {s.name for place in self.lists for s in self._stated(place)}
        return next((name for name in LEADERS if name in stated), "")

    @property
    def plain(self) -> frozenset[Choice]:
        """What a plain `uv sync` selects."""
        return frozenset(("group", name) for name in self.default_groups)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The extras and groups that state torch themselves."""
        return tuple(
            place
            for place in self.lists
            if place != DEPENDENCIES and any(s.name == self.leader for s in self._stated(place))
        )

    @property
    def selections(self) -> dict[str, frozenset[Choice]]:
        """The ways to install that may differ in their build, by their commands."""
        found = {"uv sync": self.plain}
        for choice in self.choices:
            if choice not in self.plain:
                found[self.command(choice)] = self.selecting(choice)
        return found

    def command(self, choice: Choice) -> str:
        """The command that installs a choice."""
        left = [name for kind, name in sorted(self.plain - self.selecting(choice))]
        flags = [*(f"--no-group {name}" for name in left), f"--{choice[0]} {choice[1]}"]
        return " ".join(["uv sync", *flags])

    def selecting(self, choice: Choice) -> frozenset[Choice]:
        """The plain selection with a choice, and without the defaults that it excludes."""
        excluded = {other for both in self.conflicts if choice in both for other in both}
        return (self.plain - excluded) | {choice}

    def stated(
        self, selection: Collection[Choice], platform: str | None = None
    ) -> Iterator[Stated]:
        """The requirements that a selection brings, on one platform or on any."""
        for place in (DEPENDENCIES, *sorted(selection)):
            for one in self._expanded(place, frozenset()):
                marker = one.requirement.marker
                if platform is None or marker is None or self.holds(marker, platform):
                    yield one

    def everything(self) -> Iterator[Stated]:
        """Every requirement, each where it stands."""
        for place in self.lists:
            yield from self._stated(place)

    def holds(self, marker: Marker, platform: str) -> bool:
        """Whether a marker is true on one of the four platforms."""
        return marker.evaluate(environment(platform, self.python))

    def claimed(self) -> list[str]:
        """The platforms of `environments`; all of them where it names none."""
        found = [p for p in PLATFORMS if any(self.holds(m, p) for m in self.environments)]
        return found or list(PLATFORMS)

    def origin(self, platform: str, selection: Collection[Choice]) -> Origin:
        """Where torch comes from on a platform, for a selection."""
        leader = self.leader
        if self.provided:
            return Origin("none")
        found = [s for s in self.stated(selection, platform) if s.name == leader]
        if not leader or not found:
            return Origin("none")
        origins = [self._origin(one, platform) for one in found]
        return next((o for o in origins if o.kind != "pypi"), origins[0])

    def _origin(self, one: Stated, platform: str) -> Origin:
        if one.requirement.url:
            return _elsewhere(one.requirement.url)
        for entry in self.sources.get(one.name, ()):
            if entry.place not in (None, one.place):
                continue
            if entry.marker is None or self.holds(entry.marker, platform):
                return self._from(entry)
        local = _LOCAL.search(str(one.specifier))
        for index in self.indexes:
            if not index.explicit and (found := at(index.url)):
                return replace(found, backend=found.backend or (local[1] if local else ""))
        return Origin("elsewhere", local[1]) if local else Origin("pypi")

    def _from(self, entry: Entry) -> Origin:
        if not entry.index:
            return _elsewhere(entry.elsewhere)
        url = next((i.url for i in self.indexes if i.name == entry.index), entry.index)
        return at(url) or Origin("elsewhere", url=url)

    def _stated(self, place: Choice) -> Iterator[Stated]:
        for item in self.lists.get(place, ()):
            if isinstance(item, str) and (requirement := parsed(item)):
                yield Stated(str(canonicalize_name(requirement.name)), requirement, place)

    def _expanded(self, place: Choice, seen: frozenset[Choice]) -> Iterator[Stated]:
        """A list with the lists that it includes."""
        if place in seen:
            return
        for one in self._stated(place):
            if one.name == self.name and one.requirement.extras:
                for extra in sorted(one.requirement.extras):
                    inner = ("extra", str(canonicalize_name(extra)))
                    yield from self._expanded(inner, seen | {place})
            else:
                yield one
        for item in self.lists.get(place, ()):
            if isinstance(item, dict) and isinstance(item.get("include-group"), str):
                inner = ("group", str(canonicalize_name(item["include-group"])))
                yield from self._expanded(inner, seen | {place})


def at(url: str) -> Origin | None:
    """What a URL says of PyTorch's index there; None for the index of something else."""
    parts = urlsplit(url)
    own = (parts.hostname or "").endswith("pytorch.org")
    builds = list(_BUILD.finditer(parts.path.lower()))
    if not builds:
        return Origin("elsewhere", url=url) if own else None
    build = builds[-1][1]
    if own:
        stable = parts.path.strip("/") == f"whl/{build}"
        return Origin("index" if stable else "elsewhere", build, url, PYTORCH_URL)
    start, end = builds[-1].span(1)
    head, tail = parts.path[:start], parts.path[end:].rstrip("/")
    path = head.rstrip("/") if head.endswith("/") and not tail else f"{head}{PLACEHOLDER}{tail}"
    base = f"{parts.scheme}://{parts.netloc}{path}"
    return Origin("index", build, url, base)


def _elsewhere(where: str) -> Origin:
    builds = _BUILD.findall(where.lower().replace("%2b", "/"))
    return Origin("elsewhere", builds[-1] if builds else "", where)


def environment(platform: str, python: str) -> dict[str, str]:
    """The environment markers of PEP 508 on one of the four platforms."""
    on = PLATFORMS[platform]
    return {
        **_SYSTEMS[on.sys_platform],
        "sys_platform": on.sys_platform,
        "platform_machine": on.machine,
        "platform_release": "",
        "platform_version": "",
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "platform_python_implementation": "CPython",
        "python_version": python,
        "python_full_version": f"{python}.0",
        "extra": "",
    }


def parsed(text: str) -> Requirement | None:
    """A requirement; None for what is none."""
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def bounds(text: str) -> SpecifierSet:
    """The bounds on Python. Raises CannotAdopt for what are none."""
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        raise CannotAdopt(
            f"requires-python = {text!r} is no bound on Python. Nearest: '>=3.11'"
        ) from None


def parse(text: str) -> dict[str, Any]:
    """The tables of a file. Raises CannotAdopt for one that is no TOML."""
    try:
        # Some editors begin a file with a byte order mark.
        return tomllib.loads(text.removeprefix("\ufeff"))
    except (RecursionError, ValueError) as error:
        raise CannotAdopt(
            f"pyproject.toml cannot be read: {error}. Nearest: repair it first"
        ) from None


def read(
    content: Mapping[str, Any],
    settings: Mapping[str, Any] | None = None,
    others: Sequence[str] = (),
) -> Setup:
    """The set-up that tables state; `settings` is a uv.toml, which goes before `[tool.uv]`, and
    `others` is what other members of its workspace require.

    Raises CannotAdopt for tables of another shape than the standard's.
    """
    try:
        return _read(content, settings or {}, others)
    except (AttributeError, KeyError, TypeError) as error:
        raise CannotAdopt(
            f"pyproject.toml has a table or list of another shape than the standard's ({error}). "
            "Nearest: what `uv lock` accepts"
        ) from None


def _bounding(uv: Mapping[str, Any], others: Sequence[str], items: Iterable[Any]) -> list[str]:
    """What is said elsewhere of the packages of the family that a list states: by overrides, by
    constraints, and by the other members of a workspace."""
    keys = ("override-dependencies", "constraint-dependencies")
    texts = [*(text for key in keys for text in _many(uv.get(key, []))), *others]
    stated = {canonicalize_name(r.name) for t in items if isinstance(t, str) and (r := parsed(t))}
    return [
        text
        for text in texts
        if (one := parsed(text)) and canonicalize_name(one.name) in stated & set(LEADERS)
    ]


def _day(when: Any) -> str:
    """The day of an `exclude-newer` such as 2026-09-30T00:00:00Z; empty for a span of time."""
    found = re.match(r"\d{4}-\d\d-\d\d", str(when))
    return found[0] if found else ""


def _read(content: Mapping[str, Any], settings: Mapping[str, Any], others: Sequence[str]) -> Setup:
    project = content.get("project", {})
    table = content.get("tool", {}).get("uv", {})
    uv = {**table, **settings}
    lists: dict[Choice, Sequence[Any]] = {DEPENDENCIES: _list(project.get("dependencies", []))}
    for kind, found in (
        ("extra", project.get("optional-dependencies", {})),
        ("group", content.get("dependency-groups", {})),
    ):
        for name, items in found.items():
            lists[kind, str(canonicalize_name(name))] = _list(items)
    if old := _list(table.get("dev-dependencies", [])):
        lists["group", "dev"] = [*lists.get(("group", "dev"), ()), *old]
    for place, items in lists.items():
        lists[place] = [*items, *_bounding(uv, others, items)]
    groups = {name for kind, name in lists if kind == "group"}
    default = uv.get("default-groups", ["dev"])
    wanted = groups if default == "all" else {str(canonicalize_name(n)) for n in _list(default)}
    named = [m for k in ("environments", "required-environments") for m in _many(uv.get(k, []))]
    return Setup(
        name=str(canonicalize_name(_text(project.get("name", "")))),
        requires_python=_text(project.get("requires-python", "")),
        lists=lists,
        sources={
            str(canonicalize_name(name)): tuple(_entries(source))
            for name, source in table.get("sources", {}).items()
        },
        indexes=tuple(_indexes(uv)),
        default_groups=frozenset(wanted & groups),
        conflicts=tuple(_conflicts(uv)),
        environments=tuple(filter(None, map(_marker, named))),
        managed=uv.get("managed") is not False,
        pip=dict(uv.get("pip", {})),
        exclude_newer=_day(uv.get("exclude-newer-package", {}).get("torch"))
        or _day(uv.get("exclude-newer")),
        provided=_is_provided(uv),
    )


def _is_provided(uv: Mapping[str, Any]) -> bool:
    """Whether torch is excluded, or overridden by one that no platform wants: both are told to
    whoever has it already."""
    names = [name for name in uv.get("exclude-dependencies", []) if isinstance(name, str)]
    if "torch" in map(canonicalize_name, names):
        return True
    texts = [text for text in uv.get("override-dependencies", []) if isinstance(text, str)]
    markers = [r.marker for r in map(parsed, texts) if r and canonicalize_name(r.name) == "torch"]
    return bool(markers) and not any(
        marker is None or marker.evaluate(environment(platform, "3.12"))
        for marker in markers
        for platform in PLATFORMS
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    for item in value:
        if not isinstance(item, (str, dict, list)):
            raise TypeError(f"{item!r} is no text")
    return value


def _many(value: Any) -> list[Any]:
    """A list that uv lets one write as a text, if it has one item."""
    return [value] if isinstance(value, str) else _list(value)


def _marker(text: Any) -> Marker | None:
    try:
        return Marker(text) if text else None
    except (InvalidMarker, TypeError):
        return None


def _entries(source: Any) -> Iterator[Entry]:
    for entry in source if isinstance(source, list) else [source]:
        if not isinstance(entry, dict):
            raise TypeError(f"{entry!r} is no source")
        place = next(
            (
                (kind, str(canonicalize_name(entry[kind])))
                for kind in ("extra", "group")
                if kind in entry
            ),
            None,
        )
        others = [k for k in ("git", "url", "path", "workspace") if k in entry]
        elsewhere = f"{others[0]} {entry[others[0]]}" if others else ""
        index = "" if others else _text(entry["index"])
        yield Entry(index, elsewhere, place, _marker(entry.get("marker")))


def _indexes(uv: Mapping[str, Any]) -> Iterator[Index]:
    """In the order in which uv asks them; the default index, if it is named, is the last."""
    defaults = []
    for index in uv.get("index", []):
        found = Index(
            name=_text(index.get("name", "")),
            url=_text(index["url"]),
            explicit=bool(index.get("explicit")),
            default=bool(index.get("default")),
            authenticate=index.get("authenticate") == "always",
        )
        if found.default:
            defaults.append(found)
        else:
            yield found
    for url in _list(uv.get("extra-index-url", [])):
        yield Index("", _text(url))
    for url in _list(uv.get("find-links", [])):
        if at(_text(url)):
            yield Index("", url)
    if "index-url" in uv:
        defaults.append(Index("", _text(uv["index-url"]), default=True))
    yield from defaults


def _conflicts(uv: Mapping[str, Any]) -> Iterator[frozenset[Choice]]:
    for both in uv.get("conflicts", []):
        yield frozenset(_choices(both))


def _choices(entries: Iterable[Any]) -> Iterator[Choice]:
    for entry in entries:
        for kind in ("extra", "group"):
            if kind in entry:
                yield kind, str(canonicalize_name(entry[kind]))
