"""What Copier runs in a project that is there: edits PyTorch's parts of its `pyproject.toml`.

    edit.py quiet|loud ANSWERS_FILE --from VERSION     after the merge of an update
    edit.py quiet|loud ANSWERS_FILE --before ANSWERS   after a copy: adoption and `copier recopy`

It works in the current folder. Of an update it also tells what came of it; before that it gives
back the files that the project keeps to itself, and takes from a README of version 0.1 or 0.2 what
`docs/pytorch.md` says now. `--before` is JSON, and empty for a project that is adopted.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

import yaml  # noqa: E402
from packaging.version import Version  # noqa: E402

from extensions.plan.faults import faults_shown  # noqa: E402
from extensions.plan.plan import Plan  # noqa: E402
from extensions.plan.planner import make_plan  # noqa: E402
from extensions.plan.shown import builds_moved  # noqa: E402
from extensions.project import readme  # noqa: E402
from extensions.project.conflicts import conflicts  # noqa: E402
from extensions.project.editor import CannotEdit, edit  # noqa: E402
from extensions.project.own import owned  # noqa: E402
from extensions.project.readable import trouble  # noqa: E402
from extensions.project.repository import Repository  # noqa: E402
from extensions.project.there import answers_in, recorded_answers  # noqa: E402
from extensions.project.yours import left_to_the_owner  # noqa: E402
from extensions.questions import policy  # noqa: E402
from extensions.questions.contract import Answers, Known  # noqa: E402
from extensions.tables import releases  # noqa: E402

PYPROJECT, README = "pyproject.toml", "README.md"
# From this version on, docs/pytorch.md says what the README of a project said of PyTorch.
MOVED = Version("0.3.0.dev0")
UNDO = "git reset --hard && git clean -d --force"


class Stop(Exception):
    """An edit that cannot be made, with the reason."""


@dataclass(frozen=True)
class Project:
    """The project in a folder, with its answers after the render and the plan that they give."""

    folder: Path
    answers_file: str
    answers: Known
    plan: Plan

    @classmethod
    def read(cls, folder: Path, answers_file: str) -> Project:
        answers = recorded_answers(folder / answers_file)
        if answers is None:
            raise Stop(f"{answers_file} holds no answers")
        plan = make_plan(releases.load(FOLDER), Answers.complete(answers))
        return cls(folder, answers_file, answers, plan)

    @property
    def name(self) -> str:
        return str(self.answers["project_name"])

    def text(self, name: str) -> str | None:
        """A file with its newlines as they are; None where there is none."""
        file = self.folder / name
        return file.read_bytes().decode("utf-8") if file.is_file() else None

    def write(self, name: str, text: str) -> None:
        """Replace a file as a whole: at no moment is it half written."""
        file = (self.folder / name).resolve()
        handle, beside = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(handle, "wb") as opened:
                opened.write(text.encode("utf-8"))
            os.chmod(beside, file.stat().st_mode & 0o7777)
            os.replace(beside, file)
        except BaseException:
            os.unlink(beside)
            raise

    def edit(self, before: Known | None, aged: bool = False) -> list[str]:
        """Edit PyTorch's parts; what there is to say of it."""
        text = self.text(PYPROJECT)
        if text is None:
            return [f"there is no {PYPROJECT}: nothing was edited"]
        try:
            edited = edit(text, before, self.plan, aged=aged)
        except CannotEdit as error:
            raise Stop(str(error)) from None
        if edited.text != text:
            self.write(PYPROJECT, edited.text)
        return [f"{PYPROJECT}: {said}" for said in edited.said]


def update(project: Project, version: Version) -> Iterator[str]:
    """After Copier's merge; yields the paragraphs to print."""
    repository = Repository(project.folder)
    before_text = (repository.committed(project.answers_file) or b"").decode("utf-8", "replace")
    before = answers_in(before_text) or {}
    try:
        is_own = owned(project.text(PYPROJECT) or "")
    except ValueError as error:
        raise Stop(f"{PYPROJECT} {error}") from None
    _give_back(project, repository, is_own)
    said = []
    if is_own(PYPROJECT):
        said.append(f"{PYPROJECT} is among the files of your own: PyTorch's parts are as they were")
    else:
        said += project.edit(before, aged=version < MOVED)
    if version < MOVED and not is_own(README):
        said += _move_sections(project, before_text)
    pyproject = project.text(PYPROJECT)
    if pyproject is not None:
        tables = releases.load(FOLDER)
        said += left_to_the_owner(project.folder, pyproject, tables, before, project.answers)
    if said:
        yield "\n".join(f"- {sentence}." for sentence in said)
    if gone := repository.changed(removed=True):
        yield (
            f"Gone, as these answers have no use for them: {', '.join(gone)}.\n"
            "What you wrote there is in git."
        )
    if moved := _moved(project, before):
        yield f"PyTorch's builds:\n\n{indent(moved, '  ')}"
    if known := faults_shown(_offered(), project.plan):
        yield known
    found = conflicts(project.folder)
    broken = _broken(project, repository, set(found))
    if broken:
        files = "1 file" if len(broken) == 1 else f"{len(broken)} files"
        reasons = "\n".join(f"- {name}: {reason}" for name, reason in broken.items())
        yield f"{files} to repair, which could be read before this update:\n\n{reasons}"
    if found:
        count = sum(found.values())
        yield (
            f"{count} conflict{'s' if count > 1 else ''} to resolve,\n"
            f"as after a merge, in {', '.join(found)}. Then:"
        )
    elif broken:
        yield "Then:"
    else:
        yield f"{project.name} is up to date with its template. Next:"
    if project.plan.strategy == "provided" != before.get("strategy"):
        yield f"  {project.plan.venv} --clear\n  {project.plan.install}"
    else:
        yield f"  {project.plan.install}"


def _offered() -> policy.Offered:
    """The tables inside the organization's policy."""
    return policy.load(FOLDER.parent / "policy.yml").restrict(releases.load(FOLDER))


def _moved(project: Project, before: Known) -> str:
    """Which builds are others now; empty where these tables do not know the line before."""
    try:
        plan = make_plan(releases.load(FOLDER), Answers.complete(before))
    except KeyError:
        return ""
    return builds_moved(plan, project.plan)


def _give_back(project: Project, repository: Repository, is_own: Callable[[str], bool]) -> None:
    """Have the files that the project keeps to itself as they were before the update."""
    repository.restore([n for n in repository.tracked() if is_own(n) and n != project.answers_file])
    for name in repository.new():
        if is_own(name) or is_own(name.removesuffix(".rej")):
            file = project.folder / name
            file.unlink()
            for folder in file.relative_to(project.folder).parents:
                with contextlib.suppress(OSError):
                    (project.folder / folder).rmdir()


def _move_sections(project: Project, before: str) -> list[str]:
    """Replace what an old version rendered into the README, and its owner left as it was."""
    text = project.text(README)
    rendered = _old_readme(project, before) if text is not None else None
    if text is None:
        return []
    if rendered is None:
        return [f"{README}: docs/pytorch.md says now what it says of PyTorch"]
    moved = readme.move(text, rendered)
    if moved.text != text:
        project.write(README, moved.text)
    if not moved.edited:
        return []
    names = ", ".join(moved.edited)
    return [f"{README}: docs/pytorch.md says now what it says under {names}, which you edited"]


def _old_readme(project: Project, answers: str) -> str | None:
    """The README as the version before rendered it; None where that version is not at hand."""
    # Copier takes a while to import, and only this needs it.
    from copier import run_copy

    found = yaml.safe_load(answers)
    given = {key: value for key, value in found.items() if not key.startswith("_")}
    commit = str(found["_commit"]).rpartition("-g")[2]
    with tempfile.TemporaryDirectory() as temporary:
        template, fresh = Path(temporary, "template"), Path(temporary, project.folder.name)
        try:
            command = ["git", "archive", "--output", f"{template}.tar", commit]
            subprocess.run(command, cwd=FOLDER.parent, check=True, capture_output=True)
            with contextlib.redirect_stderr(io.StringIO()):
                shutil.unpack_archive(f"{template}.tar", template)
                run_copy(str(template), fresh, given, defaults=True, unsafe=True, quiet=True)
        except Exception:  # whatever an old version raises: the section stays
            return None
        return (fresh / README).read_text("utf-8")


def _broken(project: Project, repository: Repository, conflicting: set[str]) -> dict[str, str]:
    """The files that the update changed and that cannot be read now, though they could before."""
    found = {}
    for name in {*repository.changed(), *repository.new()} - conflicting:
        file = project.folder / name
        if not file.is_file():
            continue
        reason = trouble(name, file.read_bytes())
        before = repository.committed(name)
        if reason and (before is None or not trouble(name, before)):
            found[name] = reason
    return dict(sorted(found.items()))


def copy(project: Project, before: Known | None) -> Iterator[str]:
    """After a copy into a project; yields the paragraphs to print."""
    text = project.text(PYPROJECT)
    if before is None and text is not None:
        # It reads locks and set-ups, which nothing else here does.
        from extensions.project.report import report

        said = project.edit(before)
        yield report(text, project.text("uv.lock"), project.text(PYPROJECT) or "", project.plan)
        if said:
            yield "\n".join(f"- {sentence}." for sentence in said)
        return
    if said := project.edit(before):
        yield "\n".join(f"- {sentence}." for sentence in said)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", choices=["quiet", "loud"])
    parser.add_argument("answers_file")
    after = parser.add_mutually_exclusive_group(required=True)
    after.add_argument("--from", dest="version", type=Version)
    after.add_argument("--before")
    options = parser.parse_args()
    try:
        project = Project.read(Path.cwd(), options.answers_file)
        if options.version is not None:
            paragraphs = list(update(project, options.version))
        else:
            before = json.loads(options.before) if options.before else None
            paragraphs = list(copy(project, before))
    except Stop as error:
        print(f"{error}. Nothing of {PYPROJECT} was changed. {UNDO}", file=sys.stderr)
        return 1
    if options.output == "loud" and paragraphs:
        print("\n" + "\n\n".join(paragraphs), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
