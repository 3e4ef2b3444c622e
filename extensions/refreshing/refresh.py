"""One run: look, propose, compare, and write what differs."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

from ..questions import policy as policies
from ..questions.names import PYPI_URL, PYTORCH_URL, base_url
from ..tables.backends import kind
from ..tables.releases import Tables, load, minor, series
from . import mirror, write
from .compare import Change, cell, changes
from .fetch import PAUSES, CannotLook, Web, shown
from .observe import Observed, Scope, observe
from .propose import Proposal, propose
from .report import Report

# With nothing to change the tables get a new date only now and then.
STILL_TRUE = timedelta(days=30)
SOURCE = "S21"


@dataclass(frozen=True)
class Options:
    """What a run is asked for; `folder` holds the tables. Without `lines` all of them, and newer
    ones; without an address that of `policy.yml`, or else the public one."""

    folder: Path
    policy: Path
    today: date
    write: bool = False
    check: bool = False
    lines: frozenset[str] = frozenset()
    index_url: str | None = None
    pypi_only: bool = False
    pypi_url: str | None = None
    summary: Path | None = None
    cache: Path | None = None
    pauses: tuple[float, ...] = PAUSES


@dataclass
class Found:
    """What is proposed, and what is reported of it; `lines` are all blocks, with new ones."""

    lines: dict[str, dict[str, Any]]
    checked: date | None
    blocks: list[tuple[dict[str, Any], list[Any]]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    todo: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)


def refresh(options: Options) -> int:
    """Look, say what differs, and write it if asked to; the exit code."""
    try:
        tables = load(options.folder)
        policy = _policy(options.policy)
        scope = _scope(options, tables, policy)
        web = Web(options.cache, options.pauses)
        seen = observe(web, scope, _tell)
        found = _compare(options, scope, seen)
        texts = _texts(options, scope, found, seen)
    except (CannotLook, ValueError) as error:
        _tell(f"refresh.py: {error}. Nothing was written.")
        return 2
    builds = None
    if seen.listed is None and not options.pypi_only:
        builds = tuple(mirror.held(policy.restrict(tables), options.lines, seen))
    report = Report(
        tuple(found.changes), tuple(found.doubts), tuple(found.todo), builds, _read(web, found)
    )
    print(report.text())
    if options.summary:
        options.summary.write_text(report.markdown(), encoding="utf-8")
    if options.write and texts:
        try:
            write.replace(options.folder, texts)
        except ValueError as error:
            _tell(f"refresh.py: {error}. Nothing was written.")
            return 2
        print(f"Written: {', '.join(texts)}.")
    return int(options.check and report.contradicted)


def _policy(file: Path) -> policies.Policy:
    try:
        return policies.load(file)
    except ValueError as error:
        raise ValueError(f"policy.yml: {error}") from None


def _scope(options: Options, tables: Tables, policy: policies.Policy) -> Scope:
    """Raises ValueError, with a reason for people."""
    for line in options.lines:
        if not re.fullmatch(r"\d+\.\d+", line):
            nearest = next(iter(tables.lines))
            raise ValueError(f"--line {line} is no release line. Nearest: {nearest}")

    def address(given: str | None, key: str, public: str) -> str:
        rule = policy.rule(key)
        return base_url(given or (rule.allow[0] if rule else public))

    index = "" if options.pypi_only else address(options.index_url, "index_url", PYTORCH_URL)
    if re.search(r"/(test|nightly)$", index):
        raise ValueError(f"{shown(index)} has candidates, and no releases. Nearest: {PYTORCH_URL}")
    pypi = address(options.pypi_url, "pypi_url", PYPI_URL)
    return Scope(tables, options.lines or None, index, pypi)


def _compare(options: Options, scope: Scope, seen: Observed) -> Found:
    """The blocks that differ. Raises ValueError for a line of which nobody knows."""
    with (options.folder / "releases.yml").open(encoding="utf-8") as file:
        content = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    lines = {block["line"]: block for block in content["releases"]}
    found = Found(lines, content.get("checked"))
    known = {*lines, *(series(release) for release in seen.releases("torch"))}
    if unknown := options.lines - known:
        raise ValueError(f"there is no torch {min(unknown)}. Nearest: {max(known, key=minor)}")
    for line in sorted(filter(scope.has, known), key=minor):
        old = lines.get(line)
        made = propose(line, lines, seen, scope.tables.not_offered)
        if made is None:
            found.doubts.append(f"torch {line}: nothing of it was seen")
            continue
        if "cpu" not in made.block.get("indexes", {}):
            where = "its indexes were not looked at" if options.pypi_only else "no index has it yet"
            found.todo.append(f"torch {made.block['torch']} is out, and {where}")
            continue
        _take(found, line, old, made, options)
        found.changes += [
            Change(line, ("not_offered", backend), scope.tables.not_offered[backend], None)
            for backend in made.opened
        ]
        lines[line] = made.block
    for name in ("releases.yml", "backends.yml"):
        found.todo += write.marks((options.folder / name).read_text(encoding="utf-8"))
    return found


def _take(
    found: Found,
    line: str,
    old: dict[str, Any] | None,
    made: Proposal,
    options: Options,
) -> None:
    differing = changes(line, old, made)
    found.doubts += [f"torch {line}, {text}" for text in made.doubts]
    found.todo += [f"torch {line}, {cell(path)}: {text}" for path, text in made.todo]
    found.opened += made.opened
    if not differing:
        return
    block = made.block | {"seen": options.today}
    if SOURCE not in block["sources"] and not options.pypi_only:
        block["sources"] = [*block["sources"], SOURCE]
    found.blocks.append((block, made.todo if old is None else []))
    found.changes += differing


def _texts(options: Options, scope: Scope, found: Found, seen: Observed) -> dict[str, str]:
    """The files that would change, with their new texts."""
    texts = {}
    whole = not options.lines and seen.listed is not None
    due = found.checked and options.today - found.checked > STILL_TRUE
    checked = options.today if whole and (found.blocks or due) else None
    if found.blocks or (checked and found.checked):
        text = (options.folder / "releases.yml").read_text(encoding="utf-8")
        texts["releases.yml"] = write.with_blocks(text, found.blocks, checked)
    since: dict[str, str] = {}  # the oldest line of each backend that the tables do not know
    for line in sorted(found.lines, key=minor, reverse=True):
        since |= {b: line for b in found.lines[line]["indexes"]}
    unknown = {b: line for b, line in since.items() if not _is_known(b, line, scope.tables)}
    if found.opened or unknown:
        text = (options.folder / "backends.yml").read_text(encoding="utf-8")
        texts["backends.yml"] = write.with_backends(text, found.opened, unknown)
    return texts


def _is_known(backend: str, line: str, tables: Tables) -> bool:
    """Whether the tables have all that no index shows of a backend."""
    if kind(backend) in ("cpu", "xpu"):
        return True
    driver = kind(backend) == "rocm" or tables.driver_floor(backend, "linux")
    return bool(driver and tables.architectures(backend, line))


def _read(web: Web, found: Found) -> str:
    count = len(found.changes)
    differ = "nothing differs" if not count else f"{count} cell{'s' * (count != 1)} differ"
    return f"Read {web.asked} pages, {web.unchanged} unchanged since the last run: {differ}."


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
