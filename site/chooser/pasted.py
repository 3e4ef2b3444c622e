"""What people paste: the output of `nvidia-smi`, `rocminfo` or `uname -a`, as a machine.

Nothing of it leaves the page. What a text does not tell stays as it was.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from extensions.questions.machine import nvidia_rows

from .families import capability_of

# No tool prints more; a page must not hang on what somebody pastes by mistake.
_LARGEST = 1 << 20
_TABLE_ROW = re.compile(
    r"^\|\s*(?:\d+|N/A)\s{2,}(\S.*?)\s+(On|Off|N/A|WDDM|TCC|MCDM)\s*\|\s*[0-9A-Fa-f]{8}:", re.M
)
_LISTED = re.compile(r"^\s*GPU \d+: (.+?) \(UUID:", re.M)
_PRODUCT = re.compile(r"^\s*Product Name\s*:\s*(\S.*?)\s*$", re.M)
_DRIVER = re.compile(r"Driver Version\s*:\s*(\d+(?:\.\d+)*)")
_FAILED = re.compile(r"NVIDIA-SMI has failed|Failed to initialize NVML|No devices were found", re.I)
_INTEL = re.compile(r"Intel.{0,20}(Arc|Data Center GPU (Max|Flex))", re.I)
_ARCHITECTURES = {
    "x86_64": "x86_64",
    "amd64": "x86_64",
    "aarch64": "aarch64",
    "arm64": "aarch64",
}
_SYSTEMS = {
    r"^(?:.*[$#%>]\s*)?Linux\b": "linux",
    r"^(?:.*[$#%>]\s*)?Darwin\b": "darwin",
    r"^(?:.*[$#%>]\s*)?(?:MINGW|MSYS|CYGWIN)|Microsoft Windows|\| Driver-Model|\bWDDM\b|\bTCC\b": (
        "windows"
    ),
}


@dataclass(frozen=True)
class Seen:
    """What a text tells: empty where it says nothing. `gpus` are compute capabilities or `gfx942`,
    or `xpu`; `said` is for the person who pasted it."""

    system: str = ""
    machine: str = ""
    driver: str = ""
    gpus: tuple[str, ...] = ()
    said: tuple[str, ...] = field(default=())


def read(text: str) -> Seen:
    """Whatever is recognized in a text. Never raises."""
    text = text[:_LARGEST].replace("\r\n", "\n").replace("\u00a0", " ")
    if not text.strip():
        return Seen()
    said: list[str] = []
    driver, gpus = _nvidia(text, said)
    if not gpus and (names := _gfx(text)):
        gpus = names
        said.append(f"AMD GPU: {', '.join(names)}.")
    if not gpus and _INTEL.search(text):
        gpus = ("xpu",)
        said.append("An Intel GPU.")
    system, machine = _platform(text, said)
    if not (driver or gpus or system or machine or said):
        said.append(
            "Nothing was recognized. Nearest: the output of nvidia-smi, rocminfo or uname -a."
        )
    return Seen(system, machine, driver, gpus, tuple(said))


def _gfx(text: str) -> tuple[str, ...]:
    """Of `rocminfo` and `rocm_agent_enumerator`, which calls a processor gfx000."""
    names = re.findall(r"\bgfx[0-9a-f]{3,4}\b", text)
    return tuple(name for name in dict.fromkeys(names) if name != "gfx000")


def _nvidia(text: str, said: list[str]) -> tuple[str, tuple[str, ...]]:
    if rows := nvidia_rows(text):
        driver = rows[0][0]
        capabilities = tuple(dict.fromkeys(capability for _, capability, _ in rows))
        said.append(f"NVIDIA driver {driver}, compute capability {', '.join(capabilities)}.")
        return driver, capabilities
    found = _DRIVER.search(text)
    driver = found[1] if found else ""
    names = [match[0] for match in _TABLE_ROW.findall(text)]
    names = names or _LISTED.findall(text) or _PRODUCT.findall(text)
    capabilities = tuple(dict.fromkeys(filter(None, map(capability_of, names))))
    unknown = [name for name in dict.fromkeys(names) if not capability_of(name)]
    if driver:
        said.append(f"NVIDIA driver {driver}.")
    for capability in capabilities:
        known = dict.fromkeys(name for name in names if capability_of(name) == capability)
        said.append(f"{', '.join(known)}: compute capability {capability}.")
    for name in unknown[:3]:
        said.append(f"{name[:60]} is not known here. Nearest: choose it from the list of GPUs.")
    if _FAILED.search(text) and not driver:
        said.append("nvidia-smi reached no GPU: the driver does not run, or there is none.")
    return driver, capabilities


def _platform(text: str, said: list[str]) -> tuple[str, str]:
    systems = (name for pattern, name in _SYSTEMS.items() if re.search(pattern, text, re.M))
    system = next(systems, "")
    # The last one: the release of a kernel may name another.
    named = re.findall(r"\b(x86_64|amd64|aarch64|arm64)\b", text, re.I) if system else []
    machine = _ARCHITECTURES[named[-1].lower()] if named else ""
    if system == "darwin" and "RELEASE_ARM64" in text:
        machine = "aarch64"  # which a shell under Rosetta denies
    if system and machine:
        words = {"linux": "Linux", "darwin": "macOS", "windows": "Windows"}
        said.append(f"{words[system]} on {machine}.")
    return system, machine
