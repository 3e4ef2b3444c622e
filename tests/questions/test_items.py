"""An item of `backends` may carry a name of the project's own: `gpu=cu128`."""

from __future__ import annotations

from typing import Any

import pytest
from copier.errors import UserMessageError

from extensions.plan.parts import parts_of
from extensions.plan.planner import make_plan
from extensions.questions.choices import choices, successor
from extensions.questions.contract import Answers, Item, item
from extensions.questions.policy import Policy, Rule
from extensions.questions.refusals import why_not
from tests.conftest import Render
from tests.support.cells import TABLES

GROUPS = {"torch_version": "2.14", "strategy": "groups"}


@pytest.mark.parametrize(
    ("text", "name", "backend"),
    [
        ("cu128", "cu128", "cu128"),
        ("rocm7.2", "rocm7-2", "rocm7.2"),
        ("gpu=cu128", "gpu", "cu128"),
        ("My_GPU.x = cu128", "my-gpu-x", "cu128"),
        ("cpu=cpu", "cpu", "cpu"),
    ],
)
def test_an_item_is_a_backend_with_or_without_a_name(text: str, name: str, backend: str) -> None:
    assert item(text) == Item(name, backend)
    assert item(item(text).text) == Item(name, backend)


@pytest.mark.parametrize(
    ("backends", "reason"),
    [
        (["cpu", "gpu=cu129"], "cu129 has no wheels of torch 2.14: its last line is 2.13"),
        (["cpu", "=cu130"], "'' cannot name an extra or group"),
        (["cpu", "-gpu=cu130"], "'-gpu' cannot name an extra or group"),
        (["cpu", "my gpu=cu130"], "Nearest: my-gpu=cu130"),
        (["cpu", "größe=cu130"], "Nearest: grosse=cu130"),
        (["cpu", "{{ x }}=cu130"], "'?? x ??' cannot name an extra or group"),
        (["cpu", f"{'x' * 61}=cu130"], "is longer than 60 characters"),
        (["cpu", "gpu="], "'gpu=' names no backend, as in gpu=cu128. Nearest: gpu=cpu"),
        (["cpu", "Dev=cu130"], "the name dev is that of the tools. Nearest: gpu=cu130"),
        (["gpu=cpu", "GPU=cu130"], "gpu=cpu and gpu=cu130 have one name. Nearest: cpu and gpu="),
        (["cpu", "gpu=cu130", "cu130"], "gpu=cu130 and cu130 have one backend"),
        (["cu126=cu130", "x=cu126"], "cu126=cu130 and x=cu126 have one name"),
        (["rocm7-2=cpu", "rocm7.2"], "have one name"),
        (["gpu=cu130"], "Nearest: [gpu=cu130, cpu], or the strategy index with cu130 alone"),
        (["here=cpu"], "Nearest: [here=cpu, cu132], or"),
        (["cpu", "gpu=auto"], "auto is for the strategy pip"),
    ],
)
def test_an_item_that_cannot_work_is_refused(backends: list[str], reason: str) -> None:
    refused = why_not("backends", TABLES, {**GROUPS, "backends": backends})
    assert refused
    assert reason in refused
    assert ". Nearest: " in refused


@pytest.mark.parametrize(
    ("previous", "nearest"),
    [
        (["cpu", "gpu=cu129"], ["cpu", "gpu=cu130"]),
        (["gpu=cu129", "new=cu130"], ["cpu", "new=cu130"]),
        (["cu129", "here=cpu"], ["here=cpu", "cu130"]),
    ],
)
def test_an_item_whose_backend_is_gone_keeps_its_name(
    previous: list[str], nearest: list[str]
) -> None:
    assert successor("backends", TABLES, GROUPS, previous) == nearest
    offered = choices("backends", TABLES, {**GROUPS, "backends": previous})
    assert set(nearest) <= set(offered.values())
    known = {**GROUPS, "backends": nearest}
    moved = successor("default_backend", TABLES, known, previous[-1])
    assert moved in [item(text).backend for text in nearest]


def test_a_policy_is_about_the_backend_behind_a_name() -> None:
    policy = Policy({"backends": Rule(("cpu", "cu126"))})
    offered = policy.restrict(TABLES)
    assert why_not("backends", offered, {**GROUPS, "backends": ["cpu", "gpu=cu126"]}) is None
    refused = why_not("backends", offered, {**GROUPS, "backends": ["cpu", "cu126=cu130"]})
    assert refused == "cu130 is outside the organization's policy. Nearest: cu126"


@pytest.mark.parametrize("default", ["gpu", "cu130", "gpu=cu130"])
def test_the_default_may_be_named_in_any_way(render: Render, default: str) -> None:
    project = render(
        strategy="groups",
        backends=["cpu", "gpu=cu130"],
        default_backend=default,
        containers=["docker", "devcontainer"],
    )
    assert project.answers["backends"] == ["cpu", "gpu=cu130"]
    assert project.answers["default_backend"] == default
    assert project.uv_settings["default-groups"] == ["dev", "gpu"]
    assert project.uv_settings["conflicts"] == [[{"group": "cpu"}, {"group": "gpu"}]]
    assert set(project.pyproject["dependency-groups"]) == {"dev", "cpu", "gpu"}
    assert "`uv sync --no-group gpu --group cpu`" in project.text("docs/pytorch.md")
    assert "ARG PYTORCH=gpu\n" in project.text("Dockerfile")
    assert "--no-group gpu --group cpu" in project.text(".github/workflows/ci.yml")


def test_what_is_no_item_is_refused_as_a_default(render: Render) -> None:
    with pytest.raises(UserMessageError, match="'x' is not among the backends"):
        render(strategy="groups", backends=["cpu", "gpu=cu130"], default_backend="x")


@pytest.mark.parametrize("strategy", ["extras", "groups"])
def test_a_name_changes_nothing_but_the_name(strategy: str) -> None:
    answers: dict[str, Any] = {
        **GROUPS,
        "project_name": "lab",
        "package_name": "lab",
        "python_version": "3.11",
        "strategy": strategy,
        "backends": ["cpu", "cu130", "rocm7.2"],
        "default_backend": "cu130",
        "packages": ["torchvision"],
        "platforms": ["linux-x86_64", "windows-amd64"],
        "index_url": "https://download.pytorch.org/whl",
        "example": "none",
        "ci": "none",
        "containers": [],
        "type_checker": "none",
        "pypi_url": "https://pypi.org/simple",
        "template_updates": "none",
    }
    plain = parts_of(make_plan(TABLES, Answers.complete(answers)))
    answers["backends"] = ["here=cpu", "gpu=cu130", "amd=rocm7.2"]
    named = parts_of(make_plan(TABLES, Answers.complete(answers)))
    names = {"cpu": "here", "cu130": "gpu", "rocm7-2": "amd"}
    assert named.choices == {names[name]: items for name, items in plain.choices.items()}
    of = strategy.removesuffix("s")
    assert named.sources == {
        package: [{**entry, of: names[entry[of]]} for entry in entries]
        for package, entries in plain.sources.items()
    }
    assert named.indexes == plain.indexes
