"""What an adoption tells: each build before and after, and each line that is not as it was."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from ..plan.plan import Plan
from ..tables.platforms import MACOS, PLATFORMS
from .builds import chosen
from .locked import Lock
from .setup import Choice, Origin, Setup, parse, read

Selection = frozenset[Choice]


def report(before_text: str, lock_text: str | None, after_text: str, plan: Plan) -> str:
    """The builds of every platform and choice, the lines that changed, and what is not kept.

    The build before is that of the lock, where there is one, else what sources and bounds say.
    Both texts are `pyproject.toml`. Raises CannotAdopt for one that cannot be read.
    """
    return "\n\n".join(filter(None, _Report(before_text, lock_text, after_text, plan).parts()))


class _Report:
    def __init__(self, before: str, lock: str | None, after: str, plan: Plan) -> None:
        self.texts = before, after
        self.plan = plan
        self.before, self.after = read(parse(before)), read(parse(after))
        self.lock = _lock(lock, self.before, plan.python_version)

    def parts(self) -> Iterator[str]:
        yield self._table()
        yield self._lines()
        yield "\n".join(f"- {sentence}." for sentence in self._sentences())

    # Builds

    def _ways(self) -> dict[str, tuple[Selection | None, Selection | None]]:
        """The commands that install, each with what it selects before and after."""
        ways: dict[str, tuple[Selection | None, Selection | None]] = {}
        for choice in (None, *dict.fromkeys((*self.before.choices, *self.after.choices))):
            sides = [_selection(setup, choice) for setup in (self.before, self.after)]
            if any(side is not None for side in sides):
                ways[self._command(choice)] = (sides[0], sides[1])
        return ways

    def _command(self, choice: Choice | None) -> str:
        if choice is None:
            return self.plan.install if self.plan.strategy == "pip" else "uv sync"
        return self.after.command(choice)

    def _table(self) -> str:
        rows: list[tuple[str, str, str]] = []
        for command, (old, new) in self._ways().items():
            cells = {p: (self._old(p, old), self._new(p, new)) for p in self.plan.platforms}
            if any(cell != "-" for pair in cells.values() for cell in pair):
                rows.append((command, "before", "after"))
                rows += [(f"  {PLATFORMS[p].label}", *pair) for p, pair in cells.items()]
        if not rows:
            return "PyTorch's builds: nothing installs any, neither before nor after."
        widths = [max(len(row[column]) for row in rows) for column in range(2)]
        lines = [f"{row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}".rstrip() for row in rows]
        return "\n".join(["PyTorch's builds:", *lines])

    def _old(self, platform: str, selection: Selection | None) -> str:
        if selection is None:
            return "-"
        leader = self.before.leader or "torch"
        if self.lock is not None:
            found = self.lock.find(leader, platform, selection)
            if found is None:
                return "-"
            if found.origin.kind == "none":
                return f"{found.version}, no wheel"
            return _shown(found.version, found.origin)
        origin = self.before.origin(platform, selection)
        if origin.kind == "none":
            return "-"
        stated = [s for s in self.before.stated(selection, platform) if s.name == leader]
        bounds = ",".join(sorted({str(s.specifier) for s in stated} - {""}))
        if origin.kind == "index" and platform == MACOS and origin.backend != "cpu":
            return f"{leader}{bounds}, no wheel on the {origin.backend} index"
        return _shown(f"{leader}{bounds}", origin)

    def _new(self, platform: str, selection: Selection | None) -> str:
        if selection is None:
            return "-"
        choice = chosen(self.plan, selection)
        if choice is None:
            origin = self.after.origin(platform, selection)
            return "-" if origin.kind == "none" else _shown(self.plan.torch, origin)
        builds = [build for build in choice.builds if build.platform == platform]
        if not builds:
            return "-"
        if len(builds) > 1:
            return "what uv finds on the machine"
        where = "" if builds[0].index and platform != MACOS else " (PyPI)"
        return f"{builds[0].shown}{where}"

    # Lines

    def _lines(self) -> str:
        before, after = (text.splitlines() for text in self.texts)
        found = [
            line.rstrip()
            for line in difflib.unified_diff(before, after, lineterm="", n=0)
            if not line.startswith(("---", "+++", "@@"))
        ]
        if not found:
            return "pyproject.toml is as it was."
        return "\n".join(["pyproject.toml, line by line:", *(f"  {line}" for line in found)])

    # What is not kept

    def _sentences(self) -> Iterator[str]:
        seen: set[str] = set()
        for selection in self.before.selections.values():
            for platform in PLATFORMS:
                for sentence in self._of(self.before.origin(platform, selection)):
                    if sentence not in seen:
                        seen.add(sentence)
                        yield sentence
        yield from self._of_bounds()
        yield from self._of_plain()
        yield from self._of_python()

    def _of(self, origin: Origin) -> Iterator[str]:
        if origin.kind == "elsewhere" and origin.url:
            yield f"torch does not come from {origin.url} any more, which is no index of releases"
        if origin.kind == "index" and origin.base != self.plan.index_url and self.plan.sources:
            yield f"torch came from {origin.url}, and comes from {self.plan.index_url} now"

    def _of_bounds(self) -> Iterator[str]:
        """Bounds that exclude the line, which the project's file no longer has."""
        versions = self.plan.packages if self.plan.strategy != "provided" else {}
        for one in self.before.everything():
            here = versions.get(one.name)
            if here is None or one.requirement.url:
                continue
            series = here.rsplit(".", 1)[0]
            releases = [f"{series}.{patch}" for patch in range(20)]
            if not any(one.specifier.contains(release) for release in releases):
                yield f"the bound {str(one.requirement)!r} is not kept: {one.name} is {here} now"

    def _of_plain(self) -> Iterator[str]:
        """torch in a plain install that had none."""
        old, new = (
            any(setup.origin(p, setup.plain).kind != "none" for p in PLATFORMS)
            for setup in (self.before, self.after)
        )
        if new and not old:
            yield "a plain `uv sync` installs torch now, which it did not"
        elif old and not new:
            yield "a plain `uv sync` does not install torch any more: it wants an extra"

    def _of_python(self) -> Iterator[str]:
        old, new = self.before.requires_python, self.after.requires_python
        if old != new and old:
            yield f"requires-python was {old!r}, and torch {self.plan.line} needs {new!r}"


def _lock(text: str | None, setup: Setup, python: str) -> Lock | None:
    try:
        return Lock(text, setup.name, python) if text else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _selection(setup: Setup, choice: Choice | None) -> Selection | None:
    if choice is None:
        return setup.plain
    return setup.selecting(choice) if choice in setup.lists else None


def _shown(version: str, origin: Origin) -> str:
    if "+" in version:
        return version
    if origin.kind == "pypi":
        return f"{version} (PyPI)"
    return f"{version} ({origin.backend or origin.url or 'elsewhere'})"
