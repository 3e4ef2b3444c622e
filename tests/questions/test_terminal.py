"""A person at a terminal: few prompts, and Enter is an answer to each of them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pexpect
import pytest

from extensions.questions.contract import KEYS, MORE
from tests.conftest import Render
from tests.support.project import Project

QUESTION = re.compile(r"🎤(?:\x1b\[[\d;]*m)* ([^\r\n\x1b]*\?)")
# The terminal would be asked where its cursor is, and nobody is there to answer.
ENVIRONMENT = {"PROMPT_TOOLKIT_NO_CPR": "1"}


def entered(
    template: Path,
    folder: Path,
    *options: str,
    more: bool = False,
    choose: Mapping[str, str] = MappingProxyType({}),
    machine: str = "none",
    screen: list[str] | None = None,
) -> tuple[str, ...]:
    """The prompts of `copier copy` on a screen of 80 × 24, where a person enters every default.

    With `more`, the person wants to go through all questions; `choose` has other keys to press for
    words of a question. `screen` gets what was printed.
    """
    keys = {"all questions": "y" if more else "\r", **choose}
    child = pexpect.spawn(
        sys.executable,
        ["-m", "copier", "copy", "--trust", *options, str(template), str(folder)],
        dimensions=(24, 80),
        env={**os.environ, **ENVIRONMENT, "TORCH_TEMPLATE_MACHINE": machine},
        encoding="utf-8",
        timeout=60,
    )
    prompts: dict[str, None] = {}
    # An answered prompt is drawn again.
    while True:
        found = child.expect([QUESTION, pexpect.EOF])
        if screen is not None:
            screen += [child.before, *([] if found else [child.after])]
        if found:
            break
        if (question := child.match[1]) not in prompts:
            prompts[question] = None
            child.send(next((sent for words, sent in keys.items() if words in question), "\r"))
    child.close()
    assert child.exitstatus == 0, child.before
    return tuple(prompts)


def test_a_choice_at_the_prompt_is_the_same_as_in_advance(
    template: Path, tmp_path: Path, render: Render
) -> None:
    """`provided` has another Python by default, which is asked of few."""
    folder = tmp_path / "My Project"
    entered(template, folder, choose={"chosen": "\x1b[B" * 2 + "\r"})
    assert Project(folder).answers == render(strategy="provided").answers


def test_what_is_shown_fits_the_screen(template: Path, tmp_path: Path) -> None:
    screen: list[str] = []
    machine = "cuda,390.1,3.5"
    entered(template, tmp_path / "x", "--data", "strategy=markers", machine=machine, screen=screen)
    shown = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", "".join(screen))
    # An answered prompt is drawn again, over itself.
    lines = [line.strip("\r") for line in re.split(r"\n|(?=🎤)", shown)]
    assert any(line.endswith("no build of 2.14") for line in lines)
    assert any(line.startswith("By default: ") for line in lines)
    assert not [line for line in lines if len(line.rpartition("\r")[2]) > 80]


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
