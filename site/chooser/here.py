"""The machine that a visitor speaks of, in the words of a link, and as the template knows it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from extensions.questions.machine import Machine, fitting_backends, platform_name
from extensions.tables.backends import kind
from extensions.tables.platforms import NOT_SUPPORTED
from extensions.tables.releases import Line, Tables, capability_of

SYSTEMS = {"linux": "Linux", "windows": "Windows", "darwin": "macOS"}
MACHINES = {"x86_64": "x86-64", "aarch64": "aarch64 (Arm)"}
FIELDS = ("system", "machine", "driver", "gpu")


@dataclass(frozen=True)
class Here:
    """`gpu` is a compute capability, `gfx942`, `xpu`, or several of a kind with commas between."""

    system: str = "linux"
    machine: str = "x86_64"
    driver: str = ""
    gpu: str = ""

    @classmethod
    def read(cls, said: Mapping[str, object]) -> Here:
        """From a link or a form: what is not understood counts as not said."""
        text = {key: str(said.get(key, "")).strip() for key in FIELDS}
        gpus = [part.strip() for part in text["gpu"].split(",")]
        fit = r"\d{1,2}\.\d" if re.match(r"\d", text["gpu"]) else r"gfx[0-9a-f]{3,4}|xpu"
        return cls(
            text["system"] if text["system"] in SYSTEMS else cls.system,
            text["machine"] if text["machine"] in MACHINES else cls.machine,
            text["driver"] if re.fullmatch(r"\d{1,4}(\.\d{1,4}){0,3}", text["driver"]) else "",
            ",".join(gpu for gpu in gpus if re.fullmatch(fit, gpu)),
        )

    @property
    def gpus(self) -> tuple[str, ...]:
        return tuple(filter(None, self.gpu.split(",")))

    @property
    def unsupported(self) -> str:
        """Why PyTorch's builds do not run there at all; empty where they do."""
        name = {"darwin": "macos-x86_64", "windows": "windows-arm64"}.get(self.system)
        other = {"darwin": "x86_64", "windows": "aarch64"}.get(self.system)
        return f"{NOT_SUPPORTED[name][0]}." if name and self.machine == other else ""

    @property
    def as_machine(self) -> Machine:
        """What the template would find there."""
        driver = tuple(int(part) for part in self.driver.split(".") if part)
        if self.system == "darwin":
            return Machine("cpu", self.system, self.machine)
        if self.gpu.startswith("gfx"):
            return Machine("rocm", self.system, self.machine, architectures=self.gpus)
        if self.gpu == "xpu":
            return Machine("xpu", self.system, self.machine)
        if self.gpu or driver:
            capabilities = tuple(map(capability_of, self.gpus))
            return Machine("cuda", self.system, self.machine, driver, capabilities)
        return Machine("cpu", self.system, self.machine)


def newest_line(tables: Tables, machine: Machine) -> str:
    """The newest line that is offered by default and has a build for the machine's accelerator;
    empty where no line has one."""
    default = tables.default_line()
    names = list(tables.lines)
    for name in names[names.index(default) :] if machine.kind != "cpu" else []:
        if fitting_backends(tables, tables.lines[name], machine):
            return name
    return ""


def unfit(tables: Tables, line: Line, backend: str, machine: Machine) -> str:
    """Why a build of a line does not run on the machine; empty if it does, or nothing tells."""
    if machine.kind == "cpu" or backend not in line.indexes or kind(backend) == "cpu":
        return ""
    if backend in fitting_backends(tables, line, machine):
        return ""
    here = platform_name(machine)
    if kind(backend) != machine.kind:
        owner = {"cuda": "NVIDIA", "rocm": "AMD", "xpu": "Intel"}
        return (
            f"for GPUs of {owner[kind(backend)]}, and this machine has one of "
            + (owner[machine.kind])
        )
    if here not in line.indexes[backend]:
        return "without wheels for this machine's system"
    codes = tables.architectures(backend, line.name, machine.machine)
    missing = [
        f"{major}.{minor}"
        for major, minor in machine.capabilities
        if codes and not tables.runs(codes, (major, minor))
    ]
    if missing:
        return f"without code for compute capability {', '.join(missing)}"
    if machine.kind == "rocm":
        return f"without code for {', '.join(machine.architectures)}"
    floor = tables.driver_floor(backend, machine.system)
    if any(map(tables.is_jetson, machine.capabilities)):
        floor = tables.jetson_driver
    return (
        f"with a driver of {floor} or newer, and this one is {'.'.join(map(str, machine.driver))}"
    )
