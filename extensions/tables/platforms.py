"""The four platforms a project can claim, and the environment markers that tell them apart."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Platform:
    """A platform as wheels know it; `sys_platform` and `machine` are the values of PEP 508."""

    name: str
    label: str
    sys_platform: str
    machine: str

    @property
    def architecture(self) -> str:
        """The machine as Linux calls it: `x86_64` or `aarch64` on every system."""
        return {"AMD64": "x86_64", "arm64": "aarch64"}.get(self.machine, self.machine)

    @property
    def marker(self) -> str:
        """The marker that is true on this platform alone."""
        return f"sys_platform == '{self.sys_platform}' and platform_machine == '{self.machine}'"


PLATFORMS = {
    platform.name: platform
    for platform in (
        Platform("linux-x86_64", "Linux x86-64", "linux", "x86_64"),
        Platform("linux-aarch64", "Linux aarch64", "linux", "aarch64"),
        Platform("windows-amd64", "Windows x86-64", "win32", "AMD64"),
        Platform("macos-arm64", "macOS arm64", "darwin", "arm64"),
    )
}
MACOS = "macos-arm64"
WINDOWS = "windows-amd64"
AARCH64 = "linux-aarch64"
LINUX = ("linux-x86_64", AARCH64)


# Platforms that people ask for and that no project can claim, with the reason and the nearest one.
# Sources: wheels of PyTorch's CPU index in public lock files, which for win_arm64 are of torch 2.7
# to 2.10, 2.12 and 2.13, for Python 3.11 to 3.13 in part, and of torchvision 0.24 alone
# (2026-11-23); pytorch/pytorch #195033; PyPI, whose last wheels for Intel Macs are of torch 2.2.
NOT_SUPPORTED = {
    "windows-arm64": (
        "Windows on ARM is not supported here: PyTorch has CPU wheels for it in some releases and "
        "for some Pythons, and hardly any of torchvision and torchaudio",
        WINDOWS,
    ),
    "macos-x86_64": ("PyTorch has no wheels for Intel Macs since torch 2.2", MACOS),
}


def marker(covered: Collection[str], claimed: Collection[str]) -> str:
    """The shortest marker for the platforms that are both covered and claimed.

    A machine is named only where `covered` lacks another machine of the same system, so that the
    marker describes the index and stays right when the project claims a further platform.
    """
    wanted = [p for p in PLATFORMS.values() if p.name in covered and p.name in claimed]
    everywhere = {p.name for p in PLATFORMS.values()} - {MACOS}
    if everywhere <= set(covered) and {p.sys_platform for p in wanted} == {"linux", "win32"}:
        return "sys_platform != 'darwin'"
    clauses: list[str] = []
    for platform in wanted:
        siblings = {p.name for p in PLATFORMS.values() if p.sys_platform == platform.sys_platform}
        whole = siblings <= set(covered)
        clause = f"sys_platform == '{platform.sys_platform}'" if whole else platform.marker
        if clause not in clauses:
            clauses.append(clause)
    if len(clauses) > 1:
        clauses = [f"({clause})" if " and " in clause else clause for clause in clauses]
    return " or ".join(clauses)
