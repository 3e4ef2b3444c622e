"""What differs between a table and a proposal, cell by cell, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..tables.backends import kind, label
from ..tables.platforms import PLATFORMS
from .propose import Block, Proposal

# From the surest to the least sure.
CONFIDENCES = ("high", "medium", "low", "guess")
# What tells where a block is from, and no statement about PyTorch.
NOTES = frozenset({"sources", "seen"})
# Keys whose absence says something.
_EXCEPTIONS = frozenset({"absent", "first", "last_python", "no_local", "platforms"})


class Kind(Enum):
    """What a change means for the statement that the table makes now."""

    NEW = "new"
    SURER = "seen"
    WRONG = "contradicted"


@dataclass(frozen=True)
class Change:
    """One cell; `was` and `now` are None where the table does not have it."""

    line: str
    path: tuple[str, ...]
    was: Any
    now: Any

    @property
    def kind(self) -> Kind:
        if self.was is None:
            return Kind.WRONG if _EXCEPTIONS & {*self.path} else Kind.NEW
        if self.was in CONFIDENCES and self.now in CONFIDENCES:
            better = CONFIDENCES.index(self.now) < CONFIDENCES.index(self.was)
            # A new patch of torch is not on every index at once.
            return Kind.SURER if better else Kind.NEW
        return Kind.WRONG

    @property
    def cell(self) -> str:
        return cell(self.path)

    @property
    def words(self) -> str:
        if self.path == ():
            return f"torch {self.line} is new: {_summary(self.now)}"
        was, now = _value(self.was), _value(self.now)
        return f"torch {self.line}, {self.cell}: {now}" + (f", was {was}" if self.was else ", new")


def cell(path: tuple[str, ...]) -> str:
    """What a place in a block is about, as people say it."""
    return " ".join(_word(part) for part in path if part not in ("indexes", "companions"))


def changes(line: str, old: Block | None, made: Proposal) -> list[Change]:
    """The cells that differ; one change alone for a line that is new."""
    if old is None:
        return [Change(line, (), None, made.block)]
    return list(_differences(line, (), old, made.block))


def _differences(line: str, path: tuple[str, ...], was: Any, now: Any) -> Iterator[Change]:
    if not isinstance(was, Mapping) or not isinstance(now, Mapping):
        if was != now:
            yield Change(line, path, was, now)
        return
    for key in dict.fromkeys([*was, *now]):
        if path or key not in NOTES:
            # An index that comes or goes is as many cells as it has platforms.
            both = [side.get(key) for side in (was, now)]
            if any(isinstance(value, Mapping) for value in both):
                both = [value if value is not None else {} for value in both]
            yield from _differences(line, (*path, key), *both)


def _word(part: str) -> str:
    if part in PLATFORMS:
        return f"on {PLATFORMS[part].label}"
    return label(part) if kind(part) else part.replace("_", " ")


def _summary(block: Block) -> str:
    packages = [f"{name} {entry['version']}" for name, entry in block.get("companions", {}).items()]
    with_what = f" with {', '.join(packages)}" if packages else ""
    return f"{block['torch']}{with_what}, for {', '.join(block['indexes'])}"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "not there" if value is None else str(value)
