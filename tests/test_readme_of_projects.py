"""What the README of a project says beside its tables."""

from __future__ import annotations

import re

import pytest

from tests.conftest import Render
from tests.project import Project


def section(project: Project, title: str) -> str:
    return project.text("README.md").split(f"## {title}\n")[1].split("\n## ")[0]


def test_the_upgrade_command_moves_the_whole_family(render: Render) -> None:
    project = render(strategy="extras", backends=["cpu", "rocm7.2", "xpu"])
    command = next(c for c in project.commands if c.startswith("uv lock"))
    assert re.findall(r"--upgrade-package (\S+)", command) == [
        "torch",
        "torchvision",
        "triton-rocm",
        "triton-xpu",
    ]


def test_a_stand_in_is_mentioned_only_where_there_is_one(render: Render) -> None:
    words = "the CPU build stands in"
    assert words in render(strategy="index", backend="rocm7.2").text("README.md")
    assert words not in render(strategy="index", backend="cu130").text("README.md")
    on_linux = render(strategy="index", backend="rocm7.2", platforms=["linux-x86_64"])
    assert words not in on_linux.text("README.md")


def test_pypi_says_what_its_wheels_are(render: Render) -> None:
    text = section(render(strategy="pypi", torch_version="2.14"), "PyTorch builds")
    assert "Linux x86-64 and Linux aarch64 is the CUDA 13.0 build, several gigabytes" in text
    assert "Windows x86-64 is the CPU build" in text
    assert "CUDA 12.6" in section(render(strategy="pypi", torch_version="2.7"), "PyTorch builds")


@pytest.mark.parametrize(
    ("answers", "row"),
    [
        ({"backend": "cu126"},
         "| CUDA 12.6 | NVIDIA 525.60.13 or newer (Windows: 528.33) "
         "| compute capability 5.0 to 9.0 |"),
        ({"backend": "cu126", "platforms": ["windows-amd64"]},
         "| CUDA 12.6 | NVIDIA 528.33 or newer | compute capability 5.0 to 9.0 |"),
        ({"backend": "cu126", "platforms": ["linux-aarch64"]},
         "| CUDA 12.6 | NVIDIA 525.60.13 or newer | compute capability 8.0 to 9.0 |"),
        ({"backend": "xpu"},
         "| Intel GPU (XPU) | Intel's GPU driver | Intel Arc, Data Center GPU Max |"),
    ],
)  # fmt: skip
def test_needs_are_those_of_the_claimed_platforms(render: Render, answers, row: str) -> None:
    project = render(strategy="index", torch_version="2.14", **answers)
    assert row in section(project, "What a GPU needs").splitlines()


def test_older_gpus_are_sent_to_a_build_that_has_them(render: Render) -> None:
    hint = "down to compute capability 5.0, need cu126 and torch 2.14 or older."
    assert hint in render(strategy="index", backend="cu132", torch_version="2.15").text("README.md")
    aarch64 = render(strategy="index", backend="cu130", platforms=["linux-aarch64"])
    assert "GPUs older than these" not in aarch64.text("README.md")
    assert "GPUs older than these" not in render(strategy="index", backend="cu126").text(
        "README.md"
    )


def test_equal_versions_of_different_builds_are_told_apart(render: Render) -> None:
    """The aarch64 wheels of torch 2.5 carry no local version."""
    project = render(strategy="extras", torch_version="2.5", backends=["cpu", "cu124"])
    cells = [row["Linux aarch64"] for row in project.build_table.values()]
    assert cells == ["2.5.1 (cpu)", "2.5.1 (cu124)"]


def test_unverified_indexes_are_named(render: Render) -> None:
    text = section(render(torch_version="2.15"), "PyTorch builds")
    assert "cpu of torch 2.15 is not verified for Linux x86-64" in text
    assert "not verified" not in section(render(torch_version="2.13"), "PyTorch builds")


def test_pip_says_which_switch_goes_where(render: Render) -> None:
    project = render(strategy="pip", backend="rocm7.2")
    assert "elsewhere take the switch of your platform" in section(project, "Set up")
    assert project.build_table["--torch-backend=cpu"] == {"macOS arm64": "2.14.1"} | {
        platform: "2.14.1+cpu" for platform in ("Linux aarch64", "Windows x86-64")
    }
