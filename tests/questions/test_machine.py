"""What accelerator a machine has, read from fakes, and which backend suits it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import timeit
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from extensions.questions import machine
from extensions.questions.machine import (
    VARIABLE,
    Machine,
    fitting_backends,
    platform_name,
    this_machine,
)
from extensions.tables.platforms import PLATFORMS
from tests.support.cells import CELLS, LINES, TABLES
from tests.support.unending import NO_KILL, ends, frozen, stop

Tool = Callable[[str], dict[str, str]]
NOWHERE = {"PATH": os.devnull}


@pytest.fixture(autouse=True)
def linux(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(machine, "_WSL", str(tmp_path / "wsl"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty root directory, and an empty folder for PATH beside it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def nvidia_smi(root: Path) -> Tool:
    """Put a shell script on PATH as nvidia-smi."""
    if os.name == "nt":
        pytest.skip("the fake is a shell script")

    def put(script: str) -> dict[str, str]:
        tool = root.parent / "bin" / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
        return {"PATH": str(tool.parent)}

    return put


def amd(root: Path, *versions: int) -> None:
    for number, version in enumerate(versions):
        node = root / "sys/class/kfd/kfd/topology/nodes" / str(number)
        node.mkdir(parents=True)
        text = f"cpu_cores_count 0\ngfx_target_version {version}\nsimd_count 8\n"
        (node / "properties").write_text(text)


def pci(root: Path, address: str, vendor: str, of_class: str) -> Path:
    device = root / "sys/bus/pci/devices" / address
    device.mkdir(parents=True)
    (device / "vendor").write_text(f"{vendor}\n")
    (device / "class").write_text(f"{of_class}\n")
    return device


# TORCH_TEMPLATE_MACHINE


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ("none", Machine()),
        ("", Machine()),
        ("xpu", Machine("xpu")),
        ("rocm,gfx942", Machine("rocm", architectures=("gfx942",))),
        ("rocm, gfx942, gfx90a", Machine("rocm", architectures=("gfx942", "gfx90a"))),
        (
            "cuda,580.65.06,9.0",
            Machine("cuda", driver=(580, 65, 6), capabilities=((9, 0),)),
        ),
        (
            "cuda, 550.54, 8.0, 12.0",
            Machine("cuda", driver=(550, 54), capabilities=((8, 0), (12, 0))),
        ),
        ("cuda", Machine("cuda")),
        # Empty parts do not count.
        ("rocm", Machine("rocm")),
        ("rocm,", Machine("rocm")),
        ("rocm, ,", Machine("rocm")),
        ("rocm,,gfx942,", Machine("rocm", architectures=("gfx942",))),
        ("cuda,", Machine("cuda")),
        ("cuda,580,", Machine("cuda", driver=(580,))),
        ("cuda,580,9.0,", Machine("cuda", driver=(580,), capabilities=((9, 0),))),
        ("xpu,", Machine("xpu")),
        *(
            (garbage, Machine())
            for garbage in (
                *("cuda,x,y", "cuda,580,9", "cuda,580,9.0.1", "cuda,580,x.y"),
                *("gpu", ",", ",,,", "CUDA 12", "\x00", "🔥"),
            )
        ),
    ],
)
def test_a_variable_states_the_machine(root, stated, found):
    assert this_machine({VARIABLE: stated}, root) == found


def test_a_stated_machine_is_not_looked_at(root, nvidia_smi):
    amd(root, 90402)
    environ = nvidia_smi("echo 580.65.06, 9.0") | {VARIABLE: "none"}
    assert this_machine(environ, root) == Machine()


# NVIDIA


@pytest.mark.parametrize(
    ("output", "driver", "capabilities"),
    [
        ("580.65.06, 9.0", (580, 65, 6), ((9, 0),)),
        ("550.54.15, 8.0\\n550.54.15, 8.6\\n550.54.15, 12.0", (550, 54, 15),
         ((8, 0), (8, 6), (12, 0))),
        ("  580.88 ,  7.5  ", (580, 88), ((7, 5),)),
        ("a warning\\n580.65.06, 9.0", (580, 65, 6), ((9, 0),)),
        ("580.65.06, 9.0\\n580.65.06, [N/A]", (580, 65, 6), ((9, 0),)),
        ("580.65.06, 9.0, NVIDIA H100 PCIe", (580, 65, 6), ((9, 0),)),
    ],
)  # fmt: skip
def test_nvidia_smi_gives_driver_and_capabilities(root, nvidia_smi, output, driver, capabilities):
    found = this_machine(nvidia_smi(f"printf '{output}\\n'"), root)
    assert found == Machine("cuda", driver=driver, capabilities=capabilities)


def test_nvidia_smi_is_asked_for_both_without_a_header(root, nvidia_smi):
    script = (
        '[ "$*" = "--query-gpu=driver_version,compute_cap,name --format=csv,noheader" ] || exit 2\n'
        "echo 580.65.06, 9.0"
    )
    assert this_machine(nvidia_smi(script), root).kind == "cuda"


def test_a_machine_is_named_as_its_owner_knows_it(root, nvidia_smi):
    rows = "580.65.06, 9.0, NVIDIA H100 80GB HBM3\\n580.65.06, 8.0, NVIDIA A100"
    assert this_machine(nvidia_smi(f"printf '{rows}\\n'"), root).shown == (
        "NVIDIA H100 80GB HBM3, driver 580"
    )
    assert this_machine({VARIABLE: "cuda,550.54,9.0"}, root).shown == "NVIDIA GPU, driver 550"
    assert this_machine({VARIABLE: "rocm,gfx942"}, root).shown == "AMD GPU (gfx942)"
    assert this_machine({VARIABLE: "rocm"}, root).shown == "AMD GPU"
    assert this_machine({VARIABLE: "xpu"}, root).shown == "Intel GPU"
    assert Machine().shown == ""


@pytest.mark.parametrize(
    "script",
    [
        "echo '[N/A], [N/A]'",
        "echo 'Field \"compute_cap\" is not a valid field to query.'; exit 2",
        "echo 580.65.06, 9.0; exit 9",
        "echo 'NVIDIA-SMI has failed'; exit 9",
        "echo garbage",
        "printf '\\377\\376\\000\\n'",
        "echo 580.65.06, 9.0 >&2",
        "exit 0",
        "kill -9 $$",
    ],
)
def test_a_broken_nvidia_smi_counts_as_no_accelerator(root, nvidia_smi, script):
    assert this_machine(nvidia_smi(script), root) == Machine()


def test_an_nvidia_smi_that_cannot_be_started_counts_as_no_accelerator(root, nvidia_smi):
    environ = nvidia_smi("")
    (root.parent / "bin" / "nvidia-smi").write_bytes(b"\x7fELF")
    assert this_machine(environ, root) == Machine()


def test_an_nvidia_smi_that_hangs_is_given_up(root, nvidia_smi, monkeypatch):
    monkeypatch.setattr(machine, "_TIMEOUT", 0.2)
    environ = nvidia_smi("sleep 20; echo 580.65.06, 9.0")
    assert this_machine(environ, root) == Machine()


def test_what_nvidia_smi_leaves_behind_does_not_hold_its_answer(root, nvidia_smi, tmp_path):
    pids = tmp_path / "pids"
    left = f"sh -c 'trap \"\" HUP INT TERM; echo $$ >> {pids}; exec sleep 600'"
    environ = nvidia_smi(f"echo 580.65.06, 9.0; setsid {left} & until [ -s {pids} ]; do :; done")
    try:
        assert this_machine(environ, root).kind == "cuda"
    finally:
        stop(pids)


def test_an_nvidia_smi_that_hangs_is_ended_with_what_it_has_started(
    root, nvidia_smi, monkeypatch, tmp_path
):
    monkeypatch.setattr(machine, "_TIMEOUT", 2.0)
    pids = tmp_path / "pids"
    environ = nvidia_smi(f"sleep 600 & echo $! >> {pids}; sleep 600")
    try:
        assert this_machine(environ, root) == Machine()
        assert ends(pids.read_text().strip())
    finally:
        stop(pids)


@pytest.mark.parametrize("how", ["frozen", "no kill", "left behind"])
def test_a_render_ends_whatever_nvidia_smi_does(root, nvidia_smi, tmp_path, template, how):
    """The whole program, whose end could wait as well."""
    pids, prelude = tmp_path / "pids", "pass"
    sleep = f"echo $$ >> {pids}; exec sleep 600"
    with ExitStack() as stack:
        stack.callback(stop, pids)
        if how == "frozen":
            script = f"echo x > {stack.enter_context(frozen(tmp_path))}"
        elif how == "no kill":
            script, prelude = sleep, NO_KILL
        else:
            script = (
                f"setsid sh -c 'trap \"\" HUP INT TERM; {sleep}' & until [ -s {pids} ]; do :; done"
            )
        path = os.pathsep.join([nvidia_smi(script)["PATH"], os.environ["PATH"]])
        start = f"import os, sys; {prelude}; from copier._cli import CopierApp; CopierApp.run()"
        arguments = ["copy", "--quiet", "--defaults", "--trust", template, tmp_path / "project"]
        done = subprocess.run(
            [sys.executable, "-W", "error::ResourceWarning", "-c", start, *arguments],
            env={k: v for k, v in os.environ.items() if k != VARIABLE} | {"PATH": path},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "project" / "pyproject.toml").exists()


@pytest.mark.parametrize("script", ["sleep 20", "printf '\\377\\376\\000\\n'", "exit 9", None])
def test_a_broken_nvidia_smi_does_not_hide_another_accelerator(
    root, nvidia_smi, monkeypatch, script
):
    monkeypatch.setattr(machine, "_TIMEOUT", 0.2)
    environ = nvidia_smi(script or "")
    if script is None:
        (root.parent / "bin" / "nvidia-smi").write_bytes(b"\x7fELF")
    pci(root, "0000:03:00.0", "0x8086", "0x030000")
    assert this_machine(environ, root) == Machine("xpu")
    amd(root, 90402)
    assert this_machine(environ, root) == Machine("rocm", architectures=("gfx942",))


def test_the_patience_with_nvidia_smi_is_short():
    assert 1 <= machine._TIMEOUT <= 10


def test_nvidia_smi_is_found_where_wsl_keeps_it(root, nvidia_smi, monkeypatch):
    folder = nvidia_smi("echo 580.65.06, 9.0")["PATH"]
    monkeypatch.setattr(machine, "_WSL", folder)
    assert this_machine(NOWHERE, root).kind == "cuda"
    assert this_machine({}, root).kind == "cuda"
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    assert this_machine({"PATH": str(root)}, root).kind == "cpu"


@pytest.mark.parametrize("path", [None, "", ".", os.pathsep, f".{os.pathsep}", "bin", "./bin"])
def test_nvidia_smi_is_never_run_from_the_current_folder(root, nvidia_smi, monkeypatch, path):
    ran = root.parent / "ran"
    folder = Path(nvidia_smi(f"touch '{ran}'; echo 580.65.06, 9.0")["PATH"])
    environ = {} if path is None else {"PATH": path}
    for current in (folder, folder.parent):
        monkeypatch.chdir(current)
        assert this_machine(environ, root) == Machine()
    assert not ran.exists()
    assert this_machine({"PATH": str(folder)}, root).kind == "cuda" and ran.exists()


def test_nvidia_smi_is_the_first_on_path_that_can_be_run(root, nvidia_smi):
    folder = nvidia_smi("echo 580.65.06, 9.0")["PATH"]
    (root / "folder" / "nvidia-smi").mkdir(parents=True)
    (root / "plain").mkdir()
    (root / "plain" / "nvidia-smi").write_text("#!/bin/sh\necho 1.0, 1.0\n")
    (root / "plain" / "nvidia-smi").chmod(0o644)
    folders = ["relative", root / "missing", root / "folder", root / "plain", folder, os.devnull]
    found = this_machine({"PATH": os.pathsep.join(map(str, folders))}, root)
    assert found == Machine("cuda", driver=(580, 65, 6), capabilities=((9, 0),))


def test_windows_has_an_nvidia_smi_with_a_suffix(root, nvidia_smi, monkeypatch):
    environ = nvidia_smi("echo 580.88, 9.0")
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    assert this_machine(environ, root).kind == "cpu"
    tool = root.parent / "bin" / "nvidia-smi"
    tool.rename(tool.with_suffix(".exe"))
    found = this_machine(environ, root)
    assert found == Machine("cuda", "windows", driver=(580, 88), capabilities=((9, 0),))


# AMD


@pytest.mark.parametrize(
    ("versions", "architectures"),
    [
        ([0, 90402], ("gfx942",)),
        ([0, 0, 90402, 90402], ("gfx942",)),
        ([100300], ("gfx1030",)),
        ([90010], ("gfx90a",)),
        ([90006], ("gfx906",)),
        ([110501], ("gfx1151",)),
        ([120001], ("gfx1201",)),
        ([0, 90010, 110000], ("gfx90a", "gfx1100")),
    ],
)
def test_agents_of_the_kernel_give_amd_s_architectures(root, versions, architectures):
    amd(root, *versions)
    found = this_machine(NOWHERE, root)
    assert found == Machine("rocm", architectures=architectures)


def test_agents_that_are_cpus_are_no_accelerator(root):
    amd(root, 0, 0)
    assert this_machine(NOWHERE, root) == Machine()


@pytest.mark.parametrize("content", [b"", b"gfx_target_version x\n", b"\xff\xfe", None])
def test_agents_that_cannot_be_read_never_raise(root, content):
    amd(root, 0)
    properties = root / "sys/class/kfd/kfd/topology/nodes/0/properties"
    properties.unlink()
    properties.mkdir() if content is None else properties.write_bytes(content)
    assert this_machine(NOWHERE, root) == Machine()
    pci(root, "0000:03:00.0", "0x8086", "0x030000")
    assert this_machine(NOWHERE, root) == Machine("xpu")


# Intel


@pytest.mark.parametrize(
    ("address", "vendor", "of_class", "kind"),
    [
        ("0000:03:00.0", "0x8086", "0x030000", "xpu"),
        ("0000:03:00.0", "0x8086", "0x038000", "xpu"),
        ("10000:af:00.0", "0x8086", "0x030000", "xpu"),
        ("0000:00:02.0", "0x8086", "0x030000", "cpu"),
        ("0000:03:00.0", "0x8086", "0x020000", "cpu"),
        ("0000:03:00.0", "0x10de", "0x030000", "cpu"),
        ("0000:03:00.0", "0x1002", "0x030000", "cpu"),
        ("odd", "0x8086", "0x030000", "cpu"),
    ],
)
def test_a_discrete_gpu_of_intel_counts(root, address, vendor, of_class, kind):
    pci(root, address, vendor, of_class)
    assert this_machine(NOWHERE, root) == Machine(kind)


def test_a_discrete_gpu_is_found_beside_other_devices(root):
    pci(root, "0000:00:02.0", "0x8086", "0x030000")
    pci(root, "0000:01:00.0", "0x8086", "0x020000")
    pci(root, "0000:02:00.0", "0x1234", "0x030000")
    pci(root, "0000:03:00.0", "0x8086", "0x030000")
    assert this_machine(NOWHERE, root).kind == "xpu"


@pytest.mark.parametrize("missing", ["vendor", "class"])
def test_a_device_that_cannot_be_read_never_raises(root, missing):
    (pci(root, "0000:03:00.0", "0x8086", "0x030000") / missing).unlink()
    assert this_machine(NOWHERE, root) == Machine()


# Any machine


def test_nvidia_goes_before_amd_and_amd_before_intel(root, nvidia_smi):
    pci(root, "0000:03:00.0", "0x8086", "0x030000")
    assert this_machine(NOWHERE, root).kind == "xpu"
    amd(root, 90402)
    assert this_machine(NOWHERE, root).kind == "rocm"
    assert this_machine(nvidia_smi("echo 580.65.06, 9.0"), root).kind == "cuda"


def test_nothing_is_looked_at_on_macos(root, nvidia_smi, monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    amd(root, 90402)
    found = this_machine(nvidia_smi("echo 580.65.06, 9.0"), root)
    assert found == Machine("cpu", "darwin", "aarch64")


@pytest.mark.parametrize(
    ("system", "of_machine", "found"),
    [
        ("Linux", "x86_64", ("linux", "x86_64")),
        ("Linux", "aarch64", ("linux", "aarch64")),
        ("Windows", "AMD64", ("windows", "x86_64")),
        ("Windows", "ARM64", ("windows", "aarch64")),
    ],
)
def test_system_and_machine_have_the_names_of_the_tables(
    root, monkeypatch, system, of_machine, found
):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: of_machine)
    for environ in ({"PATH": str(root)}, {VARIABLE: "none"}, {VARIABLE: "cuda,580,9.0"}):
        seen = this_machine(environ, root)
        assert (seen.system, seen.machine) == found


def test_a_machine_without_an_accelerator_is_known_in_less_than_50_ms(root):
    environ = {"PATH": str(root)}
    assert this_machine(environ, root) == Machine()
    times = timeit.repeat(lambda: this_machine(environ, root), number=1, repeat=5)
    assert min(times) < 0.05


# The backends that fit it


def cuda(driver: int, *capabilities: tuple[int, int], **more: str) -> Machine:
    return Machine("cuda", driver=(driver, 200, 0), capabilities=capabilities, **more)


def rocm(*architectures: str) -> Machine:
    return Machine("rocm", architectures=architectures)


def fit(line: str, found: Machine) -> list[str]:
    return fitting_backends(TABLES, TABLES.lines[line], found)


@pytest.mark.parametrize(
    ("line", "found", "backends"),
    [
        # H100
        ("2.14", cuda(580, (9, 0)), ["cu132", "cu130", "cu126"]),
        ("2.15", cuda(580, (9, 0)), ["cu132", "cu130"]),
        ("2.11", cuda(580, (9, 0)), ["cu130", "cu129", "cu128", "cu126"]),
        ("2.14", cuda(550, (9, 0)), ["cu126"]),
        ("2.13", cuda(550, (9, 0)), ["cu129", "cu126"]),
        ("2.15", cuda(550, (9, 0)), []),
        ("2.14", cuda(470, (9, 0)), []),
        ("2.6", cuda(470, (9, 0)), ["cu118"]),
        ("2.14", cuda(580, (9, 0), (9, 0)), ["cu132", "cu130", "cu126"]),
        # V100
        ("2.14", cuda(580, (7, 0)), ["cu126"]),
        ("2.15", cuda(580, (7, 0)), []),
        ("2.10", cuda(580, (7, 0)), ["cu129", "cu128", "cu126"]),
        ("2.11", cuda(580, (7, 0)), ["cu126"]),
        # GTX 1080, GTX 980, K80
        ("2.14", cuda(580, (6, 1)), ["cu126"]),
        ("2.14", cuda(580, (5, 2)), ["cu126"]),
        ("2.14", cuda(580, (3, 7)), []),
        # RTX 3090, RTX 4090: code for an older minor version of the same major version
        ("2.14", cuda(580, (8, 6)), ["cu132", "cu130", "cu126"]),
        ("2.14", cuda(580, (8, 9)), ["cu132", "cu130", "cu126"]),
        # Blackwell
        ("2.14", cuda(580, (12, 0)), ["cu132", "cu130"]),
        ("2.14", cuda(580, (10, 3)), ["cu132", "cu130"]),
        ("2.14", cuda(550, (12, 0)), []),
        ("2.13", cuda(575, (12, 0)), ["cu129"]),
        ("2.6", cuda(580, (12, 0)), []),
        # Another architecture in one machine: the build must have all
        ("2.14", cuda(580, (7, 0), (9, 0)), ["cu126"]),
        ("2.14", cuda(580, (7, 0), (12, 0)), []),
        # Jetson Thor runs on sm_110, which x86-64 builds lack
        ("2.14", cuda(580, (11, 0)), []),
        # Nothing is known about the GPU
        ("2.14", Machine("cuda"), ["cu132", "cu130", "cu126"]),
        ("2.14", Machine("cuda", driver=(550,)), ["cu126"]),
        # AMD
        ("2.14", rocm("gfx942"), ["rocm7.2"]),
        ("2.13", rocm("gfx942"), ["rocm7.2", "rocm7.1"]),
        ("2.5", rocm("gfx942"), ["rocm6.2", "rocm6.1"]),
        ("2.14", rocm("gfx906"), ["rocm7.2"]),
        ("2.13", rocm("gfx1151"), ["rocm7.2"]),
        ("2.10", rocm("gfx1151"), []),
        ("2.9", rocm("gfx950"), []),
        ("2.14", rocm("gfx803"), []),
        ("2.13", rocm(), ["rocm7.2", "rocm7.1"]),
        ("2.15", rocm("gfx942"), []),
        # One agent is enough: a Ryzen's own GPU stands beside a Radeon
        ("2.14", rocm("gfx1036", "gfx1100"), ["rocm7.2"]),
        ("2.14", rocm("gfx942", "gfx803"), ["rocm7.2"]),
        ("2.13", rocm("gfx1036", "gfx1151"), ["rocm7.2"]),
        ("2.14", rocm("gfx1036", "gfx803"), []),
        # Intel
        ("2.14", Machine("xpu"), ["xpu"]),
        ("2.5", Machine("xpu"), []),
        # None
        ("2.14", Machine(), []),
    ],
)
def test_the_backends_that_run_fit_and_the_newest_goes_first(line, found, backends):
    assert fit(line, found) == backends


@pytest.mark.parametrize(
    ("line", "capability", "backends"),
    [
        # GH200: of 2.14, only cu130 was observed on aarch64.
        ("2.14", (9, 0), ["cu130", "cu132", "cu126"]),
        ("2.13", (9, 0), ["cu132", "cu130", "cu129", "cu126"]),
        ("2.14", (12, 1), ["cu130", "cu132"]),
        ("2.14", (11, 0), ["cu130", "cu132"]),
        ("2.14", (8, 7), ["cu130", "cu132", "cu126"]),
        ("2.14", (7, 2), []),
    ],
)
def test_builds_for_aarch64_have_architectures_of_their_own(line, capability, backends):
    assert fit(line, cuda(580, capability, machine="aarch64")) == backends


@pytest.mark.parametrize(
    ("driver", "capability", "backends"),
    [
        # Jetson Thor, whose driver is older in number and new enough, and Orin before JetPack 7.
        ((580, 0), (11, 0), ["cu130", "cu132"]),
        ((540, 4, 0), (8, 7), []),
        # DGX Spark, GH200, GB200 and GB300, with drivers of servers; and with one too old.
        ((580, 95, 5), (12, 1), ["cu130", "cu132"]),
        ((580, 0), (12, 1), []),
        ((570, 86, 15), (9, 0), ["cu126"]),
        ((580, 65, 6), (10, 0), ["cu130", "cu132"]),
        ((580, 65, 6), (10, 3), ["cu130", "cu132"]),
    ],
)
def test_a_driver_is_held_to_the_floor_of_its_machine(driver, capability, backends):
    found = Machine("cuda", "linux", "aarch64", driver, (capability,))
    assert fit("2.14", found) == backends


@pytest.mark.parametrize(
    ("line", "driver", "backends"),
    [
        ("2.14", (580, 88), ["cu132", "cu130", "cu126"]),
        ("2.14", (551, 61), ["cu126"]),
        ("2.14", (527,), []),
        # cu129 runs with this driver, but has no wheels for Windows.
        ("2.13", (551, 61), ["cu126"]),
        ("2.8", (551, 61), ["cu129", "cu128", "cu126"]),
    ],
)
def test_windows_has_driver_floors_and_wheels_of_its_own(line, driver, backends):
    assert fit(line, Machine("cuda", "windows", driver=driver, capabilities=((9, 0),))) == backends


@pytest.mark.parametrize(
    "found",
    [
        Machine("rocm", "windows", architectures=("gfx1100",)),
        Machine("xpu", "linux", "aarch64"),
        Machine("cuda", "windows", "aarch64"),
        Machine("cuda", "darwin", "aarch64"),
        Machine("cuda", "darwin"),
        Machine("cuda", "freebsd"),
        Machine("cuda", "linux", "riscv64"),
    ],
)
def test_nothing_fits_where_no_index_has_wheels(found):
    for line in LINES:
        assert fit(line, found) == []


def test_an_observed_index_goes_before_a_newer_one():
    line = TABLES.lines["2.14"]
    everywhere = dict.fromkeys(line.indexes["cpu"], "high")
    guessed = {**everywhere, "linux-x86_64": "guess"}
    line = replace(line, indexes={"cu126": everywhere, "cu130": everywhere, "cu132": guessed})
    h100 = cuda(580, (9, 0))
    assert fitting_backends(TABLES, line, h100) == ["cu130", "cu126", "cu132"]
    # What was observed on another platform does not count.
    windows = replace(h100, system="windows")
    assert fitting_backends(TABLES, line, windows) == ["cu132", "cu130", "cu126"]


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("kind", ["cpu", "cuda", "rocm", "xpu"])
@pytest.mark.parametrize("system", ["linux", "windows", "darwin"])
@pytest.mark.parametrize("of_machine", ["x86_64", "aarch64"])
def test_fitting_backends_are_of_the_line_the_kind_and_the_platform(line, kind, system, of_machine):
    found = Machine(kind, system, of_machine)
    backends = fit(line, found)
    assert len(set(backends)) == len(backends)
    assert "cpu" not in backends
    for backend in backends:
        assert (line, backend) in CELLS and backend.startswith(kind[:2])
        assert platform_name(found) in TABLES.lines[line].indexes[backend]


@pytest.mark.parametrize(
    ("system", "of_machine", "name"),
    [
        ("linux", "x86_64", "linux-x86_64"),
        ("linux", "aarch64", "linux-aarch64"),
        ("windows", "x86_64", "windows-amd64"),
        ("windows", "aarch64", ""),
        ("darwin", "aarch64", "macos-arm64"),
        ("darwin", "x86_64", ""),
        ("freebsd", "x86_64", ""),
        ("linux", "riscv64", ""),
    ],
)
def test_a_machine_is_on_one_platform_of_the_tables_or_on_none(system, of_machine, name):
    for kind in ("cpu", "cuda"):
        assert platform_name(Machine(kind, system, of_machine)) == name
    assert name in ("", *PLATFORMS)
