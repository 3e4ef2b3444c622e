"""GPUs by the names that people know, for the list of the page and what `nvidia-smi` prints.

Sources: developer.nvidia.com/cuda/gpus and /legacy-gpus; rocm.docs.amd.com, "System requirements",
and the LLVM AMDGPU backend's table of processors (2026-11-26).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# Compute capability to names; the newest first, as the page lists them.
NVIDIA: Mapping[str, str] = {
    "12.1": "DGX Spark (GB10)",
    "12.0": "GeForce RTX 50, RTX PRO Blackwell",
    "11.0": "Jetson Thor",
    "10.3": "B300, GB300",
    "10.0": "B200, GB200",
    "9.0": "H100, H200, GH200",
    "8.9": "GeForce RTX 40, L4, L40, RTX Ada",
    "8.7": "Jetson Orin",
    "8.6": "GeForce RTX 30, A2, A10, A16, A40, RTX A",
    "8.0": "A100, A30",
    "7.5": "GeForce RTX 20, GTX 16, T4, Quadro RTX",
    "7.2": "Jetson Xavier",
    "7.0": "V100, TITAN V",
    "6.2": "Jetson TX2",
    "6.1": "GeForce GTX 10, P4, P40",
    "6.0": "P100",
    "5.3": "Jetson Nano, TX1",
    "5.2": "GeForce GTX 900, M40, M60",
    "5.0": "GeForce GTX 750",
}
AMD: Mapping[str, str] = {
    "gfx1201": "Radeon RX 9070, AI PRO R9700",
    "gfx1200": "Radeon RX 9060",
    "gfx1151": "Ryzen AI Max (Strix Halo)",
    "gfx1150": "Ryzen AI 300 (Strix Point)",
    "gfx1102": "Radeon RX 7600",
    "gfx1101": "Radeon RX 7700, 7800, PRO W7700",
    "gfx1100": "Radeon RX 7900, PRO W7800, W7900",
    "gfx1030": "Radeon RX 6800, 6900, PRO W6800",
    "gfx950": "Instinct MI350, MI355",
    "gfx942": "Instinct MI300, MI325",
    "gfx90a": "Instinct MI210, MI250",
    "gfx908": "Instinct MI100",
    "gfx906": "Instinct MI50, MI60, Radeon VII",
    "gfx900": "Instinct MI25, Radeon RX Vega",
}
INTEL = "Intel Arc, Data Center GPU Max"

# The first that is found in a name decides. `nvidia-smi` cuts names: "NVIDIA RTX 6000 Ada Gene...".
_NAMES: tuple[tuple[str, str], ...] = (
    (r"GB10\b", "12.1"),
    (r"\bG?B300\b", "10.3"),
    (r"\bG?B[12]00\b", "10.0"),
    (r"\bThor\b", "11.0"),
    (r"\bOrin\b", "8.7"),
    (r"\bXavier\b", "7.2"),
    (r"RTX PRO \d{4}|RTX 50[5-9]0|Blackwell", "12.0"),
    (r"\bGH200\b|\bH(100|200|800|20)\b", "9.0"),
    (r"RTX 40[5-9]0|\bAda\b|\bL(2|4|20|40S?)\b", "8.9"),
    (r"\bA(100|800|30)\b", "8.0"),
    (r"RTX 30[5-9]0|RTX A\d{3,4}|\bA(2|10G?|16|40)\b|\bA[12]000\b", "8.6"),
    (r"RTX 20[5-9]0|GTX 16[35]0|GTX 1660|\bT4\b|Quadro RTX|TITAN RTX", "7.5"),
    (r"\bT(400|500|550|600|1000|1200|2000)\b|\bMX(450|550)\b", "7.5"),
    (r"\bV100|TITAN V\b|\bGV100\b", "7.0"),
    (r"\bP100|\bGP100\b", "6.0"),
    (r"GTX 10[5-8]0|GT 10[13]0|\bP(4|40)\b|TITAN Xp|Quadro P\d{3,4}|\bMX(150|[23][35]0)\b", "6.1"),
    (r"GTX 9[5-8]0|GTX TITAN X|\bM(4|40|60)\b|Quadro M[2-6]000", "5.2"),
    (r"GTX 750", "5.0"),
)


def capability_of(name: str) -> str:
    """The compute capability of an NVIDIA GPU by its name; empty for one that is not known."""
    return next((found for pattern, found in _NAMES if re.search(pattern, name)), "")
