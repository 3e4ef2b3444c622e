# /// script
# requires-python = ">=3.11"
# dependencies = ["copier>=9.19,<10", "copier-template-extensions>=0.3.4"]
# ///
"""Tell how far projects have drifted from what the template rendered for them.

    uv run --script extensions/drift.py PROJECT [PROJECT ...]

Each project is rendered again, at the version and with the answers that it recorded. A file drifts
if it is missing, lacks lines that were rendered, or is extra: there, though only other answers
render it. Lines and files that its owner added are no drift. Several projects get one line each.
Files that a project may change as it likes stand in its `pyproject.toml`, as patterns:
`[tool.torch-uv-template] own = ["README.md", ".github/*"]`.

A render runs the template's code. That is the template of this checkout, wherever it was cloned
from; others are named by --trust.

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
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml
from copier import run_copy

ANSWERS = ".copier-answers.yml"


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
    answers: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not {"_src_path", "_commit"} <= set(answers or {}):
        raise CannotCompare(f"its {ANSWERS} names no template and version")
    if not re.fullmatch(r"\w[\w.+-]*", str(answers["_commit"])):
        raise CannotCompare(f"its {ANSWERS} names no version of the template")
    return answers


def own_sources() -> list[str]:
    """This checkout, and where it was cloned from."""
    here = Path(__file__).resolve().parents[1]
    with contextlib.suppress(CannotCompare):
        return [str(here), git("remote", "get-url", "origin", cwd=here)]
    return [str(here)]


def plain(source: str) -> str:
    """An address without what may differ for one repository: https or ssh, user, `.git`."""
    address = re.sub(r"^(\w+://)?([^@/]+@)?", "", source).removesuffix("/").removesuffix(".git")
    return address if source.startswith("/") else address.replace(":", "/", 1)


class Templates:
    """Checkouts of trusted templates, one per version, made once for all projects."""

    def __init__(self, folder: Path, trusted: list[str]) -> None:
        self.folder = folder
        self.trusted = trusted

    def trusts(self, source: str) -> bool:
        """Whether code from there may run: an address in full, or below one that ends with `/`."""
        if ".." in source.split("/"):
            return False
        below = [prefix for prefix in self.trusted if prefix.endswith("/")]
        return plain(source) in map(plain, self.trusted) or any(
            f"{plain(source)}/".startswith(f"{plain(prefix)}/") for prefix in below
        )

    def clone(self, source: str) -> Path:
        if not self.trusts(source):
            raise CannotCompare(f"its template {source} is not trusted; --trust {source} does that")
        target = self.folder / _slug(source)
        if not target.exists():
            git("clone", "--quiet", "--bare", source, str(target), cwd=self.folder)
        return target

    def at(self, source: str, version: str) -> Path:
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
    return "".join(c if c.isalnum() else "-" for c in text)


def compare(project: Path, templates: Templates) -> Drift:
    """Render a project again, and compare."""
    try:
        answers = recorded(project)
        source, version = answers["_src_path"], answers["_commit"]
        with tempfile.TemporaryDirectory() as folder:
            fresh = Path(folder) / project.name
            given = {k: v for k, v in answers.items() if not k.startswith("_")}
            with contextlib.redirect_stderr(io.StringIO()):
                run_copy(
                    str(templates.at(source, version)),
                    fresh,
                    given,
                    defaults=True,
                    unsafe=True,
                    quiet=True,
                )
            missing, changed = differences(fresh, project)
            extra = extra_files(templates.at(source, version), given, fresh, project)
    except CannotCompare as problem:
        return Drift(str(project), problem=str(problem))
    except Exception as error:  # whatever an old template raises concerns one project alone
        return Drift(str(project), problem=f"{type(error).__name__}: {error}".splitlines()[0])
    return Drift(
        project=str(project),
        version=version,
        behind=templates.behind(source, version),
        strategy=str(answers.get("strategy", "")),
        line=str(answers.get("torch_version", "")),
        missing=missing,
        extra=extra,
        changed=changed,
    )


def differences(fresh: Path, project: Path) -> tuple[list[str], dict[str, int]]:
    """The rendered files that a project lacks, and those that lack rendered lines."""
    own = own_files(project)
    missing, changed = [], {}
    for file in sorted(path for path in fresh.rglob("*") if path.is_file()):
        name = file.relative_to(fresh).as_posix()
        if name == ANSWERS or any(fnmatch.fnmatch(name, pattern) for pattern in own):
            continue
        if not (project / name).is_file():
            missing.append(name)
            continue
        rendered, found = (
            path.read_text(encoding="utf-8", errors="replace").splitlines()
            for path in (file, project / name)
        )
        if rendered == found:
            continue
        lines = difflib.SequenceMatcher(None, rendered, found, autojunk=False).get_opcodes()
        if gone := sum(j - i for kind, i, j, _, _ in lines if kind in ("delete", "replace")):
            changed[name] = gone
    return missing, changed


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
    except ValueError as error:
        raise CannotCompare(f"its pyproject.toml is no TOML: {error}") from None
    own: list[str] = settings.get("tool", {}).get("torch-uv-template", {}).get("own", [])
    return own


def compare_all(projects: list[Path], folder: Path, trusted: list[str]) -> list[Drift]:
    templates = Templates(folder, [*own_sources(), *trusted])
    for project in projects:
        with contextlib.suppress(CannotCompare):
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
    projects = [path.resolve() for path in options.projects]
    with tempfile.TemporaryDirectory() as folder:
        drifts = compare_all(projects, Path(folder), options.trust)
    print(json.dumps([asdict(d) for d in drifts], indent=2) if options.json else report(drifts))
    if any(drift.problem for drift in drifts):
        return 2
    return 1 if any(drift.files for drift in drifts) else 0


if __name__ == "__main__":
    sys.exit(main())
