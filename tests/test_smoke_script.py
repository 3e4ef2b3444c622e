"""The rendered scripts/smoke_test.py, run against a faked torch."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest

from extensions.names import python_string

TEMPLATE = Path(__file__).parents[1] / "template" / "scripts" / "smoke_test.py.jinja"
PLATFORMS = ("linux-x86_64", "linux-aarch64", "windows-amd64", "macos-arm64")
CUDA = ("cpu", "cu130")
INSTALL = "uv sync --extra cu130"

# What a machine has is told by the assignments that a test puts before this text.
# A tensor is one number, off by DEFECT wherever a device other than the CPU computes.
FAKE_TORCH = """
import types
import warnings


class Tensor:
    def __init__(self, value, device="cpu"):
        self.value, self.device = value, device

    def to(self, device):
        if device != "cpu" and FAILS:
            raise RuntimeError(FAILS + "\\nCUDA kernel errors might be asynchronous")
        return Tensor(self.value, device)

    def cpu(self):
        return self.to("cpu")

    def __matmul__(self, other):
        defect = float(DEFECT) if self.device in ("cuda", "xpu", "mps") else 0
        return Tensor(self.value * other.value + defect, self.device)

    def __sub__(self, other):
        return Tensor(self.value - other.value, self.device)

    def abs(self):
        return Tensor(abs(self.value), self.device)

    def double(self):
        assert self.device != "mps", "MPS has no float64"
        return Tensor(self.value, "exact")

    def norm(self):
        return abs(self.value)


class Device:
    def __init__(self, names):
        self.names = names

    def is_available(self):
        if WARNING:
            warnings.warn(WARNING, UserWarning, stacklevel=2)
        return bool(self.names)

    def device_count(self):
        return len(self.names)

    def get_device_properties(self, index):
        return types.SimpleNamespace(
            name=self.names[index],
            total_memory=80 * 2**30,
            major=9,
            minor=0,
            gcnArchName="gfx942",
        )

    def get_arch_list(self):
        return ["sm_80", "sm_90"]

    def synchronize(self):
        pass


__version__ = VERSION
version = types.SimpleNamespace(**BUILT_FOR)
cuda, xpu = Device(CUDA_NAMES), Device(XPU_NAMES)
cpu = mps = Device(["Apple"] if MPS else [])
backends = types.SimpleNamespace(mps=mps)


def manual_seed(seed):
    pass


def randn(*shape):
    return Tensor(1.5)
"""
DEFAULTS = {
    "VERSION": "2.14.1+cpu",
    "BUILT_FOR": {},
    "CUDA_NAMES": [],
    "XPU_NAMES": [],
    "MPS": False,
    "WARNING": "",
    "FAILS": "",
    "DEFECT": 0.0,
}
CU130 = {"VERSION": "2.14.1+cu130", "BUILT_FOR": {"cuda": "13.0", "hip": None}}
H100 = {**CU130, "CUDA_NAMES": ["NVIDIA H100"]}
ROCM62 = {
    "VERSION": "2.6.0+rocm6.2.4",
    "BUILT_FOR": {"cuda": None, "hip": "6.2.41134-65d174c3e"},
    "CUDA_NAMES": ["AMD Instinct MI300X"],
}
XPU = {
    "VERSION": "2.14.1+xpu",
    "BUILT_FOR": {"cuda": None, "xpu": "20250302"},
    "XPU_NAMES": ["Intel(R) Arc(TM) B580"],
}


def render(builds: dict[str, tuple[str, ...]], install: str = INSTALL, trim: bool = True) -> str:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=trim,
        lstrip_blocks=trim,
    )
    plan = SimpleNamespace(expected=tuple(builds.items()), install_pattern=install)
    environment.filters["python_string"] = python_string
    environment.globals["torch_plan"] = lambda: plan
    return environment.from_string(TEMPLATE.read_text("utf-8")).render()


@dataclass
class Machine:
    """A folder with the script and whatever its Python is made to see."""

    folder: Path

    def torch(self, text: str) -> None:
        package = self.folder / "path" / "torch"
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text(text, "utf-8")

    def run(
        self,
        *options: str,
        builds: tuple[str, ...] = CUDA,
        on: tuple[str, str] = ("Linux", "x86_64"),
        env: dict[str, str] | None = None,
        **fake: object,
    ) -> tuple[int, str]:
        """Run the script with a torch like `fake`; return its exit code and output."""
        if fake:
            facts = DEFAULTS | fake
            lines = [f"{name} = {value!r}" for name, value in facts.items()]
            self.torch("\n".join(lines) + FAKE_TORCH)
        script = self.folder / "smoke_test.py"
        script.write_text(render(dict.fromkeys(PLATFORMS, builds)), "utf-8")
        # Without site (-S) no real torch is found, so the platform is set by hand.
        start = (
            "import platform, runpy, sys; del sys.argv[0];"
            f"platform.system, platform.machine = {on[0]!r}.strip, {on[1]!r}.strip;"
            "runpy.run_path(sys.argv[0], run_name='__main__')"
        )
        hidden = ("VISIBLE_DEVICES", "AFFINITY_MASK", "DEVICE_SELECTOR")
        clean = {k: v for k, v in os.environ.items() if not k.endswith(hidden)}
        done = subprocess.run(
            [sys.executable, "-S", "-c", start, script, *options],
            env=clean | {"PYTHONPATH": str(self.folder / "path")} | (env or {}),
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert (done.stdout + done.stderr).isascii()
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def verdict(output: str) -> str:
    return output.splitlines()[-1]


def test_right_cuda_build_and_device(machine):
    code, output = machine.run(**H100)
    assert code == 0
    assert verdict(output) == "OK: torch 2.14.1+cu130 works on NVIDIA H100."
    assert "built for   cu130\n" in output
    assert "expected    cpu or cu130\n" in output
    assert "cuda:0      NVIDIA H100, compute capability 9.0, 80.0 GiB\n" in output
    assert "torch.cuda.is_available() = True" in output


def test_build_is_not_read_from_the_version(machine):
    """PyPI's CUDA wheels have no local part."""
    code, output = machine.run(**H100 | {"VERSION": "2.14.1"})
    assert code == 0
    assert "2.14.1 (local part: none)" in output


def test_cpu_build_where_cuda_is_expected(machine):
    code, output = machine.run(builds=("cu130",), VERSION="2.14.1+cpu")
    assert code == 1
    assert verdict(output) == (
        "WRONG BUILD: torch is a cpu build, expected cu130 here. "
        "Next: uv sync --extra cu130 --reinstall-package torch"
    )


def test_other_cuda_is_a_wrong_build_though_it_works(machine):
    code, output = machine.run(**H100 | {"BUILT_FOR": {"cuda": "12.6"}})
    assert code == 1
    assert "torch is a cu126 build, expected cpu or cu130 here" in verdict(output)


def test_allow_cpu_does_not_accept_a_wrong_build(machine):
    assert machine.run("--allow-cpu", builds=("cu130",), VERSION="2.14.1")[0] == 1


def test_expected_cpu_build_needs_no_device(machine):
    code, output = machine.run(builds=("cpu",), VERSION="2.14.1+cpu")
    assert (code, verdict(output)) == (0, "OK: torch 2.14.1+cpu works on the CPU.")


def test_cuda_build_without_device(machine):
    code, output = machine.run(**CU130)
    assert code == 2
    assert verdict(output) == (
        "NO USABLE DEVICE: torch 2.14.1+cu130 finds no GPU. Next: nvidia-smi"
    )
    code, output = machine.run("--allow-cpu", **CU130)
    assert code == 0
    assert verdict(output) == (
        "OK: torch 2.14.1+cu130 works on the CPU (--allow-cpu), but finds no GPU."
    )


def test_device_that_fails_when_used(machine):
    """An unsupported GPU counts as available, and fails in the first kernel."""
    code, output = machine.run(**H100, FAILS="no kernel image is available")
    assert code == 2
    assert "fails on cuda: RuntimeError: no kernel image is available." in output
    assert "kernels for sm_80 sm_90" in output
    assert "asynchronous" not in output


def test_cpu_that_fails_is_a_broken_torch(machine):
    machine.run(VERSION="2.14.1+cpu")
    init = machine.folder / "path" / "torch" / "__init__.py"
    machine.torch(init.read_text("utf-8").replace("def randn", "def rand"))
    code, output = machine.run("--allow-cpu")
    assert code == 1
    assert verdict(output).startswith("BROKEN: torch 2.14.1+cpu fails on cpu:")


@pytest.mark.parametrize("defect", [1.0, "nan"])
def test_wrong_numbers(machine, defect):
    code, output = machine.run("--allow-cpu", **H100, DEFECT=defect)
    assert code == 1
    assert "computes wrong numbers on NVIDIA H100. Next: nvidia-smi" in verdict(output)


def test_rounding_is_not_a_wrong_number(machine):
    assert machine.run(**H100, DEFECT=1e-4)[0] == 0


def test_torch_missing(machine):
    code, output = machine.run("--allow-cpu")
    assert code == 1
    assert verdict(output) == ("NO TORCH: torch is not installed. Next: uv sync --extra cu130")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("raise OSError('libcudart.so.13: cannot open')", "OSError: libcudart.so.13"),
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
        ("", "AttributeError: module 'torch' has no attribute 'version'"),
    ],
)
def test_broken_import_shows_the_error(machine, text, error):
    machine.torch(text)
    code, output = machine.run("--allow-cpu")
    assert code == 1
    assert verdict(output).startswith(f"BROKEN: torch cannot be imported, {error}")
    assert "Next: uv sync --extra cu130 --reinstall-package torch" in verdict(output)


@pytest.mark.parametrize("build", ["rocm6.2", "rocm6.2.4"])
def test_rocm(machine, build):
    code, output = machine.run(builds=("cpu", build), **ROCM62)
    assert code == 0
    assert "built for   rocm6.2\n" in output
    assert "cuda:0      AMD Instinct MI300X, gfx942, 80.0 GiB\n" in output


def test_rocm_of_another_minor_or_without_device(machine):
    assert machine.run(builds=("rocm6.3",), **ROCM62)[0] == 1
    code, output = machine.run(builds=("rocm6.2",), **ROCM62 | {"CUDA_NAMES": []})
    assert (code, verdict(output)[-14:]) == (2, "Next: rocminfo")


@pytest.mark.parametrize("built_for", [XPU["BUILT_FOR"], {"cuda": None}])
def test_xpu_also_of_releases_without_version_xpu(machine, built_for):
    code, output = machine.run(builds=("xpu",), **XPU | {"BUILT_FOR": built_for})
    assert code == 0
    assert "torch.xpu.is_available() = True" in output
    assert "xpu:0       Intel(R) Arc(TM) B580, 80.0 GiB\n" in output


def test_xpu_without_device_or_unwanted(machine):
    code, output = machine.run(builds=("xpu",), **XPU | {"XPU_NAMES": []})
    assert (code, verdict(output)[-23:]) == (2, "Next: xpu-smi discovery")
    assert "torch is an xpu build" in machine.run(builds=("cpu",), **XPU)[1]


def test_mps_is_the_device_of_the_cpu_build(machine):
    code, output = machine.run(builds=("cpu",), on=("Darwin", "arm64"), VERSION="2.14.1", MPS=True)
    assert code == 0
    assert "platform    macos-arm64" in output
    assert "torch.backends.mps.is_available() = True" in output
    assert verdict(output) == "OK: torch 2.14.1 works on the Apple GPU (MPS)."


def test_mps_wrong_numbers_and_failure(machine):
    mac = {"builds": ("cpu",), "on": ("Darwin", "arm64"), "MPS": True}
    assert machine.run(**mac, DEFECT=1.0)[0] == 1
    assert machine.run(**mac, FAILS="MPS backend out of memory")[0] == 2
    assert machine.run("--allow-cpu", **mac, FAILS="out of memory")[0] == 0


def test_mac_without_mps_works_on_the_cpu(machine):
    code, output = machine.run(builds=("cpu",), on=("Darwin", "arm64"), MPS=False)
    assert (code, verdict(output)) == (0, "OK: torch 2.14.1+cpu works on the CPU.")


@pytest.mark.parametrize(
    ("system", "processor", "name"),
    [
        ("Linux", "x86_64", "linux-x86_64"),
        ("Linux", "aarch64", "linux-aarch64"),
        ("Linux", "arm64", "linux-aarch64"),
        ("Windows", "AMD64", "windows-amd64"),
        ("Darwin", "arm64", "macos-arm64"),
    ],
)
def test_platform_names(machine, system, processor, name):
    code, output = machine.run(on=(system, processor), builds=("cu130",), **H100)
    assert code == 0
    assert f"platform    {name}, Python" in output
    assert "expected    cu130\n" in output


@pytest.mark.parametrize("on", [("Darwin", "x86_64"), ("Windows", "ARM64")])
def test_unclaimed_platform_accepts_any_build(machine, on):
    code, output = machine.run(on=on, builds=("cu130",), VERSION="2.2.2")
    assert code == 0
    assert "any build, the project does not claim this platform" in output


def test_expect_overrides_the_table(machine):
    code, output = machine.run("--expect", "cu130", VERSION="2.14.1+cpu")
    assert code == 1
    assert "expected cu130 here. Next: uv sync --extra cu130" in verdict(output)
    assert machine.run("--expect", "cu126", **H100)[0] == 1
    assert machine.run("--expect", "cu130", builds=("cpu",), **H100)[0] == 0


def test_next_command_does_not_contradict_expect(machine):
    output = machine.run("--expect", "cpu", **H100)[1]
    assert verdict(output).endswith("Next: install the cpu build as the README says")


@pytest.mark.parametrize("options", [["--expect", "cuda"], ["--expect"], ["--nope"]])
def test_usage_errors_are_not_taken_for_a_missing_device(machine, options):
    code, output = machine.run(*options, **H100)
    assert code == 3
    assert "error:" in output


def test_help_documents_exit_codes(machine):
    code, output = machine.run("--help")
    assert code == 0
    for line in ("  0  ", "  1  ", "  2  ", "  3  ", "--allow-cpu", "--expect BUILD"):
        assert line in output


def test_warnings_are_shown_once_whatever_the_filters(machine):
    warning = (
        "CUDA initialization: The NVIDIA driver on your system is too old (found "
        "version 12080). (Triggered internally at ../c10/cuda/CUDAFunctions.cpp:108.)"
    )
    for filters in ("", "ignore", "error"):
        code, output = machine.run(**CU130, WARNING=warning, env={"PYTHONWARNINGS": filters})
        assert code == 2
        assert output.count("warning     CUDA initialization: The NVIDIA driver") == 1
        assert "Triggered internally" not in output
        assert verdict(output).startswith("NO USABLE DEVICE")


def test_variables_that_hide_devices_are_shown(machine):
    output = machine.run(**CU130, env={"CUDA_VISIBLE_DEVICES": "-1"})[1]
    assert "environment CUDA_VISIBLE_DEVICES=-1\n" in output


def test_output_is_ascii_whatever_the_device_is_called(machine):
    output = machine.run(**CU130, CUDA_NAMES=["GeForce\u2122"])[1]
    assert verdict(output) == "OK: torch 2.14.1+cu130 works on GeForce?."


LONG = "uv pip install --index-url https://mirror.example.org/whl/cu130 -e . --user"
MANY = "cpu cu118 cu121 cu124 cu126 cu128 cu129 cu130 cu132 rocm7.2"


@pytest.mark.parametrize(
    ("builds", "install"),
    [
        ({"linux-x86_64": ("cpu",)}, "uv sync"),
        (dict.fromkeys(PLATFORMS, CUDA), INSTALL),
        (dict.fromkeys(PLATFORMS, tuple(MANY.split())), LONG),
    ],
)
def test_rendered_file_is_clean(tmp_path, builds, install):
    text = render(builds, install)
    assert text == render(builds, install, trim=False)
    script = tmp_path / "smoke_test.py"
    script.write_text(text, "utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    settings = ["--isolated", "--no-cache", "--line-length=88"]
    rules = ["--select=E,F,I,UP,B,RUF100", "--target-version=py310"]
    for command in (
        [*ruff, "check", *settings, *rules, str(script)],
        [*ruff, "format", "--diff", *settings, str(script)],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_pip_names_the_build_of_this_platform(machine, monkeypatch):
    """With `uv pip` the command has a switch for the build, which differs by platform."""
    monkeypatch.setattr(render, "__defaults__", ("uv pip install --torch-backend={build}", True))
    assert verdict(machine.run(builds=("cu130",))[1]).endswith("--torch-backend=cu130")
    assert verdict(machine.run(builds=("cpu",))[1]).endswith("--torch-backend=cpu")
    output = machine.run("--expect", "cu126", builds=("cu130",))[1]
    assert verdict(output).endswith("--torch-backend=cu126")
