"""The tables of the smoke test: what they name is what the plan installs, or a valid answer."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from extensions.plan.diagnosis import Diagnosis, make_diagnosis, python_literal
from extensions.plan.plan import Plan
from extensions.plan.planner import make_plan
from extensions.questions.contract import KEYS, PYPI_URL, PYTORCH_URL, Answers
from extensions.questions.refusals import why_not_any
from extensions.tables.platforms import PLATFORMS
from tests.support.cells import LINES, TABLES
from tests.support.smoke import STRATEGIES


def answers(line: str, strategy: str, **others: Any) -> dict[str, Any]:
    return {
        "project_name": "Demo",
        "package_name": "demo",
        "torch_version": line,
        "python_version": TABLES.lines[line].default_python,
        "strategy": strategy,
        "packages": ["torchvision"],
        "platforms": list(PLATFORMS),
        "index_url": PYTORCH_URL,
        "example": "none",
        "ci": "none",
        "containers": [],
        "type_checker": "none",
        "pypi_url": PYPI_URL,
        "template_updates": "none",
        **others,
    }


def made(known: dict[str, Any]) -> tuple[Plan, Diagnosis]:
    plan = make_plan(TABLES, Answers.complete(known))
    return plan, make_diagnosis(TABLES, known, plan)


def small(line: str, strategy: str) -> dict[str, Any]:
    """Answers with the CPU alone, or with the line's newest CUDA build beside it."""
    newest = TABLES.lines[line].backends("cuda")[-1]
    chosen = {
        "index": {"backend": "cpu"},
        "pip": {"backend": "cpu"},
        "markers": {"linux_backend": "cpu", "windows_backend": "cpu"},
        "extras": {"backends": ["cpu", newest]},
        "groups": {"backends": ["cpu", newest], "default_backend": "cpu"},
    }
    return answers(line, strategy, **chosen.get(strategy, {}))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("line", LINES)
def test_every_other_build_can_be_had_by_its_answers(line: str, strategy: str) -> None:
    known = small(line, strategy)
    plan, diagnosis = made(known)
    expected = {platform: set(builds) for platform, builds in plan.expected}
    assert expected == {x: set(y) for x, y in diagnosis.expected.items()}
    assert diagnosis.others["linux-x86_64"]
    for platform, builds in diagnosis.others.items():
        for build, text in builds.items():
            changes = (pair.partition("=")[::2] for pair in text.split())
            new = {
                **known,
                **{k: yaml.safe_load(v) if v.startswith("[") else v for k, v in changes},
            }
            assert not why_not_any(KEYS, TABLES, new)
            assert build in dict(made(new)[0].expected)[platform]


def test_the_command_of_a_build_differs_by_platform_where_it_must() -> None:
    """No single extra gives the CPU build on aarch64 and on Windows."""
    _, diagnosis = made(answers("2.13", "extras", backends=["xpu", "cu129"]))
    assert diagnosis.expected["linux-aarch64"]["cpu"] == "uv sync --extra xpu"
    assert diagnosis.expected["windows-amd64"]["cpu"] == "uv sync --extra cu129"


def test_a_mac_is_given_the_cpu_choice_whatever_the_default() -> None:
    _, diagnosis = made(answers("2.13", "extras", backends=["cu126", "cpu"]))
    assert diagnosis.expected["macos-arm64"]["cpu"] == "uv sync --extra cpu"


def test_the_build_of_the_default_choice_goes_first() -> None:
    for default in ("cpu", "cu130"):
        backends = {"backends": ["cpu", "cu130"], "default_backend": default}
        _, diagnosis = made(answers("2.14", "groups", **backends))
        first, command = next(iter(diagnosis.expected["linux-x86_64"].items()))
        assert (first, command) == (default, "uv sync")


def test_only_a_platform_that_is_left_out_can_be_claimed() -> None:
    _, diagnosis = made(answers("2.14", "pypi", platforms=["linux-x86_64"]))
    assert diagnosis.claims["macos-arm64"] == "platforms=[linux-x86_64,macos-arm64]"
    assert "linux-x86_64" not in diagnosis.claims
    assert not made(answers("2.14", "pypi"))[1].claims


def test_the_newest_build_for_an_old_gpu_is_on_the_own_line_first() -> None:
    _, diagnosis = made(small("2.14", "groups"))
    assert diagnosis.others["linux-x86_64"]["cu126"] == "backends=[cpu,cu132,cu126]"
    _, diagnosis = made(small("2.15", "pypi"))
    assert "torch_version=2.14" in diagnosis.others["linux-x86_64"]["cu126"]


def test_only_drivers_of_builds_that_are_named_are_listed() -> None:
    _, diagnosis = made(small("2.14", "index"))
    assert set(diagnosis.drivers) <= {"cu11", "cu12", "cu13"}
    assert diagnosis.drivers["cu13"] == {"linux": "580.65.06", "windows": "580"}


def test_a_literal_is_python_on_short_lines() -> None:
    value = {"a": {"b": "c"}, "d": {f"key{i}": "long words " * 9 for i in range(2)}, "e": {}}
    text = python_literal(value)
    assert eval(text) == value
    assert max(map(len, text.splitlines())) <= 88
    assert '    "a": {"b": "c"},\n' in text
