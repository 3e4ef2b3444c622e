"""Whether a project can be written to a folder: asked before the first file is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

# A render with everything in it takes a fifth of this.
NEEDED = 1_000_000


def refusal(folder: Path) -> str | None:
    """Why nothing can be written to a folder that may not exist yet; None if it can."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        return f"{place} is a file. Nearest: {place}-project"
    if not os.access(place, os.W_OK | os.X_OK):
        return f"{place} is read-only. Nearest: a folder of your own, such as {_home(folder)}"
    free = shutil.disk_usage(place).free
    if free < NEEDED:
        return (
            f"the disk of {place} is full: {free // 1000} kB are free, and a project needs "
            f"{NEEDED // 1000}. Nearest: free some, or take another disk"
        )
    return None


def _home(folder: Path) -> Path:
    return Path.home() / folder.name
