"""What the page calls: JSON in, JSON out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from extensions.plan import automation, faults, planner, shown
from extensions.plan.plan import Plan
from extensions.questions import contract, policy
from extensions.questions.machine import Machine, fitting_backends
from extensions.tables import releases

from . import answers, asked, families, links, pasted, render
from .here import MACHINES, SYSTEMS, Here

# Files that are shown beside the .zip, by the beginnings of their paths: what a person who has a
# project already copies out of one.
SHOWN = (
    "pyproject.toml",
    "Dockerfile",
    ".dockerignore",
    ".devcontainer/",
    ".github/",
    ".gitlab-ci.yml",
    "jobs/",
    "renovate.json",
)


class Chooser:
    """The template in a folder, asked by a page that was built for `about`."""

    def __init__(self, root: Path, about: Mapping[str, Any]) -> None:
        self.root, self.about = root, about
        self.template = render.Template(
            root, about["source"], about["version"], tuple(about.get("executable", ()))
        )

    @cached_property
    def every(self) -> releases.Tables:
        return releases.load(self.root / "extensions")

    @cached_property
    def tables(self) -> policy.Offered:
        return policy.load(self.root / "policy.yml").restrict(self.every)

    @cached_property
    def helps(self) -> Mapping[str, str]:
        """The questions in words; what stands in braces speaks of the machine in a terminal."""
        found = self.template.settings
        return {key: re.sub(r"\{\{.*?\}\}", "", found[key]["help"]) for key in contract.KEYS}

    def state(self, request: str) -> str:
        """All that the page shows after a choice.

        The request has `link`, or else `given`, `here` and `folder`, and it may have a `change` of
        what is given. What comes back has the same, with what holds of it.
        """
        asked_for = json.loads(request)
        change = asked_for.get("change", {})
        if "link" in asked_for:
            given, said, folder = links.parted(links.read(asked_for["link"]))
            here = Here.read({**asked_for.get("here", {}), **said})
        else:
            given, here = asked_for["given"], Here.read(asked_for["here"])
            folder = links.folder_of(asked_for.get("folder", ""))
        machine = here.as_machine
        settled = answers.changed(self.tables, given, change, machine, folder)
        if "link" in asked_for:
            settled = replace(settled, said=(*settled.said, *answers.texts_said(settled)))
        return json.dumps(self._state(settled, here, machine, folder))

    def _state(
        self, settled: answers.Settled, here: Here, machine: Machine, folder: str
    ) -> dict[str, Any]:
        found = {
            "given": settled.given,
            "folder": folder,
            "here": asdict(here),
            "said": settled.said,
            "stuck": settled.stuck,
            "unsupported": here.unsupported,
            "gpus": self._gpus(),
            "systems": SYSTEMS,
            "machines": MACHINES,
            "questions": [
                asdict(question)
                for question in asked.questions(
                    self.tables, self.every, self.helps, settled, machine
                )
            ],
        }
        if settled.stuck:
            return found
        said = links.stated(self.tables, settled)
        plan = planner.make_plan(self.every, contract.Answers.complete(settled.answers))
        files = self.template.render(settled, *SHOWN)
        return found | {
            "link": links.link(said, here, folder),
            "command": links.command(self.template.source, self.about.get("ref", ""), said, folder),
            "commands": self._commands(plan, settled, here, folder),
            "installs": [[c.label or c.name, plan.sync(c)] for c in plan.choices if c.builds],
            "builds": _builds(plan),
            "builds_text": shown.builds_shown(plan),
            "needs": [[need.label, need.driver, need.gpu] for need in plan.needs],
            "notes": [*_notes(plan), *self._faults(plan)],
            "files": {path: content.decode() for path, (content, _) in files.items()},
        }

    def _commands(
        self, plan: Plan, settled: answers.Settled, here: Here, folder: str
    ) -> tuple[str, ...]:
        work = automation.automate(plan, contract.Answers.complete(settled.answers))
        line = self.tables.lines[plan.line]
        fit = fitting_backends(self.tables, line, here.as_machine)
        extras = fit if plan.strategy == "extras" else []
        return shown.first_commands(plan, work, folder, False, extras)

    def _faults(self, plan: Plan) -> list[str]:
        """What is wrong with the newest release of the line, as a render says it at its end."""
        return [
            f"torch {plan.torch} has a known fault: {fault.what} ({fault.name})."
            for fault in faults.lasting(self.every, plan)
        ]

    def _gpus(self) -> list[tuple[str, str, str]]:
        """Value, name and maker of what the list of GPUs has: what some build is made for."""
        codes = {code for codes in self.every.rocm_architectures.values() for code in codes}
        amd = [*(c for c in families.AMD if c in codes), *sorted(codes - {*families.AMD})]
        known = {*self.every.gpus["others"], *self.every.gpus["jetson"]}
        nvidia = sorted(known, key=releases.minor, reverse=True)
        return [
            *((gpu, f"{families.NVIDIA.get(gpu, '')} ({gpu})".strip(), "NVIDIA") for gpu in nvidia),
            *((gpu, f"{families.AMD.get(gpu, '')} ({gpu})".strip(), "AMD") for gpu in amd),
            ("xpu", families.INTEL, "Intel"),
        ]

    def paste(self, text: str) -> str:
        """What a tool printed: `here`, the fields that it tells, and `said`."""
        seen = pasted.read(text)
        gpus = ",".join(seen.gpus)
        told = {"system": seen.system, "machine": seen.machine, "driver": seen.driver, "gpu": gpus}
        here = {key: value for key, value in told.items() if value}
        if gpus and not gpus[0].isdigit():
            here["driver"] = ""  # NVIDIA's, of what was there before
        return json.dumps({"here": here, "said": seen.said})

    def warm(self) -> bool:
        """Prepare a little of what later choices need; whether there was something left."""
        return self.template.warm()

    def archive(self, request: str, *now: int) -> bytes:
        """The whole project as a .zip, for the `given`, `here` and `folder` of a state; `now` is
        year, month, day, hour, minute and second."""
        asked_for = json.loads(request)
        here, folder = Here.read(asked_for["here"]), links.folder_of(asked_for["folder"])
        settled = answers.settle(self.tables, asked_for["given"], here.as_machine, folder)
        if settled.stuck:
            raise ValueError(settled.stuck)
        return render.archive(folder, self.template.render(settled), now)


def _builds(plan: Plan) -> dict[str, Any]:
    """The table platform × choice → build, as `shown.builds_shown` has it in text."""
    rows = []
    for platform in plan.platforms:
        cells = []
        for choice in plan.choices:
            builds = [build for build in choice.builds if build.platform == platform]
            if not choice.builds:
                cells.append(["the one that is there", True])
            elif len(builds) == 1:
                cells.append([builds[0].shown, builds[0].verified])
            else:
                cells.append(["what uv finds", True])
        rows.append([plan.platform_label(platform), cells])
    return {"choices": [choice.name or "torch" for choice in plan.choices], "rows": rows}


def _notes(plan: Plan) -> list[str]:
    """What docs/pytorch.md of the project says of these builds as well, in short."""
    found = [
        f"{backend} of torch {plan.line} is not verified for {', '.join(platforms)}: nobody has "
        "recorded its wheels yet."
        for backend, platforms in plan.unverified
    ]
    if plan.notes.downloads:
        sizes = ", ".join(f"{size} for {of_kind}" for of_kind, size in plan.notes.downloads)
        found.append(f"An install on Linux downloads {sizes}.")
    if plan.notes.stand_in:
        found.append("Where a backend has no wheels for a platform, the CPU build stands in.")
    if plan.notes.older:
        capability, backend, line = plan.notes.older
        found.append(
            f"NVIDIA GPUs older than these, down to compute capability {capability}, need "
            f"{backend} and torch {line} or older."
        )
    return found


def open_at(root: str) -> Chooser:
    """The chooser of an unpacked archive, which says itself for what it was built."""
    folder = Path(root)
    about = yaml.safe_load((folder / "about.json").read_text("utf-8"))
    return Chooser(folder, about)
