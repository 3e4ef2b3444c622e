"""The rooms of the extensions: imports point one way, and never in a circle."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDER = ROOT / "extensions"
# Each room may import from itself and from those before it; the doors on top from all of them.
ROOMS = ["tables", "questions", "plan", "project", "fleet", "refreshing"]
MODULES = sorted(path for room in ROOMS for path in (FOLDER / room).glob("*.py"))


def imported(module: Path) -> set[Path]:
    """The modules of this package that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = module.parents[node.level - 1]
            place = folder.joinpath(*(node.module or "").split("."))
            for name in node.names:
                files = (place / f"{name.name}.py", place.with_suffix(".py"))
                found.add(next(file for file in files if file.exists()))
    return found


def test_every_room_is_known() -> None:
    folders = {path.parent.name for path in FOLDER.glob("*/*.py")}
    assert folders == set(ROOMS)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_imports_point_one_way(module: Path) -> None:
    allowed = ROOMS[: ROOMS.index(module.parent.name) + 1]
    assert {other.parent.name for other in imported(module)} <= set(allowed)


def test_no_modules_import_each_other_in_a_circle() -> None:
    # Raises CycleError, which names the circle.
    TopologicalSorter({module: imported(module) for module in MODULES}).prepare()


def test_what_a_refresh_needs_is_not_needed_to_render() -> None:
    """Its libraries are not there where Copier renders: no other module may import them, or it."""
    script = (FOLDER / "refresh.py").read_text(encoding="utf-8")
    # Copier brings two of them.
    libraries = set(re.findall(r'#     "([\w-]+)', script)) - {"packaging", "pyyaml"}
    names = {"cachecontrol", "mousebender", "remotezip", "requests", "ruamel"}
    assert {re.sub(r"-yaml$", "", name) for name in libraries} == names
    for module in FOLDER.rglob("*.py"):
        if module.parent.name == "refreshing" or module.name == "refresh.py":
            continue
        text = module.read_text(encoding="utf-8")
        found = set(re.findall(r"(?m)^\s*(?:from|import) (\w+)", text))
        assert not found & {*names, "urllib3"}, module
        assert not re.search(r"(?m)^\s*(from|import) [\w.]*refreshing", text), module
