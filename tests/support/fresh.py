"""`pyproject.toml` as a fresh render has it, without Copier: a thousand of them take seconds."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from copier import load_settings
from jinja2 import FileSystemLoader, Template
from jinja2.sandbox import SandboxedEnvironment

from extensions import torch_index
from extensions.plan.plan import Plan
from extensions.plan.planner import make_plan
from extensions.questions import choices
from extensions.questions.contract import KEYS, Answers, asked, native
from extensions.questions.machine import Machine
from extensions.questions.refusals import why_not_any
from extensions.torch_index import TorchIndex
from tests.conftest import ROOT
from tests.support.cells import TABLES
from tests.support.frozen import tables

NOWHERE = Path(__file__).parent / "no-such-project"


@cache
def _template() -> Template:
    environment = SandboxedEnvironment(
        loader=FileSystemLoader(ROOT / "template"),
        extensions=[TorchIndex],
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for extension in environment.extensions.values():
        extension.tables = torch_index.releases.load(tables())  # type: ignore[attr-defined]
    return environment.get_template("pyproject.toml.jinja")


def completed(given: dict[str, Any]) -> dict[str, Any]:
    """Answers with the defaults of all others. Raises ValueError if they cannot work together."""
    known: dict[str, Any] = {}
    for key in KEYS:
        ahead = {**{k: native(k, v) for k, v in given.items()}, **known}
        if not asked(key, ahead):
            continue
        if key in given:
            known[key] = native(key, given[key])
        else:
            known[key] = choices.default(key, TABLES, ahead, "my-project", Machine)
    if reason := why_not_any(KEYS, TABLES, known):
        raise ValueError(reason)
    return known


def plan_of(known: dict[str, Any]) -> Plan:
    return make_plan(TABLES, Answers.complete(known))


def rendered(known: dict[str, Any]) -> str:
    """The file for complete answers."""
    conf = {
        "dst_path": NOWHERE,
        "answers_file": ".copier-answers.yml",
        "user_defaults": {},
        "data": {},
        "settings": load_settings(),
    }
    return _template().render(**known, _copier_conf=conf)
