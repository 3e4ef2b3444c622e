"""What stands at the destination before a render: a project or none, from this template or not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from ..questions.contract import Known, read
from . import place

INSTALL = "uv tool install copier --with copier-template-extensions --with tomlkit"


@dataclass(frozen=True)
class There:
    """`answers` are those recorded by an earlier render; None if there was none.

    `text` is that of `pyproject.toml`; None where there is no such file. Its newlines are as they
    are in the file. `places` are the answers to `place` that fit, the best one first, and `odd` is
    why a `pyproject.toml` above the folder could not be asked.
    """

    text: str | None = None
    answers: Known | None = None
    places: tuple[str, ...] = ("repository",)
    odd: str = ""

    @property
    def adopts(self) -> bool:
        """Whether a render adopts the project: its owner, and not this template, made it."""
        return self.text is not None and self.answers is None

    @property
    def as_json(self) -> str:
        """The recorded answers for another process; empty for none."""
        return "" if self.answers is None else json.dumps(self.answers)


@dataclass(frozen=True)
class Adopted:
    """The answers of a project that is there; empty for a new one.

    `open` are the questions that its files do not answer.
    """

    answers: Mapping[str, Any] = field(default_factory=dict)
    open: frozenset[str] = frozenset()


def look(folder: Path, answers_file: str) -> There:
    """Raises UnicodeDecodeError for a `pyproject.toml` that is not UTF-8."""
    file = folder / "pyproject.toml"
    text = file.read_bytes().decode("utf-8") if file.is_file() else None
    try:
        places, odd = place.places(folder), ""
    except place.Unreadable as error:
        places, odd = place.places(folder, workspaces=False), str(error)
    return There(text, recorded_answers(folder / answers_file), places, odd)


def recorded_answers(file: Path) -> Known | None:
    """The answers in a file that Copier wrote for this template; None for any other file."""
    if not file.is_file():
        return None
    return answers_in(file.read_text("utf-8", errors="replace"))


def answers_in(text: str) -> Known | None:
    """The same for its text."""
    try:
        found: Any = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    if not isinstance(found, Mapping) or "torch_version" not in found:
        return None
    return read(found)


def refusal(there: There) -> str | None:
    """Why the `pyproject.toml` that is there cannot be edited; None if it can, or there is none."""
    if there.text is None:
        return None
    if not find_spec("tomlkit"):
        return (
            "pyproject.toml is edited with tomlkit, which is not installed beside Copier. "
            f"Nearest: {INSTALL}"
        )
    from .editor import CannotEdit, parsed
    from .own import owned

    try:
        parsed(there.text)
    except CannotEdit as error:
        return f"{error}. Nearest: repair it first"
    try:
        owned(there.text)
    except ValueError as error:
        return f"pyproject.toml {error}"
    return None
