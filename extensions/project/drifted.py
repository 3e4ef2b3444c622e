"""Which of PyTorch's parts of a `pyproject.toml` are not as the answers say."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..plan.planner import make_plan
from ..questions.contract import Answers, read
from ..tables import releases
from .editor import CannotEdit, edit

__all__ = ["CannotEdit", "drifted"]
FOLDER = Path(__file__).resolve().parents[1]


def drifted(text: str, given: Mapping[str, Any]) -> list[str]:
    """The keys of the file that an edit for the same answers would change, such as
    `tool.uv.sources.torch`; order and comments are no drift.

    Raises CannotEdit, with a reason for people, and KeyError for an answer that is missing.
    """
    known = read(given)
    plan = make_plan(releases.load(FOLDER), Answers.complete(known))
    after = edit(text, known, plan).text
    if after == text:
        return []
    one, other = (tomllib.loads(t.removeprefix("\ufeff")) for t in (text, after))
    return sorted(set(_different((), one, other)))


def _different(path: tuple[str, ...], one: Any, other: Any) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in {*one, *other}:
            yield from _different((*path, key), one.get(key), other.get(key))
    elif _ordered(one) != _ordered(other):
        yield ".".join(path)


def _ordered(value: Any) -> str:
    """The same text for lists that differ in their order alone."""
    if isinstance(value, dict):
        return json.dumps({key: _ordered(item) for key, item in sorted(value.items())})
    if isinstance(value, list):
        return json.dumps(sorted(map(_ordered, value)))
    return repr(value)
