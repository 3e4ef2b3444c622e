"""What people paste: outputs of the tools as they print them."""

from __future__ import annotations

import pytest
from chooser import families, pasted
from chooser.here import Here
from hypothesis import given, settings
from hypothesis import strategies as st

from extensions.questions.machine import fitting_backends
from tests.support.cells import TABLES

NVIDIA_SMI = """\
Thu Nov 26 07:05:23 2026
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 580.65.06              Driver Version: 580.65.06      CUDA Version: 13.0     |
+-----------------------------------------+------------------------+----------------------+
| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |
| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |
|                                         |                        |               MIG M. |
|=========================================+========================+======================|
|   0  NVIDIA H100 80GB HBM3          On  |   00000000:18:00.0 Off |                    0 |
| N/A   34C    P0             71W /  700W |       4MiB /  81559MiB |      0%      Default |
|                                         |                        |             Disabled |
+-----------------------------------------+------------------------+----------------------+
|   1  NVIDIA H100 80GB HBM3          On  |   00000000:2A:00.0 Off |                    0 |
| N/A   31C    P0             70W /  700W |       4MiB /  81559MiB |      0%      Default |
|                                         |                        |             Disabled |
+-----------------------------------------+------------------------+----------------------+

+-----------------------------------------------------------------------------------------+
| Processes:                                                                              |
|  GPU   GI   CI        PID   Type   Process name                              GPU Memory |
|        ID   ID                                                               Usage      |
|=========================================================================================|
|  No running processes found                                                             |
+-----------------------------------------------------------------------------------------+
"""
ON_WINDOWS = """\
C:\\Users\\ada>nvidia-smi
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 566.36                 Driver Version: 566.36         CUDA Version: 12.7     |
|-----------------------------------------+------------------------+----------------------+
| GPU  Name                  Driver-Model | Bus-Id          Disp.A | Volatile Uncorr. ECC |
| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |
|                                         |                        |               MIG M. |
|=========================================+========================+======================|
|   0  NVIDIA GeForce RTX 3060 ...  WDDM  |   00000000:01:00.0 Off |                  N/A |
| N/A   45C    P8             10W /   80W |     123MiB /   6144MiB |      0%      Default |
+-----------------------------------------+------------------------+----------------------+
"""
OLD = """\
| NVIDIA-SMI 470.256.02   Driver Version: 470.256.02   CUDA Version: 11.4     |
|-------------------------------+----------------------+----------------------+
|   0  Tesla V100-SXM2...  Off  | 00000000:1D:00.0 Off |                    0 |
|   1  NVIDIA A100-SXM...  Off  | 00000000:1E:00.0 Off |                    0 |
"""
ROCMINFO = """\
ROCk module version 6.12.12 is loaded
=====================
HSA Agents
=====================
*******
Agent 1
*******
  Name:                    AMD EPYC 9454 48-Core Processor
  Uuid:                    CPU-XX
  Device Type:             CPU
*******
Agent 2
*******
  Name:                    gfx942
  Uuid:                    GPU-f2e1b5b7a4f0a3b7
  Marketing Name:          AMD Instinct MI300X
  Device Type:             GPU
  ISA Info:
    ISA 1
      Name:                    amdgcn-amd-amdhsa--gfx942:sramecc+:xnack-
    ISA 2
      Name:                    amdgcn-amd-amdhsa--gfx9-4-generic:sramecc+:xnack-
"""


@pytest.mark.parametrize(
    ("text", "driver", "gpus"),
    [
        (NVIDIA_SMI, "580.65.06", ("9.0",)),
        (ON_WINDOWS, "566.36", ("8.6",)),
        (OLD, "470.256.02", ("7.0", "8.0")),
        (NVIDIA_SMI.replace("\n", "\r\n"), "580.65.06", ("9.0",)),
        ("580.65.06, 9.0, NVIDIA H100 PCIe", "580.65.06", ("9.0",)),
        ("550.54.15, 8.0\n550.54.15, 8.6", "550.54.15", ("8.0", "8.6")),
        ("GPU 0: NVIDIA L40S (UUID: GPU-1b6b)\nGPU 1: NVIDIA L4 (UUID: GPU-2b)", "", ("8.9",)),
        ("  Product Name : NVIDIA GB10\nDriver Version : 580.95.05", "580.95.05", ("12.1",)),
        (ROCMINFO, "", ("gfx942",)),
        ("gfx000\ngfx1100\ngfx1036\n", "", ("gfx1100", "gfx1036")),
        ("03:00.0 VGA compatible controller: Intel Corporation DG2 [Arc A770]", "", ("xpu",)),
    ],
)  # fmt: skip
def test_gpus_and_drivers(text: str, driver: str, gpus: tuple[str, ...]) -> None:
    seen = pasted.read(text)
    assert (seen.driver, seen.gpus) == (driver, gpus)
    assert seen.said


@pytest.mark.parametrize(
    ("text", "system", "machine"),
    [
        ("Linux box 6.8.0-49-generic #49 SMP x86_64 x86_64 GNU/Linux", "linux", "x86_64"),
        ("$ uname -a\nLinux thor 6.8.12-tegra #1 SMP aarch64 GNU/Linux", "linux", "aarch64"),
        ("Linux PC 5.15.153.1-microsoft-standard-WSL2 x86_64 GNU/Linux", "linux", "x86_64"),
        ("Darwin mac 24.1.0 root:xnu-1/RELEASE_ARM64_T6000 arm64", "darwin", "aarch64"),
        ("Darwin mac 23.6.0 root:xnu/RELEASE_X86_64 x86_64", "darwin", "x86_64"),
        ("MINGW64_NT-10.0-22631 PC 3.5.4 2024-09 x86_64 Msys", "windows", "x86_64"),
        ("Microsoft Windows [Version 10.0.22631.4460]", "windows", ""),
        (ON_WINDOWS, "windows", ""),
        (ROCMINFO, "", ""),
    ],
)  # fmt: skip
def test_systems(text: str, system: str, machine: str) -> None:
    seen = pasted.read(text)
    assert (seen.system, seen.machine) == (system, machine)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"system": "darwin", "machine": "x86_64"}, "no wheels for Intel Macs"),
        ({"system": "windows", "machine": "aarch64"}, "Windows on ARM is not supported"),
        ({"system": "darwin", "machine": "aarch64"}, ""),
        ({"system": "linux", "machine": "aarch64"}, ""),
    ],
)
def test_a_machine_on_which_nothing_runs_is_told_so(fields: dict[str, str], words: str) -> None:
    said = Here.read(fields).unsupported
    assert words in said and bool(said) == bool(words)


def test_a_mac_under_rosetta_is_one_for_arm64() -> None:
    assert pasted.read("Darwin mac root:xnu/RELEASE_ARM64_T8103 x86_64").machine == "aarch64"


@pytest.mark.parametrize(
    "text",
    [
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
        "Failed to initialize NVML: Driver/library version mismatch",
        "No devices were found",
        "|  Driver Version: 999.1 |\n|   0  NVIDIA Unheard Of  Off |  00000000:01:00.0 Off |",
        "bash: nvidia-smi: command not found",
    ],
)  # fmt: skip
def test_what_is_not_recognized_is_said(text: str) -> None:
    seen = pasted.read(text)
    assert seen.said and not seen.gpus


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=200) | st.sampled_from([NVIDIA_SMI, ROCMINFO, OLD]).map(lambda t: t[:300]))
def test_nothing_that_is_pasted_breaks_it(text: str) -> None:
    seen = pasted.read(text)
    here = Here.read({"system": seen.system, "driver": seen.driver, "gpu": ",".join(seen.gpus)})
    fitting_backends(TABLES, TABLES.lines[TABLES.default_line()], here.as_machine)


def test_the_list_of_gpus_is_that_of_the_tables() -> None:
    assert {*families.NVIDIA} == {*TABLES.gpus["others"], *TABLES.gpus["jetson"]}
    codes = {code for codes in TABLES.rocm_architectures.values() for code in codes}
    assert {*families.AMD} == codes


@pytest.mark.parametrize(
    ("name", "capability"),
    [
        ("NVIDIA GeForce RTX 5090", "12.0"), ("NVIDIA RTX PRO 6000 Blac...", "12.0"),
        ("NVIDIA GeForce RTX 4090 ...", "8.9"), ("NVIDIA RTX 6000 Ada Gene...", "8.9"),
        ("NVIDIA L4", "8.9"), ("NVIDIA GeForce RTX 3080", "8.6"), ("NVIDIA A10G", "8.6"),
        ("NVIDIA RTX A6000", "8.6"), ("NVIDIA A100-SXM4-40GB", "8.0"), ("NVIDIA A30", "8.0"),
        ("NVIDIA GeForce RTX 2080 Ti", "7.5"), ("Tesla T4", "7.5"), ("Quadro RTX 6000", "7.5"),
        ("NVIDIA GeForce GTX 1660", "7.5"), ("Tesla V100-SXM2-16GB", "7.0"),
        ("Tesla P100-PCIE-16GB", "6.0"), ("NVIDIA GeForce GTX 1080 Ti", "6.1"),
        ("Tesla P40", "6.1"),
        ("NVIDIA H200", "9.0"), ("NVIDIA GH200 480GB", "9.0"), ("NVIDIA B200", "10.0"),
        ("NVIDIA GB200", "10.0"), ("NVIDIA B300 SXM6", "10.3"), ("NVIDIA Thor", "11.0"),
        ("Orin (nvgpu)", "8.7"), ("NVIDIA GB10", "12.1"), ("Tesla M60", "5.2"),
        ("NVIDIA GeForce GTX 970", "5.2"), ("NVIDIA T1000", "7.5"), ("Matrox G200", ""),
    ],
)  # fmt: skip
def test_gpus_by_their_names(name: str, capability: str) -> None:
    assert families.capability_of(name) == capability
