"""A machine for the rendered smoke test: a file system, tools and a torch, all made up."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from copier import run_copy

from tests.support.project import Project

STRATEGIES: dict[str, dict[str, Any]] = {
    "pypi": {},
    "index": {"backend": "cu130"},
    "markers": {"linux_backend": "cu130", "windows_backend": "cu126"},
    "extras": {"backends": ["cpu", "cu126", "cu130", "rocm7.2", "xpu"]},
    "groups": {"backends": ["cpu", "cu130"], "default_backend": "cpu"},
    "pip": {"backend": "cu130"},
}
PLAIN = re.compile(
    r"nvidia-smi( topo -m)?|rocminfo|xpu-smi discovery|sudo nvidia-smi mig -cgi 0 -C"
    r"|unset (\w+_VISIBLE_DEVICES|ZE_AFFINITY_MASK|ONEAPI_DEVICE_SELECTOR)"
    r"|docker run --rm [\w\s/-]+|apptainer exec [\w\s:/-]+"
    r"|wsl\.exe --(update|list --verbose)|sudo reboot"
    r"|sudo systemctl restart nvidia-fabricmanager|ldconfig -p \| grep libcuda"
    r"|sudo rmmod nvidia_uvm && sudo modprobe nvidia_uvm|sudo dmesg --level err,warn"
    r"|unset PYTHONPATH|uv venv --clear"
    r"|sudo modprobe (nvidia|amdgpu)|sudo usermod --append --groups render,video \"\$USER\""
    r"|sudo apt install libze1 libze-intel-gpu1|system_profiler SPDisplaysDataType"
    r"|softwareupdate --list|uv venv --clear --python cpython-\d\.\d+-macos-aarch64"
    r"|winget install Microsoft\.VCRedist\.2015\+\.x64|\.venv/bin/python scripts/smoke_test\.py"
    r"|rm -r \"/[^\"]+/torch-2\.13\.0\.dist-info\""
    r"|copier update --trust( --data (\"[^\"]+\"|\S+))+"
)


@cache
def project(template: Path, folder: Path, strategy: str) -> Project:
    """A render of a strategy, once per session."""
    destination = folder / strategy
    answers = {"project_name": "Demo", "torch_version": "2.14", "strategy": strategy}
    data = answers | STRATEGIES[strategy]
    run_copy(str(template), destination, data=data, defaults=True, unsafe=True, quiet=True)
    return Project(destination)


def cuda(**facts: Any) -> dict[str, Any]:
    return {"version": "2.14.1+cu130", "cuda": "13.0", **facts}


def rocm(**facts: Any) -> dict[str, Any]:
    return {"version": "2.14.1+rocm7.2", "hip": "7.2.26015-fc0010cf6a", **facts}


def xpu(**facts: Any) -> dict[str, Any]:
    return {"version": "2.14.1+xpu", "xpu": "20250302", "kind": "xpu", **facts}


def cpu(**facts: Any) -> dict[str, Any]:
    return {"version": "2.14.1+cpu", **facts}


def smi(driver: str = "580.95.05", mig: str = "[N/A]", capability: str = "9.0") -> str:
    """What nvidia-smi prints for one GPU."""
    return f"{driver}, NVIDIA H100, GPU-1234abcd, {mig}, {capability}"


@dataclass
class Outcome:
    code: int
    output: str

    @property
    def report(self) -> dict[str, Any]:
        return json.loads(self.output)


@dataclass
class Machine:
    folder: Path
    project: Project
    system: tuple[str, str, str] = ("Linux", "x86_64", "")
    environment: dict[str, str] = field(default_factory=dict)
    denied: list[str] = field(default_factory=list)
    limits: str = ""
    flags: list[str] = field(default_factory=list)
    # Python that runs before the smoke test, in its process.
    before: str = "pass"
    incomplete: bool = False
    in_an_image: bool = False

    def __post_init__(self) -> None:
        for name in ("root", "bin", "path"):
            (self.folder / name).mkdir(parents=True)

    def file(self, name: str, text: str = "") -> None:
        path = self.folder / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def deny(self, name: str) -> None:
        """Take the right to open a file, also from root."""
        self.denied.append(str(self.folder / "root" / name))

    def pci(self, address: str, vendor: str) -> None:
        self.file(f"sys/bus/pci/devices/{address}/vendor", vendor)
        self.file(f"sys/bus/pci/devices/{address}/class", "0x030000")

    def tool(self, name: str, says: str, code: int = 0, asked: str = "") -> None:
        """An executable; with `asked` it says so only to arguments that hold this."""
        path = self.folder / "bin" / name
        known = path.read_text("utf-8") if path.exists() else "#!/bin/sh\n"
        case = f'case "$*" in *{asked}*) echo {shlex.quote(says)}; exit {code};; esac\n'
        path.write_text(known + case, "utf-8")
        path.chmod(0o755)

    def package(self, name: str, version: str, text: str = "", where: str = "path") -> None:
        """Metadata of an installed package, and its code."""
        folder = self.folder / where
        info = folder / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (info / "METADATA").write_text(metadata, "utf-8")
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "__init__.py").write_text(text, "utf-8")

    def run(self, *options: str, torch: dict[str, Any] | None = None) -> Outcome:
        """Run the project's smoke test with the Python of these tests."""
        command, environment = self.command(*options, torch=torch)
        done = subprocess.run(
            command,
            env=environment,
            cwd=self.folder,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Outcome(done.returncode, done.stdout + done.stderr)

    def command(
        self, *options: str, torch: dict[str, Any] | None = None
    ) -> tuple[list[str], dict[str, str]]:
        """Put the project's smoke test in place; what runs it, and in which environment."""
        script = self.folder / "project" / "scripts" / "smoke_test.py"
        script.parent.mkdir(parents=True, exist_ok=True)
        text = self.project.text("scripts/smoke_test.py")
        if not self.in_an_image:
            (script.parent.parent / "pyproject.toml").touch()
        root = str(self.folder / "root")
        assert 'ROOT = Path("/")' in text
        text = text.replace('ROOT = Path("/")', f"ROOT = Path({root!r})")
        assert "PATIENCE, LIMIT, TOGETHER = 15, 300, 120" in text
        if self.limits:
            text = text.replace("TOGETHER = 15, 300, 120", f"TOGETHER = {self.limits}")
        script.write_text(text, "utf-8")
        if torch:
            fake = Path(__file__).with_name("fake_torch.py").read_text("utf-8")
            if not list((self.folder / "path").glob("torch-*")):
                self.package("torch", torch["version"], fake)
            if not self.incomplete and not list((self.folder / "path").glob("torchvision*")):
                self.package("torchvision", "0.29.1")
        # Without site (-S) no real torch is found; the platform is set by hand.
        system, machine, mac = self.system
        python = self.folder / "python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n', "utf-8")
        python.chmod(0o755)
        start = (
            f"import os, platform, runpy, sys; del sys.argv[0]; may = os.access; {self.before};"
            f"sys.executable = {str(python)!r};"
            f"os.access = lambda x, mode: str(x) not in {self.denied} and may(x, mode);"
            f"platform.system, platform.machine = {system!r}.strip, {machine!r}.strip;"
            f"platform.mac_ver = lambda: ({mac!r}, ('', '', ''), '');"
            "runpy.run_path(sys.argv[0], run_name='__main__')"
        )
        kept = {"HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"}
        paths = {"PATH": str(self.folder / "bin"), "PYTHONPATH": str(self.folder / "path")}
        if (self.folder / "more").exists():
            paths["PYTHONPATH"] += os.pathsep + str(self.folder / "more")
        # /bin holds the shell's own commands and nothing that the script asks for.
        fake_facts = {"FAKE_TORCH": json.dumps({"system": system, **torch})} if torch else {}
        command = [sys.executable, "-S", *self.flags, "-c", start, str(script), *options]
        return command, {**kept, **paths, **fake_facts, **self.environment}


def known_commands(project: Project) -> set[str]:
    """The documented install commands, for `pip` with each platform's switch."""
    found = {command for command in project.commands if re.match("uv (sync|pip install)", command)}
    switches = re.findall(
        r"`(--torch-backend=\S+|--index-url \S+)`", project.text("docs/pytorch.md")
    )
    for command in list(found):
        for switch in switches:
            found.add(re.sub(r"--torch-backend=\S+|--index-url \S+", switch, command))
    return found


def is_fitting(project: Project, command: str) -> bool:
    """Whether a next command is a documented one, or a plain one of the system."""
    plain = re.sub(r" --reinstall-package \S+", "", command)
    plain = re.sub(r"^uv run (--.*) scripts/smoke_test\.py$", r"uv sync \1", plain)
    return plain in known_commands(project) or bool(PLAIN.fullmatch(command))
