"""The tables as the tests know them: what PyTorch publishes later changes none of their answers.

A table that refresh.py has changed would else fail each test that names the newest line, or one
that was not verified when it was written. What is new is tested by tests/tables.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from extensions.refreshing.write import with_blocks
from extensions.tables.releases import UNVERIFIED, minor

LIVE = Path(__file__).resolve().parents[2] / "extensions"
NEWEST = "2.15"
# The cells that nobody had seen, by line: a refresh makes them high.
NOT_SEEN = {
    "2.15": ("cpu", "cu130", "cu132", "xpu"),
    "2.14": ("cu126 linux-aarch64", "cu132 linux-aarch64", "xpu"),
}
# What was not offered then, and why.
NOT_OFFERED = {"cu134": "only nightly builds exist"}


@cache
def tables() -> Path:
    """A folder with both tables: that of the template itself, while nothing in it is newer."""
    text = (LIVE / "releases.yml").read_text(encoding="utf-8")
    blocks = yaml.safe_load(text)["releases"]
    for block in blocks:
        if minor(block["line"]) > minor(NEWEST):
            text = without(text, block["line"])
    known = [block for block in blocks if block["line"] in NOT_SEEN]
    for block in known:
        for place in NOT_SEEN[block["line"]]:
            _forget(block, *place.split())
    texts = {"releases.yml": with_blocks(text, [(block, []) for block in known], None)}
    more = (LIVE / "backends.yml").read_text(encoding="utf-8")
    for backend, reason in NOT_OFFERED.items():
        if f"\n  {backend}: {reason}\n" not in more:
            more = more.replace("\nnot_offered:\n", f"\nnot_offered:\n  {backend}: {reason}\n")
    texts["backends.yml"] = more
    if all((LIVE / name).read_text(encoding="utf-8") == text for name, text in texts.items()):
        return LIVE
    folder = Path(tempfile.mkdtemp(prefix="tables-"))
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def without(text: str, line: str) -> str:
    """A table's text without the block of a line."""
    start = text.index(f'  - line: "{line}"')
    end = text.find("  - line:", start + 1)
    return text[:start] + ("" if end < 0 else text[end:])


def _forget(block: dict[str, Any], backend: str, only: str = "") -> None:
    """As if its cells had not been seen; of XPU's triton a table then knows the name alone."""
    cells = block["indexes"].get(backend, {})
    for platform, confidence in cells.items():
        if only in ("", platform) and confidence not in UNVERIFIED:
            cells[platform] = "low"
    if backend == "xpu" and block["line"] == NEWEST:
        block["triton"]["xpu"].pop("version", None)
