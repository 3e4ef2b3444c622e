"""What docs/pytorch.md of a project says beside its tables."""

from __future__ import annotations

import json
import re

import pytest

from tests.conftest import Render
from tests.support.checks import check_everything
from tests.support.project import Project

RENDER = '--group-add "$(getent group render | cut -d: -f3)"'
CONTAINERS = ["docker", "devcontainer"]


def section(project: Project, title: str) -> str:
    return project.text("docs/pytorch.md").split(f"## {title}\n")[1].split("\n## ")[0]


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
    assert words in render(strategy="index", backend="rocm7.2").text("docs/pytorch.md")
    assert words not in render(strategy="index", backend="cu130").text("docs/pytorch.md")
    on_linux = render(strategy="index", backend="rocm7.2", platforms=["linux-x86_64"])
    assert words not in on_linux.text("docs/pytorch.md")


def test_pypi_says_what_its_wheels_are(render: Render) -> None:
    text = section(render(strategy="pypi", torch_version="2.14"), "Builds")
    assert (
        "PyPI's wheel is the CUDA 13.0 build on Linux x86-64 and Linux aarch64, "
        "and the CPU build on Windows x86-64.\n"
    ) in text
    assert "CUDA 12.6" in section(render(strategy="pypi", torch_version="2.7"), "Builds")


@pytest.mark.parametrize(
    ("answers", "sizes"),
    [
        ({"strategy": "pypi"}, "3 to 4 GB for CUDA"),
        ({"strategy": "index", "backend": "cpu"}, "about 0.3 GB for CPU"),
        ({"backends": ["cpu", "cu130"]}, "about 0.3 GB for CPU, 3 to 4 GB for CUDA"),
        # Nobody has measured ROCm's and XPU's: the size of the stand-in would mislead.
        ({"strategy": "index", "backend": "rocm7.2"}, None),
        ({"backends": ["cu130", "rocm7.2"]}, "3 to 4 GB for CUDA"),
        ({"backends": ["cpu", "xpu"]}, "about 0.3 GB for CPU"),
        ({"strategy": "pip", "backend": "auto"}, None),
        ({"strategy": "markers", "linux_backend": "cpu", "windows_backend": "cu130"},
         "about 0.3 GB for CPU"),
        ({"strategy": "pypi", "platforms": ["windows-amd64"]}, None),
    ],
)  # fmt: skip
def test_sizes_are_those_of_linux_that_are_known(
    render: Render, answers, sizes: str | None
) -> None:
    text = section(render(torch_version="2.14", **answers), "Builds")
    found = re.findall(r"An install on Linux downloads (.*)\.\n", text)
    assert found == ([sizes] if sizes else [])


@pytest.mark.parametrize("example", ["none", "training"])
def test_a_mirror_is_asked_for_the_family_alone(render: Render, example: str) -> None:
    """It may serve nothing else: whoever reads pyproject.toml asks PyPI."""
    mirror = "https://mirror.example.org/whl"
    answers = {"strategy": "pip", "backend": "cu130", "example": example}
    commands = render(index_url=mirror, **answers).commands
    asked = [command for command in commands if "--index-url" in command]
    assert asked and not [c for c in asked if "pyproject.toml" in c or "requirements" in c]
    assert not [command for command in commands if command.startswith("uv pip compile")]
    compiled = [c for c in render(**answers).commands if c.startswith("uv pip compile")]
    assert compiled and "pyproject.toml" in compiled[0]


def test_the_hooks_install_without_a_sync(render: Render) -> None:
    locked = render(backends=["cpu", "cu130"])
    assert "uv run --no-sync pre-commit install" in locked.commands
    # There uv syncs nothing, and warns of the switch.
    assert "uv run pre-commit install" in render(strategy="pip", backend="cpu").commands


@pytest.mark.parametrize(
    ("backend", "options", "words"),
    [
        ("cpu", [], []),
        ("cu130", ["--gpus=all"], ["The driver stays on the host"]),
        ("rocm7.2", ["--device=/dev/kfd", "--device=/dev/dri", "--group-add=video", RENDER],
         ["The driver stays on the host", "group `render`"]),
        ("xpu", ["--device=/dev/dri", RENDER],
         ["user-space driver is not in the image", "group `render`"]),
    ],
)  # fmt: skip
def test_docker_run_opens_the_gpu_to_a_user(render: Render, backend, options, words) -> None:
    project = render(strategy="index", backend=backend, containers=["docker", "devcontainer"])
    text = section(project, "Docker")
    assert " ".join(["docker run --rm", *options, "my-project\n"]) in text
    for word in words:
        assert word in text
    editor = section(project, "Development container")
    assert ("user is root" in editor) == (backend in ("rocm7.2", "xpu"))
    assert ("user-space driver is not in the image" in editor) == (backend == "xpu")


def test_an_image_for_the_cpu_is_run_without_a_gpu(render: Render) -> None:
    """Its smoke test would rightly say that it is not the build for one."""
    project = render(backends=["cpu", "cu130"], default_backend="cpu", containers=["docker"])
    text = section(project, "Docker")
    assert "\ndocker run --rm my-project\n" in text
    assert "A build for a GPU gets the host's by `docker run --gpus=all`." in text


def test_an_image_is_named_by_its_label_and_chosen_by_its_name(render: Render) -> None:
    project = render(strategy="extras", backends=["cpu", "rocm7.2"], containers=["docker"])
    assert "holds the ROCm 7.2 build; for another one say `--build-arg PYTORCH=cpu`." in section(
        project, "Docker"
    )


def test_a_mac_builds_for_a_claimed_platform(render: Render) -> None:
    words = "--platform linux/amd64"
    linux_and_mac = render(platforms=["linux-x86_64", "macos-arm64"], containers=CONTAINERS)
    text = section(linux_and_mac, "Docker")
    assert f"docker build {words} --tag" in text and f"docker run --rm {words}" in text
    assert "DOCKER_DEFAULT_PLATFORM=linux/amd64" in section(linux_and_mac, "Development container")
    for platforms in (["linux-x86_64"], ["linux-x86_64", "linux-aarch64", "macos-arm64"]):
        assert "linux/amd64" not in render(platforms=platforms, containers=CONTAINERS).text(
            "docs/pytorch.md"
        )


@pytest.mark.parametrize("strategy", ["index", "pip"])
def test_a_login_is_asked_for_where_the_answers_say_so(render: Render, strategy: str) -> None:
    answers = {"strategy": strategy, "backend": "cu130", "containers": CONTAINERS}
    mirror = {"index_url": "https://mirror.example.org/whl"}
    guarded = {**mirror, "authenticate": "always"}
    secret = "--mount=type=secret,id=netrc,target=/root/.netrc"
    for ci, words in (("github", "the secrets `MIRROR_"), ("gitlab", "the variables `MIRROR_")):
        project = render(ci=ci, **answers, **guarded)
        readme = project.text("docs/pytorch.md")
        assert words in readme and "--secret id=netrc,src=$HOME/.netrc" in readme
        assert project.text("Dockerfile").count(secret) == 2
        container = json.loads(project.text(".devcontainer/devcontainer.json"))
        password = "UV_INDEX_PYTORCH_CU130_PASSWORD"
        assert container["remoteEnv"][password] == f"${{localEnv:{password}}}"
    for rest in (mirror, {}):
        check_everything(render(ci="github", **answers, **rest))


FROM_5_0 = "5.0, 5.2, 6.0, 6.1, 7.0, 7.5, 8.0, 8.6, 8.9, 9.0"


@pytest.mark.parametrize(
    ("answers", "row"),
    [
        ({"backend": "cu126"},
         "| CUDA 12.6 | NVIDIA 525.60.13 or newer (Windows: 528.33) "
         f"| compute capability {FROM_5_0} (aarch64: 8.0, 8.6, 8.9, 9.0) |"),
        ({"backend": "cu126", "platforms": ["windows-amd64"]},
         f"| CUDA 12.6 | NVIDIA 528.33 or newer | compute capability {FROM_5_0} |"),
        ({"backend": "cu126", "platforms": ["linux-aarch64"]},
         "| CUDA 12.6 | NVIDIA 525.60.13 or newer | compute capability 8.0, 8.6, 8.9, 9.0 |"),
        ({"backend": "cu130", "platforms": ["linux-aarch64"]},
         "| CUDA 13.0 | NVIDIA 580.65.06 or newer (Jetson: 580.00) "
         "| compute capability 8.0, 8.6, 8.9, 9.0, 10.0, 10.3, 11.0, 12.0, 12.1 |"),
        ({"backend": "xpu"},
         "| Intel GPU (XPU) | Intel's GPU driver | Intel Arc, Data Center GPU Max |"),
    ],
)  # fmt: skip
def test_needs_are_those_of_the_claimed_platforms(render: Render, answers, row: str) -> None:
    project = render(strategy="index", torch_version="2.14", **answers)
    assert row in section(project, "What a GPU needs").splitlines()


def test_older_gpus_are_sent_to_a_build_that_has_them(render: Render) -> None:
    hint = "down to compute capability 5.0, need cu126 and torch 2.14 or older."
    assert hint in render(strategy="index", backend="cu132", torch_version="2.15").text(
        "docs/pytorch.md"
    )
    aarch64 = render(strategy="index", backend="cu130", platforms=["linux-aarch64"])
    assert "GPUs older than these" not in aarch64.text("docs/pytorch.md")
    assert "GPUs older than these" not in render(strategy="index", backend="cu126").text(
        "docs/pytorch.md"
    )


def test_equal_versions_of_different_builds_are_told_apart(render: Render) -> None:
    """The aarch64 wheels of torch 2.5 carry no local version."""
    project = render(strategy="extras", torch_version="2.5", backends=["cpu", "cu124"])
    cells = [row["Linux aarch64"] for row in project.build_table.values()]
    assert cells == ["2.5.1 (cpu)", "2.5.1 (cu124)"]


def test_unverified_indexes_are_named(render: Render) -> None:
    text = section(render(torch_version="2.15"), "Builds")
    assert "cpu of torch 2.15 is not verified for Linux x86-64" in text
    assert "not verified" not in section(render(torch_version="2.13"), "Builds")


def test_pip_says_which_switch_goes_where(render: Render) -> None:
    project = render(strategy="pip", backend="rocm7.2")
    assert "elsewhere take the switch of your platform" in section(project, "Install")
    assert project.build_table["--torch-backend=cpu"] == {"macOS arm64": "2.14.1"} | {
        platform: "2.14.1+cpu" for platform in ("Linux aarch64", "Windows x86-64")
    }
