"""The released versions: CHANGELOG.md names each with its commit."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import ROOT, copy_template
from tests.support.git import committed, git

# Above all releases: the state that is tested.
NEWEST = "v999.0.0"


def released(root: Path = ROOT) -> dict[str, str]:
    """Version to commit, newest first, as the headings `## v0.1.0 (day, commit)` say."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = r"^## (v\d+\.\d+\.\d+) \((?:[\d-]{10}, )?([0-9a-f]{7,40})\)"
    return dict(re.findall(heading, text, re.MULTILINE))


def tagged_clone(folder: Path) -> Path:
    """A clone of this repository with a tag on every release, and one on what is tested here."""
    git(ROOT, "clone", "--quiet", "--no-local", ".", str(folder))
    for version, commit in released().items():
        git(folder, "tag", "--force", version, commit)
    git(folder, "rm", "--quiet", "-r", "template", "extensions")
    committed(copy_template(folder), "What is tested")
    git(folder, "tag", "--force", NEWEST)
    return folder
