"""Known faults of releases of torch, and which releases have them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fault:
    """A fault of the releases from `first` to the one before `fixed`, both as 2.9.1.

    An empty `first` is the beginning, an empty `fixed` means that no release mends it. Without
    `kinds` every build has it.
    """

    name: str
    what: str
    source: str
    first: str = ""
    fixed: str = ""
    kinds: frozenset[str] = frozenset()

    def affects(self, version: str) -> bool:
        """Whether a release has it; what follows the numbers of a version does not count."""
        here = numbers(version)
        return numbers(self.first) <= here and not (self.fixed and numbers(self.fixed) <= here)

    def is_in(self, line: str) -> bool:
        """Whether any release of a line, as 2.9, has it."""
        after = numbers(line) + (10**6,)
        begins = numbers(self.first) <= after
        return begins and not (self.fixed and numbers(self.fixed) <= (*numbers(line), 0))

    def of_kinds(self, kinds: frozenset[str]) -> bool:
        """Whether one of these kinds of builds has it."""
        return not self.kinds or bool(self.kinds & kinds)


def numbers(version: str) -> tuple[int, ...]:
    """The release in a version: `2.9.0a0+b2c75` is (2, 9, 0), an empty one ()."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def fault(entry: Mapping[str, Any]) -> Fault:
    """An entry of `faults` in backends.yml. Raises KeyError or TypeError for what is none."""
    known = {"name", "what", "source", "first", "fixed", "kinds"}
    if unknown := set(entry) - known:
        raise KeyError(f"faults have no {', '.join(sorted(unknown))}")
    return Fault(
        name=entry["name"],
        what=entry["what"],
        source=entry["source"],
        first=str(entry.get("first", "")),
        fixed=str(entry.get("fixed", "")),
        kinds=frozenset(entry.get("kinds", ())),
    )
