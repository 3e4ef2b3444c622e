# /// script
# requires-python = ">=3.11"
# dependencies = ["copier>=9.19,<10", "copier-template-extensions>=0.3.4", "tomlkit>=0.13"]
# ///
"""Tell how far projects have drifted from what the template rendered for them.

    uv run --script extensions/drift.py PROJECT [PROJECT ...]

Each project is rendered again, at the version and with the answers that it recorded. A file drifts
if it is missing, lacks lines that were rendered, or is extra: there, though only other answers
render it. Lines and files that its owner added are no drift. Of `pyproject.toml` PyTorch's parts
drift, where they are not as the answers say; nothing else of it does, nor any file of its owner's.
Several projects get one line each, as soon as it is known. One that cannot be compared, whatever is
in it, costs its own line: only regular files are read, up to a size, and its time has a limit.
Files that a project may change as it likes stand in its `pyproject.toml`, as patterns:
`[tool.torch-uv-template] own = ["scripts/*", ".github/*"]`.

A render runs the template's code. That is the template of this checkout, wherever it was cloned
from; others are named by --trust, as they are recorded: only addresses by https and ssh are alike.

Exit codes: 0 no drift, 1 drift, 2 something that cannot be compared, 4 a result that could not be
printed, 130 and 143 stopped by SIGINT and SIGTERM.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from textwrap import indent
from types import ModuleType
from typing import Any

import yaml

# Run as a script it belongs to no package, and finds the other modules of this one by their folder.
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from extensions.fleet import workers  # noqa: E402
from extensions.fleet.printed import complain, leave, one_line, say  # noqa: E402
from extensions.fleet.recorded import (  # noqa: E402
    ANSWERS,
    PYPROJECT,
    CannotCompare,
    own_files,
    recorded,
)
from extensions.fleet.templates import (  # noqa: E402
    Templates,
    behind,
    checkout,
    forget_other_repositories,
    git,
    module,
)
from extensions.project.regular import Unreadable, contents  # noqa: E402

# Lines of pyproject.toml that versions below 0.3 rendered once, and are its owner's or uv's since.
OWNERS = re.compile(r'version = "[^"]*"|    "(?!torch|pytorch|triton)[\w.-]+>=[\d.]+",')
# What an adoption renders only where it is asked for.
LEFT_OUT = (".pre-commit-config.yaml", "renovate.json")
# Characters of a project's that are shown.
LONGEST_WORD = 20
LONGEST_PROBLEM = 400


@dataclass(frozen=True)
class Drift:
    """`changed` maps a file to the number of its rendered lines that are gone, and `parts` are the
    keys of `pyproject.toml` that are not as the answers say."""

    project: str
    version: str = ""
    behind: int | None = None
    strategy: str = ""
    line: str = ""
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    changed: dict[str, int] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)
    problem: str = ""

    @property
    def files(self) -> int:
        return len(self.missing) + len(self.extra) + len(self.changed) + bool(self.parts)

    @property
    def code(self) -> int:
        """The exit code for this project alone; that of several is the highest."""
        return 2 if self.problem else 1 if self.files else 0


def own_sources() -> list[str]:
    """This checkout, and where it was cloned from."""
    here = ROOT
    sources = [str(here)]
    # The address as it was typed, and what `insteadOf` makes of it.
    for command in (["config", "remote.origin.url"], ["remote", "get-url", "origin"]):
        with contextlib.suppress(CannotCompare):
            sources.append(git(*command, cwd=here))
    return sources


@cache
def owners() -> tuple[str, ...]:
    """The files and folders of an owner's, which are rendered once; copier.yml names them."""
    content = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    return tuple(p.strip("/") for p in content["_skip_if_exists"] if p.startswith("/"))


def is_owners(name: str) -> bool:
    return any(name == path or name.startswith(f"{path}/") for path in owners())


def compare(project: Path, ask: workers.Ask) -> Drift:
    """Render a project again, and compare. `ask` knows the clones of templates."""
    from copier import run_copy

    try:
        answers = recorded(project)
        own = own_files(project)
        source, version = answers["_src_path"], answers["_commit"]
        clone = ask(source)
        if isinstance(clone, CannotCompare):
            raise clone
        template = checkout(clone, version)
        editor = module(template, "project.drifted")

        def left(name: str) -> bool:
            return own(name) or is_owners(name) or (name == PYPROJECT and editor is not None)

        # Beside the clone it goes with it, even if this process is killed.
        with tempfile.TemporaryDirectory(dir=clone.parent, ignore_cleanup_errors=True) as folder:
            # No answer depends on the folder's name, which may be one that a render refuses.
            fresh = Path(folder) / "project"
            given = {k: v for k, v in answers.items() if not str(k).startswith("_")}
            run_copy(str(template), fresh, given, defaults=True, unsafe=True, quiet=True)
            missing, changed = differences(fresh, project, template, source, left)
            extra = extra_files(template, given, fresh, project, left)
            parts: list[str] = []
            if editor and not own(PYPROJECT):
                text = contents(project, PYPROJECT)
                missing += [PYPROJECT] if text is None else []
                # What was not recorded has the default, as in the other files.
                every = yaml.safe_load((fresh / ANSWERS).read_text("utf-8"))
                parts = [] if text is None else drifted_parts(editor, text, every)
        releases = behind(clone, version)
    except CannotCompare as problem:
        return failed(project, str(problem))
    except MemoryError:
        return failed(project, f"it needs more than {workers.MEMORY // 1024**3} GiB of memory")
    except Exception as error:  # whatever an old template raises concerns one project alone
        return failed(project, f"{type(error).__name__}: {error}".splitlines()[0])
    return Drift(
        project=str(project),
        version=version,
        behind=releases,
        strategy=one_line(str(answers.get("strategy", "")), LONGEST_WORD),
        line=one_line(str(answers.get("torch_version", "")), LONGEST_WORD),
        missing=missing,
        extra=extra,
        changed=changed,
        parts=parts,
    )


def drifted_parts(editor: ModuleType, text: bytes, answers: dict[str, Any]) -> list[str]:
    """Those of PyTorch's parts of a pyproject.toml that are not as the answers say."""
    try:
        return list(editor.drifted(text.decode("utf-8"), answers))
    except editor.CannotEdit as error:
        raise CannotCompare(f"its {error}") from None


def failed(project: Path, reason: str) -> Drift:
    return Drift(str(project), problem=one_line(reason, LONGEST_PROBLEM))


def differences(
    fresh: Path, project: Path, template: Path, source: str, own: Callable[[str], bool]
) -> tuple[list[str], dict[str, int]]:
    """The rendered files that a project lacks, and those that lack rendered lines.

    Files that name the template name the folder that they were rendered from: here a checkout,
    in the project the source that it recorded.
    """
    missing, changed = [], {}
    for file in sorted(path for path in fresh.rglob("*") if path.is_file()):
        name = file.relative_to(fresh).as_posix()
        if name == ANSWERS or own(name):
            continue
        try:
            found = contents(project, name)
        except Unreadable as error:
            leave = f'own = ["{name}"] below [tool.torch-uv-template] leaves it out'
            raise CannotCompare(f"its {name} cannot be read: {error}; {leave}") from None
        if found is None:
            if name not in LEFT_OUT:
                missing.append(name)
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        theirs = OWNERS.fullmatch if name == PYPROJECT else lambda line: None
        lines = found.decode("utf-8", "replace").splitlines()
        rendered = [_recorded(line, lines, str(template), source) for line in text.splitlines()]
        if count := lost([line for line in rendered if not theirs(line)], lines):
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


def lost(rendered: list[str], found: list[str]) -> int:
    """The number of rendered lines that are not found in their order, however many are found.

    That is all but the longest common subsequence, with a bit for each rendered line that is not
    in it yet (Hyyrö, "Bit-parallel LCS-length computation revisited", 2004).
    """
    places: dict[str, int] = {}
    for number, line in enumerate(rendered):
        places[line] = places.get(line, 0) | 1 << number
    every = left = (1 << len(rendered)) - 1
    for line in found:
        if here := left & places.get(line, 0):
            left = (left + here | left - here) & every
    return left.bit_count()


def extra_files(
    template: Path,
    answers: dict[str, Any],
    fresh: Path,
    project: Path,
    own: Callable[[str], bool],
) -> list[str]:
    """The files of a project that the template renders, though not for these answers."""
    top = template / "template"
    found = set()
    for path in top.rglob("*"):
        name = re.sub(r"\{% if .*?%\}|\{% endif %\}", "", path.relative_to(top).as_posix())
        name = name.replace("{{ package_name }}", str(answers.get("package_name", "")))
        name = name.removesuffix(".jinja")
        if path.is_file() and os.path.isfile(project / name) and not (fresh / name).exists():
            found.add(name)
    return sorted(name for name in found if not own(name))


def compare_all(projects: list[Path], trusted: list[str], seconds: float) -> Iterator[Drift]:
    """Each project's drift, in their order but for those that take long, which come later."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # What is rendered names the checkouts by their real paths.
        templates = Templates(Path(folder).resolve(), [*own_sources(), *trusted])
        try:
            yield from workers.each(compare, projects, failed, templates.clone, seconds)
        finally:
            templates.end()


def say_json(drifts: Iterator[Drift]) -> int:
    """A list of objects, which is complete even if this is stopped half way; the exit code."""
    code, between = 0, "\n"
    say("[", end="")
    try:
        for drift in drifts:
            say(between + indent(json.dumps(asdict(drift), indent=2), "  "), end="")
            code, between = max(code, drift.code), ",\n"
    finally:
        say("\n]")
    return code


def say_table(drifts: Iterator[Drift], projects: list[Path]) -> int:
    """A line for each, in columns that fit what is known before the first; the exit code."""
    widths = [max(len(one_line(str(project))) for project in projects), 10, 6, 8, 6, 0]

    def row(*cells: str) -> None:
        say("  ".join(map(str.ljust, cells, widths)).rstrip())

    code = 0
    row("project", "version", "behind", "strategy", "torch", "drifted files")
    for d in drifts:
        behind = "?" if d.behind is None else str(d.behind)
        result = d.problem or str(d.files)
        row(one_line(d.project), d.version, behind, d.strategy, d.line, result)
        code = max(code, d.code)
    return code


def one(drift: Drift) -> str:
    name = one_line(drift.project)
    if drift.problem:
        return f"{name}: {drift.problem}."
    lines = [f"{name}: missing" for name in drift.missing]
    lines += [f"{name}: extra, for these answers" for name in drift.extra]
    lines += [f"{name}: {count} rendered lines gone" for name, count in drift.changed.items()]
    lines += [f"{PYPROJECT}: {part} is not as the answers say" for part in drift.parts]
    return "\n".join(lines or [f"{name}: as rendered by {drift.version}."])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("projects", nargs="*", type=Path, metavar="PROJECT")
    parser.add_argument("--json", action="store_true", help="print a list of objects")
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="TEMPLATE",
        help="run this template, too; all below an address that ends with /",
    )
    parser.add_argument(
        "--seconds",
        type=int,
        choices=range(1, 86_401),
        default=60,
        metavar="N",
        help="the time that one project may take (default: %(default)s)",
    )
    options = parser.parse_args()
    # A handler of its own: those of a template would end one project, and not this.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    forget_other_repositories()
    # Copier keeps the environment that it is imported in. Here, so that each worker has it already.
    import copier  # noqa: F401

    projects = [_resolved(path) for path in options.projects]
    if not projects:
        complain("name the folder of at least one project, such as `drift.py ../myproj`.")
        if options.json:
            say("[]")
        return 2
    with contextlib.closing(compare_all(projects, options.trust, options.seconds)) as drifts:
        if options.json:
            return say_json(drifts)
        if len(projects) > 1:
            return say_table(drifts, projects)
        [drift] = drifts
        say(one(drift))
        return drift.code


def _resolved(path: Path) -> Path:
    # A loop of links, or a current folder that is gone: its comparison says what is wrong.
    with contextlib.suppress(OSError, RuntimeError):
        return path.resolve()
    return path


if __name__ == "__main__":
    leave(main)
