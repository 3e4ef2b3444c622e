"""A choice as the part of a URL after `#`, which no browser sends to a server, and as a command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qsl, urlencode

from extensions.questions import contract
from extensions.questions.machine import Machine
from extensions.tables.releases import Tables

from .answers import DEFAULT_FOLDER, FOLDER, PLACE, Settled, settle
from .here import FIELDS, Here

# As in README.md.
COPY = "uvx --with copier-template-extensions --with tomlkit copier copy --trust"
# These decide the build, so that they are said though they are the default: that may move, and
# those of the backends look at the machine on which the command runs.
_ALWAYS = ("torch_version", "strategy", *sorted(contract.BACKEND_KEYS))
_SAFE = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
_LONGEST = 20_000


def stated(tables: Tables, settled: Settled) -> dict[str, Any]:
    """The answers that must be said to get all others on any machine, in their order."""
    given = {*settled.given} - {*settled.texts}
    wanted = {key for key in settled.answers if key in _ALWAYS or key in given}
    while True:
        found = {key: settled.answers[key] for key in contract.KEYS if key in wanted}
        found.pop(PLACE, None)
        again = settle(tables, found, Machine(), settled.folder).answers
        lacking = {k for k, v in settled.answers.items() if again.get(k) != v} - wanted - {PLACE}
        if not lacking:
            return found
        wanted |= lacking


def link(said: Mapping[str, Any], here: Here, folder: str) -> str:
    """What stands after `#`. Who somebody is stays out of what is sent to others."""
    shared = {key: value for key, value in said.items() if key not in ("user_name", "user_email")}
    pairs = {k: ",".join(v) if isinstance(v, list) else v for k, v in shared.items()}
    if here.driver or here.gpu:
        pairs |= {key: value for key, value in asdict(here).items() if value}
    if folder != DEFAULT_FOLDER:
        pairs[FOLDER] = folder
    return urlencode(pairs, safe="/:,=@")


def read(fragment: str) -> dict[str, Any]:
    """Answers, folder and machine of a link. What is none of them is kept: it is told."""
    found: dict[str, Any] = {}
    for key, value in parse_qsl(fragment[:_LONGEST].lstrip("#"), keep_blank_values=True):
        is_list = key in contract.LISTS
        found[key] = [part for part in value.split(",") if part] if is_list else value
    return found


def parted(said: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], str]:
    """The same as answers, machine and folder."""
    here = {key: said[key] for key in FIELDS if key in said}
    folder = folder_of(str(said.get(FOLDER, "")))
    return {k: v for k, v in said.items() if k not in {*FIELDS, FOLDER}}, here, folder


def folder_of(text: str) -> str:
    """A folder's name that every shell and system takes as it is."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:60].strip("-.") or DEFAULT_FOLDER


def command(source: str, ref: str, said: Mapping[str, Any], folder: str) -> str:
    """The `copier copy` that renders the same project, for bash, PowerShell and cmd alike."""
    words = [f"--vcs-ref {ref}"] if ref else []
    for key, value in said.items():
        text = f"[{','.join(value)}]" if isinstance(value, list) else value
        words.append(f"--data {_quoted(f'{key}={text}')}")
    return " ".join([COPY, "--defaults", *words, source, folder])


def _quoted(word: str) -> str:
    if _SAFE.fullmatch(word):
        return word
    # Within double quotes these mean something to one of the shells.
    return shlex.quote(word) if re.search(r'["$`!%\\]', word) else f'"{word}"'
