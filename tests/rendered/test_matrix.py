"""Every strategy with every backend of every line: real uv locks it and would install what the
README's table says, on each platform and for each choice."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from copier.errors import UserMessageError

from extensions.questions.refusals import why_not
from extensions.tables.backends import kind
from extensions.tables.platforms import PLATFORMS
from extensions.tables.releases import companions, minor
from tests.conftest import Render
from tests.pytorch_index.recorded import platform_of, wheels
from tests.rendered.test_check_lock import PASSES, check
from tests.rendered.test_combinations import SOME_LINES
from tests.support.cells import CELLS, LINES, TABLES, others
from tests.support.checks import smoke_constants
from tests.support.project import Project
from tests.support.starter import run

# Every backend of some lines, and the newest of each kind of the others, all of which are locked by
# `test_extras` and `test_groups_with_every_backend_at_once`.
SOME_CELLS = [
    (name, backend)
    for name, backend in CELLS
    if name in SOME_LINES or backend == TABLES.lines[name].backends(kind(backend))[-1]
]
FAMILY = re.compile(rf"(torch|{'|'.join(companions())}|(pytorch-)?triton(-rocm|-xpu)?)")
ACCELERATOR = re.compile(r"(nvidia|cuda|intel|triton|pytorch-triton)\b.*")


def packages(line: str, *backends: str, strategy: str = "") -> list[str]:
    """Every companion that goes with all backends: the more there are, the more is tested."""
    known = {"torch_version": line, "strategy": strategy or "extras", "backends": list(backends)}
    if strategy == "pip":
        known["backend"] = backends[0]
    found = TABLES.lines[line].companions.values()
    usual = {"platforms": list(PLATFORMS), **known}
    fit = [c.name for c in found if not c.absent & set(backends)]
    return [n for n in fit if not why_not("platforms", TABLES, {**usual, "packages": [n]})]


def local_of(name: str, version: str, build: str, platform: str) -> str:
    """The local version of a companion beside a build of torch: its own, or else its CPU build's.

    As the recorded indexes have it.
    """
    for index in (build, "cpu"):
        for wheel in wheels():
            there = wheel.index == index and platform_of(wheel.platform_tag) == platform
            if there and wheel.package == name and wheel.release == version:
                return wheel.version.partition("+")[2]
    raise AssertionError(f"{name} {version} is not recorded for {platform}")


def check_table(project: Project) -> None:
    """Each cell of the README's table against a dry run of its command."""
    for command, cells in project.build_table.items():
        for platform, torch in cells.items():
            check_install(project, command, platform, torch)


def check_install(project: Project, command: str, platform: str, torch: str) -> None:
    torch = torch.split(" ")[0]
    installed = project.would_install(command, platform)
    where = f"{command} on {platform}: {installed}"
    assert installed["torch"] == torch, where
    line = TABLES.lines[".".join(torch.split(".")[:2])]
    _, _, local = torch.partition("+")
    for name in project.answers["packages"]:
        version, _, companion_local = installed[name].partition("+")
        assert version == line.companions[name].version, where
        if local:
            on = project.platform(platform)
            assert companion_local == local_of(name, version, local, on), where
    accelerators = sorted(name for name in installed if ACCELERATOR.fullmatch(name))
    if local == "cpu" or platform == "macOS arm64":
        assert not accelerators, where
    if local.startswith("cu") and platform == "Linux x86-64":
        assert any(name.startswith("nvidia-") for name in accelerators), where
    if local.startswith("rocm"):
        assert accelerators == [line.triton["rocm"].name], where
    if local == "xpu" and (platform.startswith("Linux") or line.triton["xpu"].platforms is None):
        assert line.triton["xpu"].name in accelerators, where


def check_lock(project: Project) -> None:
    """Every wheel of the family has a hash and comes from an index that is meant for it."""
    urls = {index["url"] for index in project.uv_settings.get("index", ())}
    for package in project.lock()["package"]:
        if FAMILY.fullmatch(package["name"]):
            assert all("hash" in wheel for wheel in package["wheels"]), package["name"]
        elif "registry" in package["source"]:
            # explicit = true: nothing else is ever taken from a PyTorch index.
            assert package["source"]["registry"] not in urls, package["name"]


@pytest.mark.parametrize("line", LINES)
def test_pypi(lockable: Render, line: str) -> None:
    pypi = TABLES.lines[line].pypi.values()
    project = lockable(
        strategy="pypi", torch_version=line, packages=packages(line, *pypi, strategy="pypi")
    )
    check_lock(project)
    check_table(project)


@pytest.mark.parametrize(("line", "backend"), SOME_CELLS)
def test_index(lockable: Render, line: str, backend: str) -> None:
    project = lockable(
        strategy="index", torch_version=line, backend=backend, packages=packages(line, backend)
    )
    check_lock(project)
    check_table(project)


ON_ARM = [
    (name, [b for b in line.backends("cuda") if "linux-aarch64" in line.indexes[b]])
    for name, line in TABLES.lines.items()
]


@pytest.mark.parametrize(("line", "backends"), ON_ARM)
def test_a_backend_per_machine_of_linux(lockable: Render, line: str, backends: list[str]) -> None:
    """The newest on aarch64 beside the oldest on x86-64, and the other way round."""
    on_x86_64 = TABLES.lines[line].backends("cuda")
    for linux, on_arm in {(on_x86_64[0], backends[-1]), (on_x86_64[-1], "cpu")}:
        project = lockable(
            strategy="markers",
            torch_version=line,
            linux_backend=linux,
            aarch64_backend=on_arm,
            windows_backend="cpu",
            packages=packages(line, linux, on_arm),
        )
        check_lock(project)
        check_table(project)
        expected = smoke_constants(project)["EXPECTED"]
        assert list(expected["linux-x86_64"]) == [linux]
        assert list(expected["linux-aarch64"]) == [on_arm]


@pytest.mark.parametrize(("line", "backend"), SOME_CELLS)
def test_markers(lockable: Render, line: str, backend: str) -> None:
    """Each backend on Linux, and on Windows where it has wheels; CPU on the other system."""
    on_windows = "windows-amd64" in TABLES.lines[line].indexes[backend]
    pairs = {(backend, "cpu"), ("cpu", backend if on_windows else "cpu")}
    if line not in SOME_LINES:
        pairs = {(backend, backend if on_windows else "cpu")}
    for linux, windows in pairs:
        project = lockable(
            strategy="markers",
            torch_version=line,
            linux_backend=linux,
            windows_backend=windows,
            packages=packages(line, backend),
        )
        check_lock(project)
        check_table(project)


def choices() -> Iterator[tuple[str, list[str]]]:
    """Each backend of some lines beside the CPU, and of the others all at once."""
    for line in LINES:
        if line in SOME_LINES:
            yield from ((line, [backend]) for backend in others(line))
        else:
            yield line, others(line)


@pytest.mark.parametrize(("line", "backends"), list(choices()))
def test_extras(lockable: Render, line: str, backends: list[str]) -> None:
    project = lockable(
        strategy="extras",
        torch_version=line,
        backends=["cpu", *backends],
        packages=packages(line, *backends),
    )
    check_lock(project)
    check_table(project)
    assert "torch" not in project.would_install("uv sync", "Linux x86-64")


@pytest.mark.parametrize("line", LINES)
def test_groups_with_every_backend_at_once(lockable: Render, line: str) -> None:
    backends = ["cpu", *others(line)]
    project = lockable(
        strategy="groups",
        torch_version=line,
        backends=backends,
        default_backend=backends[1],
        packages=packages(line, *backends),
    )
    check_lock(project)
    check_table(project)


@pytest.mark.parametrize(("line", "backend"), [cell for cell in CELLS if cell[0] in SOME_LINES])
def test_groups(lockable: Render, line: str, backend: str) -> None:
    """The default group is each backend in turn: plain `uv sync` installs it, with `dev`."""
    backends = ["cpu", others(line)[0] if backend == "cpu" else backend]
    project = lockable(
        strategy="groups",
        torch_version=line,
        backends=backends,
        default_backend=backend,
        packages=packages(line, *backends),
    )
    check_lock(project)
    check_table(project)
    assert "pytest" in project.would_install("uv sync", "Linux x86-64")


SUBSETS = [
    ["linux-x86_64"],
    ["linux-aarch64"],
    ["windows-amd64"],
    ["linux-x86_64", "macos-arm64"],
    ["linux-aarch64", "windows-amd64"],
    ["linux-x86_64", "linux-aarch64"],
    ["windows-amd64", "macos-arm64"],
]


@pytest.mark.parametrize("platforms", SUBSETS, ids="+".join)
@pytest.mark.parametrize(
    ("line", "backend"),
    [("2.14", "rocm7.2"), ("2.13", "cu129"), ("2.9", "xpu"), ("2.6", "xpu"), ("2.5", "cu124")],
)
def test_some_platforms(lockable: Render, line: str, backend: str, platforms: list[str]) -> None:
    """Fewer platforms than four: each has its build, or the answer is refused."""
    served = set(platforms) & set(TABLES.lines[line].indexes[backend])
    answers = {
        "strategy": "extras",
        "torch_version": line,
        "backends": ["cpu", backend],
        "platforms": platforms,
        "packages": packages(line, backend),
    }
    if not served:
        with pytest.raises(UserMessageError, match=f"platforms: {backend}"):
            lockable(**answers)
        return
    project = lockable(**answers)
    check_lock(project)
    check_table(project)


@pytest.mark.parametrize("line", ["2.5", "2.8", "2.11", "2.14"])
def test_a_companion_with_builds_of_its_own(lockable: Render, line: str) -> None:
    """With every backend at once, on the platforms that the line's torchcodec has wheels for."""
    backends = ["cpu", *others(line)]
    codec = {"torch_version": line, "strategy": "extras", "packages": ["torchcodec"]}
    project = lockable(**codec, backends=backends)
    assert {"linux-x86_64", "macos-arm64"} <= set(project.answers["platforms"])
    check_lock(project)
    check_table(project)
    assert check(project) == PASSES
    refused = set(PLATFORMS) - set(project.answers["platforms"])
    first = {"linux-aarch64": "2.12", "windows-amd64": "2.8"}
    assert refused == {p for p, since in first.items() if minor(line) < minor(since)}
    for platform in refused:
        answers = {**codec, "backends": backends, "platforms": ["linux-x86_64", platform]}
        with pytest.raises(UserMessageError, match="torchcodec .* has no wheel for "):
            lockable(**answers)


@pytest.mark.parametrize("line", LINES)
def test_pip_pins_what_it_installs(lockable: Render, index, line: str) -> None:
    """The README's `uv pip compile` pins the build of its table."""
    backend = others(line)[1]
    project = lockable(strategy="pip", torch_version=line, backend=backend, example="training")
    command = next(c for c in project.commands if c.startswith("uv pip compile"))
    run(project, command, index.url)
    torch = project.build_table[f"--torch-backend={backend}"]["Linux x86-64"]
    assert f"torch=={torch}\n" in project.text("requirements.txt")


@pytest.mark.parametrize(("line", "backend"), SOME_CELLS)
def test_pip(lockable: Render, index, line: str, backend: str) -> None:
    """`--torch-backend` cannot be redirected, so the mirror's form of the commands is run."""
    project = lockable(
        strategy="pip",
        torch_version=line,
        backend=backend,
        packages=packages(line, backend, strategy="pip"),
        index_url=index.url,
    )
    # That variable would win over --index-url: uv takes it for --default-index.
    del project.environment["UV_DEFAULT_INDEX"]
    install = next(c for c in project.commands if c.startswith("uv pip install torch"))
    requirements = install.split(" --index-url")[0]
    for flags, cells in project.build_table.items():
        for platform, torch in cells.items():
            check_install(project, f"{requirements} {flags} --reinstall", platform, torch)
