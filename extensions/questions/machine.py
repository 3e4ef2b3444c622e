"""What accelerator this machine has: the default for a backend, never a reason to fail.

NVIDIA: `nvidia-smi` gives driver and compute capability. AMD: the kernel's list of agents, which
is what `rocm_agent_enumerator` reads as well. Intel: a discrete GPU on the PCI bus; an integrated
one, which sits on bus 0, does not count, since PyTorch does not support it officially.

The variable TORCH_TEMPLATE_MACHINE sets the result (CI, tests): `none`, `xpu`, `rocm,gfx942` or
`cuda,580.65.06,9.0`, with the driver and then the compute capability of each GPU.
"""

from __future__ import annotations

import os
import platform
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ..tables.backends import kind
from ..tables.platforms import PLATFORMS
from ..tables.releases import Line, Tables

VARIABLE = "TORCH_TEMPLATE_MACHINE"
_WSL = "/usr/lib/wsl/lib"
_TIMEOUT = 5.0
_ASKED = "--query-gpu=driver_version,compute_cap,name"
_LARGEST = 1 << 20


@dataclass(frozen=True)
class Machine:
    """`kind` is `cuda`, `rocm`, `xpu` or `cpu`; capabilities are (major, minor) per GPU."""

    kind: str = "cpu"
    system: str = "linux"
    machine: str = "x86_64"
    driver: tuple[int, ...] = ()
    capabilities: tuple[tuple[int, int], ...] = ()
    architectures: tuple[str, ...] = ()
    name: str = field(default="", compare=False)

    @property
    def shown(self) -> str:
        """Its accelerator in words, e.g. "NVIDIA H100 PCIe, driver 580"; empty for none."""
        match self.kind:
            case "cuda":
                driver = f", driver {self.driver[0]}" if self.driver else ""
                return f"{self.name or 'NVIDIA GPU'}{driver}"
            case "rocm":
                return f"AMD GPU ({', '.join(self.architectures[:2])})".replace(" ()", "")
            case "xpu":
                return "Intel GPU"
        return ""


def this_machine(environ: Mapping[str, str] = os.environ, root: Path = Path("/")) -> Machine:
    """Look at this machine. Never raises: what cannot be read counts as no accelerator."""
    system = "windows" if platform.system() == "Windows" else platform.system().lower()
    machine = platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    none = Machine(system=system, machine=machine)
    looks: list[Callable[[], Machine | None]] = [
        lambda: _nvidia(environ, system, machine),
        lambda: _amd(root, system, machine),
        lambda: _intel(root, system, machine),
    ]
    if VARIABLE in environ:
        looks = [lambda: _stated(environ[VARIABLE], system, machine)]
    for look in looks if system != "darwin" or VARIABLE in environ else []:
        with suppress(OSError, ValueError, subprocess.SubprocessError):
            if found := look():
                return found
    return none


def fitting_backends(tables: Tables, line: Line, machine: Machine) -> list[str]:
    """The backends of a line that run on a machine, best first; empty if it has no accelerator.

    The best is the newest; those whose index was observed for the machine's platform go first.
    """
    here = platform_name(machine)
    fit = [
        backend
        for backend in line.backends(machine.kind)
        if backend != "cpu"
        and here in line.indexes[backend]
        and _runs(tables, line, backend, machine)
    ]
    # A stable sort keeps the order of versions among equals.
    return sorted(reversed(fit), key=lambda backend: not line.verified(backend, here))


def platform_name(machine: Machine) -> str:
    """The platform of a machine, as the tables call it; "" for one that no table has."""
    systems = {"linux": "linux", "windows": "win32", "darwin": "darwin"}
    for name, other in PLATFORMS.items():
        if (systems.get(machine.system), machine.machine) == (
            other.sys_platform,
            other.architecture,
        ):
            return name
    return ""


def _runs(tables: Tables, line: Line, backend: str, machine: Machine) -> bool:
    built = tables.architectures(backend, line.name, machine.machine)
    if kind(backend) == "rocm":
        # One agent is enough: a processor's own small GPU stands beside the one that matters.
        return not machine.architectures or bool(set(machine.architectures) & set(built))
    if kind(backend) != "cuda":
        return True
    floor = tables.driver_floor(backend, machine.system)
    if any(map(tables.is_jetson, machine.capabilities)):
        floor = tables.jetson_driver
    if floor and machine.driver and machine.driver < _numbers(floor):
        return False
    return not built or all(tables.runs(built, has) for has in machine.capabilities)


def nvidia_rows(text: str) -> list[tuple[str, str, str]]:
    """Driver, compute capability and name (it may be empty) of each GPU in `nvidia-smi`'s CSV.

    An old driver does not know the capability, a broken one prints a sentence: both give no row.
    """
    row = r"^\s*(\d+(?:\.\d+)*)\s*,\s*(\d+\.\d+)\s*(?:,\s*([ -~]{1,60}?)\s*)?$"
    return re.findall(row, text, re.MULTILINE)


def _stated(text: str, system: str, machine: str) -> Machine:
    what, *details = [part.strip() for part in text.split(",") if part.strip()] or [""]
    if what == "cuda":
        driver, *capabilities = details or [""]
        return Machine(
            "cuda", system, machine, _numbers(driver), tuple(map(_capability, capabilities))
        )
    if what == "rocm":
        return Machine("rocm", system, machine, architectures=tuple(details))
    return Machine("xpu" if what == "xpu" else "cpu", system, machine)


def _nvidia(environ: Mapping[str, str], system: str, machine: str) -> Machine | None:
    tool = _nvidia_smi(environ, system)
    if tool is None:
        return None
    rows = nvidia_rows(_output(str(tool), _ASKED, "--format=csv,noheader"))
    if not rows:
        return None
    capabilities = tuple(_capability(capability) for _, capability, _ in rows)
    return Machine(
        "cuda", system, machine, _numbers(rows[0][0]), capabilities, name=rows[0][2].strip()
    )


def _output(*command: str) -> str:
    """What a command prints, without its errors; "" if it fails or takes longer than _TIMEOUT.

    No signal ends a process that hangs in a driver, and what it leaves behind may keep its output
    open: so that is a file, and nothing waits for the end of what was killed. Raises OSError if
    the command cannot be started.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        code: int | None = None
        try:
            code = process.wait(_TIMEOUT)
        except subprocess.TimeoutExpired:
            return ""
        finally:
            if code is None:
                _abandon(process)
        output.seek(0)
        return "" if code else output.read(_LARGEST).decode(errors="replace")


def _abandon(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with all that it has started, and leave its end to a thread."""
    with suppress(OSError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
    threading.Thread(target=process.wait, daemon=True).start()


def _nvidia_smi(environ: Mapping[str, str], system: str) -> Path | None:
    """The tool in an absolute folder of PATH: shutil.which would also look in the current one."""
    name, extra = ("nvidia-smi.exe", []) if system == "windows" else ("nvidia-smi", [_WSL])
    folders = [Path(folder) for folder in [*environ.get("PATH", "").split(os.pathsep), *extra]]
    found = (folder / name for folder in folders if folder.is_absolute())
    return next((tool for tool in found if os.access(tool, os.X_OK) and tool.is_file()), None)


def _amd(root: Path, system: str, machine: str) -> Machine | None:
    """Agents of the amdkfd driver; gfx_target_version 90402 is gfx942, and 0 is a CPU."""
    found = []
    for node in sorted(root.glob("sys/class/kfd/kfd/topology/nodes/*/properties")):
        version = re.search(r"^gfx_target_version (\d+)$", node.read_text(), re.MULTILINE)
        if version and (number := int(version[1])):
            found.append(f"gfx{number // 10000}{number // 100 % 100:x}{number % 100:x}")
    if not found:
        return None
    return Machine("rocm", system, machine, architectures=tuple(dict.fromkeys(found)))


def _intel(root: Path, system: str, machine: str) -> Machine | None:
    """Display controllers (PCI class 0x03) of Intel behind a bridge, i.e. on a bus other than 0."""
    for device in sorted(root.glob("sys/bus/pci/devices/*")):
        bus = device.name.split(":")[1:2]
        if bus in ([], ["00"]) or (device / "vendor").read_text().strip() != "0x8086":
            continue
        if (device / "class").read_text().startswith("0x03"):
            return Machine("xpu", system, machine)
    return None


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part)


def _capability(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)
