"""What the README of a project said of PyTorch before `docs/pytorch.md` did: versions below 0.3."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

# The headings whose sections stand in docs/pytorch.md since.
MOVED = (
    *("PyTorch builds", "What a GPU needs", "Docker", "Development container", "Indexes"),
    *("Template", "Not supported", "Upgrade PyTorch"),
)
LINK = """\
## PyTorch

[docs/pytorch.md](docs/pytorch.md) says which build of PyTorch is installed where, and how to get
another one.
"""


@dataclass(frozen=True)
class Moved:
    """The text after, and the headings of sections that stay, since they are not as rendered."""

    text: str
    edited: tuple[str, ...]


def move(text: str, rendered: str) -> Moved:
    """Replace the sections that are still as an old version rendered them by a link.

    `rendered` is that version's whole README.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    before = dict(_sections(rendered))
    kept, edited, linked, moves = [], [], False, False
    for heading, section in _sections(text):
        known = heading in MOVED and heading in before
        moves = known and _plain(section) == _plain(before[heading])
        if known and not moves:
            edited.append(heading)
        if not moves:
            kept.append(section)
        elif not linked:
            kept.append(LINK.replace("\n", newline) + newline)
            linked = True
    after = "".join(kept)
    return Moved(after.rstrip("\r\n") + newline if moves else after, tuple(edited))


def _plain(section: str) -> str:
    return "\n".join(line.rstrip() for line in section.strip().splitlines())


def _sections(text: str) -> list[tuple[str, str]]:
    """The headings of the second level, each with its section; first, what stands before them."""
    starts, headings, fenced, position = [0], [""], False, 0
    for line in text.splitlines(keepends=True):
        if re.match(r" {0,3}(```|~~~)", line):
            fenced = not fenced
        if not fenced and (found := re.match(r"## +(.*?)[ #]*$", line)):
            starts.append(position)
            headings.append(found[1].strip())
        position += len(line)
    return [
        (heading, text[start:end])
        for heading, (start, end) in zip(headings, pairwise([*starts, len(text)]), strict=True)
    ]
