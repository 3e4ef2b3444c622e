"""Make a release: version, CHANGELOG, commit and tag, which agree.

    uv run .github/scripts/release.py 0.4.0     makes it, and pushes nothing
    uv run .github/scripts/release.py --check   exits with 1 if those that were made do not agree

The section of the release stands on top of CHANGELOG.md, as `## v0.4.0`; what the tables changed
since the last release is added to it.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import textwrap
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))

from table_changes import changes, changes_beside  # noqa: E402

CHANGELOG, PYPROJECT, LOCK = "CHANGELOG.md", "pyproject.toml", "uv.lock"
NAME = "torch-uv-template"
HEADING = re.compile(r"^## v(\S+?)(?: \((.*)\))?$", re.MULTILINE)
COMMIT = re.compile(r"(?:^|, )([0-9a-f]{7,40})$")
# Where the version stands in the files of the project itself.
STATED = {
    PYPROJECT: re.compile(rf'(?<=^name = "{NAME}"\nversion = ")[^"]+', re.MULTILINE),
    LOCK: re.compile(rf'(?<=^name = "{NAME}"\nversion = ")[^"]+', re.MULTILINE),
}
WIDTH = 116


class Refused(Exception):
    """Why there is no release, and what to do."""


def git(*arguments: str, check: bool = True) -> str:
    """Run git in the repository; its output. Raises Refused if it fails and that matters."""
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, check=False, capture_output=True, encoding="utf-8"
    )
    if done.returncode and check:
        raise Refused(f"git {' '.join(arguments[:2])} fails: {done.stderr.strip()}")
    return "" if done.returncode else done.stdout.strip()


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def write(name: str, text: str) -> None:
    (ROOT / name).write_text(text, encoding="utf-8")


def stated(name: str, text: str) -> str:
    found = STATED[name].findall(text)
    if len(found) != 1:
        raise Refused(f"{name} states the version {len(found)} times, not once")
    return str(found[0])


def release(wanted: str) -> str:
    """Make the release; what is left to do. Raises Refused if it cannot be."""
    version = asked_for(wanted)
    state_of_git(wanted)
    changelog = read(CHANGELOG)
    section(changelog, wanted)
    newest(version)
    check_readme()
    start = git("rev-parse", "HEAD")
    try:
        last = last_release()
        heading = f"## v{wanted} ({date.today()}"
        text = changelog.replace(f"## v{wanted}\n", f"{heading})\n", 1)
        write(CHANGELOG, with_tables(text, last))
        for name in STATED:
            write(name, STATED[name].sub(wanted, read(name)))
        git("commit", "--quiet", "--all", "--message", f"Be version {wanted}")
        commit = git("rev-parse", "--short=10", "HEAD")
        git("tag", "--annotate", "--message", f"Version {wanted}", f"v{wanted}")
        write(CHANGELOG, read(CHANGELOG).replace(f"{heading})", f"{heading}, {commit})", 1))
        git("commit", "--quiet", "--all", "--message", f"Name the commit of version {wanted}")
    except BaseException:
        # Everything was committed before.
        git("tag", "--delete", f"v{wanted}", check=False)
        git("reset", "--quiet", "--hard", start, check=False)
        raise
    return f"v{wanted} is {commit}. Look at it, and then:\n\n  git push --follow-tags"


def asked_for(wanted: str) -> Version:
    known = Version(stated(PYPROJECT, read(PYPROJECT)))
    nearest = f"Nearest: {known.major}.{known.minor}.{known.micro + 1}"
    try:
        version = Version(wanted)
    except InvalidVersion:
        raise Refused(f"{wanted!r} is no version. {nearest}") from None
    if not re.fullmatch(r"\d+\.\d+\.\d+(\.post\d+)?", wanted):
        raise Refused(f"{wanted!r} is no version of a release, such as 1.2.3. {nearest}")
    if version <= known:
        raise Refused(f"{wanted} is not newer than {known}, this project's version. {nearest}")
    return version


def state_of_git(wanted: str) -> None:
    if not git("symbolic-ref", "--quiet", "HEAD", check=False):
        raise Refused("no branch is checked out. Nearest: git switch main")
    if changed := git("status", "--porcelain"):
        first = changed.splitlines()[0].split(maxsplit=1)[-1]
        raise Refused(f"not everything is committed: {first}")
    if git("tag", "--list", f"v{wanted}"):
        raise Refused(f"there is a tag v{wanted} already. Nearest: git tag --delete v{wanted}")


def section(changelog: str, wanted: str) -> None:
    """Hold the top of the changelog to the release."""
    headings = list(HEADING.finditer(changelog))
    if not headings or headings[0][1] != wanted:
        there = f"begins with v{headings[0][1]}" if headings else "has no sections"
        raise Refused(f"{CHANGELOG} {there}. Nearest: a section `## v{wanted}` on top of it")
    if headings[0][2]:
        raise Refused(f"{CHANGELOG} says that v{wanted} was released ({headings[0][2]})")
    end = headings[1].start() if len(headings) > 1 else len(changelog)
    if not changelog[headings[0].end() : end].strip():
        raise Refused(f"{CHANGELOG} says nothing of v{wanted}. Nearest: what its users notice")


def newest(version: Version) -> None:
    """Hold the version to those that were released."""
    for tag in git("tag", "--list", "v*").split():
        try:
            other = Version(tag)
        except InvalidVersion:
            continue
        if other >= version:
            raise Refused(f"{tag} is newer than {version}. Nearest: a version after it")


def check_readme() -> None:
    command = [sys.executable, str(ROOT / ".github" / "scripts" / "readme.py"), "--check"]
    done = subprocess.run(command, check=False, capture_output=True, encoding="utf-8")
    if done.returncode:
        raise Refused((done.stdout + done.stderr).strip().rstrip("."))


def last_release() -> str:
    """The last release as git knows it: its tag, or the commit that the changelog names."""
    if tag := git("describe", "--tags", "--abbrev=0", "--match", "v*", check=False):
        return tag
    named = (COMMIT.search(heading[2] or "") for heading in HEADING.finditer(read(CHANGELOG)))
    return next((found[1] for found in named if found), "")


def with_tables(changelog: str, last: str) -> str:
    """The changelog, its first section with what the tables changed since a release."""
    said = []
    for name, say in (("releases", changes), ("backends", changes_beside)):
        file = f"extensions/{name}.yml"
        before = git("show", f"{last}:{file}", check=False) if last else ""
        if before:
            said += say(loaded(before), loaded(read(file)))
    if not said:
        return changelog
    words = [
        textwrap.fill(f"- {one}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)
        for one in said
    ]
    entry = "\n".join(["What the tables say anew:", "", *words])
    first, *others = (heading.start() for heading in HEADING.finditer(changelog))
    end = others[0] if others else len(changelog)
    return f"{changelog[:end].rstrip()}\n\n{entry}\n\n{changelog[end:]}".rstrip() + "\n"


def loaded(text: str) -> dict[str, Any]:
    found = yaml.safe_load(text)
    return found if isinstance(found, dict) else {}


def disagreements() -> list[str]:
    """Where version, changelog, commits and tags of what was released do not agree."""
    found = []
    version = stated(PYPROJECT, read(PYPROJECT))
    if (locked := stated(LOCK, read(LOCK))) != version:
        found.append(f"{LOCK} has version {locked}, and {PYPROJECT} {version}")
    released = [h for h in HEADING.finditer(read(CHANGELOG)) if h[2]]
    if not released or released[0][1] != version:
        newest = f"v{released[0][1]}" if released else "nothing"
        found.append(f"{CHANGELOG} has {newest} as released last, and {PYPROJECT} {version}")
    for heading in released:
        name = COMMIT.search(heading[2])
        if name is None:
            # That of the commit itself, which is tagged, cannot name it.
            continue
        commit = git("rev-parse", "--verify", "--quiet", f"{name[1]}^{{commit}}", check=False)
        tag = git("rev-parse", "--verify", "--quiet", f"v{heading[1]}^{{commit}}", check=False)
        then = git("show", f"{name[1]}:{PYPROJECT}", check=False)
        if not commit:
            found.append(f"{CHANGELOG} names {name[1]} for v{heading[1]}, which is no commit here")
        elif tag not in ("", commit):
            found.append(f"the tag v{heading[1]} is not the commit {name[1]} of {CHANGELOG}")
        elif stated(PYPROJECT, then) != heading[1]:
            found.append(f"{name[1]} is not version {heading[1]}, as {CHANGELOG} says")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("version", nargs="?")
    what.add_argument("--check", action="store_true")
    options = parser.parse_args()
    try:
        if options.check:
            found = disagreements()
            print("\n".join(found) or "What was released agrees.")
            return int(bool(found))
        print(release(options.version))
    except Refused as error:
        print(f"{error}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
