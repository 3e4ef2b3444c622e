"""A project that was there before the template: what its pyproject.toml says, and what stays of it.

Copier overwrites that file. What the template does not speak of is rendered again, and what cannot
be is named.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..plan.plan import Plan, Requirement
from ..questions.names import FAMILY, toml_string

# What `uv init` writes for whoever gives none.
NO_DESCRIPTION = "Add your description here"
# The keys of `project` that the template writes.
PROJECT = frozenset(
    {
        *("name", "version", "description", "readme", "requires-python", "license"),
        *("license-files", "authors", "dependencies", "optional-dependencies"),
    }
)
# The tables that it writes, and those of them whose lines are put together with the template's.
RENDERED = (
    ("build-system",),
    ("dependency-groups",),
    ("tool", "uv"),
    ("tool", "ruff", "lint"),
    ("tool", "mypy"),
    ("tool", "pytest"),
)
_MERGED = frozenset(
    {"project", "build-system", "dependency-groups", "tool.uv.sources", "tool.uv.build-backend"}
)
_HEADER = re.compile(r"^(?:[ \t]*#.*\n)*[ \t]*\[[^\n]*\][ \t]*(?:#.*)?\r?$", re.MULTILINE)

Lists = Mapping[str, tuple[str, ...]]


class CannotAdopt(ValueError):
    """A pyproject.toml that is there and cannot be read, with a reason for people."""


@dataclass(frozen=True)
class Adopted:
    """What stays; all of it is empty for a new project.

    `dependencies` and `dev` are requirements without `"`. All else is TOML: `project` maps further
    keys of that table to values, `includes` are the entries of the group `dev` that are no
    requirements, `groups` and `extras` hold lists, `sources` maps packages to where they come
    from, and `tables` is the text of tables. `lost` names what does not stay.
    """

    answers: Mapping[str, Any] = field(default_factory=dict)
    version: str = "0.1.0"
    project: Mapping[str, str] = field(default_factory=dict)
    dependencies: tuple[str, ...] = ()
    dev: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()
    groups: Lists = field(default_factory=dict)
    extras: Lists = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    tables: str = ""
    lost: tuple[str, ...] = ()


def adopt(folder: Path) -> Adopted:
    """Read the pyproject.toml of a folder; nothing is adopted where there is none.

    Raises CannotAdopt for one that is no TOML, or has not the shapes of the standard.
    """
    file = folder / "pyproject.toml"
    if not file.exists():
        return Adopted()
    try:
        # Some editors begin a file with a byte order mark.
        text = file.read_text(encoding="utf-8-sig")
        content = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise CannotAdopt(f"{file} cannot be read: {error}. Nearest: repair it first") from None
    try:
        return _adopt(folder, text, content)
    except (AttributeError, TypeError) as error:
        raise CannotAdopt(
            f"{file} has a table or list of another shape than the standard's ({error}). "
            "Nearest: what `uv lock` accepts"
        ) from None


def fit(adopted: Adopted, plan: Plan) -> Adopted:
    """What stays beside a plan, whose own groups and extras have the better claim to a name."""
    names = {choice.name for choice in plan.choices}
    taken = {"groups": names if plan.strategy == "groups" else set(), "extras": set()}
    if plan.strategy in ("extras", "pip"):
        taken["extras"] = names if plan.strategy == "extras" else {"dev"}
    kept: dict[str, Any] = {}
    lost = [*adopted.lost]
    for kind, lists in (("groups", adopted.groups), ("extras", adopted.extras)):
        kept[kind] = {name: listed for name, listed in lists.items() if name not in taken[kind]}
        lost += [f"the list {name} of {kind}" for name in lists if name in taken[kind]]
    return replace(adopted, lost=tuple(lost), **kept)


def around(plan: Plan, adopted: Adopted) -> Plan:
    """The plan with the packages of the project, which keep their own bounds."""
    return replace(
        plan,
        others=_merged(plan.others, adopted.dependencies),
        dev=_merged(plan.dev, adopted.dev),
    )


def _adopt(folder: Path, text: str, content: Mapping[str, Any]) -> Adopted:
    project = content.get("project", {})
    groups = content.get("dependency-groups", {})
    uv = content.get("tool", {}).get("uv", {})
    dev = _foreign(groups.get("dev", ()))
    tables, lost = _tables(text)
    # A table of its own stays as it is.
    own_table = r"^\s*\[+project\.{}[\].]"
    inline = [k for k in project if not re.search(own_table.format(re.escape(k)), text, re.M)]
    if "dynamic" in project:
        lost.append("project.dynamic")
    if len(project.get("authors", ())) > 1:
        lost.append("all but the first of project.authors")
    indexes = {index.get("name") for index in uv.get("index", ()) if _is_own(index)}
    sources = {}
    for name, source in uv.get("sources", {}).items():
        if isinstance(source, dict) and source.get("index") not in (None, *indexes):
            lost += [] if _name(name) in FAMILY else [f"tool.uv.sources.{name}"]
        elif _name(name) not in FAMILY:
            sources[_key(name)] = _toml(source)
    return Adopted(
        answers=_answers(folder, content),
        version=str(project.get("version", "0.1.0")),
        project={_key(k): _toml(project[k]) for k in inline if k not in PROJECT | {"dynamic"}},
        dependencies=tuple(_foreign(project.get("dependencies", ()))),
        dev=tuple(item for item in dev if isinstance(item, str)),
        includes=tuple(_toml(item) for item in dev if not isinstance(item, str)),
        groups=_lists({name: listed for name, listed in groups.items() if name != "dev"}),
        extras=_lists(project.get("optional-dependencies", {})),
        sources=sources,
        tables=tables,
        lost=tuple(lost),
    )


def _answers(folder: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """What the project says to the questions of the template."""
    project = content.get("project", {})
    author = next(iter(project.get("authors", ())), {})
    torch = next((x for x in project.get("dependencies", ()) if _name(x) == "torch"), "")
    oldest = re.search(r"(?:>=|~=|==)\s*(3\.\d+)", project.get("requires-python", ""))
    pinned = re.search(r"[=~]=\s*(\d+\.\d+)", torch)
    builds = content.get("tool", {}).get("uv", {}).get("build-backend", {})
    modules = [path.parent.name for path in sorted(folder.glob("src/*/__init__.py"))]
    found = {
        "project_name": project.get("name", ""),
        "package_name": builds.get("module-name") or (modules[0] if len(modules) == 1 else ""),
        "project_description": project.get("description", "").replace(NO_DESCRIPTION, ""),
        "user_name": author.get("name", ""),
        "user_email": author.get("email", ""),
        "license": _license(project.get("license", "")),
        "torch_version": pinned[1] if pinned else "",
        "python_version": oldest[1] if oldest else "",
    }
    for value in found.values():
        if not isinstance(value, str):
            raise TypeError(f"{value!r} is no text")
    answers: dict[str, Any] = {key: value for key, value in found.items() if value}
    if torch:
        names = [_name(requirement) for requirement in project["dependencies"]]
        answers["packages"] = [n for n in ("torchvision", "torchaudio") if n in names]
    return answers


def _license(said: str | Mapping[str, str]) -> str:
    text = said if isinstance(said, str) else said.get("text", said.get("file", ""))
    return "proprietary" if text == "LicenseRef-Proprietary" else text


def _merged(
    ours: Iterable[Requirement | str], theirs: Iterable[str]
) -> tuple[Requirement | str, ...]:
    theirs = tuple(theirs)
    names = {_name(requirement) for requirement in theirs}
    return (*(r for r in ours if isinstance(r, str) or r.name not in names), *theirs)


def _foreign(listed: Iterable[Any]) -> list[Any]:
    """A list without PyTorch's packages, and without `"`: markers may have either quotes."""
    texts = (x.replace('"', "'") if isinstance(x, str) else x for x in listed)
    return [x for x in texts if not isinstance(x, str) or _name(x) not in FAMILY]


def _lists(found: Mapping[str, Iterable[Any]]) -> Lists:
    return {_key(name): tuple(map(_toml, _foreign(listed))) for name, listed in found.items()}


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml_string(name)


def _toml(value: Any) -> str:
    """A value on one line. Raises TypeError for a date, which no such place has."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_key(k)} = {_toml(v)}' for k, v in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return toml_string(value) if isinstance(value, str) else json.dumps(value)


def _tables(text: str) -> tuple[str, list[str]]:
    """The text of the tables that stay, and the names of those that do not."""
    starts = [found.start() for found in _HEADER.finditer(text)]
    kept: list[str] = []
    lost: list[str] = []
    block = ""
    for start, end in pairwise([*starts, len(text)]):
        block += text[start:end]
        try:
            content = tomllib.loads(block)
        except ValueError:
            # That was no head of a table, but a line of a text or of a list.
            continue
        head = next(line for line in block.splitlines() if line.lstrip().startswith("["))
        name = re.sub(r"[\[\]\s]", "", head.partition("#")[0])
        if _stays(content, name):
            kept.append("\n".join(line.rstrip() for line in block.strip().splitlines()))
        elif name == "tool.uv":
            lost += [f"tool.uv.{key}" for key in content["tool"]["uv"] if key != "sources"]
        elif not (name in _MERGED or name.startswith("project.") or _is_of_pytorch(content)):
            lost.append(name)
        block = ""
    return "\n\n".join(kept), list(dict.fromkeys(lost))


def _stays(content: Mapping[str, Any], name: str) -> bool:
    if name == "project":
        return False
    if name.startswith("project."):
        return PROJECT.isdisjoint(content["project"])
    if name == "tool.uv.index":
        return all(map(_is_own, content["tool"]["uv"]["index"]))
    if name.startswith(("tool.uv.workspace", "tool.ruff.lint.")):
        return True
    for path in RENDERED:
        found: Any = content
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        if found is not None:
            return False
    return True


def _is_own(index: Mapping[str, Any]) -> bool:
    """Whether an index is neither PyTorch's nor the default, both of which are answers."""
    return not (index.get("default") or "pytorch" in f"{index.get('name')} {index.get('url')}")


def _is_of_pytorch(content: Mapping[str, Any]) -> bool:
    found = content.get("tool", {}).get("uv", {}).get("index", ())
    return any(not index.get("default") and not _is_own(index) for index in found)
