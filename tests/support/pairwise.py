"""All pairs: few rows in which every two values that may meet do meet."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = dict[str, Any]
Pair = tuple[tuple[str, int], tuple[str, int]]
Fits = Callable[[Row], bool]
"""Whether some values may stand in one row; keys may be missing."""


def pairs(domain: Mapping[str, Sequence[Any]], fits: Fits) -> set[Pair]:
    """Every pair of values of two keys that fit, as positions in the domain."""
    return {
        ((one, i), (other, j))
        for one, other in itertools.combinations(domain, 2)
        for i, j in itertools.product(range(len(domain[one])), range(len(domain[other])))
        if fits({one: domain[one][i], other: domain[other][j]})
    }


def covered(row: Mapping[str, int]) -> set[Pair]:
    return set(itertools.combinations(row.items(), 2))


def all_pairs(domain: Mapping[str, Sequence[Any]], fits: Fits) -> list[Row]:
    """Rows that cover `pairs(domain, fits)`, always the same. Keys with many values stand first.

    Raises ValueError for a pair that no whole row can hold.
    """
    place = {key: number for number, key in enumerate(domain)}
    open_pairs = pairs(domain, fits)
    rows = []
    while open_pairs:
        first = min(open_pairs, key=lambda pair: [(place[key], i) for key, i in pair])
        row = dict(first)
        for key in domain:
            if key not in row:
                row[key] = _best(row, key, domain, fits, open_pairs)
        ordered = {key: row[key] for key in domain}
        if not open_pairs & covered(ordered):
            raise ValueError(f"no row can hold {first}")
        open_pairs -= covered(ordered)
        rows.append({key: domain[key][i] for key, i in ordered.items()})
    return rows


def _best(
    row: Mapping[str, int],
    key: str,
    domain: Mapping[str, Sequence[Any]],
    fits: Fits,
    open_pairs: set[Pair],
) -> int:
    """The value that fits the row and closes most pairs; the first of equals."""

    def closes(i: int) -> int:
        wider = {**row, key: i}
        ordered = {name: wider[name] for name in domain if name in wider}
        return len(open_pairs & covered(ordered))

    values = {name: domain[name][i] for name, i in row.items()}
    fitting = [i for i, value in enumerate(domain[key]) if fits({**values, key: value})]
    if not fitting:
        raise ValueError(f"no value of {key} fits {values}")
    return max(fitting, key=closes)
