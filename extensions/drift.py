# /// script
# requires-python = ">=3.11"
# dependencies = ["copier>=9.19,<10", "copier-template-extensions>=0.3.4"]
# ///
"""Tell how far projects have drifted from what the template rendered for them.

    uv run --script extensions/drift.py PROJECT [PROJECT ...]

Each project is rendered again, at the version and with the answers that it recorded. A file drifts
if it is missing, lacks lines that were rendered, or is extra: there, though only other answers
render it. Lines and files that its owner added are no drift, nor are its version and packages.
Several projects get one line each.
Files that a project may change as it likes stand in its `pyproject.toml`, as patterns:
`[tool.torch-uv-template] own = ["README.md", ".github/*"]`.

A render runs the template's code. That is the template of this checkout, wherever it was cloned
from; others are named by --trust, as they are recorded: only addresses by https and ssh are alike.

Exit codes: 0 no drift, 1 drift, 2 a project that cannot be compared.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import fnmatch
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml
from copier import run_copy

ANSWERS = ".copier-answers.yml"
# Lines of pyproject.toml that are rendered once, and from then on its owner's or uv's to change.
OWNERS = re.compile(r'version = "[^"]*"|    "(?!torch|pytorch|triton)[\w.-]+>=[\d.]+",')
# Git and curl find more in an address than a person sees (`?`, `#`, `@`, `..`, `%2e`), so these
# allow a host and folders below it, and nothing else.
PART = r"(?!\.\.?(?:/|$))[\w.~-]+"
PATH = rf"{PART}(?:/{PART})*/?"
HOST = r"\w[\w.-]*"
URL = re.compile(rf"(https|ssh)://(?:(\w+)@)?({HOST}(?::\d+)?)/({PATH})", re.ASCII)
SCP = re.compile(rf"(\w+)@({HOST}):({PATH})", re.ASCII)


class CannotCompare(Exception):
    """A project of which nothing can be said, with the reason."""


@dataclass(frozen=True)
class Drift:
    """`changed` maps a file to the number of its rendered lines that are gone."""

    project: str
    version: str = ""
    behind: int | None = None
    strategy: str = ""
    line: str = ""
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    changed: dict[str, int] = field(default_factory=dict)
    problem: str = ""

    @property
    def files(self) -> int:
        return len(self.missing) + len(self.extra) + len(self.changed)


def git(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotCompare(f"git {arguments[0]}: {(done.stderr.splitlines() or ['failed'])[0]}")
    return done.stdout.strip()


def recorded(project: Path) -> dict[str, Any]:
    file = project / ANSWERS
    if not file.exists():
        raise CannotCompare(f"it has no {ANSWERS}")
    restore = "restore the file that Copier wrote"
    try:
        answers: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, RecursionError, ValueError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = f"{error.problem}, line {mark.line + 1}" if mark else error
        raise CannotCompare(f"its {ANSWERS} cannot be read ({reason}); {restore}") from None
    if not isinstance(answers, dict):
        raise CannotCompare(f"its {ANSWERS} holds no names with answers; {restore}")
    if not all(isinstance(answers.get(key), str) for key in ("_src_path", "_commit")):
        raise CannotCompare(f"its {ANSWERS} names no template and version; {restore}")
    if not re.fullmatch(r"\w[\w.+-]*", answers["_commit"]):
        raise CannotCompare(f"its {ANSWERS} names no version of the template; {restore}")
    return answers


def own_sources() -> list[str]:
    """This checkout, and where it was cloned from."""
    here = Path(__file__).resolve().parents[1]
    sources = [str(here)]
    # The address as it was typed, and what `insteadOf` makes of it.
    for command in (["config", "remote.origin.url"], ["remote", "get-url", "origin"]):
        with contextlib.suppress(CannotCompare):
            sources.append(git(*command, cwd=here))
    return sources


def place(source: str) -> str:
    """Host and path of a repository, alike by https and ssh; empty for any other source."""
    if url := URL.fullmatch(source):
        scheme, user, host, path = url.groups(default="")
    elif scp := SCP.fullmatch(source):
        scheme, (user, host, path) = "ssh", scp.groups()
    else:
        return ""
    # Another port is another server, and a path of ssh may be one in the home of its user.
    service = f"{scheme}:" if ":" in host else ""
    home = "" if scheme == "https" or user == "git" else f"{user}@"
    return f"{service}{home}{host}/{path.removesuffix('/').removesuffix('.git')}"


def covers(trusted: str, source: str) -> bool:
    """Whether an address is a trusted one, or below it if that ends with `/`."""
    known, asked, all_below = place(trusted), place(source), trusted.endswith("/")
    if source == trusted or (known and asked == known):
        return True
    if known and all_below and asked.startswith(f"{known}/"):
        return True
    rest = source.removeprefix(trusted)
    return all_below and rest != source and bool(re.fullmatch(PATH, rest, re.ASCII))


class Templates:
    """Checkouts of trusted templates, one per version, made once for all projects."""

    def __init__(self, folder: Path, trusted: list[str]) -> None:
        self.folder = folder
        self.trusted = trusted

    def trusts(self, source: str) -> bool:
        """Whether code from there may run: an address in full, or below one that ends with `/`."""
        return any(covers(trusted, source) for trusted in self.trusted)

    def clone(self, source: str) -> Path:
        target = self.folder / _slug(source)
        if not target.exists():
            git("clone", "--quiet", "--bare", "--", source, str(target), cwd=self.folder)
        return target

    def at(self, source: str, version: str) -> Path:
        if not self.trusts(source):
            option = f"--trust {shlex.quote(source)}"
            raise CannotCompare(f"its template {source} is not trusted; {option} does that")
        target = self.folder / f"{_slug(source)}-{_slug(version)}"
        if not target.exists():
            clone = self.clone(source)
            described = re.search(r"-\d+-g([0-9a-f]+)$", version)
            commit = described[1] if described else version
            git("worktree", "add", "--quiet", "--detach", str(target), commit, cwd=clone)
            # As a plain folder it is rendered without another clone.
            (target / ".git").unlink()
        return target

    def behind(self, source: str, version: str) -> int | None:
        """The number of releases after a version."""
        tags = git("tag", "--sort=-v:refname", cwd=self.clone(source)).splitlines()
        return tags.index(version) if version in tags else None


def _slug(text: str) -> str:
    """A name for a folder, of which no two texts have the same."""
    return f"{re.sub('[^a-z0-9]+', '-', text.lower())}-{sha256(text.encode()).hexdigest()[:8]}"


def compare(project: Path, templates: Templates) -> Drift:
    """Render a project again, and compare."""
    try:
        answers = recorded(project)
        source, version = answers["_src_path"], answers["_commit"]
        template = templates.at(source, version)
        with tempfile.TemporaryDirectory() as folder:
            fresh = Path(folder) / project.name
            given = {k: v for k, v in answers.items() if not k.startswith("_")}
            with contextlib.redirect_stderr(io.StringIO()):
                run_copy(str(template), fresh, given, defaults=True, unsafe=True, quiet=True)
            missing, changed = differences(fresh, project, template, source)
            extra = extra_files(template, given, fresh, project)
        behind = templates.behind(source, version)
    except CannotCompare as problem:
        return Drift(str(project), problem=_line(str(problem)))
    except Exception as error:  # whatever an old template raises concerns one project alone
        first = f"{type(error).__name__}: {error}".splitlines()[0]
        return Drift(str(project), problem=_line(first))
    return Drift(
        project=str(project),
        version=version,
        behind=behind,
        strategy=str(answers.get("strategy", "")),
        line=str(answers.get("torch_version", "")),
        missing=missing,
        extra=extra,
        changed=changed,
    )


def _line(text: str) -> str:
    """A text of others as one line that does nothing to a terminal or a table."""
    return "".join(c if c.isprintable() else " " for c in text)


def differences(
    fresh: Path, project: Path, template: Path, source: str
) -> tuple[list[str], dict[str, int]]:
    """The rendered files that a project lacks, and those that lack rendered lines.

    Files that name the template name the folder that they were rendered from: here a checkout,
    in the project the source that it recorded.
    """
    own = own_files(project)
    missing, changed = [], {}
    for file in sorted(path for path in fresh.rglob("*") if path.is_file()):
        name = file.relative_to(fresh).as_posix()
        if name == ANSWERS or any(fnmatch.fnmatch(name, pattern) for pattern in own):
            continue
        if not (project / name).is_file():
            missing.append(name)
            continue
        text, other = (
            path.read_text(encoding="utf-8", errors="replace") for path in (file, project / name)
        )
        found = other.splitlines()
        rendered = [_recorded(line, found, str(template), source) for line in text.splitlines()]
        if rendered == found:
            continue
        lines = difflib.SequenceMatcher(None, rendered, found, autojunk=False).get_opcodes()
        gone = [rendered[i:j] for kind, i, j, _, _ in lines if kind in ("delete", "replace")]
        theirs = OWNERS.fullmatch if name == "pyproject.toml" else lambda line: None
        if count := sum(not theirs(line) for part in gone for line in part):
            changed[name] = count
    return missing, changed


def _recorded(line: str, found: list[str], template: str, source: str) -> str:
    """A rendered line with the recorded source in the place of the checkout's folder.

    An odd source stands in quotes there, and an ordinary folder does not.
    """
    if template not in line:
        return line
    line = line.replace(template, source)
    alike = (other for other in found if _unquoted(other) == _unquoted(line))
    return next(alike, line)


def _unquoted(line: str) -> str:
    return re.sub(r"[\"'\\]", "", line)


def extra_files(template: Path, answers: dict[str, Any], fresh: Path, project: Path) -> list[str]:
    """The files of a project that the template renders, though not for these answers."""
    top = template / "template"
    found = set()
    for path in top.rglob("*"):
        name = re.sub(r"\{% if .*?%\}|\{% endif %\}", "", path.relative_to(top).as_posix())
        name = name.replace("{{ package_name }}", str(answers.get("package_name", "")))
        name = name.removesuffix(".jinja")
        if path.is_file() and (project / name).is_file() and not (fresh / name).exists():
            found.add(name)
    own = own_files(project)
    return sorted(n for n in found if not any(fnmatch.fnmatch(n, pattern) for pattern in own))


def own_files(project: Path) -> list[str]:
    file = project / "pyproject.toml"
    if not file.exists():
        return []
    try:
        settings = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, RecursionError, ValueError) as error:
        raise CannotCompare(f"its pyproject.toml cannot be read: {error}") from None
    table = settings.get("tool", {})
    if isinstance(table, dict):
        table = table.get("torch-uv-template", {})
    own = table.get("own", []) if isinstance(table, dict) else None
    if not isinstance(own, list) or not all(isinstance(pattern, str) for pattern in own):
        raise CannotCompare(
            "its pyproject.toml names its own files by something else than a list of texts; "
            'expected, below [tool.torch-uv-template]: own = ["README.md"]'
        )
    return own


def compare_all(projects: list[Path], folder: Path, trusted: list[str]) -> list[Drift]:
    templates = Templates(folder, [*own_sources(), *trusted])
    for project in projects:
        # `compare` tells what does not work.
        with contextlib.suppress(Exception):
            answers = recorded(project)
            templates.at(answers["_src_path"], answers["_commit"])
    if len(projects) < 8:
        return [compare(project, templates) for project in projects]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compare, projects, [templates] * len(projects), chunksize=8))


def report(drifts: list[Drift]) -> str:
    if len(drifts) == 1:
        return one(drifts[0])
    head = ("project", "version", "behind", "strategy", "torch", "drifted files")
    rows = [
        (
            d.project,
            d.version,
            "?" if d.behind is None else str(d.behind),
            d.strategy,
            d.line,
            d.problem or str(d.files),
        )
        for d in drifts
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in (head, *rows)]
    return "\n".join(lines)


def one(drift: Drift) -> str:
    if drift.problem:
        return f"{drift.project}: {drift.problem}."
    lines = [f"{name}: missing" for name in drift.missing]
    lines += [f"{name}: extra, for these answers" for name in drift.extra]
    lines += [f"{name}: {count} rendered lines gone" for name, count in drift.changed.items()]
    return "\n".join(lines or [f"{drift.project}: as rendered by {drift.version}."])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("projects", nargs="+", type=Path, metavar="PROJECT")
    parser.add_argument("--json", action="store_true", help="print a list of objects")
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="TEMPLATE",
        help="run this template, too; all below an address that ends with /",
    )
    options = parser.parse_args()
    # A handler of its own: those of a template would end one project, and not this.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    projects = [path.resolve() for path in options.projects]
    with tempfile.TemporaryDirectory() as folder:
        # What is rendered names the checkouts by their real paths.
        drifts = compare_all(projects, Path(folder).resolve(), options.trust)
    print(json.dumps([asdict(d) for d in drifts], indent=2) if options.json else report(drifts))
    if any(drift.problem for drift in drifts):
        return 2
    return 1 if any(drift.files for drift in drifts) else 0


if __name__ == "__main__":
    sys.exit(main())
