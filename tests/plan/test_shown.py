"""What is shown at the end of a render: the builds, and the commands to begin with."""

from __future__ import annotations

from typing import Any

import pytest

from extensions.plan.automation import automate
from extensions.plan.shown import FIRST_COMMIT, WIDTH, builds_moved, builds_shown, first_commands
from extensions.questions.contract import Answers
from tests.support.cells import LINES, others
from tests.support.fresh import completed, plan_of


def shown(**answers: Any) -> str:
    return builds_shown(plan_of(completed(answers)))


def commands(folder: str = "x", versioned: bool = False, **answers: Any) -> tuple[str, ...]:
    known = completed(answers)
    plan = plan_of(known)
    return first_commands(plan, automate(plan, Answers.complete(known)), folder, versioned)


def test_platforms_are_rows_and_choices_are_columns() -> None:
    table = shown(strategy="extras", backends=["cpu", "cu130"], torch_version="2.14")
    assert table.splitlines() == [
        "                cpu         cu130",
        "Linux x86-64    2.14.1+cpu  2.14.1+cu130",
        "Linux aarch64   2.14.1+cpu  2.14.1+cu130",
        "Windows x86-64  2.14.1+cpu  2.14.1+cu130",
        "macOS arm64     2.14.1      2.14.1",
    ]


def test_one_way_to_install_is_one_column() -> None:
    assert shown(strategy="pypi", torch_version="2.14").splitlines()[0].split() == ["torch"]


@pytest.mark.parametrize("line", LINES)
def test_every_build_fits_a_narrow_terminal(line: str) -> None:
    backends = ["cpu", *others(line)]
    known = completed({"torch_version": line, "strategy": "extras", "backends": backends})
    table = builds_shown(plan_of(known))
    assert max(map(len, table.splitlines())) <= WIDTH
    for choice in plan_of(known).choices:
        assert choice.name in table
        assert all(build.shown in table for build in choice.builds)


def test_auto_names_no_build() -> None:
    assert "what uv finds" in shown(strategy="pip", backend="auto")


def test_the_commands_lead_to_the_smoke_test() -> None:
    smoke = "uv run --no-sync scripts/smoke_test.py"
    assert commands(strategy="groups") == ("cd x", "uv sync", smoke, *FIRST_COMMIT)
    assert commands("", versioned=True, strategy="index", backend="cpu") == ("uv sync", smoke)
    *_, install, last = commands(strategy="pip", backend="cpu", versioned=True)
    assert install == "uv pip install --no-deps --editable ."
    assert last == "uv run scripts/smoke_test.py"


@pytest.mark.parametrize("strategy", ["pypi", "markers", "extras", "groups", "pip", "provided"])
def test_every_shell_knows_the_commands(strategy: str) -> None:
    """Those of Windows among them: PowerShell 5 knows no `&&`, and cmd.exe no quotes of one."""
    for command in commands("x", strategy=strategy):
        assert not set("&|;'$`") & set(command)


def test_an_extra_is_one_that_runs_here() -> None:
    known = completed({"strategy": "extras", "backends": ["cpu", "cu130"]})
    plan = plan_of(known)
    automation = automate(plan, Answers.complete(known))
    for here, extra in (((), "cpu"), (("cu132", "cu130"), "cu130"), (("rocm7.2",), "cpu")):
        assert f"uv sync --extra {extra}" in first_commands(plan, automation, "x", True, here)


def test_what_moved_is_shown_old_and_new() -> None:
    one, other = (
        plan_of(completed({"torch_version": line, "strategy": "extras", "backends": backends}))
        for line, backends in (("2.13", ["cpu", "cu126"]), ("2.14", ["cpu", "cu130"]))
    )
    everywhere_else = "Linux x86-64, Linux aarch64, Windows x86-64"
    assert [" ".join(line.split()) for line in builds_moved(one, other).splitlines()] == [
        f"cpu 2.13.0+cpu → 2.14.1+cpu {everywhere_else}",
        "cpu 2.13.0 → 2.14.1 macOS arm64",
        f"cu126 2.13.0+cu126 → - {everywhere_else}",
        "cu126 2.13.0 → - macOS arm64",
        f"cu130 - → 2.14.1+cu130 {everywhere_else}",
        "cu130 - → 2.14.1 macOS arm64",
    ]
    assert builds_moved(one, one) == ""


@pytest.mark.parametrize("backends", [["cpu", "cu130"], ["cpu", "rocm7.2"], ["cpu", "xpu"]])
def test_what_moved_fits_a_narrow_terminal(backends: list[str]) -> None:
    one, other = (
        plan_of(completed({"torch_version": line, "strategy": "extras", "backends": backends}))
        for line in ("2.13", "2.14")
    )
    moved = builds_moved(one, other)
    assert max(map(len, moved.splitlines())) <= WIDTH
    assert all(label in moved for label in ("Linux x86-64", "Windows x86-64", "macOS arm64"))
