"""The comments that the template writes in a `pyproject.toml`, kept beside what they are about."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..plan.parts import COMMENTS, EXTRAS, GROUPS, Parts
from .toml_text import Path, Statement, TomlText

UV: Path = ("tool", "uv")
SOURCES: Path = (*UV, "sources")
# What versions below 0.3 wrote: lines, and the comment that says the same now, if there is one.
BEFORE: Mapping[str, str] = {
    r"# PyTorch comes by `copier update`,": "",
    r"# all else is yours\.": "",
    r"# One build of PyTorch at a time: `[^`]*`, or another of these\.": "choices",
    r"# One build of PyTorch at a time: plain `uv sync` installs \S+; for another one,": "choices",
    r"# `uv sync[^`]*`\.": "",
    r"# `uv pip` installs PyTorch here, as README\.md says; other commands .*": "managed",
    r"# PyTorch comes from (PyPI|the mirror of PyPI) like every other package\.": "",
    r"# Where PyTorch's packages come from on each platform; everything else comes .*": "",
    r"# One release line of PyTorch on every platform\.": "",
    r"# Lock for these platforms, and for each of them a wheel: else .*": "environments",
    r"# The packages of the family keep to one list, so that their builds fit\.": "sources",
}


def renew(toml: TomlText) -> None:
    """Have the comments of older versions say what this one says, or go."""
    for start, end, line in reversed(toml.comment_lines()):
        for pattern, name in BEFORE.items():
            if re.fullmatch(pattern, line):
                indent = toml.text[start:end].partition("#")[0]
                new = f"{indent}{COMMENTS[name]}{toml.newline}" if name else ""
                toml.replace(start, end, new)
                break


def place(toml: TomlText, before: TomlText, parts: Parts) -> None:
    """Have each comment stand above its part, and none without one.

    A part that was there without its comment goes on without: its owner removed it.
    """
    for name, line in COMMENTS.items():
        found = _anchor(name, toml, parts)
        lines = [(start, end) for start, end, text in toml.comment_lines() if text == line]
        right = [pair for pair in lines if found and _following(toml, pair[1]) == found][-1:]
        for start, end in reversed([pair for pair in lines if pair not in right]):
            toml.replace(start, end, "")
        if found and not right and (lines or not _anchor(name, before, parts)):
            again = _anchor(name, toml, parts)
            assert again
            toml.replace(again.start, again.start, f"{line}{toml.newline}")


def _anchor(name: str, toml: TomlText, parts: Parts) -> Statement | None:
    """The first statement of a part."""
    for statement in toml.statements:
        path = statement.path
        match name:
            case "choices":
                is_it = path[-1] in parts.choices and path[:-1] == _table(parts)
            case "managed":
                is_it = path == (*UV, "managed") and not parts.managed
            case "excluded":
                is_it = path == (*UV, "exclude-dependencies") and bool(parts.excluded)
            case "environments":
                is_it = path == (*UV, "environments")
            case "sources":
                package = path[len(SOURCES) :][:1]
                is_it = path[: len(SOURCES)] == SOURCES and package in {(p,) for p in parts.sources}
            case _:
                is_it = path[:2] == UV and path[-1] == "ignore-error-codes"
        if is_it:
            return statement
    return None


def _table(parts: Parts) -> Path:
    return EXTRAS if parts.kind == "extra" else GROUPS


def _following(toml: TomlText, end: int) -> Statement | None:
    return next((s for s in toml.statements if s.start >= end), None)
