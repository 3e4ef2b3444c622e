"""The plan itself, over every set of platforms and packages, without rendering."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from packaging.markers import Marker

from extensions.plan.plan import Plan
from extensions.plan.planner import make_plan
from extensions.questions.contract import KEYS, PYPI_URL, PYTORCH_URL, VALUES, Answers
from extensions.questions.refusals import why_not_any
from extensions.tables.backends import compute_capability, kind
from extensions.tables.platforms import PLATFORMS
from extensions.tables.releases import capability_of
from tests.rendered.test_combinations import SETS_OF_PACKAGES, SETS_OF_PLATFORMS, combinations
from tests.support.cells import CELLS, LINES, TABLES


def plans(strategy: str, line: str) -> Iterator[tuple[dict[str, Any], Plan]]:
    """The plan for every combination of answers that nothing speaks against.

    Every choice of backends meets every set of platforms; the sets of packages take turns.
    """
    for (turn, answers), (shift, platforms) in itertools.product(
        enumerate(combinations(strategy, line)), enumerate(SETS_OF_PLATFORMS)
    ):
        packages = SETS_OF_PACKAGES[(turn + shift) % len(SETS_OF_PACKAGES)]
        known = {
            "project_name": "My Project",
            "package_name": "my_project",
            "torch_version": line,
            "python_version": TABLES.lines[line].default_python,
            "strategy": strategy,
            "packages": packages,
            "platforms": platforms,
            "index_url": PYTORCH_URL,
            "example": "none",
            "ci": "none",
            "containers": [],
            "type_checker": "none",
            "pypi_url": PYPI_URL,
            "template_updates": "none",
            **answers,
        }
        if why_not_any(KEYS, TABLES, known) is None:
            yield known, make_plan(TABLES, Answers.complete(known))


def chosen_indexes(plan: Plan, choice: str, platform: str) -> list[str]:
    """The indexes whose markers are true on a platform, as uv would evaluate them."""
    return [
        source.index
        for source in plan.sources.get("torch", ())
        if source.choice == choice and is_true(source.marker, platform)
    ]


@cache
def is_true(marker: str, platform: str) -> bool:
    environment = {
        "sys_platform": PLATFORMS[platform].sys_platform,
        "platform_machine": PLATFORMS[platform].machine,
    }
    return Marker(marker).evaluate(environment)


@pytest.mark.parametrize("strategy", [name for name in VALUES["strategy"] if name != "provided"])
@pytest.mark.parametrize("line", LINES)
def test_each_platform_has_one_origin_that_has_its_wheel(strategy: str, line: str) -> None:
    count = 0
    for known, plan in plans(strategy, line):
        count += 1
        table = TABLES.lines[line]
        for choice in plan.choices:
            by_platform = {build.platform: build for build in choice.builds}
            assert list(by_platform) == known["platforms"]
            for platform, build in by_platform.items():
                indexes = chosen_indexes(plan, choice.name, platform)
                if strategy != "pip":
                    assert indexes == ([build.index] if build.index else [])
                if build.index and platform != "macos-arm64":
                    assert platform in table.indexes[build.backend]
                served = platform in table.indexes.get(choice.backend, ())
                if strategy in ("index", "extras", "groups") and platform != "macos-arm64":
                    assert build.backend == (choice.backend if served else "cpu")
    assert count


CUDA = [(line, backend) for line, backend in CELLS if kind(backend) == "cuda"]


@pytest.mark.parametrize(("line", "backend"), CUDA)
def test_the_gpus_that_are_named_are_those_that_a_build_has_code_for(
    line: str, backend: str
) -> None:
    """Each by its compute capability, on each machine: a range would have holes."""
    for platforms in SETS_OF_PLATFORMS:
        served = [p for p in platforms if p in TABLES.lines[line].indexes[backend]]
        if not served:
            continue
        answers = Answers("x", "x", line, "3.12", "index", (), tuple(platforms), backend=backend)
        (need,) = (n for n in make_plan(TABLES, answers).needs if n.backend == backend)
        if need.gpu == "see PyTorch":
            assert not TABLES.architectures(backend, line, "aarch64")
            assert served == ["linux-aarch64"]
            continue
        found = re.fullmatch(r"compute capability ([\d., ]+)( \(aarch64: (.*)\))?", need.gpu)
        assert found
        machines = sorted({PLATFORMS[p].architecture for p in served}, reverse=True)
        for machine in machines:
            other = machine == "aarch64" and len(machines) > 1 and found[3]
            named = set((found[3] if other else found[1]).split(", ")) - {"not known"}
            codes = {compute_capability(c) for c in TABLES.architectures(backend, line, machine)}
            for gpu in (*TABLES.gpus["others"], *TABLES.gpus["jetson"]):
                major, second = capability = capability_of(gpu)
                runs = any(has == major and least <= second for has, least in codes)
                if gpu in TABLES.gpus["jetson"]:
                    runs = capability in codes
                assert (gpu in named) == runs, (machine, gpu)
            assert named <= {*TABLES.gpus["others"], *TABLES.gpus["jetson"]}
        jetson = "linux-aarch64" in served and "11.0" in need.gpu
        assert ("Jetson: 580.00" in need.driver) == jetson


def test_answers_of_an_earlier_version_have_one_backend_for_both_machines() -> None:
    for backend in ("cpu", "cu130", "rocm7.2", "xpu"):
        old = {"linux_backend": backend, "windows_backend": "cpu"}
        on_arm = backend if backend in ("cpu", "cu130") else "cpu"
        plans = []
        for answers in (old, {**old, "aarch64_backend": on_arm}):
            known = {**next(plans_of_markers())[0], **answers}
            if "aarch64_backend" not in answers:
                del known["aarch64_backend"]
            plan = make_plan(TABLES, Answers.complete(known))
            plans.append((plan.sources, plan.indexes, plan.choices[0].builds))
        assert plans[0] == plans[1]


def plans_of_markers() -> Iterator[tuple[dict[str, Any], Plan]]:
    return plans("markers", "2.14")


def test_a_line_caps_every_package_on_every_platform() -> None:
    known, plan = next(plans("groups", "2.14"))
    assert {str(r) for c in plan.choices for r in c.requirements} == {
        "torch>=2.14,<2.15",
        "torchvision>=0.29,<0.29.2",
    }
    assert known["backends"] == ["cpu", "cu126"]


def test_the_cpu_index_steps_in_where_a_backend_has_no_wheel() -> None:
    answers = Answers(
        project_name="x",
        package_name="x",
        torch_version="2.14",
        python_version="3.13",
        strategy="extras",
        packages=(),
        platforms=tuple(PLATFORMS),
        backends=("cpu", "rocm7.2"),
    )
    plan = make_plan(TABLES, answers)
    assert [(s.index, s.marker) for s in plan.sources["torch"] if s.choice == "rocm7-2"] == [
        ("pytorch-rocm7-2", "sys_platform == 'linux' and platform_machine == 'x86_64'"),
        (
            "pytorch-cpu",
            "(sys_platform == 'linux' and platform_machine == 'aarch64') "
            "or sys_platform == 'win32'",
        ),
    ]
