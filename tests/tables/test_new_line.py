"""A new release line is one block of YAML: no code and no template changes."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import yaml
from copier.errors import UserMessageError

from extensions.tables.releases import load
from tests.conftest import THIS_PYTHON, copy_template
from tests.pytorch_index import PyTorchIndex
from tests.rendered.test_check_lock import PASSES, check
from tests.support.cells import LINES
from tests.support.checks import every_file_parses_and_looks_hand_made, pyproject_fits_the_schemas
from tests.support.frozen import LIVE
from tests.support.project import Project, copied
from tests.support.wheels import real_wheel

BLOCK = """\
  - line: "2.99"
    torch: 2.99.1
    released: 2034-01-01
    sources: [S1]
    python: {first: "3.11", last: "3.15", default: "3.13"}
    oldest: {glibc: "2.28", macos: "14"}
    companions:
      torchvision: {version: 0.99.0}
      torchfuture:
        version: 1.4.2
        pypi: {linux-x86_64: cu132, linux-aarch64: cu132, windows-amd64: cpu, macos-arm64: cpu}
        indexes:
          cpu: {linux-x86_64: high, linux-aarch64: high, windows-amd64: high}
    triton:
      rocm: {name: triton-rocm, version: 9.9.0}
    pypi: {linux-x86_64: cu132, linux-aarch64: cu132, windows-amd64: cpu, macos-arm64: cpu}
    indexes:
      cpu: {linux-x86_64: high, linux-aarch64: high, windows-amd64: high}
      cu140: {linux-x86_64: high, linux-aarch64: high, windows-amd64: high}
      rocm8.0: {linux-x86_64: low}

"""
TAGS = {
    "linux-x86_64": "manylinux_2_28_x86_64",
    "linux-aarch64": "manylinux_2_28_aarch64",
    "windows-amd64": "win_amd64",
    "macos-arm64": "macosx_14_0_arm64",
}


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    folder = copy_template(tmp_path / "newer")
    table = folder / "extensions" / "releases.yml"
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace("releases:\n", f"releases:\n{BLOCK}", 1), encoding="utf-8")
    return folder


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """The wheels that the block speaks of, with what such wheels have required for years."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    (line,) = yaml.safe_load(BLOCK)
    packages = (("torch", "2.99.1"), ("torchvision", "0.99.0"), ("torchfuture", "1.4.2"))
    for package, version in packages:
        needs = "" if package == "torch" else "Requires-Dist: torch>=2.99\n"
        builds = [(p, f"+{b}") for b, cells in line["indexes"].items() for p in cells]
        for platform, local in [*builds, *((p, "") for p in TAGS)]:
            if package == "torchfuture" and local not in ("", "+cpu"):
                continue
            triton = ""
            if (package, local) == ("torch", "+rocm8.0"):
                triton = "Requires-Dist: triton-rocm==9.9.0; sys_platform == 'linux'\n"
            name = f"{package}-{version}{local}-{python}-{python}-{TAGS[platform]}.whl"
            real_wheel(folder, name, f"Requires-Python: >=3.11\n{needs}{triton}".rstrip("\n"))
    return folder


def test_its_block_is_enough_to_render_lock_and_install(copie, newer: Path, wheels: Path) -> None:
    result = copie.copy(
        extra_answers={
            "strategy": "groups",
            "torch_version": "2.99",
            "python_version": THIS_PYTHON,
            "backends": ["cpu", "cu140"],
            "packages": ["torchvision", "torchfuture"],
        },
        template_dir=newer,
    )
    assert result.exception is None
    project = Project(result.project_dir)
    every_file_parses_and_looks_hand_made(project)
    pyproject_fits_the_schemas(project)
    assert project.pyproject["dependency-groups"]["cu140"] == [
        "torch>=2.99,<2.100",
        "torchfuture>=1.4,<1.5",
        "torchvision>=0.99,<0.100",
    ]
    assert "CUDA 14.0" in project.text("docs/pytorch.md")
    with PyTorchIndex(wheelhouse=wheels) as served:
        project.redirect(served.url)
        project.environment = {
            "UV_DEFAULT_INDEX": served.pypi_url,
            "UV_CACHE_DIR": str(wheels.parent / "cache"),
        }
        project.lock()
        table = project.build_table
        assert table["uv sync"]["macOS arm64"] == "2.99.1"
        assert table["uv sync --no-group cpu --group cu140"]["Windows x86-64"] == "2.99.1+cu140"
        for command, cells in table.items():
            for platform, torch in cells.items():
                installed = project.would_install(command, platform)
                assert installed["torch"] == torch
                # A companion that no code names: its only builds are for the CPU.
                label = "" if platform == "macOS arm64" else "+cpu"
                assert installed["torchfuture"] == f"1.4.2{label}"
        assert check(project) == PASSES


def test_a_companion_of_the_block_is_known_everywhere(newer: Path, tmp_path: Path) -> None:
    """To the guard that its owner's hand went past, to adoption, and to an update without it."""
    answers = {"torch_version": "2.99", "strategy": "index", "backend": "cpu", "packages": []}
    project = copied(newer, tmp_path / "one", answers)
    guard = project.text("scripts/check_lock.py")
    assert '"torchfuture": "packages=[torchfuture]"' in guard
    assert "torchfuture" in project.text("docs/pytorch.md")
    other = tmp_path / "two"
    other.mkdir()
    text = '[project]\nname = "a"\nversion = "0"\ndependencies = ["torch", "torchfuture"]\n'
    (other / "pyproject.toml").write_text(text, "utf-8")
    adopted = copied(newer, other, {"torch_version": "2.99"})
    assert adopted.answers["packages"] == ["torchfuture"]
    assert "torchfuture>=1.4,<1.5" in adopted.text("pyproject.toml")
    recopied = copied(newer, other, {"packages": []}, overwrite=True)
    assert "torchfuture" not in recopied.text("pyproject.toml")


def test_it_is_the_new_default_and_the_old_lines_keep_their_caps(newer: Path) -> None:
    tables = load(newer / "extensions")
    assert tables.default_line() == "2.99"
    assert tables.cap(tables.lines["2.15"], "torchvision") == "0.30"


def test_what_it_lacks_is_refused_with_the_line_that_has_it(copie, newer: Path) -> None:
    """cu130 is not in the block, so it is retired there: nothing but the block says so."""
    answers = {"strategy": "index", "torch_version": "2.99", "backend": "cu130"}
    refused = copie.copy(extra_answers=answers, template_dir=newer).exception
    assert isinstance(refused, UserMessageError)
    assert "its last line is 2.15. Nearest: cu140 with torch 2.99" in str(refused)


def test_its_unobserved_index_is_not_verified(copie, newer: Path) -> None:
    answers = {"strategy": "index", "torch_version": "2.99", "backend": "rocm8.0"}
    project = Project(copie.copy(extra_answers=answers, template_dir=newer).project_dir)
    assert "rocm8.0 of torch 2.99 is not verified" in project.text("docs/pytorch.md")
    assert "triton-rocm>=9.9,<9.10" in project.text("pyproject.toml")


def test_each_line_that_is_newer_than_the_tests_renders_and_locks(copie, tmp_path: Path) -> None:
    """A refresh of the tables adds one; the indexes here learn its wheels from its block."""
    template = copy_template(tmp_path / "live")
    for name in ("releases.yml", "backends.yml"):
        shutil.copy(LIVE / name, template / "extensions")
    tables = load(template / "extensions")
    for name in sorted({*tables.lines} - {*LINES}):
        line = tables.lines[name]
        answers = {"strategy": "groups", "torch_version": name, "backends": line.backends()}
        every = [c.name for c in line.companions.values() if not c.absent]
        python = THIS_PYTHON if THIS_PYTHON in line.pythons else line.default_python
        answers |= {"python_version": python, "packages": every}
        result = copie.copy(extra_answers=answers, template_dir=template)
        if result.exception:
            raise result.exception
        project = Project(result.project_dir)
        every_file_parses_and_looks_hand_made(project)
        with PyTorchIndex() as served:
            project.redirect(served.url)
            cache = str(tmp_path / "cache")
            project.environment = {"UV_DEFAULT_INDEX": served.pypi_url, "UV_CACHE_DIR": cache}
            lock = project.lock()
        found = {package["version"] for package in lock["package"] if package["name"] == "torch"}
        assert {f"{line.torch}+{backend}" for backend in line.backends()} <= found
