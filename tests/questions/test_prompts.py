"""Which questions a person is asked: the few that matter, and none that has but one answer."""

from __future__ import annotations

from typing import Any

import pytest

from extensions.questions.choices import choices, default
from extensions.questions.contract import BACKEND_KEYS, KEYS, MORE, asked
from extensions.questions.machine import Machine
from extensions.questions.policy import Policy, Rule
from extensions.questions.prompts import prompts, this_machine, unasked
from extensions.tables.releases import Tables
from tests.support.cells import LINES, TABLES

STRATEGIES = ["pypi", "index", "markers", "extras", "groups", "pip", "provided"]


def prompted(
    tables: Tables = TABLES,
    more: bool = False,
    settings: tuple[str, ...] = (),
    update: bool = False,
    **known: Any,
) -> set[str]:
    return {
        key
        for key in (*KEYS, MORE)
        if prompts(key, tables, known, more, settings, update) and asked(key, known)
    }


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_new_project_takes_six_prompts_at_most(strategy: str) -> None:
    found = prompted(strategy=strategy)
    assert len(found) <= 6
    assert {"project_name", MORE, "strategy", "example"} <= found
    assert found & BACKEND_KEYS or strategy in ("pypi", "provided")


def test_an_update_asks_for_the_release_line() -> None:
    found = prompted(strategy="index", update=True)
    assert found == {"torch_version", "backend", MORE}


def test_whoever_wants_more_is_asked_everything() -> None:
    known = {"strategy": "groups", "backends": ["cpu", "cu130"]}
    assert prompted(more=True, **known) == {
        MORE,
        *(key for key in KEYS if asked(key, known) and key != "place"),
    }


def test_a_person_s_settings_are_answers() -> None:
    found = prompted(more=True, settings=("user_name", "strategy"), strategy="index")
    assert "user_name" not in found and "strategy" not in found and "user_email" in found


@pytest.mark.parametrize(
    ("key", "allow"),
    [
        ("license", ("proprietary",)),
        ("strategy", ("groups",)),
        ("index_url", ("https://mirror.example.org/whl",)),
        ("ci", ("gitlab",)),
        ("torch_version", ("2.14",)),
        ("default_backend", ("cpu",)),
    ],
)
def test_what_a_policy_fixes_is_no_question(key: str, allow: tuple[str, ...]) -> None:
    rule = "backends" if key == "default_backend" else key
    tables = Policy({rule: Rule(allow)}).restrict(TABLES)
    known = {"strategy": "groups", "torch_version": "2.14", "backends": ["cpu"]}
    assert key in prompted(more=True, **{**known, "backends": ["cpu", "cu130"]})
    assert key not in prompted(tables, more=True, **known)


def test_a_domain_is_no_address() -> None:
    tables = Policy({"user_email": Rule(("@example.org",))}).restrict(TABLES)
    assert "user_email" in prompted(tables, more=True)


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_choice_fits_a_terminal(strategy: str, line: str) -> None:
    """80 columns, of which Copier takes five for its marks."""
    known: dict[str, Any] = {"strategy": strategy, "torch_version": line}
    for key in KEYS:
        for label in choices(key, TABLES, known) if asked(key, known) else ():
            assert len(label) <= 75, label


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        (Machine(), ""),
        (
            Machine("cuda", driver=(580, 65, 6), capabilities=((9, 0),), name="NVIDIA H100 PCIe"),
            "This machine: NVIDIA H100 PCIe, driver 580 → cu132",
        ),
        (
            Machine("cuda", driver=(550, 54), capabilities=((9, 0),)),
            "This machine: NVIDIA GPU, driver 550 → cu126",
        ),
        (
            Machine("cuda", driver=(390, 1)),
            "This machine: NVIDIA GPU, driver 390 → no build of 2.14",
        ),
        (Machine("rocm", architectures=("gfx942",)), "This machine: AMD GPU (gfx942) → rocm7.2"),
        (
            Machine(
                "cuda",
                driver=(580, 95, 5),
                capabilities=((12, 0),),
                name="NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition",
            ),
            "This machine: NVIDIA RTX PRO 6000 Blackwell Max-Q Works…, driver 580 → cu132",
        ),
    ],
)
def test_a_prompt_names_the_machine_and_what_runs_on_it(machine: Machine, said: str) -> None:
    assert this_machine(TABLES, {"torch_version": "2.14"}, machine) == said
    assert len(said) <= 76


def test_the_build_for_this_machine_is_preselected() -> None:
    known = {"torch_version": "2.14", "strategy": "groups"}
    for architecture, backend in (("gfx942", "rocm7.2"), ("gfx803", "cu130")):
        machine = Machine("rocm", architectures=(architecture,))
        chosen = default("backends", TABLES, known, "x", lambda m=machine: m)
        assert chosen == ["cpu", backend]


@pytest.mark.parametrize(
    ("system", "architecture", "expected"),
    [
        ("linux", "x86_64", ("cu126", "cu126", "cpu")),
        # Old answers keep their builds: this one follows the first.
        ("linux", "aarch64", ("cu130", "cu130", "cpu")),
        ("windows", "x86_64", ("cu130", "cu130", "cu126")),
    ],
)
def test_so_it_is_where_each_system_has_its_own(
    system: str, architecture: str, expected: tuple[str, ...]
) -> None:
    machine = Machine("cuda", system, architecture, (550, 54), ((8, 0),))
    known: dict[str, Any] = {"torch_version": "2.14", "strategy": "markers"}
    for key in ("linux_backend", "aarch64_backend", "windows_backend"):
        known[key] = default(key, TABLES, known, "x", lambda: machine)
    assert tuple(known[key] for key in known if key.endswith("_backend")) == expected


def test_the_release_line_and_the_strategy_come_before_what_follows_from_them() -> None:
    """An image of `provided` may have an older Python: its default must know the strategy."""
    assert KEYS.index("python_version") > KEYS.index("strategy") > KEYS.index("torch_version")


def test_what_nobody_was_asked_is_shown_as_it_would_be_given() -> None:
    known = {
        "project_name": "x",
        "license": "MIT",
        "packages": ["torchvision", "torchaudio"],
        "user_name": "",
        "index_url": "https://download.pytorch.org/whl",
        "ci": "gitlab",
    }
    assert unasked(known, {"ci"}) == ["license=MIT", "packages=[torchvision,torchaudio]"]
    assert unasked({"index_url": "https://x.example/whl"}, ()) == [
        "index_url=https://x.example/whl"
    ]
