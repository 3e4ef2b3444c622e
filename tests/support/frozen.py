"""The tables as the tests know them: what PyTorch publishes later changes none of their answers.

A table that refresh.py has changed would else fail each test that names the newest line, or one
that was not verified when it was written. What is new is tested by tests/tables.
"""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from extensions.tables.releases import UNVERIFIED, minor

LIVE = Path(__file__).resolve().parents[2] / "extensions"
NEWEST = "2.15"
# The cells that nobody had seen, by line: a refresh makes them high.
NOT_SEEN = {
    "2.15": ("cpu", "cu130", "cu132", "xpu"),
    "2.14": ("cu126 linux-aarch64", "cu132 linux-aarch64", "xpu"),
}


@cache
def tables() -> Path:
    """A folder with both tables: that of the template itself, while nothing in it is newer."""
    text = (LIVE / "releases.yml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    before = yaml.safe_dump(content)
    content["releases"] = [b for b in content["releases"] if minor(b["line"]) <= minor(NEWEST)]
    for block in content["releases"]:
        for place in NOT_SEEN.get(block["line"], ()):
            _forget(block, *place.split())
    if yaml.safe_dump(content) == before:
        return LIVE
    folder = Path(tempfile.mkdtemp(prefix="tables-"))
    shutil.copy(LIVE / "backends.yml", folder)
    (folder / "releases.yml").write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    return folder


def _forget(block: dict[str, Any], backend: str, only: str = "") -> None:
    """As if its cells had not been seen; of XPU's triton a table then knows the name alone."""
    cells = block["indexes"].get(backend, {})
    for platform, confidence in cells.items():
        if only in ("", platform) and confidence not in UNVERIFIED:
            cells[platform] = "low"
    if backend == "xpu" and block["line"] == NEWEST:
        block["triton"]["xpu"].pop("version", None)
