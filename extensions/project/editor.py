"""Edits PyTorch's parts of a `pyproject.toml` in place; everything else stays byte for byte.

`plan/parts.py` says what these parts are. What the template wrote is known by the answers before,
and what it is to write by the plan after. Without answers before, as in a project that is adopted,
nothing in the file is the template's, and what its owner wrote is kept wherever it says the same.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.markers import InvalidMarker, Marker
from packaging.utils import canonicalize_name

from ..plan.parts import EXTRAS, GROUPS, Parts, parts_of
from ..plan.plan import Plan
from ..questions.contract import PYPI_URL, PYTORCH_URL, Known
from ..questions.names import FAMILY, PLACEHOLDER, toml_string
from ..tables.backends import slug
from ..tables.platforms import PLATFORMS
from ..tables.provided import CUDA_LIBRARIES
from ..tables.releases import companions
from . import comments
from .requirements import admits_older, meets, merged, name_of, within
from .toml_text import Path, TomlText
from .toml_values import (
    append_set,
    assign,
    conflict_set,
    inline,
    insert,
    many_lines,
    one_line,
    reorder,
    synchronize,
    to_toml,
)

PROJECT: Path = ("project",)
DEPENDENCIES: Path = (*PROJECT, "dependencies")
UV: Path = ("tool", "uv")
SOURCES, INDEXES = (*UV, "sources"), (*UV, "index")
TABLES: Mapping[str, Path] = {"extra": EXTRAS, "group": GROUPS}
TORCH = frozenset({"torch", *companions()})
# `triton` by itself is a package that people import; the others come with a build of torch.
TRITONS = FAMILY - TORCH - {"triton"}
_BUILD = re.compile(r"cpu|xpu|cu\d{2,}|rocm\d[\d.]*")
_BOUNDS = re.compile(r"[\w-]+>=[\d.]+,<[\d.]+( ?;.*)?")


class CannotEdit(Exception):
    """A file that cannot be edited, with the reason."""


@dataclass(frozen=True)
class Edited:
    """The text after, and sentences on what its owner may not expect."""

    text: str
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class Before:
    """What the template wrote for the answers before, as far as the editor has to find it."""

    kind: str = ""
    choices: tuple[str, ...] = ()
    packages: frozenset[str] = frozenset()
    in_dependencies: bool = False
    python_version: str = ""
    environments: tuple[str, ...] = ()
    index_url: str = PYTORCH_URL
    pypi_url: str = PYPI_URL
    unmanaged: bool = False
    excluded: frozenset[str] = frozenset()

    @classmethod
    def of(cls, known: Known) -> Before:
        strategy = known.get("strategy", "")
        choices = known.get("backends", ()) if strategy in ("extras", "groups") else ()
        platforms = known.get("platforms", ()) if strategy != "pip" else ()
        return cls(
            kind=strategy.removesuffix("s") if choices else "",
            choices=tuple(slug(item.partition("=")[0]) for item in choices),
            packages=frozenset({"torch", *known.get("packages", ())}),
            in_dependencies=strategy not in ("extras", "provided"),
            python_version=known.get("python_version", ""),
            environments=tuple(PLATFORMS[p].marker for p in platforms if p in PLATFORMS),
            index_url=known.get("index_url", PYTORCH_URL).rstrip("/"),
            pypi_url=known.get("pypi_url", PYPI_URL).rstrip("/"),
            unmanaged=strategy == "pip",
            excluded=FAMILY | CUDA_LIBRARIES if strategy == "provided" else frozenset(),
        )


def edit(text: str, before: Known | None, after: Plan, *, aged: bool = False) -> Edited:
    """The text with PyTorch's parts as the plan has them.

    `aged` is for what a version below 0.3 rendered: the floors of its bounds were the newest
    releases, and are no wish of the owner's.

    Raises CannotEdit, with a reason for people, for a text that cannot be read or has no project.
    """
    toml = parsed(text)
    editor = _Editor(toml, Before.of(before) if before is not None else None, after, aged)
    try:
        editor.edit()
        if before is not None:
            comments.renew(toml)
        as_it_was = parsed(text)
        comments.place(toml, as_it_was, editor.parts)
        for table in (EXTRAS, GROUPS):
            if toml.get(table) == {} and as_it_was.get(table):
                toml.remove(table)
    except (AttributeError, TypeError) as error:
        raise CannotEdit(f"pyproject.toml has a value of an unexpected type ({error})") from error
    bom = "\ufeff" if text.startswith("\ufeff") else ""
    return Edited(bom + toml.text, tuple(editor.said))


def parsed(text: str) -> TomlText:
    """The text as one that can be edited. Raises CannotEdit, with a reason for people."""
    try:
        toml = TomlText(text.removeprefix("\ufeff"))
    except ValueError as error:
        raise CannotEdit(f"pyproject.toml cannot be read: {error}") from None
    project = toml.get(PROJECT)
    if not isinstance(project, dict):
        raise CannotEdit("pyproject.toml has no [project] table")
    if "dependencies" in project.get("dynamic", ()):
        raise CannotEdit("pyproject.toml says that its dependencies are dynamic")
    return toml


class _Editor:
    def __init__(self, toml: TomlText, before: Before | None, after: Plan, aged: bool) -> None:
        self.toml = toml
        self.aged = aged
        self.adopts = before is None
        self.before = before or Before()
        self.plan = after
        self.parts: Parts = parts_of(after)
        # A package of the version before may be in no table any more.
        self.ours = TORCH | TRITONS | self.before.packages
        self.said: list[str] = []
        listed = [*self.parts.dependencies, *(r for rs in self.parts.choices.values() for r in rs)]
        self.family = {name_of(text): text for text in listed}

    def edit(self) -> None:
        self._requires_python()
        self._move_dev()
        self._dependencies()
        self._choices()
        self._other_lists()
        self._default_groups()
        self._conflicts()
        self._managed()
        self._excluded()
        self._environments()
        self._required_environments()
        self._constraints()
        self._sources()
        self._indexes()

    # Python

    def _requires_python(self) -> None:
        path = (*PROJECT, "requires-python")
        now, wanted = self.toml.get(path), self.parts.requires_python
        if not isinstance(now, str) or now == wanted:
            return
        written = self.before.python_version
        if written and re.fullmatch(rf">={re.escape(written)},<3\.\d+", now):
            self.toml.set(path, toml_string(wanted))
            return
        asked = not self.adopts and written != self.plan.python_version
        floor = self.plan.python_version if asked else wanted.partition(",")[0].removeprefix(">=")
        if asked or admits_older(now, floor):
            clauses = [c.strip() for c in now.split(",")]
            upper = [c for c in clauses if c.startswith(("<", "!="))]
            self.toml.set(path, toml_string(",".join([f">={floor}", *upper])))

    # Lists of requirements

    def _move_dev(self) -> None:
        """uv reads no groups of a project that it does not manage: there `dev` is an extra."""
        one, other = (*GROUPS, "dev"), (*EXTRAS, "dev")
        source, target = (one, other) if not self.parts.managed else (other, one)
        changes = not self.adopts and self.parts.managed == self.before.unmanaged
        now = self.toml.get(source)
        if not changes or now is None or self.toml.get(target) is not None:
            return
        if any(not isinstance(item, str) for item in now):
            self.said.append("the group dev includes other groups, which an extra cannot: it stays")
            return
        self.toml.set(target, self.toml.take(source))

    def _dependencies(self) -> None:
        ours = (TRITONS | self.before.packages) if self.before.in_dependencies else frozenset()
        limited = self.toml.get((*UV, "environments")) is not None
        if self.parts.kind and not limited and not self._requires_torch():
            # Without `environments` uv would lock for macOS what a choice has on Linux.
            return
        self._family_in(DEPENDENCIES, self.parts.dependencies, ours)

    def _requires_torch(self) -> bool:
        """Whether the plain dependencies have torch beside the choices."""
        return any(name_of(item) in TORCH for item in self.toml.get(DEPENDENCIES) or ())

    def _choices(self) -> None:
        self._follow()
        for name, wanted in self.parts.choices.items():
            path = (*TABLES[self.parts.kind], name)
            self._family_in(self._found(path), wanted, self.ours)
        for name in self.before.choices:
            if self.before.kind == self.parts.kind and name in self.parts.choices:
                continue
            path = (*TABLES[self.before.kind], name)
            if self.toml.get(path) is None:
                continue
            self._family_in(path, (), self.ours)
            if not self.toml.get(path):
                self.toml.remove(path)
            else:
                self.said.append(f"the {self.before.kind} {name} stays with packages of your own")

    def _follow(self) -> None:
        """What an owner put beside torch goes with the choice to its new name or table."""
        if not (self.before.kind and self.parts.kind):
            return
        gone = [n for n in self.before.choices if n not in self.parts.choices]
        come = [n for n in self.parts.choices if n not in self.before.choices]
        names = {n: n for n in self.before.choices if n in self.parts.choices}
        if len(gone) == len(come) == 1:
            names[gone[0]] = come[0]
        for old, new in names.items():
            source = (*TABLES[self.before.kind], old)
            target = (*TABLES[self.parts.kind], new)
            now = self.toml.get(source)
            if source == target or now is None or self.toml.get(target) is not None:
                continue
            if self.parts.kind == "extra" and any(not isinstance(item, str) for item in now):
                continue
            if self.before.kind == self.parts.kind:
                self.toml.rename(source, new)
            else:
                self.toml.set(target, self.toml.take(source))

    def _other_lists(self) -> None:
        """torch in a list of the owner's own moves to the new line where it excludes it."""
        for kind, table in TABLES.items():
            for name, items in dict(self.toml.get(table) or {}).items():
                choice = kind == self.parts.kind and slug(name) in self.parts.choices
                if choice or not isinstance(items, list):
                    continue
                self._rebound((*table, name))
        if not self.parts.dependencies:
            self._rebound(DEPENDENCIES)

    def _rebound(self, path: Path) -> None:
        for number, item in enumerate(self.toml.get(path) or ()):
            name = name_of(item)
            if name in self.family and not meets(item, self.family[name]):
                new = merged(item, self.family[name])
                self.toml.edit(path, lambda found, i=number, text=new: assign(found, i, text))
                self.said.append(f"{'.'.join(map(str, path))}: {item!r} is now {new!r}")

    def _family_in(self, path: Path, wanted: Sequence[str], ours: Iterable[str]) -> None:
        """Have a list of requirements hold the family as wanted, and nothing else that is ours."""
        now = self.toml.get(path)
        if not now and wanted:
            self.toml.set(path, many_lines(map(toml_string, wanted)))
            return
        left = {name_of(text): text for text in wanted}
        changes: dict[int, str | None] = {}
        for number, item in enumerate(now or ()):
            name = name_of(item)
            if name in left:
                written = self.aged and _BOUNDS.fullmatch(item)
                if written or not within(item, left[name]):
                    changes[number] = merged(item, left[name])
            elif name in ours:
                changes[number] = None
        present = set(map(name_of, now or ()))
        missing = [text for name, text in left.items() if name not in present]
        if not changes and not missing:
            return

        def change(items: Any) -> None:
            for number, text in sorted(changes.items(), reverse=True):
                if text is None:
                    del items[number]
                else:
                    assign(items, number, text)
            for text in missing:
                insert(items, text)
            if not self.adopts:
                reorder(items, [name for name in left if name in map(name_of, items)])

        self.toml.edit(path, change)

    def _put_list(self, path: Path, wanted: Sequence[str], new: str = "") -> None:
        """Set a list to values, given as TOML; one that is there keeps its layout."""
        if isinstance(self.toml.get(path), list) and self.toml.is_value(path):
            self.toml.edit(path, lambda items: synchronize(items, wanted))
        else:
            self.toml.set(path, new or many_lines(wanted))

    def _found(self, path: Path) -> Path:
        """The same with the name as the file spells it."""
        table = self.toml.get(path[:-1]) or {}
        same = (name for name in table if slug_of(name) == path[-1])
        return (*path[:-1], next(same, path[-1]))

    # What uv is told of the choices

    def _default_groups(self) -> None:
        path = (*UV, "default-groups")
        now, default = self.toml.get(path), self.parts.default
        groups = self.toml.get(GROUPS) or {}
        if isinstance(now, str):
            if default:
                # uv's word for every group, which now exclude each other.
                others = [name for name in groups if slug_of(name) not in self.parts.choices]
                self.toml.set(path, one_line(map(toml_string, [*others, default])))
            return
        chosen = {*self.before.choices} if self.before.kind == "group" else set()
        if default:
            chosen |= set(self.parts.choices)
        kept = [name for name in now or () if slug_of(name) not in chosen and name in groups]
        if now is None and default and "dev" in groups:
            kept = ["dev"]
        wanted = [*kept, *([default] if default else [])]
        same = _same(now or (), wanted) if self.adopts else now == wanted
        if same or (now is None and not default):
            return
        if not default and wanted in ([], ["dev"]) and chosen:
            self.toml.remove(path, prune=False)
        elif default or chosen:
            names = list(map(toml_string, wanted))
            self._put_list(path, names, one_line(names))

    def _conflicts(self) -> None:
        path = (*UV, "conflicts")
        wanted = self.parts.conflicts
        written = [{self.before.kind: name} for name in self.before.choices]
        gone = [entry for entry in written if entry not in wanted]
        sets = self.toml.get(path) or []
        if self.adopts and any(all(entry in entries for entry in wanted) for entries in sets):
            return
        if not sets and wanted:
            self.toml.set(path, many_lines([conflict_set(wanted)]))
            return
        placed = not wanted
        changes: dict[int, Any] = {}
        for number, entries in enumerate(sets):
            if all(entry in written or entry in wanted for entry in entries):
                changes[number] = None if placed else wanted
                placed = True
            elif any(entry in gone for entry in entries):
                kept = [entry for entry in entries if entry not in gone]
                changes[number] = kept if len(kept) > 1 else None
        changes = {n: entries for n, entries in changes.items() if entries != sets[n]}

        def change(found: Any) -> None:
            for number, entries in sorted(changes.items(), reverse=True):
                if entries is None:
                    del found[number]
                else:
                    synchronize(found[number], list(map(inline, entries)))
            if not placed:
                append_set(found, wanted)

        if changes or not placed:
            self.toml.edit(path, change)
        if sets and not self.toml.get(path):
            self.toml.remove(path, prune=False)

    def _managed(self) -> None:
        path = (*UV, "managed")
        if not self.parts.managed and self.toml.get(path) is not False:
            self.toml.set(path, "false")
        elif self.parts.managed and self.before.unmanaged and self.toml.get(path) is False:
            self.toml.remove(path, prune=False)

    def _excluded(self) -> None:
        path = (*UV, "exclude-dependencies")
        now, wanted = self.toml.get(path), self.parts.excluded
        if now is None:
            if wanted:
                self.toml.set(path, many_lines(map(toml_string, wanted)))
            return
        present = [name_of(item) for item in now]
        ours = self.before.excluded - {*wanted}
        gone = [number for number, name in enumerate(present) if name in ours]
        missing = [name for name in wanted if name not in present]

        def change(items: Any) -> None:
            for number in reversed(gone):
                del items[number]
            for name in missing:
                insert(items, name)

        if len(gone) == len(now) and not missing:
            self.toml.remove(path, prune=False)
        elif gone or missing:
            self.toml.edit(path, change)

    def _environments(self) -> None:
        path = (*UV, "environments")
        now, wanted = self.toml.get(path), self.parts.environments
        if now is None:
            # One that was adopted without, or whose owner removed it, goes on without.
            # Not so where torch stands beside its choices: uv would lock for macOS what they have
            # on Linux.
            new = self.adopts or self.before.kind != self.parts.kind
            beside = bool(self.parts.kind) and new and self._requires_torch()
            if wanted and (self.before.unmanaged or beside):
                self.toml.set(path, many_lines(map(toml_string, wanted)))
            return
        if self.adopts:
            return
        items = [now] if isinstance(now, str) else list(now)
        written = set(map(_marker, self.before.environments))
        own = [item for item in items if _marker(item) not in written]
        after = [*wanted, *(item for item in own if _marker(item) not in map(_marker, wanted))]
        if list(map(_marker, items)) == list(map(_marker, after)):
            return
        if not after:
            self.toml.remove(path, prune=False)
        else:
            self._put_list(path, list(map(toml_string, after)))

    def _required_environments(self) -> None:
        """Versions below 0.3 wrote it; it refuses packages that are for Linux alone."""
        path = (*UV, "required-environments")
        now = self.toml.get(path)
        if not self.aged or not isinstance(now, list):
            return
        written = set(map(_marker, self.before.environments))
        own = [item for item in now if _marker(item) not in written]
        if not own:
            self.toml.remove(path, prune=False)
        elif own != now:
            self._put_list(path, list(map(toml_string, own)))

    def _constraints(self) -> None:
        """The bounds stood here before they stood in the requirements."""
        path = (*UV, "constraint-dependencies")
        items = self.toml.get(path)
        if self.adopts or not isinstance(items, list):
            return
        gone = [
            number
            for number, item in enumerate(items)
            if name_of(item) in self.ours and _BOUNDS.fullmatch(item)
        ]
        if len(gone) == len(items):
            self.toml.remove(path, prune=False)
        elif gone:
            self.toml.edit(path, lambda found: [found.pop(i) for i in reversed(gone)])

    # Sources and indexes

    def _sources(self) -> None:
        now = self.toml.get(SOURCES) or {}
        spelled = {canonicalize_name(name): name for name in now}
        for package, entries in self.parts.sources.items():
            found = now.get(spelled.get(package, package))
            same = _same if self.adopts else operator.eq
            if found is not None and same(_entries(found), _entries(entries)):
                continue
            self._put_list((*SOURCES, spelled.get(package, package)), list(map(inline, entries)))
        ours = set(self.before.packages) | TRITONS
        if self.adopts:
            ours = set(self.plan.packages) & {name_of(r) for r in self.parts.dependencies}
        for package in ours - set(self.parts.sources):
            if package in spelled:
                self.toml.remove((*SOURCES, spelled[package]))

    def _indexes(self) -> None:
        last, more = -1, self._said_of_all()
        for wanted in self.parts.indexes:
            number = self._place_of(wanted)
            if number is None:
                whole = wanted if wanted.get("default") else {**wanted, **more}
                lines = "".join(f"{key} = {to_toml(value)}\n" for key, value in whole.items())
                last = last + 1 if last >= 0 else self._first_index()
                self.toml.insert_table(INDEXES, last, lines, UV)
                continue
            last = number
            entry = self.toml.get((*INDEXES, number))
            # There is one default index: under the name by which other packages know it.
            named = wanted.get("default") and entry.get("name") in self._referred()
            for key, value in wanted.items():
                if not _equal(entry.get(key), value) and not (named and key == "name"):
                    self.toml.set((*INDEXES, number, key), to_toml(value))
                    if key == "name" and self.adopts and "name" in entry:
                        self._say_renamed(entry["name"], value)
            for key in self._written_keys(entry) - set(wanted):
                self.toml.remove((*INDEXES, number, key), prune=False)
        names = {index["name"] for index in self.parts.indexes}
        referred = self._referred()
        for number in reversed(range(len(self.toml.get(INDEXES) or ()))):
            entry = self.toml.get((*INDEXES, number))
            if entry.get("name") in names or not self._is_ours(entry):
                continue
            if entry.get("name") not in referred:
                self.toml.remove((*INDEXES, number))
        if self.toml.get(INDEXES) == []:
            self.toml.remove(INDEXES)

    def _said_of_all(self) -> dict[str, Any]:
        """What an owner says of each of PyTorch's indexes, and so wants of a new one as well."""
        entries = self.toml.get(INDEXES) or []
        ours = [e for e in entries if self._is_ours(e) and not e.get("default")]
        said = {e["exclude-newer"] for e in ours if isinstance(e.get("exclude-newer"), str | bool)}
        everywhere = all("exclude-newer" in e for e in ours)
        return {"exclude-newer": said.pop()} if everywhere and len(said) == 1 else {}

    def _say_renamed(self, old: str, new: str) -> None:
        """uv reads the login of an index from variables that have its name."""
        of_old, of_new = (re.sub(r"[^A-Z0-9]", "_", name.upper()) for name in (old, new))
        self.said.append(
            f"the index {old} is called {new} now; with a login, UV_INDEX_{of_old}_USERNAME and "
            f"_PASSWORD are UV_INDEX_{of_new}_USERNAME and _PASSWORD"
        )

    def _referred(self) -> set[Any]:
        """The names of the indexes from which packages outside the family come."""
        sources = (self.toml.get(SOURCES) or {}).items()
        others = (s for name, s in sources if canonicalize_name(name) not in self.parts.sources)
        return {entry.get("index") for source in others for entry in _all(source)}

    def _first_index(self) -> int:
        """The number of the first entry that is PyTorch's, else that of a new one."""
        entries = self.toml.get(INDEXES) or []
        ours = (n for n, entry in enumerate(entries) if self._is_ours(entry))
        return next(ours, len(entries))

    def _place_of(self, wanted: Mapping[str, Any]) -> int | None:
        """The number of the entry that is an index already: by its name, else by its URL."""
        entries = list(enumerate(self.toml.get(INDEXES) or ()))
        for number, entry in entries:
            if entry.get("name") == wanted["name"]:
                return number
        referred = self._referred()
        for number, entry in entries:
            # Another package's source names it: then there are two of that URL.
            if _equal(entry.get("url"), wanted["url"]) and entry.get("name") not in referred:
                return number
        if wanted.get("default"):
            return next((n for n, entry in entries if entry.get("default")), None)
        return None

    def _written_keys(self, entry: Mapping[str, Any]) -> set[str]:
        """The keys of an entry that only the template's answers before account for."""
        if self.adopts:
            return set()
        keys = {"authenticate", "explicit", "default", "ignore-error-codes", "cache-control"}
        own = {"ignore-error-codes": [403]}
        return {key for key in keys & set(entry) if own.get(key, entry[key]) == entry[key]}

    def _is_ours(self, entry: Mapping[str, Any]) -> bool:
        """Whether an index is one of PyTorch's builds, or the mirror of PyPI that was answered."""
        url = str(entry.get("url", "")).rstrip("/")
        if entry.get("default") and self.before.pypi_url != PYPI_URL:
            return url == self.before.pypi_url
        bases = {PYTORCH_URL, self.before.index_url, self.plan.index_url}
        return any(_of_base(url, base) for base in bases)


def slug_of(name: str) -> str:
    """The name of an extra or group as PEP 685 compares it."""
    return str(canonicalize_name(name))


def _of_base(url: str, base: str) -> bool:
    if PLACEHOLDER not in base:
        base = f"{base}/{PLACEHOLDER}"
    head, _, tail = base.partition(PLACEHOLDER)
    fits = url.startswith(head) and url.endswith(tail) and len(url) > len(head) + len(tail)
    return fits and bool(_BUILD.fullmatch(url[len(head) : len(url) - len(tail)]))


def _marker(text: Any) -> str:
    try:
        return str(Marker(text))
    except (InvalidMarker, TypeError):
        return str(text)


def _same(one: Iterable[Any], other: Iterable[Any]) -> bool:
    return sorted(map(str, one)) == sorted(map(str, other))


def _all(source: Any) -> list[Any]:
    return source if isinstance(source, list) else [source]


def _entries(source: Any) -> list[Any]:
    """The entries of a source, with each marker in one spelling."""
    return [{**e, "marker": _marker(e["marker"])} if "marker" in e else e for e in _all(source)]


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one.rstrip("/") == other.rstrip("/")
    return bool(one == other)
