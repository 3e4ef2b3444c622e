"""Projects whose packages uv does not manage: who does, and the way from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .setup import LEADERS, at, parse

# Where packages stand in a project without pyproject.toml.
_FILES = {
    "requirements.txt": "uv init --bare && uv add --requirements requirements.txt",
    "Pipfile": "uvx migrate-to-uv",
    "setup.py": "uv init --bare, and `uv add` for each of install_requires",
    "setup.cfg": "uv init --bare, and `uv add` for each of install_requires",
    "environment.yml": "uv init --bare, and `uv add` for each of its packages",
    "environment.yaml": "uv init --bare, and `uv add` for each of its packages",
    "pixi.toml": "uv init --bare, and `uv add` for each of its packages",
}
_MANAGERS = {"poetry": "Poetry", "pdm": "PDM", "pixi": "Pixi", "conda-lock": "conda-lock"}
_WAYS = {"poetry": "uvx migrate-to-uv", "pdm": "uvx migrate-to-uv"}
_TABLES = ("dependencies", "dev-dependencies", "pypi-dependencies", "source", "group", "feature")
_TABLE = "a [project] table with name, version and dependencies"


def refusal(folder: Path) -> str | None:
    """Why a folder holds a project that cannot be adopted; None if it can, or holds none.

    Raises CannotAdopt for a pyproject.toml that is no TOML.
    """
    file = folder / "pyproject.toml"
    if not file.exists():
        name = next((n for n in _FILES if (folder / n).is_file()), None)
        return name and (
            f"the packages of this project stand in {name}, and there is no pyproject.toml that "
            f"uv could read. Nearest: {_FILES[name]}"
        )
    content = parse(_read(file))
    project, tool = content.get("project"), content.get("tool", {})
    tool = tool if isinstance(tool, dict) else {}
    stated = project if isinstance(project, dict) else {}
    for key, label in _MANAGERS.items():
        table = tool.get(key)
        if isinstance(table, dict) and _decides(table, "dependencies" in stated):
            way = _WAYS.get(key, f"move them into {_TABLE}, by `uv add`")
            all_of_them = "the packages of this project stand"
            what = "what it says of PyTorch stands" if "dependencies" in stated else all_of_them
            return f"{what} in the tables of {label}, which uv does not read. Nearest: {way}"
    if not isinstance(project, dict):
        if project is not None:
            return "project is no table in pyproject.toml. Nearest: what `uv lock` accepts"
        name = next((n for n in _FILES if (folder / n).is_file()), None)
        where = f": its packages stand in {name}" if name else ""
        way = f", and `uv add --requirements {name}`" if name == "requirements.txt" else ""
        return f"pyproject.toml has no [project] table{where}. Nearest: {_TABLE}{way}"
    dynamic = project.get("dynamic", [])
    for key in ("dependencies", "optional-dependencies"):
        if isinstance(dynamic, list) and key in dynamic:
            return (
                f"project.dynamic says that another file states its {key}, which uv cannot edit. "
                f"Nearest: take {key} out of dynamic, and add them by `uv add`"
            )
    return None


def _read(file: Path) -> str:
    return file.read_bytes().decode("utf-8", errors="replace")


def _decides(table: Mapping[str, Any], uv_reads_packages: bool) -> bool:
    """Whether a manager's tables state the packages, or what uv would have to know of PyTorch."""
    found = {key: table[key] for key in _TABLES if table.get(key)}
    if not uv_reads_packages:
        return bool(found)
    text = json.dumps(found, default=str).lower()
    return any(f'"{name}"' in text or f'"{name}>' in text for name in LEADERS) or any(
        at(url) for url in text.split('"') if url.startswith("http")
    )
