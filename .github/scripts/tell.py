"""Tell people what `look.py` found, by one pull request or one issue.

    python3 .github/scripts/tell.py tables   FOUND holds what `look.py tables` found
    python3 .github/scripts/tell.py world    FOUND holds what `look.py world` found

It runs git and GitHub's command line, with the standard library alone. The branch and the issue are
its own: commits of others on that branch are left as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from message import DATES, FILES, unpacked  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
BRANCH = "tables"
TITLE = "Refresh the tables"
LABEL = "tables-contradicted"
ISSUE = "The tables contradict what PyTorch publishes"
NAME = "github-actions[bot]"
EMAIL = "41898282+github-actions[bot]@users.noreply.github.com"
MOST = 60_000


def git(*arguments: str) -> str:
    """Run git in the repository; its output. Raises CalledProcessError if it fails."""
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    return done.stdout


def gh(*arguments: str) -> str:
    """Run GitHub's command line; its output. Raises CalledProcessError if it fails."""
    done = subprocess.run(
        ["gh", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    return done.stdout


def edit(text: str, what: str) -> None:
    """Give a pull request or an issue another text. `gh pr edit` would want to read the
    organization, which the token of a workflow may not."""
    with_body(text, "api", "--method", "PATCH", f"repos/{{owner}}/{{repo}}/{what}")


def with_body(text: str, *arguments: str) -> None:
    """Run gh with a text that may be long."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "body.md")
        cut = text if len(text) <= MOST else f"{text[:MOST]}\n````\n\nIt goes on in the job's log."
        file.write_text(cut, encoding="utf-8")
        by_api = arguments[0] == "api"
        gh(*arguments, *(["--field", f"body=@{file}"] if by_api else ["--body-file", str(file)]))


# The pull request


def tell_tables(found: dict[str, Any]) -> str:
    """Open or refresh the pull request with the changed tables; what was done."""
    files = {str(name): str(text) for name, text in found["files"].items()}
    if odd := set(files) - set(FILES):
        raise ValueError(f"it changes {', '.join(sorted(odd))}")
    base = git("rev-parse", "HEAD").strip()
    pulls = open_pulls()
    there = remote_branch()
    if pulls and there and (others := commits_of_others(base, there)):
        return f"Left alone, since others worked on {BRANCH}: {others}"
    if not files:
        return close_pulls(pulls)
    body = f"{found['words']}\n\n{found['suite']}\n"
    if there and same(base, there, files) and (pulls or was_closed()):
        if not pulls:
            return "Somebody closed a pull request with the same; it is not opened again."
        # What was done on main since might conflict with it.
        if untouched(base, there):
            # The suite may say something else by now.
            edit(body, f"pulls/{pulls[0]}")
            return f"Pull request {pulls[0]} has it already."
    commit(base, files)
    lease = f"--force-with-lease=refs/heads/{BRANCH}:{there}"
    git("push", "--quiet", lease, "origin", f"HEAD:refs/heads/{BRANCH}")
    if pulls:
        edit(body, f"pulls/{pulls[0]}")
        return f"Refreshed pull request {pulls[0]}."
    with_body(body, "pr", "create", "--head", BRANCH, "--title", TITLE)
    return "Opened a pull request."


def open_pulls() -> list[str]:
    """The numbers of ours that are open, newest first. A fork's branch may have the same name."""
    fields = ("--limit", "1000", "--json", "number,isCrossRepository")
    listed = json.loads(gh("pr", "list", "--head", BRANCH, "--state", "open", *fields))
    return [str(pull["number"]) for pull in listed if not pull["isCrossRepository"]]


def was_closed() -> bool:
    fields = ("--limit", "1000", "--json", "number,isCrossRepository")
    listed = json.loads(gh("pr", "list", "--head", BRANCH, "--state", "closed", *fields))
    return any(not pull["isCrossRepository"] for pull in listed)


def remote_branch() -> str:
    """The commit of the branch at the remote, fetched; empty where there is none."""
    listed = git("ls-remote", "origin", f"refs/heads/{BRANCH}").split()
    if listed:
        git("fetch", "--quiet", "origin", f"refs/heads/{BRANCH}")
    return listed[0] if listed else ""


def commits_of_others(base: str, there: str) -> str:
    """The subjects of commits on the branch that are not ours."""
    log = git("log", "--format=%ae %s", f"{base}..{there}")
    theirs = [line.partition(" ") for line in log.splitlines()]
    return "; ".join(subject for email, _, subject in theirs if email != EMAIL)


def same(base: str, there: str, files: dict[str, str]) -> bool:
    """Whether a commit changes the same files alike, but for days."""
    wanted = {name: files.get(name) or git("show", f"{base}:{name}") for name in FILES}
    return all(
        DATES.sub("", text) == DATES.sub("", git("show", f"{there}:{name}"))
        for name, text in wanted.items()
    )


def untouched(base: str, there: str) -> bool:
    """Whether main has these files as the branch found them."""
    fork = git("merge-base", base, there).strip()
    return not git("diff", "--name-only", fork, base, "--", *FILES).strip()


def commit(base: str, files: dict[str, str]) -> None:
    git("switch", "--quiet", "--force-create", BRANCH, base)
    for name, text in files.items():
        (ROOT / name).write_text(text, encoding="utf-8")
    git("add", "--", *files)
    identity = ("-c", f"user.name={NAME}", "-c", f"user.email={EMAIL}")
    git(*identity, "commit", "--quiet", "--message", TITLE)


def close_pulls(pulls: list[str]) -> str:
    for number in pulls:
        gh("pr", "close", number, "--comment", "The tables on main say it by now.")
    return f"Closed {', '.join(pulls)}." if pulls else "Nothing is new."


# The issue


def tell_world(found: dict[str, Any]) -> str:
    """Open or refresh the issue, or close it when all is well; what was done."""
    fields = ("--limit", "1000", "--json", "number,title,body")
    listed = json.loads(gh("issue", "list", "--label", LABEL, "--state", "open", *fields))
    issues = [issue for issue in listed if issue["title"] == ISSUE]
    if found["wrong"]:
        body = "\n\n".join([*map(str, found["wrong"]), "The weekly job closes this by itself."])
        if not issues:
            gh("label", "create", LABEL, "--force", "--description", "By the weekly look")
            with_body(body, "issue", "create", "--title", ISSUE, "--label", LABEL)
            return "Opened an issue."
        if issues[0]["body"].strip() == body.strip():
            return f"Issue {issues[0]['number']} says it already."
        edit(body, f"issues/{issues[0]['number']}")
        return f"Refreshed issue {issues[0]['number']}."
    if found["blind"]:
        return "Not everything could be looked at: nothing is closed."
    for issue in issues:
        gh("issue", "close", str(issue["number"]), "--comment", "All is well again.")
    return "All is well."


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["tables", "world"])
    options = parser.parse_args()
    try:
        found = unpacked(os.environ["FOUND"])
        if options.what == "tables":
            gh("auth", "setup-git")
            print(tell_tables(found))
        else:
            print(tell_world(found))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        print(f"FOUND holds nothing that look.py says: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"{' '.join(error.cmd[:3])} ended with {error.returncode}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
