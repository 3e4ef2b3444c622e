"""What one job hands to the next: one line of text, as an output of the former.

The job that looks has no rights, and runs what it downloads; the one that tells has rights, and
runs nothing but this repository and git.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from typing import Any

# All that the tables consist of, and what is written of them: nothing else ever changes.
FILES = ("extensions/releases.yml", "extensions/backends.yml", "README.md")
# Of these, what is no news.
DATES = re.compile(r"(?<=^checked: )\S+|(?<=facts of )\d{4}-\d\d-\d\d", re.MULTILINE)


def packed(message: dict[str, Any]) -> str:
    """A message as one line that any workflow may carry."""
    text = json.dumps(message).encode("utf-8")
    return base64.b64encode(zlib.compress(text, 9)).decode("ascii")


def unpacked(line: str) -> dict[str, Any]:
    """The message in such a line. Raises ValueError for what is none."""
    try:
        found = json.loads(zlib.decompress(base64.b64decode(line, validate=True)))
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not isinstance(found, dict):
        raise ValueError("it is no mapping")
    return found


def tail(text: str, most: int = 20_000) -> str:
    """The end of a text, for a body that GitHub limits to 65,536 characters."""
    kept = text.strip()[-most:]
    return kept if len(kept) == len(text.strip()) else f"…{kept}"


def fenced(text: str) -> str:
    """Text as a block of Markdown in which nothing is mentioned, linked or ended by its content."""
    fence = "````"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"
