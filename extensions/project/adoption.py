"""A project that was there before the template: what it says to the questions.

Its set-up decides the answers: those that keep the builds which its platforms and choices had.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet

from ..plan.plan import Plan
from ..plan.planner import make_plan
from ..questions import names
from ..questions.contract import KEYS, PYPI_URL, PYTORCH_URL, Answers, Item, Known, asked, item
from ..questions.refusals import why_not_any
from ..tables.backends import AUTO, nearest_backend
from ..tables.platforms import AARCH64, LINUX, MACOS, PLATFORMS, WINDOWS
from ..tables.releases import Line, Tables, minor
from .builds import Cell, after, before, likeness
from .foreign import refusal
from .locked import Lock
from .setup import (
    DEPENDENCIES,
    LEADERS,
    CannotAdopt,
    Choice,
    Setup,
    Stated,
    at,
    bounds,
    parse,
    read,
)
from .there import Adopted

# What `uv init` writes for whoever gives none.
NO_DESCRIPTION = "Add your description here"
# What is asked of a project if its set-up does not tell.
_OF_TORCH = (
    *("torch_version", "strategy", "backend", "linux_backend", "aarch64_backend"),
    *("windows_backend", "backends", "default_backend", "packages"),
)
# The strategy that an answer speaks of.
_SPEAKS_OF = {
    "backend": "index",
    "linux_backend": "markers",
    "aarch64_backend": "markers",
    "windows_backend": "markers",
    "backends": "groups",
    "default_backend": "groups",
}
# Nothing is added that nobody asked for.
NOTHING: Mapping[str, Any] = {
    "example": "none",
    "ci": "none",
    "containers": [],
    "template_updates": "none",
}
_LICENSES = {
    "apache license 2.0": "Apache-2.0",
    "mit license": "MIT",
    "licenseref-proprietary": "proprietary",
}


def adopt(folder: Path, tables: Tables, given: Known) -> Adopted:
    """Read the project in a folder; nothing is adopted where there is none.

    `given` are the answers that were given in advance: all others fit them. Raises CannotAdopt,
    with a reason for people, for a project that cannot be read.
    """
    file = folder / "pyproject.toml"
    if reason := refusal(folder):
        raise CannotAdopt(reason)
    if not file.exists():
        return Adopted()
    text, settings, lock = (_text(folder / n) for n in ("pyproject.toml", "uv.toml", "uv.lock"))
    content = parse(text)
    setup = read(content, parse(settings), _of_members(folder, content))
    of_project = _of_project(folder, content, setup)
    hint = _text(folder / ".python-version").strip()
    of_torch, unread = _Reader(tables, {**of_project, **given}, setup, lock, hint).answers()
    return Adopted({**NOTHING, **of_torch, **of_project}, frozenset(unread))


def _of_members(folder: Path, content: Mapping[str, Any]) -> list[str]:
    """What the members of a workspace require: they share its lock, and so its torch.

    A member that cannot be read is for `uv lock` to tell of.
    """
    found: list[str] = []
    with suppress(AttributeError, KeyError, NotImplementedError, TypeError, ValueError):
        for pattern in content["tool"]["uv"]["workspace"]["members"]:
            for file in sorted(folder.glob(f"{pattern.rstrip('/')}/pyproject.toml")):
                project = parse(_text(file)).get("project", {})
                found += [item for item in project.get("dependencies", ()) if isinstance(item, str)]
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig") if file.is_file() else ""
    except (OSError, ValueError) as error:
        raise CannotAdopt(
            f"{file.name} cannot be read: {error}. Nearest: save it as UTF-8"
        ) from None


# What the project says of itself


def _of_project(folder: Path, content: Mapping[str, Any], setup: Setup) -> dict[str, Any]:
    """Texts that no question would accept give way: the project's own file keeps them."""
    project = content["project"]
    authors = project.get("authors") or [{}]
    author = authors[0] if isinstance(authors, list) and isinstance(authors[0], dict) else {}
    name = str(project.get("name") or folder.name)
    found = {
        "project_name": _fit(names.project_name_refusal, name, names.human_name(name)),
        "package_name": _fit(
            names.package_name_refusal, _module(folder, content), names.import_name(name)
        ),
        "project_description": _line(project.get("description"), names.text_refusal),
        "user_name": _line(author.get("name"), names.text_refusal),
        "user_email": _line(author.get("email"), names.email_refusal),
        "license": _license(project),
        "type_checker": _type_checker(content, setup),
        "pypi_url": PYPI_URL,
    }
    for index in setup.indexes:
        named = index.default and index.url.rstrip("/")
        if named and at(named) is None and names.pypi_url_refusal(named) is None:
            found["pypi_url"] = named
    return found


def _fit(refusal: Any, text: str, otherwise: str) -> str:
    return text if refusal(text) is None else otherwise


def _line(text: Any, refusal: Any) -> str:
    line = " ".join(str(text or "").replace(NO_DESCRIPTION, "").split())
    return line if refusal(line) is None else ""


def _module(folder: Path, content: Mapping[str, Any]) -> str:
    """The package that the build backend is told of, else the one that is there."""
    tool = content.get("tool", {})
    targets = tool.get("hatch", {}).get("build", {}).get("targets", {}).get("wheel", {})
    setuptools = tool.get("setuptools", {})
    said = [
        *_all(tool.get("uv", {}).get("build-backend", {}).get("module-name")),
        *_all(targets.get("packages")),
        *(_all(setuptools.get("packages")) if "packages" in setuptools else ()),
        *_all(setuptools.get("py-modules")),
    ]
    if said:
        return re.split(r"[/.]", str(said[0]).strip("/"))[-1 if "/" in str(said[0]) else 0]
    name = names.import_name(str(content["project"].get("name") or folder.name))
    for pattern in ("src/*/__init__.py", "*/__init__.py"):
        found = sorted(path.parent.name for path in folder.glob(pattern))
        if name in found or len(found) == 1:
            return name if name in found else found[0]
    return name


def _all(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str) and text]


def _license(project: Mapping[str, Any]) -> str:
    """The license that the project states, as far as the question knows it; else `other`."""
    said = project.get("license", "")
    text = said if isinstance(said, str) else str(said.get("text", ""))
    known = _LICENSES.get(text.strip().lower(), text.strip())
    return known if known in ("MIT", "Apache-2.0", "BSD-3-Clause", "proprietary") else "other"


def _type_checker(content: Mapping[str, Any], setup: Setup) -> str:
    required = {stated.name for stated in setup.everything()}
    for checker in ("mypy", "ty"):
        if checker in content.get("tool", {}):
            return checker
    return next((checker for checker in ("mypy", "ty") if checker in required), "none")


# What its set-up says of PyTorch


@dataclass(frozen=True)
class _Candidate:
    """Answers about builds, with the backends still as they were read."""

    answers: Mapping[str, Any]
    line: Line
    plan: Plan
    score: float


class _Reader:
    """`hint` is the Python that a checkout uses where the project states no bound."""

    def __init__(self, tables: Tables, given: Known, setup: Setup, lock: str, hint: str) -> None:
        self.hint = ".".join(hint.split(".")[:2])
        self.tables, self.given, self.setup = tables, given, setup
        self.has_lock = bool(lock)
        self.pythons = self._allowed_pythons()
        self.lock = self._lock(lock)
        self.selections = list(setup.selections.values())

    def _lock(self, text: str) -> Lock | None:
        python = self.pythons[0] if self.pythons else self.setup.python
        try:
            return Lock(text, self.setup.name, python) if text else None
        except (ValueError, KeyError, TypeError, AttributeError):
            # A lock that cannot be read says nothing; uv tells its owner.
            return None

    def answers(self) -> tuple[dict[str, Any], list[str]]:
        """The answers, and the questions to which the set-up says nothing."""
        home = self._lines()[0]
        # Another line is worth it only where nothing fits this one.
        found = max(self._candidates(), key=lambda one: (one.line is home, one.score), default=None)
        if found is None:
            raise CannotAdopt(self._no_python())
        cells = [self._before(p, s, found.line) for s in self.selections for p in PLATFORMS]
        read = any(c.kind in ("pypi", "index") or c.backend for c in cells)
        unread = [] if read else [*_OF_TORCH]
        if found.answers["strategy"] == "provided":
            # What is there is not in its files, but for bounds.
            unread = [] if any(self._bounding()) else ["torch_version"]
        if not self.setup.requires_python:
            unread.append("python_version")
        if "default_backend" in found.answers and not (self.setup.plain & {*self.setup.choices}):
            unread.append("default_backend")
        return dict(found.answers), unread

    def _no_python(self) -> str:
        oldest = min((line.first_python for line in self.tables.lines.values()), key=minor)
        return (
            f"requires-python = {self.setup.requires_python!r} allows no Python for which PyTorch "
            f"is offered here. Nearest: '>={oldest}'"
        )

    # Lines

    def _allowed_pythons(self) -> list[str]:
        """The minor versions within the project's bounds, oldest first."""
        allowed = bounds(self.setup.requires_python)
        return [
            f"3.{number}"
            for number in range(6, 30)
            if any(allowed.contains(f"3.{number}.{patch}") for patch in range(30))
        ]

    def _lines(self) -> list[Line]:
        """Every line, the one that fits the set-up best first."""
        usual = minor(self.tables.default_line())
        locked = self.lock.torch if self.lock else ""
        line_of_lock = ".".join(locked.split(".")[:2])
        stated = list(self._bounding())
        backends = self._backends()
        last = self.setup.exclude_newer

        def rank(line: Line) -> tuple[Any, ...]:
            missed = [(s, weight) for s, weight in stated if not _allows(s, line)]
            far = sum(weight * _distance(s.specifier, line) for s, weight in missed)
            newer = minor(line.name) > usual
            order = (newer, *(-x if not newer else x for x in minor(line.name)))
            lacking = len(backends - set(line.indexes))
            weight = sum(w for _, w in missed)
            too_new = bool(last) and line.released > last
            return (too_new, weight, line.name != line_of_lock, lacking, far, order)

        return sorted(self.tables.lines.values(), key=rank)

    def _backends(self) -> set[str]:
        """The backends of the indexes from which torch comes."""
        origins = [self.setup.origin(p, s) for s in self.selections for p in PLATFORMS]
        return {o.backend for o in origins if o.backend in self.tables.backends()}

    def _bounding(self) -> Iterator[tuple[Stated, int]]:
        """What bounds the line, with the number of platforms on which it does."""
        for one in self.setup.everything():
            marker = one.requirement.marker
            on = [p for p in PLATFORMS if marker is None or self.setup.holds(marker, p)]
            if one.name in LEADERS and on:
                yield one, len(on)

    # Candidates

    def _candidates(self) -> Iterator[_Candidate]:
        """The best answers of every kind, the simplest kind first."""
        lines = self._lines()
        rows = {s: self._row(s, lines[0]) for s in self.selections}
        for shape in self._shapes(rows, lines):
            if found := self._fitting(shape, lines):
                yield found

    def _row(self, selection: frozenset[Choice], line: Line) -> dict[str, Cell]:
        return {p: self._before(p, selection, line) for p in PLATFORMS}

    def _before(self, platform: str, selection: frozenset[Choice], line: Line) -> Cell:
        return before(self.setup, self.lock, platform, selection, line)

    def _shapes(
        self, rows: Mapping[frozenset[Choice], Mapping[str, Cell]], lines: list[Line]
    ) -> Iterator[Known]:
        """Answers for strategy and backends that the builds of the set-up speak for."""
        if self.setup.provided and self._given_strategy() in ("", "provided"):
            yield {"strategy": "provided"}
            return
        cells = [cell for row in rows.values() for cell in row.values()]
        backends = list(dict.fromkeys(c.backend for c in cells if c.kind != "pypi" and c.backend))
        # `[tool.uv.pip]` is for `uv pip` alone: whoever has other sources goes on to sync.
        by_pip = self._told_to_pip() and not self.has_lock and not backends
        if not self.setup.managed or by_pip:
            told = self._told_to_pip() or next(iter(backends), AUTO)
            yield {"strategy": "pip", "backend": told}
            return
        yield {"strategy": "pypi"}
        for backend in backends:
            yield {"strategy": "index", "backend": backend}
        for row in rows.values():
            linux = next((row[p].backend for p in LINUX if row[p].backend), "cpu")
            on_arm, windows = row[AARCH64].backend or linux, row[WINDOWS].backend or "cpu"
            shape = {"strategy": "markers", "linux_backend": linux, "windows_backend": windows}
            yield {**shape, "aarch64_backend": on_arm}
        for kind_of_list in ("extra", "group"):
            yield from self._switches(kind_of_list)
        if strategy := self._given_strategy():
            yield from self._anew(strategy, backends or [lines[0].pypi[LINUX[0]]])

    def _given_strategy(self) -> str:
        """The strategy that the answers given in advance name or speak of; empty for none."""
        spoken = (s for key, s in _SPEAKS_OF.items() if key in self.given)
        return str(self.given.get("strategy") or next(spoken, ""))

    def _anew(self, strategy: str, backends: list[str]) -> Iterator[Known]:
        """A strategy that the set-up does not have, with the backends that it has."""
        for backend in backends:
            both = ["cpu", backend] if backend != "cpu" else None
            shape: dict[str, Any] = {"strategy": strategy}
            match strategy:
                case "index" | "pip":
                    shape["backend"] = backend
                case "markers":
                    shape |= dict.fromkeys(("linux_backend", "aarch64_backend"), backend)
                    shape["windows_backend"] = "cpu"
                case "extras" | "groups" if both:
                    shape["backends"] = both
            if strategy == "groups" and both:
                shape["default_backend"] = backend
            yield shape

    def _told_to_pip(self) -> str:
        """The backend of which `[tool.uv.pip]` tells `uv pip` alone; empty for none."""
        pip = self.setup.pip
        urls = [*_all(pip.get("index-url")), *_all(pip.get("extra-index-url"))]
        found = (at(url) for url in [*urls, *_all(pip.get("find-links"))])
        of_urls = next((o.backend for o in found if o and o.backend), "")
        return "" if self.setup.sources else str(pip.get("torch-backend") or of_urls)

    def _switches(self, of: str) -> Iterator[Known]:
        """The extras or groups that hold torch, each with the backend that it brings."""
        found: dict[str, Item] = {}
        line = self._lines()[0]
        chosen = [c for c in self.setup.choices if c[0] == of]
        for choice in sorted(chosen, key=lambda c: c not in self.setup.plain):
            row = self._row(self.setup.selecting(choice), line)
            cells = [row[p] for p in PLATFORMS if p != MACOS and row[p].backend]
            backend = next((c.backend for c in cells if c.backend != "cpu"), "")
            backend = backend or next((c.backend for c in cells), "")
            if not backend:
                continue
            mine = Item(choice[1], backend)
            if backend not in found or mine.text == backend:
                found[backend] = mine
        if not found:
            return
        items = list(found.values())
        if len(items) == 1:
            other = "cpu" if "cpu" not in found else (line.backends("cuda") or ["xpu"])[-1]
            taken = {name for kind_of_list, name in self.setup.lists if kind_of_list == of}
            name = other if other not in taken else f"torch-{other}"
            items.insert(0, Item(name, other))
        shape: dict[str, Any] = {"strategy": f"{of}s", "backends": [one.text for one in items]}
        if of == "group":
            plain = [one.backend for one in items if ("group", one.name) in self.setup.plain]
            cpu = "cpu" if any(one.backend == "cpu" for one in items) else items[0].backend
            shape["default_backend"] = next(iter(plain), cpu)
        yield shape

    def _fitting(self, shape: Known, lines: list[Line]) -> _Candidate | None:
        """The first line that a shape fits: with its own backends, else with the nearest."""
        if self._given_strategy() not in ("", shape["strategy"]):
            return None
        for exact in (True, False):
            for line in lines:
                answers = self._complete(shape, line, exact)
                if answers is None:
                    continue
                if why_not_any(KEYS, self.tables, answers) is None:
                    plan = make_plan(self.tables, Answers.complete(answers))
                    return _Candidate(answers, line, plan, self._score(plan, line))
        return None

    def _bounds_name(self, line: Line) -> bool:
        return all(_allows(s, line) for s, _ in self._bounding())

    def _complete(self, shape: Known, line: Line, exact: bool) -> dict[str, Any] | None:
        """All answers about PyTorch on a line; None where it has not the backends or the Python."""
        if exact and not self._bounds_name(line):
            return None
        pythons = [p for p in self.pythons if p in line.pythons]
        if not pythons:
            return None
        if not self.setup.requires_python:
            pythons = [self.hint if self.hint in pythons else line.default_python]
        moved: dict[str, Any] = {}
        for key, value in shape.items():
            if key in ("backend", "linux_backend", "windows_backend", "default_backend"):
                moved[key] = _on(line, value, exact)
            elif key == "aarch64_backend":
                on_arm = _on(line, value, exact)
                # Of a backend without wheels there it is the CPU build.
                moved[key] = on_arm and (on_arm if AARCH64 in line.indexes[on_arm] else "cpu")
            elif key == "backends":
                pairs = [(item(text), _on(line, item(text).backend, exact)) for text in value]
                moved[key] = [b and _item(one, b) for one, b in pairs]
            else:
                moved[key] = value
        if any(v is None or (isinstance(v, list) and None in v) for v in moved.values()):
            return None
        if "backends" in moved:
            moved["backends"] = list({item(t).backend: t for t in moved["backends"]}.values())
        answers = {
            "torch_version": line.name,
            "python_version": pythons[0],
            "packages": self._packages(shape),
            "platforms": self.setup.claimed(),
            "index_url": self._index_url(),
            "authenticate": "always" if self._logs_in() else "auto",
            **NOTHING,
            **moved,
            **self.given,
        }
        return {key: value for key, value in answers.items() if asked(key, answers)}

    def _packages(self, shape: Known) -> list[str]:
        """The companions that stand beside torch; those in other lists stay there."""
        of = {"extras": "extra", "groups": "group"}.get(shape.get("strategy", ""))
        chosen = {(of, item(text).name) for text in shape.get("backends", ()) if of}
        places = {DEPENDENCIES, *self.setup.plain, *chosen}
        there = {s.name for s in self.setup.everything() if s.place in places}
        return [name for name in LEADERS[1:] if name in there]

    def _used(self) -> list[Any]:
        origins = [self.setup.origin(p, s) for s in self.selections for p in PLATFORMS]
        return [o for o in origins if o.base]

    def _index_url(self) -> str:
        """The base of the indexes from which most builds come."""
        if "index_url" in self.given:
            return str(self.given["index_url"])
        bases = [o.base for o in self._used()]
        url = max(dict.fromkeys(bases), key=bases.count, default=PYTORCH_URL)
        every, pattern = self.tables.backends(), names.pattern_of(url)
        if names.index_url_refusal(url, every) and not names.index_url_refusal(pattern, every):
            # The same in other words: a base may not speak of one build.
            url = pattern
        if reason := names.index_url_refusal(url, every):
            raise CannotAdopt(f"its index of PyTorch is {url}, and {reason}")
        return url

    def _logs_in(self) -> bool:
        used = {o.url for o in self._used()}
        return any(i.authenticate and (i.url in used or i.default) for i in self.setup.indexes)

    def _score(self, plan: Plan, line: Line) -> float:
        """How much of the builds a plan keeps."""
        return sum(
            likeness(self._before(p, s, line), after(plan, self.setup, p, s, line))
            for s in self.selections
            for p in plan.platforms
        )


def _on(line: Line, backend: str, exact: bool) -> str | None:
    """A backend as a line has it: itself, or the nearest where it need not be exact."""
    if backend in line.indexes or backend == AUTO:
        return backend
    return None if exact else nearest_backend(line.backends(), backend)


def _item(one: Item, backend: str) -> str:
    """An item on a line: one that is named as its backend is, goes on to be."""
    return backend if one.text == one.backend else Item(one.name, backend).text


def _allows(one: Stated, line: Line) -> bool:
    """Whether the bounds of a requirement allow a release of the line."""
    if one.requirement.url:
        named = re.search(rf"/{one.name}-(\d+\.\d+)\.\d", one.requirement.url)
        return named is None or one.name != "torch" or named[1] == line.name
    first = own = line.torch
    if one.name != "torch":
        companion = line.companions.get(one.name)
        if companion is None:
            return False
        first, own = companion.first, companion.version
    (major, oldest, *_), (_, newest, last) = minor(first), (*minor(own), 0)[:3]
    return any(
        one.specifier.contains(f"{major}.{number}.{patch}{local}", prereleases=True)
        for number in range(oldest, newest + 1)
        for patch in range(last + 1 if number == newest else 10)
        for local in ("", *_locals(one.specifier))
    )


def _locals(specifier: SpecifierSet) -> Iterable[str]:
    """The local versions that bounds name: `==2.7.0+cu128` allows no 2.7.0."""
    return {f"+{local}" for s in specifier if (local := s.version.partition("+")[2])}


def _distance(specifier: SpecifierSet, line: Line) -> int:
    """How many lines lie between a line and the releases that bounds name."""
    named = [re.match(r"(\d+)\.(\d+)", s.version) for s in specifier]
    own = minor(line.name)
    found = [abs((int(m[1]) - own[0]) * 20 + int(m[2]) - own[1]) for m in named if m]
    return min(found, default=0)
