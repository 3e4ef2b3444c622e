"""The released versions: CHANGELOG.md names each with its commit."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import ROOT, copy_template
from tests.support.git import committed, git

# Above all releases: the state that is tested.
NEWEST = "v999.0.0"


def released() -> dict[str, str]:
    """Version to commit, newest first, as the headings `## v0.1.0 (commit)` say."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^## (v\d+\.\d+\.\d+) \(([0-9a-f]{7,40})\)", text, re.MULTILINE))


def tagged_clone(folder: Path) -> Path:
    """A clone of this repository with a tag on every release, and one on what is tested here."""
    git(ROOT, "clone", "--quiet", "--no-local", ".", str(folder))
    for version, commit in released().items():
        git(folder, "tag", "--force", version, commit)
    git(folder, "rm", "--quiet", "-r", "template", "extensions")
    committed(copy_template(folder), "What is tested")
    git(folder, "tag", "--force", NEWEST)
    return folder
