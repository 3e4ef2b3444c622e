"""A project that was there before the template: what its pyproject.toml says, and what stays of it.

Copier overwrites that file, and an owner must not write it again by hand.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from .plan import Plan, Requirement

# What `uv init` writes for whoever gives none.
NO_DESCRIPTION = "Add your description here"
FAMILY = frozenset({"torch", "torchvision", "torchaudio", "triton"})
# What the template says itself; of `project`, tables such as `scripts` stay.
RENDERED = (
    ("build-system",),
    ("dependency-groups",),
    ("tool", "uv"),
    ("tool", "ruff", "lint"),
    ("tool", "mypy"),
    ("tool", "pytest", "ini_options"),
)
PROJECT_TABLES = frozenset({"scripts", "gui-scripts", "entry-points", "urls"})
_HEADER = re.compile(r"^(?:#.*\n)*\[[^\n]*\][ \t]*(?:#.*)?$", re.MULTILINE)

Lists = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Adopted:
    """What stays; all of it is empty for a new project.

    `project` is the table of that name. Lists are of texts that need no escapes in TOML; `groups`
    and `extras` are those beside the template's. `tables` is the text of all that the template
    does not speak of.
    """

    project: Mapping[str, Any] = field(default_factory=dict)
    dependencies: tuple[str, ...] = ()
    dev: tuple[str, ...] = ()
    groups: Lists = field(default_factory=dict)
    extras: Lists = field(default_factory=dict)
    tables: str = ""

    @property
    def answers(self) -> dict[str, Any]:
        """What it says to the questions of the template."""
        author = next(iter(self.project.get("authors", ())), {})
        oldest = re.search(r">=\s*(3\.\d+)", str(self.project.get("requires-python", "")))
        names = [_name(requirement) for requirement in self.project.get("dependencies", ())]
        found = {
            "project_name": self.project.get("name"),
            "project_description": self.project.get("description"),
            "user_name": author.get("name"),
            "user_email": author.get("email"),
            "license": self.project.get("license"),
            "python_version": oldest[1] if oldest else None,
        }
        answers: dict[str, Any] = {
            key: value
            for key, value in found.items()
            if isinstance(value, str) and value not in ("", NO_DESCRIPTION)
        }
        if "torch" in names:
            answers["packages"] = [n for n in ("torchvision", "torchaudio") if n in names]
        return answers


def adopt(folder: Path) -> Adopted:
    """Read the pyproject.toml of a folder; nothing is adopted where there is none that is TOML."""
    try:
        text = (folder / "pyproject.toml").read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except (OSError, ValueError):
        return Adopted()
    project = content.get("project", {})
    groups = content.get("dependency-groups", {})
    return Adopted(
        project=project,
        dependencies=_others(project.get("dependencies", ())),
        dev=_others(groups.get("dev", ())),
        groups=_lists(groups),
        extras=_lists(project.get("optional-dependencies", {})),
        tables=_tables(text),
    )


def around(plan: Plan, adopted: Adopted) -> Plan:
    """The plan with the packages of the project, which keep their own bounds."""
    return replace(
        plan,
        others=_merged(plan.others, adopted.dependencies),
        dev=_merged(plan.dev, adopted.dev),
    )


def _lists(found: Mapping[str, Iterable[Any]]) -> Lists:
    return {name: _others(listed) for name, listed in found.items() if name != "dev"}


def _merged(ours: Iterable[Requirement], theirs: Iterable[str]) -> tuple[Requirement | str, ...]:
    own = {_name(requirement): requirement for requirement in theirs}
    return (*(own.pop(requirement.name, requirement) for requirement in ours), *own.values())


def _others(listed: Iterable[Any]) -> tuple[str, ...]:
    """Requirements without PyTorch's; a group that includes another one does not say so here."""
    texts = [item.replace('"', "'") for item in listed if isinstance(item, str)]
    return tuple(text for text in texts if _name(text) not in FAMILY)


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""


def _tables(text: str) -> str:
    starts = [found.start() for found in _HEADER.finditer(text)]
    kept, block = [], ""
    for start, end in pairwise([*starts, len(text)]):
        block += text[start:end]
        try:
            content = tomllib.loads(block)
        except ValueError:
            # That was no head of a table, but a line of a text or of a list.
            continue
        if _is_foreign(content):
            kept.append(block.strip())
        block = ""
    return "\n\n".join(kept)


def _is_foreign(content: Mapping[str, Any]) -> bool:
    if "project" in content:
        return PROJECT_TABLES.issuperset(content["project"])
    for path in RENDERED:
        found: Any = content
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        if found is not None:
            return False
    return True
