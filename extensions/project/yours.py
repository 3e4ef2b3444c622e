"""What an update leaves to the owner: answers that their own files would have to follow."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from ..plan.plan import Plan
from ..plan.planner import make_plan
from ..questions.contract import Answers, Known
from ..tables.releases import Tables

# Where the owner's files have an answer that nothing else depends on.
PLACES: Mapping[str, str] = {
    "project_name": "the name in pyproject.toml and the title of README.md are",
    "package_name": "src/{before} is",
    "project_description": "the description in pyproject.toml and README.md is",
    "user_name": "the authors in pyproject.toml are",
    "user_email": "the authors in pyproject.toml are",
    "license": "the license in pyproject.toml, and a LICENSE that was there, are",
}


def left_to_the_owner(
    folder: Path, pyproject: str, tables: Tables, before: Known, after: Known
) -> Iterator[str]:
    """Sentences on what no update changes, where the answers now ask for something else.

    `pyproject` is the text after the update.
    """
    changed = [key for key in before if key in after and before[key] != after[key]]
    for key in changed:
        if key in PLACES:
            place = PLACES[key].format(before=before[key])
            yield f"{key}: {place} yours, and as before"
    plan = make_plan(tables, Answers.complete(after))
    yield from _packages(pyproject, tables, plan, before, after)
    yield from _pinned_python(folder, pyproject, plan, before)
    yield from _commands(folder, tables, plan, before)


def _packages(
    pyproject: str, tables: Tables, plan: Plan, before: Known, after: Known
) -> Iterator[str]:
    """Packages that the new example, or type checker, needs."""
    answers = Answers.complete(after)
    earlier = replace(
        answers,
        example=before.get("example", "none"),
        type_checker=before.get("type_checker", answers.type_checker),
    )
    then = make_plan(tables, earlier)
    listed = _listed(pyproject)
    for option, wanted, known in (("", plan.others, then.others), ("--dev ", plan.dev, then.dev)):
        new = {str(r): str(r.name) for r in wanted} if wanted != known else {}
        had = {str(r.name) for r in known}
        missing = [text for text, name in new.items() if name not in had and name not in listed]
        if missing:
            packages = " ".join(f'"{text}"' for text in missing)
            add = f"uv add {option}{packages}"
            if plan.strategy == "pip":
                place = "the extra dev" if option else "dependencies"
                add = f"{packages}, in {place} of pyproject.toml"
            yield f"packages that the answers need now: {add}"


def _listed(pyproject: str) -> set[str]:
    """All packages that a project requires, wherever."""
    content = tomllib.loads(pyproject.removeprefix("\ufeff"))
    project = content.get("project", {})
    lists = [project.get("dependencies", [])]
    for table in (project.get("optional-dependencies", {}), content.get("dependency-groups", {})):
        lists += table.values()
    texts = [item for items in lists for item in items if isinstance(item, str)]
    return {str(canonicalize_name(re.split(r"[^\w.-]", text)[0])) for text in texts}


def _pinned_python(folder: Path, pyproject: str, plan: Plan, before: Known) -> Iterator[str]:
    file = folder / ".python-version"
    if not file.is_file():
        return
    pinned = file.read_text("utf-8", errors="replace").strip()
    if plan.strategy == "provided":
        if before.get("strategy") != "provided":
            yield (
                f".python-version: uv looks for Python {pinned}, and the one that has torch may be "
                "another: `git rm .python-version`"
            )
        return
    bounds = tomllib.loads(pyproject.removeprefix("\ufeff"))["project"].get("requires-python", "")
    try:
        excluded = re.fullmatch(r"3\.\d+(\.\d+)?", pinned) and not any(
            SpecifierSet(bounds).contains(version) for version in (pinned, f"{pinned}.99")
        )
    except InvalidSpecifier:
        return
    if excluded:
        yield (
            f".python-version: {pinned} is outside of requires-python; "
            f"`uv python pin {plan.python_version}` changes it"
        )


def _commands(folder: Path, tables: Tables, plan: Plan, before: Known) -> Iterator[str]:
    """Commands of the README that install another build now, or none."""
    file = folder / "README.md"
    try:
        then = make_plan(tables, Answers.complete(before))
    except (KeyError, ValueError):
        # Answers of an old version that nobody can give any more.
        return
    if (then.install, then.venv) == (plan.install, plan.venv) or not file.is_file():
        return
    text = file.read_text("utf-8", errors="replace")
    if plan.strategy == "provided" and plan.venv not in text:
        yield f"README.md does not say `{plan.venv}`, which comes first from now on"
    if then.strategy == "provided" and then.venv in text:
        yield f"README.md still says `{then.venv}`, and nothing is to be seen there from now on"
    if then.install == plan.install:
        return
    if re.search(rf"^{re.escape(then.install)}$", text, re.MULTILINE):
        yield f"README.md still says `{then.install}`, which is `{plan.install}` from now on"
