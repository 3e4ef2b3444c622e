"""The released versions: CHANGELOG.md names each with its commit."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.conftest import ROOT, TEMPLATE, copy_template
from tests.support.git import committed, git

# Above all releases: the state that is tested.
NEWEST = "v999.0.0"


def released(root: Path = ROOT) -> dict[str, str]:
    """Version to commit, newest first, as the headings `## v0.1.0 (day, commit)` say."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = r"^## (v\d+\.\d+\.\d+) \((?:[\d-]{10}, )?([0-9a-f]{7,40})\)"
    return dict(re.findall(heading, text, re.MULTILINE))


def tagged_clone(folder: Path) -> Path:
    """A repository with a tag on every release, and one on what is tested here.

    It has the template's own files alone: Copier checks out all that there is, five times in an
    update.
    """
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet")
    for version, commit in reversed(released().items()):
        names = git(ROOT, "ls-tree", "--name-only", commit).splitlines()
        archive = folder.with_suffix(".tar")
        present = [name for name in TEMPLATE if name in names]
        git(ROOT, "archive", "--output", str(archive), commit, *present)
        git(folder, "rm", "--quiet", "-r", "--ignore-unmatch", ".")
        shutil.unpack_archive(archive, folder, filter="data")
        git(committed(folder, version), "tag", version)
    git(folder, "rm", "--quiet", "-r", ".")
    git(committed(copy_template(folder), "What is tested"), "tag", NEWEST)
    git(folder, "repack", "-a", "-d", "--quiet")
    return folder
