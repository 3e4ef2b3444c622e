"""Each thing that can be wrong: what the smoke test says of it, and the command that it names."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest

from tests.conftest import ROOT
from tests.support.project import Project, copied
from tests.support.smoke import (
    STRATEGIES,
    Machine,
    Outcome,
    cpu,
    cuda,
    is_fitting,
    project,
    rocm,
    smi,
    xpu,
)

SCHEMA = ROOT / "tests" / "schemas" / "smoke_report.json"
fits_the_schema = fastjsonschema.compile(json.loads(SCHEMA.read_text("utf-8")))
SCRIPT = "scripts/smoke_test.py"
MAC = ("Darwin", "arm64", "15.1")
OLD_DRIVER = (
    "CUDA initialization: The NVIDIA driver on your system is too old (found version 12080). "
    "(Triggered internally at ../c10/cuda/CUDAFunctions.cpp:108.)"
)
Arrange = Callable[[Machine], Any]
Case = tuple[str, int, str, dict[str, Any] | None, Arrange]


@pytest.fixture(scope="session")
def renders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("renders")


@pytest.fixture
def machine(tmp_path: Path, template: Path, renders: Path) -> Callable[..., Machine]:
    def made(strategy: str = "groups", again: str = "", **options: Any) -> Machine:
        return Machine(
            tmp_path / (strategy + again), project(template, renders, strategy), **options
        )

    return made


def nothing(machine: Machine) -> None:
    """A machine without a GPU, a container or a variable."""


def nvidia(*rows: str) -> Arrange:
    return lambda m: m.tool("nvidia-smi", "\n".join(rows or [smi()]), asked="query-gpu")


def set_variable(**variables: str) -> Arrange:
    return lambda m: m.environment.update(variables)


def amd(m: Machine) -> None:
    m.file("sys/class/kfd/kfd/topology/nodes/1/properties", "gfx_target_version 90402\n")
    m.file("dev/kfd")


def arc(m: Machine) -> None:
    m.pci("0000:03:00.0", "0x8086")
    m.file("dev/dri/renderD128")


def integrated(m: Machine) -> None:
    m.pci("0000:00:02.0", "0x8086")
    m.file("dev/dri/renderD128")


def gfx1036(m: Machine) -> None:
    """The GPU in a desktop Ryzen, which no build supports."""
    m.file("sys/class/kfd/kfd/topology/nodes/1/properties", "gfx_target_version 100306\n")
    m.file("dev/kfd")


def both(*arrangements: Arrange) -> Arrange:
    return lambda m: [arrange(m) for arrange in arrangements]


def wsl(*files: str) -> Arrange:
    names = ("proc/version", *files)
    return lambda m: [m.file(name, "Linux 5.15-microsoft-standard-WSL2") for name in names]


def on(*system: str) -> Arrange:
    return lambda m: setattr(m, "system", system)


def own_environment(m: Machine) -> None:
    python = m.folder / "project" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()


def second_torch(m: Machine) -> None:
    m.package("torch", "2.13.0", where="more")


def torch_twice(m: Machine) -> None:
    m.package("torch", "2.14.0")
    m.package("torch", "2.14.1", (ROOT / "tests" / "support" / "fake_torch.py").read_text("utf-8"))


def egg_info(m: Machine) -> None:
    """Metadata of setuptools, complete, beside that of an installer."""
    torch_twice(m)
    info = m.folder / "path" / "torch-2.14.0.dist-info"
    (info / "METADATA").rename(info / "PKG-INFO")
    info.rename(m.folder / "path" / "torch-2.14.0.egg-info")


def leftover(m: Machine) -> None:
    (m.folder / "more" / "torch-2.13.0.dist-info").mkdir(parents=True)


def hasty(m: Machine) -> None:
    m.limits = "1, 1, 1"


def hanging_nvidia_smi(m: Machine) -> None:
    hasty(m)
    m.tool("nvidia-smi", "")
    # The shell's own commands alone are on the PATH.
    text = f"#!/bin/sh\necho asked >> {m.folder}/asked\nexec /bin/sleep 20\n"
    (m.folder / "bin" / "nvidia-smi").write_text(text, "utf-8")


def old_nvidia_smi(m: Machine) -> None:
    """One that does not know every field."""
    for field in ("compute_cap", "mig.mode"):
        unknown = f'Field "{field}" is not a valid field to query.'
        m.tool("nvidia-smi", unknown, 2, asked=field)
    m.tool("nvidia-smi", "418.87.00, Tesla K80, GPU-1234abcd", asked="query-gpu")


def listed(*uuids: str) -> Arrange:
    """What `nvidia-smi -L` prints."""
    return lambda m: m.tool(
        "nvidia-smi", "\n".join(f"Device (UUID: {x})" for x in uuids), asked="-L"
    )


def nvidia_on_pci(*nodes: str) -> Arrange:
    return lambda m: [m.pci("0000:01:00.0", "0x10de"), *map(m.file, nodes)]


def on_a_gpu_host(m: Machine) -> None:
    """A container without a GPU sees the driver of its host."""
    m.file(".dockerenv")
    m.file("proc/driver/nvidia/gpus/0000:01:00.0/information")


def apptainer(m: Machine) -> None:
    m.file(".singularity.d/runscript")
    m.file("dev/nvidia0")


def vision(version: str, text: str = "") -> Arrange:
    return lambda m: m.package("torchvision", version, text)


NMS = "raise RuntimeError('operator torchvision::nms does not exist')"
SMI_FAILS = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch"
DUAL = cuda(devices=["NVIDIA H100", "NVIDIA H100"])
H100 = cuda(devices=["NVIDIA H100"])

ABORTS = {"fails": "gone", "ends": "abort"}
ERROR = "CUDA initialization: Unexpected error from cudaGetDeviceCount(). Error {}: see the manual"
# What torch says of cudaErrorUnknown, which has a branch of its own in c10/cuda/CUDAFunctions.cpp.
UNKNOWN = (
    "CUDA initialization: CUDA unknown error - this may be due to an incorrectly set up "
    "environment, e.g. changing env variable CUDA_VISIBLE_DEVICES after program start. Setting the "
    "available devices to be zero."
)
RUNNING = both(nvidia(), nvidia_on_pci("dev/nvidia0"))
IN_A_CONTAINER = both(
    nvidia_on_pci("dev/nvidia0", ".dockerenv"),
    lambda m: m.file("proc/driver/nvidia/version", "NVRM: Kernel Module  580.95.05  x"),
)

# Diagnosis, exit code, words of the cause, torch, machine.
ANYWHERE: list[Case] = [
    ("torch-missing", 1, "torch is not installed", None, nothing),
    ("other-python", 1, "is not that of the project's environment", None, own_environment),
    ("torch-broken", 1, "libcudart.so.13", cuda(import_error="libcudart.so.13: gone"), nothing),
    ("vc-runtime-missing", 1, "Visual C++", cuda(import_error="[WinError 126] c10"), nothing),
    ("shadowed-torch", 1, "torch 2.13.0 is found as well, in /", cuda(), second_torch),
    ("two-torches", 1, "2.14.0 in", cuda(), torch_twice),
    ("two-torches", 1, "2.14.0 in", cuda(), egg_info),
    ("wrong-python", 1, "not that of", cuda(cuda="12.1"), own_environment),
    ("wrong-python", 1, "not that of", cuda(import_error="libc: gone"), own_environment),
    ("torch-broken", 1, "it ends the process (signal 6)", cuda(import_ends="abort"), nothing),
    ("torch-broken", 1, "without an active exc", cuda(import_ends="abort"), nothing),
    ("torch-broken", 1, "does not answer within 1 sec", cuda(import_ends="hang"), hasty),
    ("torch-broken", 1, "SystemExit: 3", cuda(exits=3), nothing),
    ("wrong-line", 1, "is 2.13.0+cu130, and", cuda(version="2.13.0+cu130"), nothing),
    ("leftover", 1, "interrupted install", cuda(), leftover),
    ("companion-mismatch", 1, "0.29.1+cpu is another build", H100, vision("0.29.1+cpu")),
    ("companion-mismatch", 1, "nms does not exist", H100, vision("0.29.1+cu130", NMS)),
    ("cpu-build-beside-gpu", 1, "NVIDIA, for which the project has cu130", cpu(), nvidia()),
    ("wrong-build", 1, "built for cu121, and not for", cuda(cuda="12.1"), nothing),
    ("driver-too-old", 2, "driver 580.65.06, and this is 535.1", cuda(), nvidia(smi("535.1"))),
    ("driver-too-old", 2, "not for CUDA 12", cuda(warning=OLD_DRIVER), nothing),
    ("driver-too-old", 2, "not for CUDA 12", cuda(stderr=OLD_DRIVER), nothing),
    (
        "architecture-missing",
        2,
        "NVIDIA V100 (sm_70), for which",
        cuda(devices=["NVIDIA V100"], capability=[7, 0], kernels=["sm_75", "sm_80"]),
        nothing,
    ),
    (
        "hidden-by-variable",
        2,
        "CUDA_VISIBLE_DEVICES hides",
        cuda(),
        both(nvidia(), set_variable(CUDA_VISIBLE_DEVICES="-1")),
    ),
    (
        "hidden-by-variable",
        2,
        "CUDA_VISIBLE_DEVICES hides",
        cuda(),
        both(nvidia(), set_variable(CUDA_VISIBLE_DEVICES="1")),
    ),
    ("hidden-by-variable", 2, "hides", cuda(), set_variable(CUDA_VISIBLE_DEVICES="")),
    ("mig-without-instance", 2, "MIG is on", cuda(), nvidia(smi(mig="Enabled"))),
    ("container-without-gpu", 2, "this container", cuda(), lambda m: m.file(".dockerenv")),
    ("wsl-without-gpu", 2, "no GPU to this distribution", cuda(), wsl()),
    ("container-without-gpu", 2, "this container", cuda(), both(wsl(".dockerenv"))),
    ("container-without-gpu", 2, "this container", cuda(), apptainer),
    ("wsl-without-driver", 2, "no CUDA library", cuda(), wsl("dev/dxg")),
    (
        "wsl-without-driver",
        2,
        "no CUDA library",
        cuda(warning="Error 500: named symbol not found"),
        wsl("dev/dxg", "usr/lib/wsl/lib/libcuda.so.1"),
    ),
    ("driver-mismatch", 2, "old one", cuda(), lambda m: m.tool("nvidia-smi", MISMATCH, 18)),
    ("driver-not-running", 2, "not run", cuda(), lambda m: m.tool("nvidia-smi", SMI_FAILS, 9)),
    ("driver-not-running", 2, "not run", cuda(), lambda m: m.pci("0000:01:00.0", "0x10de")),
    ("fabric-not-running", 2, "802", cuda(warning=ERROR.format(802)), RUNNING),
    ("libcuda-mismatch", 2, "803", cuda(warning=ERROR.format(803)), RUNNING),
    ("driver-in-disorder", 2, "after sleep", cuda(warning=UNKNOWN), RUNNING),
    ("no-gpu", 2, "finds no GPU", cuda(), RUNNING),
    ("no-gpu", 2, "Error 304", cuda(warning=ERROR.format(304)), IN_A_CONTAINER),
    ("nvidia-smi-hangs", 2, "does not answer", cuda(), hanging_nvidia_smi),
    ("other-gpu", 2, "this machine's GPU (AMD)", cuda(), amd),
    ("no-gpu", 2, "finds no GPU", cuda(), nothing),
    ("no-gpu", 2, "finds no GPU", cuda(), nvidia("[N/A], NVIDIA GB10, GPU-12, [N/A], [N/A]")),
    ("driver-too-old", 2, "this is 418.87.00", cuda(), old_nvidia_smi),
    (
        "hidden-by-variable",
        2,
        "CUDA_VISIBLE_DEVICES hides",
        cuda(),
        both(nvidia(), listed("MIG-22"), set_variable(CUDA_VISIBLE_DEVICES="MIG-11")),
    ),
    (
        "no-gpu",
        2,
        "finds no GPU",
        cuda(),
        both(nvidia(), listed("MIG-11"), set_variable(CUDA_VISIBLE_DEVICES="MIG-11")),
    ),
    ("kernel-fails", 2, "out of memory", {**H100, "fails": "CUDA out of memory"}, nvidia()),
    ("kernel-fails", 2, "(signal 6) at float32 on cuda:0", {**H100, **ABORTS}, nvidia()),
    ("kernel-fails", 2, "fails on cuda:0: RuntimeError: bad", {**H100, "fails": "bad"}, nvidia()),
    ("wrong-numbers", 1, "float32 on cuda:0", {**H100, "defect": 1.0}, nvidia()),
    ("wrong-numbers", 1, "float32 on cuda:0", {**H100, "defect": "nan"}, nvidia()),
    ("ok", 0, "works on NVIDIA H100", H100, nvidia()),
]
# These need a project with such a build.
WITH_ROCM_AND_XPU: list[Case] = [
    ("cpu-build-beside-gpu", 1, "AMD, for which the project has rocm7.2", cpu(), amd),
    ("cpu-build-beside-gpu", 1, "Intel, for which the project has xpu", cpu(), arc),
    ("amdgpu-missing", 2, "amdgpu", rocm(), lambda m: m.pci("0000:03:00.0", "0x1002")),
    (
        "no-render-permission",
        2,
        "may not open",
        rocm(),
        both(amd, lambda m: m.deny("dev/kfd")),
    ),
    (
        "hidden-by-variable",
        2,
        "HIP_VISIBLE_DEVICES",
        rocm(),
        both(amd, set_variable(HIP_VISIBLE_DEVICES="-1")),
    ),
    (
        "hidden-by-variable",
        2,
        "ROCR_VISIBLE_DEVICES",
        rocm(),
        both(amd, set_variable(ROCR_VISIBLE_DEVICES="7")),
    ),
    ("container-without-gpu", 2, "container", rocm(), lambda m: m.file("run/.containerenv")),
    (
        "architecture-missing",
        2,
        "gfx803",
        rocm(devices=["RX 580"], gfx="gfx803", kernels=["gfx90a", "gfx942"]),
        amd,
    ),  # fmt: skip
    ("no-gpu", 2, "finds no GPU", rocm(), amd),
    ("ok", 0, "works on MI300X", rocm(devices=["MI300X"], kernels=["gfx942"]), amd),
    ("intel-driver-missing", 2, "Level Zero", xpu(), arc),
    (
        "hidden-by-variable",
        2,
        "ZE_AFFINITY_MASK",
        xpu(),
        both(arc, set_variable(ZE_AFFINITY_MASK="9")),
    ),
    (
        "hidden-by-variable",
        2,
        "ONEAPI_DEVICE_SELECTOR",
        xpu(),
        both(arc, set_variable(ONEAPI_DEVICE_SELECTOR="opencl:*;level_zero:cpu,1")),
    ),
    (
        "intel-driver-missing",
        2,
        "Level Zero",
        xpu(),
        both(arc, set_variable(ONEAPI_DEVICE_SELECTOR="level_zero:0;opencl:cpu")),
    ),
    (
        "intel-driver-missing",
        2,
        "Level Zero",
        xpu(),
        both(arc, set_variable(ZE_AFFINITY_MASK="0.1")),
    ),
    ("ok", 0, "GPU (NVIDIA), for which no build is known", cpu(), nvidia(smi(capability="3.5"))),
    ("ok", 0, "works on the CPU", cpu(), on_a_gpu_host),
    ("intel-driver-missing", 2, "Core Ultra", xpu(), integrated),
    ("ok", 0, "works on the CPU", cpu(), integrated),
    ("ok", 0, "GPU (AMD), for which no build is known", cpu(), gfx1036),
    ("container-without-gpu", 2, "container", xpu(), lambda m: m.file(".dockerenv")),
    ("other-gpu", 2, "NVIDIA", xpu(), nvidia()),
    ("ok", 0, "works on Arc B580", xpu(devices=["Arc B580"]), arc),
]
ON_A_MAC: list[Case] = [
    ("ok", 0, "works on the Apple GPU (MPS)", cpu(devices=["M4"], kind="mps"), on(*MAC)),
    ("mps-not-built", 2, "without MPS", cpu(built=False), on(*MAC)),
    ("macos-too-old", 2, "needs macOS 14, and this is 13.2", cpu(), on("Darwin", "arm64", "13.2")),
    ("no-gpu", 2, "finds no GPU", cpu(), on(*MAC)),
    (
        "rosetta-python",
        1,
        "under Rosetta",
        None,
        both(on("Darwin", "x86_64", "15.1"), lambda m: m.tool("sysctl", "1")),
    ),
    ("unsupported-platform", 1, "macos-x86_64", None, on("Darwin", "x86_64", "15.1")),
]


def check(machine: Machine, case: Case, *options: str) -> Outcome:
    diagnosis, code, words, torch, arrange = case
    arrange(machine)
    outcome = machine.run("--json", *options, torch=torch)
    report = outcome.report
    assert (report["diagnosis"], outcome.code) == (diagnosis, code), report
    assert report["exit_code"] == code
    fits_the_schema(report)
    assert words in report["cause"]
    # Intel Macs are no platform that a project could claim.
    if diagnosis in ("ok", "unsupported-platform"):
        assert report["next"] is None
    else:
        assert is_fitting(machine.project, report["next"]), report["next"]
    return outcome


def names(cases: list[Case]) -> list[str]:
    return [f"{case[0]}-{case[2]}"[:40] for case in cases]


def with_strategies(cases: list[Case]) -> Iterator[Any]:
    """The first case of each diagnosis with every strategy, which decides what to do next; the
    others, which differ in how they are found out, with one strategy after another."""
    turns = itertools.cycle(STRATEGIES)
    known = set()
    for case, name in zip(cases, names(cases), strict=True):
        for strategy in [next(turns)] if case[0] in known else STRATEGIES:
            yield pytest.param(strategy, case, id=f"{strategy}-{name}")
        known.add(case[0])


@pytest.mark.parametrize(("strategy", "case"), list(with_strategies(ANYWHERE)))
def test_it_names_the_cause_and_one_command(machine, strategy: str, case: Case) -> None:
    check(machine(strategy), case)


@pytest.mark.parametrize("case", WITH_ROCM_AND_XPU, ids=names(WITH_ROCM_AND_XPU))
def test_it_knows_amd_and_intel(machine, case: Case) -> None:
    check(machine("extras"), case)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("case", ON_A_MAC, ids=names(ON_A_MAC))
def test_it_knows_macs(machine, strategy: str, case: Case) -> None:
    check(machine(strategy), case)


# The command line


def test_a_right_device_is_reported_in_full(machine) -> None:
    m = machine()
    nvidia()(m)
    lines = m.run(torch=H100).output.splitlines()
    assert lines[-1] == "OK: torch 2.14.1+cu130 works on NVIDIA H100."
    assert "driver      NVIDIA 580.95.05" in lines
    assert "cuda:0      NVIDIA H100, sm_90, 80.0 GiB" in lines
    assert "product     float32 on cuda:0 ok, relative error 0.0e+00" in lines


def test_the_cause_and_the_next_command_end_the_report(machine) -> None:
    lines = machine().run(torch=cuda()).output.splitlines()
    assert lines[-2:] == [
        "NO USABLE DEVICE: torch finds no GPU.",
        "Next: nvidia-smi",
    ]


def test_a_cpu_build_is_right_where_nothing_else_is_there(machine) -> None:
    assert machine().run(torch=cpu()).output.endswith("OK: torch 2.14.1+cpu works on the CPU.\n")


@pytest.mark.parametrize("options", [["--allow-cpu"], ["--expect", "cpu"]])
def test_a_cpu_build_beside_a_gpu_can_be_meant(machine, options: list[str]) -> None:
    check(machine(), ("ok", 0, "the CPU", cpu(), nvidia()), *options)


def test_allow_cpu_accepts_a_missing_device_and_says_why(machine) -> None:
    words = "torch 2.14.1+cu130 works on the CPU; --allow-cpu accepts that torch finds no GPU"
    check(machine(), ("ok", 0, words, cuda(), nothing), "--allow-cpu")


def test_allow_cpu_accepts_no_wrong_build(machine) -> None:
    case = ("wrong-build", 1, "cu121", cuda(cuda="12.1"), nothing)
    check(machine(), case, "--allow-cpu")


def test_expect_overrides_the_table(machine) -> None:
    case = ("wrong-build", 1, "built for cpu, and not for cu130", cpu(), nothing)
    report = check(machine("groups"), case, "--expect", "cu130").report
    assert report["next"] == (
        "uv run --no-group cpu --group cu130 --reinstall-package torch"
        " --reinstall-package torchvision scripts/smoke_test.py"
    )


def test_a_build_that_the_project_does_not_have_can_be_expected(machine) -> None:
    words = "not for cu121, which is no build of this project"
    report = check(machine(), ("wrong-build", 1, words, cpu(), nothing), "--expect", "cu121").report
    assert report["next"].startswith("uv sync --reinstall-package torch")
    right = cuda(version="2.14.1+cu121", cuda="12.1", devices=["NVIDIA T4"])
    check(machine("index"), ("ok", 0, "works on NVIDIA T4", right, nothing), "--expect", "cu121")


def test_a_project_for_the_cpu_is_right_beside_a_gpu(tmp_path, template: Path) -> None:
    """The README's table calls that build right; another one would be another project."""
    answers = {"strategy": "index", "backend": "cpu", "torch_version": "2.14"}
    m = Machine(tmp_path / "m", copied(template, tmp_path / "project", answers))
    words = "works on the CPU; there is a GPU (NVIDIA), for which the project has no build"
    check(m, ("ok", 0, words, cpu(), nvidia()))


def test_a_platform_that_is_not_claimed_is_told_nothing_of_builds(tmp_path, template: Path) -> None:
    answers = {"torch_version": "2.14", "platforms": ["linux-x86_64"]}
    m = Machine(tmp_path / "m", copied(template, tmp_path / "project", answers))
    report = check(m, ("ok", 0, "", cpu(), both(on("Windows", "AMD64", ""), nvidia()))).report
    assert report["cause"] == "torch 2.14.1+cpu works on the CPU"


ARM = on("Linux", "aarch64", "")
THOR = {"devices": ["NVIDIA Thor"], "capability": [11, 0], "kernels": ["sm_80", "sm_110"]}


def jetson(driver: str, capability: str) -> Arrange:
    return both(ARM, nvidia(smi(driver, capability=capability)))


@pytest.mark.parametrize(
    ("case", "command"),
    [
        (("cpu-build-beside-gpu", 1, "NVIDIA, for which the project has cu130", cpu(),
          jetson("580.00", "11.0")), "--group cu130"),
        (("ok", 0, "works on NVIDIA Thor", cuda(**THOR), jetson("580.00", "11.0")), ""),
        (("no-gpu", 2, "finds no GPU", cuda(), jetson("580.00", "11.0")), ""),
        # Orin, before JetPack 7.
        (("ok", 0, "there is a GPU (NVIDIA), for which no build is known here", cpu(),
          jetson("540.4.0", "8.7")), ""),
        # The same number is too old for a server, and for DGX Spark.
        (("driver-too-old", 2, "cu130 needs NVIDIA driver 580.65.06, and this is 580.00", cuda(),
          jetson("580.00", "12.1")), ""),
    ],
)  # fmt: skip
def test_the_driver_of_a_jetson_has_numbers_of_its_own(machine, case: Case, command: str) -> None:
    assert command in (check(machine(), case).report["next"] or "")


# A torch that is there already


@pytest.mark.parametrize(
    "case",
    [
        ("ok", 0, "torch 2.14.1+cu130 works on NVIDIA H100", H100, nvidia()),
        # NGC's, and one that somebody built; of another line than the answers say.
        ("ok", 0, "torch 2.14.0a0+b2c75dd062.nv26.09 works on NVIDIA H100",
         {**H100, "version": "2.14.0a0+b2c75dd062.nv26.09", "cuda": "13.4"}, nvidia()),
        ("ok", 0, "torch 2.12.0a0+git works on the CPU; the project is made for torch 2.14",
         cpu(version="2.12.0a0+git"), nothing),
        ("ok", 0, "on the CPU; there is a GPU (NVIDIA), which it cannot use", cpu(), nvidia()),
        ("driver-too-old", 2, "cu130 needs NVIDIA driver 580.65.06, and this is 550.54",
         cuda(), nvidia(smi("550.54"))),
        ("architecture-missing", 2, "for which no build is known here",
         cuda(devices=["NVIDIA V100"], capability=[7, 0], kernels=["sm_80"]), nvidia()),
        ("no-gpu", 2, "torch finds no GPU", cuda(), nothing),
        ("torch-missing", 1, "the Python below this environment has no torch", None, nothing),
        ("torch-broken", 1, "torch cannot be imported", cuda(import_error="libcublas"), nothing),
        ("shadowed-torch", 1, "is found as well", H100, both(nvidia(), second_torch)),
    ],
    ids=lambda case: f"{case[0]}-{case[2]}"[:40],
)  # fmt: skip
def test_whatever_is_there_is_accepted_and_named(tmp_path, provided: Project, case: Case) -> None:
    m = Machine(tmp_path / "m", provided)
    diagnosis, code, words, torch, arrange = case
    arrange(m)
    outcome = m.run("--json", torch=torch)
    report = outcome.report
    fits_the_schema(report)
    assert (report["diagnosis"], outcome.code) == (diagnosis, code), report
    assert words in report["cause"] and report["expected"] == []
    # No command installs another torch.
    following = str(report["next"])
    assert "--reinstall" not in following and "copier" not in following


@pytest.fixture(scope="module")
def provided(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    answers = {"strategy": "provided", "torch_version": "2.14", "containers": ["docker"]}
    return copied(template, tmp_path_factory.mktemp("provided") / "project", answers)


def test_a_companion_that_is_missing_is_named(machine) -> None:
    m = machine(incomplete=True)
    report = check(
        m, ("companion-missing", 1, "torchvision is not installed", H100, nothing)
    ).report
    assert "--reinstall-package torchvision" in report["next"]


@pytest.mark.parametrize(
    ("answers", "command"),
    [
        ({}, "docker build --build-arg PYTORCH=cu130 ."),
        ({"strategy": "extras", "backends": ["cpu", "cu130"]},
         "docker build --build-arg PYTORCH=cu130 ."),
        ({"strategy": "pip", "backend": "cu130"}, "docker build --build-arg PYTORCH=cu130 ."),
        ({"strategy": "index", "backend": "cu130"}, "docker build ."),
    ],
)  # fmt: skip
def test_in_an_image_the_next_command_is_one_for_its_host(
    tmp_path, template: Path, answers: dict[str, Any], command: str
) -> None:
    answers = {"torch_version": "2.14", "containers": ["docker"], **answers}
    project = copied(template, tmp_path / "project", answers)
    assert f"COPY {SCRIPT}" in project.text("Dockerfile") and "pyproject" not in final(project)
    m = Machine(tmp_path / "m", project, in_an_image=True)
    nvidia()(m)
    report = m.run("--json", torch=cpu()).report
    assert (report["diagnosis"], report["next"]) == ("cpu-build-beside-gpu", command)


def final(project: Project) -> str:
    """The stage of the Dockerfile that becomes the image."""
    return project.text("Dockerfile").rpartition("FROM ")[2]


def test_an_old_gpu_gets_the_older_build_of_the_tables(machine) -> None:
    old = cuda(devices=["GTX 1080"], capability=[6, 1], kernels=["sm_75", "sm_90"])
    words = "the project has no build; the newest is cu126 of torch 2.14"
    report = check(machine(), ("architecture-missing", 2, words, old, nothing)).report
    assert report["next"] == 'copier update --trust --data "backends=[cpu,cu130,cu126]"'
    words = "for which the project has cu126"
    case = ("architecture-missing", 2, words, old, nothing)
    next = check(machine("extras"), case).report["next"]
    assert next == "uv run --extra cu126 scripts/smoke_test.py"


@pytest.mark.parametrize("kernels", [["sm_80"], ["compute_75"], ["sm_90a", "sm_86"]])
def test_binaries_run_on_later_minors_and_ptx_on_all(machine, kernels: list[str]) -> None:
    a6000 = cuda(devices=["RTX A6000"], capability=[8, 6], kernels=kernels)
    check(machine(), ("ok", 0, "works", a6000, nothing))


def test_a_type_that_a_device_lacks_is_no_failure(machine) -> None:
    odd = {**H100, "fails": "not implemented for 'BFloat16'", "fails_as": "bfloat16"}
    report = check(machine(), ("ok", 0, "works", odd, nothing)).report
    assert [x["result"] for x in report["checks"]] == ["ok", "ok", "unsupported"]


def test_all_gpus_are_tried_and_reach_each_other(machine) -> None:
    report = check(machine(), ("ok", 0, "works", DUAL, nothing), "--all-gpus").report
    assert {x["device"] for x in report["checks"]} == {"cuda:0", "cuda:1"}
    assert [x["peers"] for x in report["devices"]] == [[1], [0]]
    broken = {**DUAL, "fails": "bad", "fails_on": "cuda:1"}
    m = machine("index")
    check(m, ("ok", 0, "works", broken, nothing))
    m.environment = {}
    check(m, ("kernel-fails", 2, "fails on cuda:1", broken, nothing), "--all-gpus")


def test_an_unused_gpu_fails_nothing_and_vouches_for_nothing(machine) -> None:
    """A GT 710 (sm_35) beside an H100, in either order."""
    beside = {**DUAL, "kernels": ["sm_75", "sm_90"], "capabilities": {"1": [3, 5]}}
    check(machine("index"), ("ok", 0, "works", beside, nothing))
    words = "NVIDIA H100 (sm_35), for which no build is known"
    case = ("architecture-missing", 2, words, beside, nothing)
    report = check(machine("extras"), case, "--all-gpus").report
    assert report["next"] == "nvidia-smi"
    first = {**beside, "capabilities": {"0": [3, 5]}}
    check(machine("groups"), ("architecture-missing", 2, words, first, nothing))


def test_a_failure_of_cuda_is_no_missing_type(machine) -> None:
    text = "CUDA error: operation not supported"
    odd = {**H100, "fails": text, "fails_as": "bfloat16"}
    check(machine(), ("kernel-fails", 2, text, odd, nothing))


def test_devices_that_do_not_work_together(machine) -> None:
    """The first failure is told, while the other process waits for ever."""
    failure = {"group": "NCCL error: unhandled system error", "after": "[W1] a warning\n"}
    silent = {**DUAL, **failure, "waits_for_ever": 0}
    case = ("distributed-fails", 1, "together: RuntimeError: NCCL error: unh", silent, nothing)
    report = check(machine(), case, "--distributed").report
    assert report["next"] == "nvidia-smi topo -m"
    assert {x["device"] for x in report["checks"]} == {"cuda:0", "cuda:1"}


# GPUs that torch does not find


def broken_row(cell: str) -> str:
    return smi().replace("NVIDIA H100, GPU-1234abcd", f"{cell}, {cell}").replace("9.0", cell)


EIGHT = [f"{smi()}".replace("1234abcd", f"{number}") for number in range(8)]
SEVEN = cuda(devices=["NVIDIA H100"] * 7)
CELLS = [
    "[GPU is lost]",
    "[Unknown Error]",
    "ERR!",
    "[N/A]",
    "[Insufficient Permissions]",
    "[GPU requires reset]",
]
HANDLE = "Unable to determine the device handle for GPU0000:03:00.0: Unknown Error"


@pytest.mark.parametrize(
    ("cell", "variable"), [*((cell, None) for cell in CELLS), (CELLS[0], "0,1,2,3,4,5,6,7")]
)
def test_a_gpu_that_is_lost_is_named(machine, cell: str, variable: str | None) -> None:
    def eight(m: Machine) -> None:
        rows = [*EIGHT[:3], broken_row(cell), *EIGHT[4:]]
        m.tool("nvidia-smi", "\n".join(rows), asked="query-gpu")
        m.environment |= {"CUDA_VISIBLE_DEVICES": variable} if variable else {}

    named = f"torch finds 7 of 8 NVIDIA GPUs: nvidia-smi says {cell} of GPU 3"
    case = ("gpu-missing", 2, named, SEVEN, eight)
    for number, option in enumerate(["--all-gpus", "--distributed"]):
        report = check(machine("groups", again=str(number)), case, option).report
        assert report["next"] == "sudo dmesg --level err,warn"
        assert f"nvidia-smi says {cell} of GPU 3" in report["warnings"]
    # The first GPU alone is tried, and works.
    first = ("ok", 0, named.replace("torch finds", "it finds"), SEVEN, eight)
    check(machine("groups", again="first"), first)


@pytest.mark.parametrize("code", [0, 15])
def test_a_gpu_without_a_row_is_named(machine, code: int) -> None:
    rows = "\n".join([*EIGHT[:7], HANDLE])
    arrange = lambda m: m.tool("nvidia-smi", rows, code, asked="query-gpu")  # noqa: E731
    words = f"torch finds 7 of 8 NVIDIA GPUs: {HANDLE}"
    case = ("gpu-missing", 2, words, SEVEN, arrange)
    report = check(machine(), case, "--all-gpus").report
    assert report["driver"] == "580.95.05" and f"nvidia-smi: {HANDLE}" in report["warnings"]


def test_fewer_devices_than_nvidia_smi_lists_are_named(machine) -> None:
    case = ("gpu-missing", 2, "torch finds 7 of 8 NVIDIA GPUs", SEVEN, nvidia(*EIGHT))
    check(machine(), case, "--all-gpus")
    # One alone that does not say what it is.
    rows = [*EIGHT[:7], smi(capability="[N/A]")]
    words = "7 of 8 NVIDIA GPUs: nvidia-smi says [N/A] of GPU 7"
    check(machine(again="one"), ("gpu-missing", 2, words, SEVEN, nvidia(*rows)), "--all-gpus")


@pytest.mark.parametrize(
    "arrange",
    [
        both(nvidia(*EIGHT), set_variable(CUDA_VISIBLE_DEVICES="0,1,2,3,4,5,6")),
        both(nvidia(*EIGHT), set_variable(CUDA_VISIBLE_DEVICES="6,5,4,3,2,1,0,9,7")),
        both(nvidia(*EIGHT), set_variable(CUDA_VISIBLE_DEVICES="GPU-0,GPU-1")),
        both(nvidia(*EIGHT), set_variable(CUDA_VISIBLE_DEVICES="MIG-11")),
        nvidia(*EIGHT[1:], smi(mig="Enabled")),
    ],
)
def test_fewer_devices_can_be_meant(machine, arrange: Arrange) -> None:
    case = ("ok", 0, "works on NVIDIA H100", SEVEN, arrange)
    assert check(machine(), case, "--all-gpus").report["cause"].endswith("works on NVIDIA H100")


def test_a_field_that_is_odd_fails_no_gpu_that_torch_finds(machine) -> None:
    rows = [*EIGHT[:6], smi(mig="[Unknown Error]")]
    check(machine(), ("ok", 0, "works on NVIDIA H100", SEVEN, nvidia(*rows)), "--all-gpus")


@pytest.mark.parametrize(
    ("says", "code", "diagnosis"),
    [
        ("Failed to initialize NVML: Insufficient Permissions", 4, "no-gpu"),
        ("No devices were found", 6, "no-gpu"),
        (HANDLE, 15, "gpu-missing"),
        (broken_row("[GPU is lost]"), 0, "gpu-missing"),
    ],
)
def test_what_nvidia_smi_says_is_shown(machine, says: str, code: int, diagnosis: str) -> None:
    arrange = both(
        nvidia_on_pci("dev/nvidia0"),
        lambda m: m.file("proc/driver/nvidia/version", "NVRM: Kernel Module  580.95.05  x"),
        lambda m: m.tool("nvidia-smi", says, code, asked="query-gpu"),
    )
    words = "nvidia-smi says [GPU is lost] of GPU 0" if "lost" in says else says
    report = check(machine(), (diagnosis, 2, words, cuda(), arrange)).report
    assert any(words in warning for warning in report["warnings"])


def test_a_cpu_build_beside_a_lost_gpu_is_not_replaced(machine) -> None:
    lost = nvidia(broken_row("[GPU is lost]"))
    check(machine(), ("ok", 0, "works on the CPU", cpu(), lost))
    both_of_two = nvidia(EIGHT[0], broken_row("[GPU is lost]"))
    check(machine(again="one"), ("cpu-build-beside-gpu", 1, "NVIDIA", cpu(), both_of_two))


def test_an_amd_gpu_that_torch_does_not_find_is_named(machine) -> None:
    def two(m: Machine) -> None:
        amd(m)
        m.file("sys/class/kfd/kfd/topology/nodes/2/properties", "gfx_target_version 90402\n")

    one = rocm(devices=["MI300X"], kernels=["gfx942"])
    check(machine("extras"), ("ok", 0, "it finds 1 of 2 AMD GPUs", one, two), "--all-gpus")
    hidden = both(two, set_variable(HIP_VISIBLE_DEVICES="0"))
    report = check(machine("extras", again="0"), ("ok", 0, "MI300X", one, hidden)).report
    assert report["cause"].endswith("works on MI300X")


# The build that a machine gets


GPU_FIRST = {"backends": ["cpu", "cu126", "cu130", "xpu"], "default_backend": "cu130"}
REINSTALL = " --reinstall-package torch --reinstall-package torchvision"
CUDA_126 = cuda(version="2.14.1+cu126", cuda="12.6")
BROKEN = {"import_error": "libc: gone"}


@pytest.mark.parametrize(
    ("torch", "arrange", "options", "command"),
    [
        # Without its companion, and beside a GPU for which the project has a build.
        (cpu(), nvidia(), [], "uv sync"),
        (cpu(), nvidia(smi("550.54.15")), [], "uv run --no-group cu130 --group cu126 SCRIPT"),
        (cpu(), arc, [], "uv run --no-group cu130 --group xpu SCRIPT"),
        (cuda(), arc, [], "uv run --no-group cu130 --group xpu SCRIPT"),
        (cuda(), nvidia(smi("550.54.15")), [], "uv run --no-group cu130 --group cu126 SCRIPT"),
        # It fits as it is, or is meant.
        (cpu(), nothing, [], f"uv run --no-group cu130 --group cpu{REINSTALL} SCRIPT"),
        (cpu(), amd, [], f"uv run --no-group cu130 --group cpu{REINSTALL} SCRIPT"),
        (
            cpu(),
            nvidia(),
            ["--allow-cpu"],
            f"uv run --no-group cu130 --group cpu{REINSTALL} SCRIPT",
        ),
        (
            cpu(),
            nvidia(),
            ["--expect", "cpu"],
            f"uv run --no-group cu130 --group cpu{REINSTALL} SCRIPT",
        ),
        (cuda(), nvidia(), [], f"uv sync{REINSTALL}"),
        (cuda(), nothing, [], f"uv sync{REINSTALL}"),
        (CUDA_126, nvidia(), [], f"uv run --no-group cu130 --group cu126{REINSTALL} SCRIPT"),
        # Broken as well: then all is installed anew.
        (cpu(**BROKEN), nvidia(), [], f"uv sync{REINSTALL}"),
        (cuda(**BROKEN), nvidia(), [], f"uv sync{REINSTALL}"),
        (cpu(**BROKEN), nothing, [], f"uv run --no-group cu130 --group cpu{REINSTALL} SCRIPT"),
        (cpu(version="2.13.0+cpu"), nvidia(), [], "uv sync"),
    ],
)
def test_the_next_command_brings_the_build_that_the_machine_gets(
    tmp_path, template: Path, torch: dict[str, Any], arrange: Arrange, options: list[str], command
) -> None:
    answers = {"torch_version": "2.14", "strategy": "groups", **GPU_FIRST}
    project = copied(template, tmp_path / "project", answers)
    m = Machine(tmp_path / "m", project, incomplete=True)
    arrange(m)
    report = m.run("--json", *options, torch=torch).report
    broken = "torch-broken" if "import_error" in torch else "companion-missing"
    assert report["diagnosis"] == broken
    assert report["next"] == command.replace("SCRIPT", SCRIPT)


def test_a_backend_that_a_build_lacks_is_no_failure(machine) -> None:
    """Windows has no NCCL."""
    report = check(
        machine(), ("ok", 0, "works", {**DUAL, "groups": ["gloo"]}, nothing), "--distributed"
    ).report
    assert report["distributed"] == "nccl is not in this build"


def test_a_companion_is_held_to_the_build_that_torch_does_not_name(machine) -> None:
    plain = cuda(version="2.14.1", devices=["NVIDIA H100"])
    words = "torchvision 0.29.1+cpu is another build"
    check(machine("pypi"), ("companion-mismatch", 1, words, plain, vision("0.29.1+cpu")))


CODEC = {"strategy": "index", "backend": "rocm7.2", "packages": ["torchcodec"]}
NO_FFMPEG = "FFmpeg is not properly installed: OSError: libavutil.so.56: cannot open"
NO_CUDA = "FFmpeg is not properly installed: OSError: libnvrtc.so.13: cannot open"


@pytest.mark.parametrize(
    ("version", "error", "diagnosis"),
    [
        ("0.16.0+cpu", "", "ok"),
        # Without a build for ROCm its CPU build stands in, and no other does.
        ("0.16.0+cu130", "", "companion-mismatch"),
        ("0.16.0+cpu", NO_FFMPEG, "ok"),
        ("0.16.0+cpu", NO_CUDA, "companion-mismatch"),
    ],
)
def test_a_companion_with_builds_of_its_own(
    tmp_path, template: Path, version: str, error: str, diagnosis: str
) -> None:
    answers = {"torch_version": "2.14", **CODEC}
    m = Machine(tmp_path / "m", copied(template, tmp_path / "project", answers))
    m.package("torchcodec", version, f"raise RuntimeError({error!r})" if error else "")
    found = rocm(devices=["AMD Instinct MI300X"], kernels=["gfx942"])
    report = m.run("--json", torch=found).report
    assert report["diagnosis"] == diagnosis, report
    told = "torchcodec finds no FFmpeg here" in report["warnings"]
    assert told == (error == NO_FFMPEG)


def test_a_hanging_nvidia_smi_is_asked_once(machine) -> None:
    m = machine()
    check(m, ("nvidia-smi-hangs", 2, "hangs", cuda(), hanging_nvidia_smi))
    assert (m.folder / "asked").read_text("utf-8") == "asked\n"


def test_what_torch_prints_does_not_spoil_the_report(machine) -> None:
    check(machine(), ("ok", 0, "works", {**H100, "says": "Hello."}, nothing))


def test_the_install_never_changes_the_project(machine) -> None:
    """Beside a GPU that the project has no build for, its default is installed."""
    commands = {"groups": "uv sync", "extras": "uv run --extra cu130 scripts/smoke_test.py"}
    for strategy, command in commands.items():
        m = machine(strategy)
        amd(m) if strategy == "groups" else nvidia()(m)
        report = check(m, ("torch-missing", 1, "not installed", None, nothing)).report
        assert report["next"] == command


def test_a_torch_from_pythonpath_is_taken_off_it(machine) -> None:
    report = check(machine(), ("shadowed-torch", 1, "more", cuda(), second_torch)).report
    assert report["next"] == "unset PYTHONPATH"


def test_apptainer_has_a_switch_of_its_own(machine) -> None:
    report = check(machine(), ("container-without-gpu", 2, "got no", cuda(), apptainer)).report
    assert report["next"] == "apptainer exec --nv docker://ubuntu nvidia-smi"


def test_windows_asks_for_intel_only_without_another_device(machine) -> None:
    def arc_on_windows(m: Machine) -> None:
        on("Windows", "AMD64", "")(m)
        m.tool("powershell", "Intel(R) Arc(TM) A770 Graphics")

    words = "Intel, for which the project has xpu"
    check(machine("extras"), ("cpu-build-beside-gpu", 1, words, cpu(), arc_on_windows))

    def slow(m: Machine) -> None:
        arc_on_windows(m)
        (m.folder / "bin" / "powershell").write_text(f"#!/bin/sh\n> {m.folder}/asked\n", "utf-8")

    m = machine("extras", again="with device")
    check(m, ("ok", 0, "works on Arc", xpu(devices=["Arc"]), slow))
    assert not (m.folder / "asked").exists()


@pytest.mark.parametrize("name", ["Intel(R) Arc(TM) 140V GPU (16GB)", "Intel(R) Graphics"])
def test_windows_and_linux_agree_on_integrated_gpus(machine, name: str) -> None:
    def windows(m: Machine) -> None:
        on("Windows", "AMD64", "")(m)
        m.tool("powershell", name)

    check(machine("extras"), ("ok", 0, "works on the CPU", cpu(), windows))
    case = ("intel-driver-missing", 2, "Core Ultra", xpu(), windows)
    check(machine("extras", again="xpu"), case)


def test_warnings_are_kept_once_whatever_the_filters(machine) -> None:
    for number, filters in enumerate(("", "ignore", "error")):
        m = machine(("groups", "extras", "pip")[number], environment={"PYTHONWARNINGS": filters})
        report = m.run("--json", torch=cuda(warning=OLD_DRIVER)).report
        assert report["warnings"] == [OLD_DRIVER.partition(" (Triggered")[0]]


def test_markdown_is_for_an_issue(machine) -> None:
    output = machine().run("--markdown", torch=cuda()).output
    assert output.startswith("**NO USABLE DEVICE** (no-gpu): torch finds no GPU.\n")
    assert "\nNext: `nvidia-smi`\n" in output
    assert "\n| built for | cu130 |\n" in output


def test_it_prints_what_the_console_can_show(machine) -> None:
    m = machine(environment={"PYTHONIOENCODING": "ascii"})
    assert "works on GeForce?." in m.run(torch=cuda(devices=["GeForce\u2122"])).output


@pytest.mark.parametrize(
    "options", [["--expect", "cuda"], ["--expect"], ["--nope"], ["--json", "--markdown"]]
)
def test_mistakes_on_the_command_line_have_a_code_of_their_own(machine, options) -> None:
    outcome = machine().run(*options, torch=H100)
    assert outcome.code == 3
    assert "error:" in outcome.output


def test_help_documents_codes_and_json(machine) -> None:
    text = machine().run("--help").output
    for word in ("  0  ", "  1  ", "  2  ", "  3  ", "--allow-cpu", *fields()):
        assert word in text


def fields() -> list[str]:
    return list(json.loads(SCHEMA.read_text("utf-8"))["properties"])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_file_is_clean(machine, strategy: str) -> None:
    script = machine(strategy).project.path / "scripts" / "smoke_test.py"
    for command in (["check"], ["format", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", script],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
