"""GitHub's command line, as far as workflows use it: a stand-in, and what it knows."""

from __future__ import annotations

import sys
from typing import Any

GH = (
    f"#!{sys.executable}"
    + """
# GitHub's command line: writes down how it was called, and lists the pull requests of a file as
# the real one does: by the name of the branch alone, open ones, and thirty if no limit is given.
# Of issues it asks for the label.
import argparse, json, os, shutil, sys
import jq

with open(os.environ["GH_LOG"], "a") as log:
    print(*sys.argv[1:], file=log)
known = argparse.ArgumentParser(allow_abbrev=False)
for option in ("head", "json", "jq", "body-file", "title", "label"):
    known.add_argument("--" + option, default="")
known.add_argument("--state", default="open")
known.add_argument("--limit", type=int, default=30)
# What is merged is closed, too.
states = {"open": ["OPEN"], "closed": ["CLOSED", "MERGED"], "merged": ["MERGED"]}
if sys.argv[2:3] == ["list"]:
    options = known.parse_args(sys.argv[3:])
    if "GH_FAILS" in os.environ:
        sys.exit("error connecting to api.github.com")
    with open(os.environ["GH_OPEN" if sys.argv[1] == "pr" else "GH_ISSUES"]) as file:
        found = [
            one
            for one in json.load(file)
            if one.get("headRefName", "") == options.head and one["state"] in states[options.state]
            if not options.label or options.label in [label["name"] for label in one["labels"]]
        ][: options.limit]
    fields = options.json.split(",")
    found = json.dumps([{field: one[field] for field in fields} for one in found])
    if options.jq:
        print(*jq.compile(options.jq).input_text(found), sep="\\n")
    else:
        print(found)
if sys.argv[2:3] == ["create"] and sys.argv[1] in ("pr", "issue"):
    shutil.copy(known.parse_args(sys.argv[3:]).body_file, os.environ["GH_BODY"])
if sys.argv[1:4] == ["api", "--method", "PATCH"]:
    (name, text) = sys.argv[6].split("=@")
    assert (sys.argv[5], name) == ("--field", "body")
    shutil.copy(text, os.environ["GH_BODY"])
"""
)


def pull(number: int = 7, **fields: Any) -> dict[str, Any]:
    """A pull request as GitHub tells of it: an open one, from the branch of the updates."""
    return {
        "number": number,
        "url": f"https://github.com/org/project/pull/{number}",
        "state": "OPEN",
        "headRefName": "template-update",
        "isCrossRepository": False,
        "headRepositoryOwner": {"login": "org"},
        "author": {"login": "github-actions"},
        "labels": [],
        **fields,
    }


FORK = {"isCrossRepository": True, "headRepositoryOwner": {"login": "eve"}}


def issue(number: int = 3, **fields: Any) -> dict[str, Any]:
    """An issue as GitHub tells of it: an open one."""
    return {
        "number": number,
        "state": "OPEN",
        "title": "It does not work",
        "body": "Help!",
        "labels": [],
        "author": {"login": "ada"},
        **fields,
    }
