"""Look whether the tables are still true, and pack what was found for the job that tells people.

    uv run --no-dev .github/scripts/look.py tables   refresh them, and run the suite on the result
    uv run --no-dev .github/scripts/look.py world    hold them, and a lock per strategy, against it

The last line of the output is `found=` and what `tell.py` reads. Exits with 2 if it could not look.
In a fork it looks at the mirror that `policy.yml` names; `MIRROR_USERNAME` and `MIRROR_PASSWORD`
are its login, if it wants one.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from message import DATES, FILES, fenced, packed, tail  # noqa: E402

from extensions.plan.planner import make_plan  # noqa: E402
from extensions.project.there import recorded_answers  # noqa: E402
from extensions.questions import policy  # noqa: E402
from extensions.questions.contract import VALUES, Answers  # noqa: E402
from extensions.questions.names import PYPI_URL, PYTORCH_URL, URL_KEYS  # noqa: E402
from extensions.tables.releases import load  # noqa: E402

TABLES = "extensions/releases.yml"
REFRESH = ("uv", "run", "--script", "extensions/refresh.py")
# A new day alone is worth a pull request once in a while: at 60 the questions begin to say so.
DAYS = 30
# What says that nothing was seen, and not that something is not there.
BLIND = re.compile(
    r"error sending request|timed out|timeout|dns error|connection (reset|refused|closed)"
    r"|tls handshake|(429 Too Many|50\d )|could not connect|network is unreachable"
    r"|requested interpreter|no interpreter found",
    re.IGNORECASE,
)
# What `uv run` says of the environment of this script, and of no project.
OWN = {"VIRTUAL_ENV", "UV_PYTHON"}


class Blind(Exception):
    """It could not look; nothing follows from that."""


@dataclass
class Done:
    """A command that has run: its exit status and what it printed."""

    code: int
    text: str


def run(*command: str, cwd: Path = ROOT, environment: dict[str, str] | None = None) -> Done:
    """Run a command, and show what it prints as it does."""
    print(f"$ {shlex.join(command)}", file=sys.stderr, flush=True)
    with subprocess.Popen(
        command,
        cwd=cwd,
        env={**{k: v for k, v in os.environ.items() if k not in OWN}, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        said = []
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", file=sys.stderr, flush=True)
            said.append(line)
    return Done(process.returncode, "".join(said))


# The tables


def look_at_tables(environment: dict[str, str]) -> dict[str, Any]:
    """Refresh the tables and what the README says of them.

    The files that changed, and Markdown for a pull request; no files where nothing is new.
    """
    before = {name: read(name) for name in FILES}
    with tempfile.TemporaryDirectory() as folder:
        summary = Path(folder, "summary.md")
        done = run(*REFRESH, "--write", "--summary", str(summary), environment=environment)
        if done.code:
            raise Blind(f"refresh.py ended with {done.code}")
        words = summary.read_text(encoding="utf-8").strip() if summary.exists() else ""
    if run(sys.executable, ".github/scripts/readme.py").code:
        raise Blind("the README could not be written")
    if odd := sorted({*run("git", "diff", "--name-only").text.split()} - {*FILES}):
        raise Blind(f"refresh.py changed {', '.join(odd)}, which holds no tables")
    files = {name: read(name) for name in before}
    files = {name: text for name, text in files.items() if text != before[name]}
    if not files or not (essential(files, before) or due(before[TABLES])):
        print("Nothing is new.", file=sys.stderr)
        return {"files": {}}
    with tempfile.TemporaryDirectory() as folder:
        # It has another Python, and this process lives in the project's own environment.
        apart = {"UV_PROJECT_ENVIRONMENT": str(Path(folder, "venv"))}
        no_login = {"MIRROR_PASSWORD": "", "MIRROR_USERNAME": ""}
        suite = run("bash", ".ci/run", environment={**apart, **no_login})
    return {"files": files, "words": words or "Only the day is new.", "suite": told(suite)}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def essential(files: dict[str, str], before: dict[str, str]) -> bool:
    """Whether more than days changed."""
    return any(DATES.sub("", text) != DATES.sub("", before[name]) for name, text in files.items())


def due(tables: str) -> bool:
    """Whether the recorded day is so long ago that a new one is worth a pull request."""
    found = re.search(r"^checked: (\S+)", tables, re.MULTILINE)
    return found is None or (date.today() - date.fromisoformat(found[1])).days > DAYS


def told(suite: Done) -> str:
    """What the suite said, as Markdown."""
    last = next((line for line in reversed(suite.text.splitlines()) if line.strip()), "nothing")
    if not suite.code:
        return f"The suite passes: `{last.strip(' =').replace('`', chr(39))}`."
    return f"**The suite fails** (exit status {suite.code}):\n\n{fenced(tail(suite.text))}"


# The world


@dataclass
class Found:
    """What contradicts the tables, and what could not be looked at."""

    wrong: list[str] = field(default_factory=list)
    blind: list[str] = field(default_factory=list)


def look_at_world(environment: dict[str, str]) -> Found:
    """Hold the tables against the indexes, and lock a new project of each strategy."""
    found = Found()
    done = run(*REFRESH, "--check", environment=environment)
    if done.code == 1:
        found.wrong.append(f"The indexes contradict the tables:\n\n{fenced(tail(done.text))}")
    elif done.code:
        found.blind.append(f"refresh.py --check ended with {done.code}")
    with tempfile.TemporaryDirectory() as folder:
        for strategy in strategies():
            project = Path(folder, strategy)
            for name, command in commands(project, strategy):
                done = run(*command, cwd=Path(folder), environment=environment)
                if not done.code:
                    continue
                where = f"`{name}` of a new project with `strategy={strategy}`"
                if BLIND.search(done.text):
                    found.blind.append(f"{where} could not look")
                else:
                    text = tail(done.text.replace(folder, "…"), 6000)
                    found.wrong.append(f"{where} fails:\n\n{fenced(text)}")
                break
    return found


def strategies() -> list[str]:
    """Those that the policy allows."""
    rule = policy.load(ROOT / "policy.yml").rule("strategy")
    return [name for name in VALUES["strategy"] if not rule or name in rule.allow]


def commands(project: Path, strategy: str) -> Iterator[tuple[str, Sequence[str]]]:
    """A new project with the defaults of a strategy, and what asks the indexes for all of it; each
    command with its name."""
    copy = (sys.executable, "-m", "copier", "copy", "--trust", "--defaults", "--quiet")
    answer = ("--vcs-ref", "HEAD", "--data", f"strategy={strategy}")
    yield "copier copy", (*copy, *answer, str(ROOT), str(project))
    inside = ("uv", "--directory", str(project))
    if strategy != "pip":
        yield "uv lock", (*inside, "lock")
        if strategy != "provided":
            check = project / "scripts" / "check_lock.py"
            yield "scripts/check_lock.py", (sys.executable, str(check))
        return
    answers = recorded_answers(project / ".copier-answers.yml") or {}
    plan = make_plan(load(ROOT / "extensions"), Answers.complete(answers))
    yield "uv venv", (*inside, "venv")
    yield plan.install, (*inside, *shlex.split(plan.install)[1:], "--dry-run")


# The mirror


def netrc(folder: Path) -> dict[str, str]:
    """The login of the mirror that the policy names, where uv and others look for it.

    The public hosts, which a policy may name as well, never get it.
    """
    user, password = (os.environ.get(f"MIRROR_{name}") for name in ("USERNAME", "PASSWORD"))
    rules = policy.load(ROOT / "policy.yml")
    urls = [url for key in URL_KEYS if (rule := rules.rule(key)) for url in rule.allow]
    public = {urlsplit(url).hostname for url in (PYTORCH_URL, PYPI_URL)}
    hosts = sorted({host for url in urls if (host := urlsplit(url).hostname)} - public)
    if not (user and password and hosts):
        return {}
    file = folder / "netrc"
    file.touch(mode=0o600)
    lines = [f"machine {host} login {user} password {password}\n" for host in hosts]
    file.write_text("".join(lines), encoding="utf-8")
    return {"NETRC": str(file)}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("at", choices=["tables", "world"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = netrc(Path(folder))
        try:
            if options.at == "tables":
                print(f"found={packed(look_at_tables(environment))}")
                return 0
            found = look_at_world(environment)
        except Blind as error:
            print(f"Could not look: {error}.", file=sys.stderr)
            return 2
    print(f"found={packed({'wrong': found.wrong, 'blind': bool(found.blind)})}")
    for reason in found.blind:
        print(f"Could not look: {reason}.", file=sys.stderr)
    return 2 if found.blind else 0


if __name__ == "__main__":
    sys.exit(main())
