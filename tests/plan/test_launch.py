"""What the files in `jobs/` say: it follows from the plan, for each build and way to install it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extensions.plan.launch import Launch, _label, launch
from extensions.plan.planner import make_plan
from extensions.questions.contract import PYPI_URL, PYTORCH_URL, Answers
from extensions.questions.refusals import why_not
from tests.support.cells import TABLES

MIRROR = "https://mirror.example.org/whl"
USUAL: dict[str, Any] = {
    "project_name": "My Project",
    "package_name": "my_project",
    "torch_version": "2.13",
    "python_version": "3.11",
    "packages": ("torchvision",),
    "platforms": ("linux-x86_64", "linux-aarch64", "windows-amd64", "macos-arm64"),
    "index_url": PYTORCH_URL,
    "pypi_url": PYPI_URL,
    "example": "training",
    "containers": ("docker",),
}


def launched(launcher: str = "slurm", **more: Any) -> Launch:
    answers = Answers(**{**USUAL, "launcher": launcher, **more})
    return launch(make_plan(TABLES, answers), answers)


@pytest.mark.parametrize(
    ("backend", "resource", "rented"),
    [
        ("cpu", "", ""),
        ("cu130", "nvidia.com/gpu", "H100"),
        ("rocm7.2", "amd.com/gpu", "MI300X"),
        ("xpu", "gpu.intel.com/i915", ""),
    ],
)
def test_accelerators_are_those_of_the_build(backend: str, resource: str, rented: str) -> None:
    for strategy in ("index", "pip"):
        found = launched(strategy=strategy, backend=backend)
        assert (found.resource, found.rented) == (resource, rented)
        assert (found.accelerators, found.processes) == ((8, 8) if resource else (0, 1))


@pytest.mark.parametrize(
    ("answers", "install", "image"),
    [
        ({"strategy": "groups", "backends": ("cpu", "cu130"), "default_backend": "cpu"},
         "uv sync --locked --no-group cpu --group cu130", ("--build-arg PYTORCH=cu130",)),
        ({"strategy": "groups", "backends": ("cpu", "cu130"), "default_backend": "cu130"},
         "uv sync --locked", ()),
        ({"strategy": "groups", "backends": ("cpu", "gpu=cu130"), "default_backend": "cpu"},
         "uv sync --locked --no-group cpu --group gpu", ("--build-arg PYTORCH=gpu",)),
        ({"strategy": "extras", "backends": ("cpu", "rocm7.2")},
         "uv sync --locked --extra rocm7-2", ()),
        ({"strategy": "markers", "linux_backend": "cu130", "windows_backend": "cpu"},
         "uv sync --locked", ()),
        ({"strategy": "pypi", "packages": ()}, "uv sync --locked", ()),
    ],
)  # fmt: skip
def test_a_job_gets_the_build_for_accelerators(
    answers: dict[str, Any], install: str, image: tuple[str, ...]
) -> None:
    """Whatever a plain `uv sync` on a laptop installs."""
    found = launched(**answers)
    assert found.install == (install,)
    assert found.accelerators == 8
    assert found.image == image
    assert found.keep == "uv run --no-sync"


def test_where_there_is_no_lock_the_commands_name_the_build() -> None:
    found = launched(strategy="pip", backend="auto")
    assert found.install[0] == "uv venv"
    assert "--torch-backend=cu" in found.install[1]
    assert found.keep == "uv run"


def test_skypilot_takes_what_it_can_rent() -> None:
    answers = {"strategy": "groups", "backends": ("xpu", "cpu"), "default_backend": "xpu"}
    assert launched("slurm", **answers).resource == "gpu.intel.com/i915"
    found = launched("skypilot", **answers)
    assert (found.rented, found.accelerators) == ("", 0)
    assert found.install == ("uv sync --locked --no-group xpu --group cpu",)


def test_torch_that_is_there_is_for_gpus() -> None:
    found = launched(strategy="provided")
    assert found.resource == "nvidia.com/gpu"
    assert found.install[-1] == "uv sync --locked" and "--system-site-packages" in found.install[0]
    amd = "rocm/pytorch:rocm7.2_ubuntu24.04_py3.12_pytorch_release_2.14.0"
    found = launched("kubernetes", strategy="provided", base_image=amd)
    assert found.resource == "amd.com/gpu"


def test_logins_are_those_of_the_mirror() -> None:
    answers = {"strategy": "index", "backend": "cu130", "index_url": MIRROR}
    assert launched(**answers).logins == ()
    found = launched(**answers, authenticate="always")
    assert {i.variable for i in found.logins} >= {"UV_INDEX_PYTORCH_CU130"}
    assert found.image == ("--secret id=netrc,src=$HOME/.netrc",)


@pytest.mark.parametrize(
    ("launcher", "known", "reason"),
    [
        ("slrum", {}, "there is no launcher 'slrum'"),
        ("slurm", {"platforms": ["macos-arm64"]}, "clusters run Linux"),
        ("kubernetes", {"containers": []}, "there is no Dockerfile for it"),
        ("kubernetes", {"containers": ["devcontainer"]}, "there is no Dockerfile for it"),
        ("skypilot", {"strategy": "index", "backend": "xpu"}, "rents no Intel GPUs"),
        ("skypilot", {"strategy": "markers", "linux_backend": "xpu", "windows_backend": "cu130"},
         "rents no Intel GPUs"),
        ("skypilot", {"strategy": "provided"}, "rents machines without torch"),
        ("kubernetes", {"containers": ["docker"]}, ""),
        ("skypilot", {"strategy": "extras", "backends": ["xpu", "cpu"]}, ""),
        ("none", {"platforms": ["macos-arm64"], "containers": []}, ""),
    ],
)  # fmt: skip
def test_what_no_launcher_can_do_is_refused(
    launcher: str, known: dict[str, Any], reason: str
) -> None:
    known = {"torch_version": "2.13", "example": "training", **known, "launcher": launcher}
    told = why_not("launcher", TABLES, known) or ""
    assert (reason in told) if reason else not told
    assert not told or ". Nearest: " in told


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="aZ09._-", min_size=1, max_size=90).filter(lambda t: t.strip("._-")))
def test_a_job_s_name_is_a_dns_label_with_room_for_a_suffix(name: str) -> None:
    found = _label(name)
    assert len(found) <= 40
    assert found[0].isalpha() and found[-1].isalnum()
    assert not found.strip("abcdefghijklmnopqrstuvwxyz0123456789-")
