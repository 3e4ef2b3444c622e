"""A person at a terminal: few prompts, and Enter is an answer to each of them."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pexpect
import pytest

from extensions.questions.contract import KEYS, MORE
from tests.conftest import Render
from tests.support.project import Project

QUESTION = re.compile(r"🎤(?:\x1b\[[\d;]*m)* ([^\r\n\x1b]*\?)")
# The terminal would be asked where its cursor is, and nobody is there to answer.
ENVIRONMENT = {"PROMPT_TOOLKIT_NO_CPR": "1", "TORCH_TEMPLATE_MACHINE": "none"}


def entered(template: Path, folder: Path, *options: str, more: bool = False) -> tuple[str, ...]:
    """The prompts of `copier copy` on a screen of 80 × 24, where a person enters every default.

    With `more`, the person wants to go through all questions.
    """
    child = pexpect.spawn(
        sys.executable,
        ["-m", "copier", "copy", "--trust", *options, str(template), str(folder)],
        dimensions=(24, 80),
        env={**os.environ, **ENVIRONMENT},
        encoding="utf-8",
        timeout=60,
    )
    prompts: dict[str, None] = {}
    # An answered prompt is drawn again.
    while child.expect([QUESTION, pexpect.EOF]) == 0:
        if (question := child.match[1]) not in prompts:
            prompts[question] = None
            child.send("y" if more and "all questions" in question else "\r")
    child.close()
    assert child.exitstatus == 0, child.before
    return tuple(prompts)


@pytest.mark.parametrize("strategy", ["groups", "markers", "extras"])
def test_six_times_enter_at_most(
    template: Path, tmp_path: Path, render: Render, strategy: str
) -> None:
    """And what is rendered is what `--defaults` renders."""
    folder = tmp_path / "My Project"
    prompts = entered(template, folder, "--data", f"strategy={strategy}")
    # One more for the strategy.
    assert 4 <= len(prompts) <= 5
    assert Project(folder).answers == render(strategy=strategy).answers


def test_all_questions_are_asked_of_whoever_wants_them(template: Path, tmp_path: Path) -> None:
    few = entered(template, tmp_path / "few")
    all_of_them = entered(template, tmp_path / "all", more=True)
    assert set(few) < set(all_of_them)
    answers = Project(tmp_path / "all").answers
    asked = {key for key in KEYS if key in answers and key != "place"}
    assert len(few) == 6 and len(all_of_them) == len(asked) + 1
    # It says something of the prompts, and nothing of the project.
    assert MORE not in answers
