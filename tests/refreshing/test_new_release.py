"""Releases that appear on the served indexes become blocks that render and lock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from extensions.tables.releases import load
from tests.conftest import THIS_PYTHON, copy_template
from tests.pytorch_index import PyTorchIndex
from tests.pytorch_index.listing import Listing, as_recorded, completed
from tests.pytorch_index.recorded import PYPI
from tests.refreshing.worlds import (
    ALL,
    LINUX,
    THREE,
    Release,
    appears,
    blocks,
    changed,
    copy,
    drop,
    is_of,
    look,
    without,
)
from tests.support.checks import every_file_parses_and_looks_hand_made
from tests.support.project import Project

TORCH = "torch==2.16.0"
ON_LINUX = "platform_system == 'Linux'"
TRITON = f"triton~=3.9.0; {ON_LINUX}"
CUDA = ["filelock", f"cuda-toolkit; {ON_LINUX}", TRITON]
# cu130 is dropped and cu134 is new; ROCm 8.0 has a triton of another name; cu132 has no build for
# Windows, and XPU none for it either.
NEW = Release(
    "torch",
    "2.16.0",
    {
        "cpu": ALL,
        "cu132": LINUX,
        "cu134": THREE,
        "rocm8.0": LINUX[:1],
        "xpu": LINUX[:1],
        PYPI: ALL,
    },
    {
        "": ["filelock"],
        "cu132": CUDA,
        "cu134": CUDA,
        "rocm8.0": ["filelock", f"triton-amd==3.10.0; {ON_LINUX} and platform_machine == 'x86_64'"],
        "xpu": ["filelock", f"triton-xpu==3.10.0; {ON_LINUX}"],
        PYPI: ["filelock", f"cuda-toolkit==13.2.*; {ON_LINUX}", TRITON],
    },
    at="2026-12-01T15:00:00Z",
)
TRITONS = (
    Release("triton-amd", "3.10.0", {"rocm8.0": LINUX[:1]}, local=False),
    Release("triton-xpu", "3.10.0", {"xpu": LINUX[:1]}, local=False),
)
EVERYWHERE = {index: NEW.builds[index] for index in NEW.builds}
# A week later, and before it the one of the line before is all that there is.
VISION = Release(
    "torchvision", "0.30.0", EVERYWHERE, {"": ["numpy", TORCH]}, at="2026-12-08T15:00:00Z"
)


@pytest.fixture(scope="module")
def first_day() -> Listing:
    return appears(as_recorded(), NEW, *TRITONS)


def test_a_new_line_is_a_block_at_the_top(folder: Path, first_day: Listing) -> None:
    with PyTorchIndex(listing=first_day) as served:
        assert look(folder, served, write=True) == 0
    block = next(iter(blocks(folder).values()))
    assert (block["line"], block["torch"], str(block["released"])) == (
        "2.16",
        "2.16.0",
        "2026-12-01",
    )
    assert block["python"] == {"first": "3.11", "last": "3.15", "default": "3.13"}
    assert block["indexes"] == {
        "cpu": dict.fromkeys(THREE, "high"),
        "cu132": dict.fromkeys(LINUX, "high"),
        "cu134": dict.fromkeys(THREE, "high"),
        "rocm8.0": {"linux-x86_64": "high"},
        "xpu": {"linux-x86_64": "high"},
    }
    assert block["triton"] == {
        "rocm": {"name": "triton-amd", "version": "3.10.0"},
        "xpu": {"name": "triton-xpu", "version": "3.10.0"},
    }
    assert block["pypi"] == {
        **dict.fromkeys(LINUX, "cu132"),
        **dict.fromkeys(("windows-amd64", "macos-arm64"), "cpu"),
    }
    # torchvision 0.29.2 goes with any torch from 2.14 on, where there is a build of it.
    assert block["companions"]["torchvision"] == {
        "version": "0.29.2",
        "first": "0.29.2",
        "absent": ["cu134", "rocm8.0"],
    }
    assert block["companions"]["torchaudio"]["version"] == "2.11.0"
    assert block["companions"]["torchaudio"]["absent"] == ["cu132", "cu134", "rocm8.0"]
    text = (folder / "backends.yml").read_text("utf-8")
    # No index shows architectures: a person looks at what was taken from the nearest build.
    assert '  # low: cu134 as cu132\n  cu134:\n    - since: "2.16"\n' in text
    assert "  # low: rocm8.0 as rocm7.2\n  rocm8.0: [gfx900," in text
    assert "cu134: only nightly builds exist" not in text


def test_a_companion_that_comes_later_is_taken_then(folder: Path, first_day: Listing) -> None:
    with PyTorchIndex(listing=first_day) as served:
        assert look(folder, served, write=True) == 0
    day_one = blocks(folder)
    with PyTorchIndex(listing=appears(first_day, VISION)) as served:
        assert look(folder, served, check=True) == 1
        assert look(folder, served, write=True) == 0
        assert look(folder, served, check=True) == 0
    week_later = blocks(folder)
    assert week_later["2.16"]["companions"]["torchvision"] == {"version": "0.30.0"}
    assert {**week_later, "2.16": 0} == {**day_one, "2.16": 0}


def test_without_a_companion_that_fits_a_line_has_none(folder: Path, first_day: Listing) -> None:
    """The torchvision before it says for which torch it is: no other."""
    head = "Metadata-Version: 2.1\nName: torchvision\nVersion: "
    listing = first_day
    for version, torch in (("0.29.1", "2.14.1"), ("0.29.2", "2.15.0")):
        text = f"{head}{version}\nRequires-Dist: torch=={torch}\n\n".encode()
        listing = changed(listing, is_of("torchvision", version), stated=text)
    with PyTorchIndex(listing=listing) as served:
        assert look(folder, served, write=True, lines=frozenset({"2.16"})) == 0
    assert "torchvision" not in blocks(folder)["2.16"]["companions"]


@pytest.mark.parametrize(
    ("strategy", "answers"),
    [
        ("groups", {"backends": ["cpu", "cu132", "cu134", "rocm8.0"], "packages": ["torchvision"]}),
        ("index", {"backend": "xpu"}),
    ],
)
def test_its_projects_lock(
    copie, tmp_path: Path, first_day: Listing, strategy: str, answers: dict[str, Any]
) -> None:
    """Against the indexes that were looked at, and against those that these tests make of a new
    block: so a pull request with one needs nothing else to pass."""
    template = copy_template(tmp_path / "template")
    listing = appears(first_day, VISION)
    with PyTorchIndex(listing=listing) as served:
        line = frozenset({"2.16"})
        assert look(template / "extensions", served, write=True, lines=line) == 0
    load.cache_clear()
    given = {"torch_version": "2.16", "python_version": THIS_PYTHON, "strategy": strategy}
    result = copie.copy(extra_answers=given | answers, template_dir=template)
    if result.exception:
        raise result.exception
    project = Project(result.project_dir)
    every_file_parses_and_looks_hand_made(project)
    pyproject = project.text("pyproject.toml")
    made = completed(as_recorded(), list(blocks(template / "extensions").values()))
    for number, world in enumerate((listing, made)):
        with PyTorchIndex(listing=world) as served:
            (project.path / "pyproject.toml").write_text(pyproject, "utf-8")
            (project.path / "uv.lock").unlink(missing_ok=True)
            project.redirect(served.url)
            project.environment = {
                "UV_DEFAULT_INDEX": served.pypi_url,
                "UV_CACHE_DIR": str(tmp_path / f"cache{number}"),
            }
            lock = project.lock()
            found = {p["version"] for p in lock["package"] if p["name"] == "torch"}
            for command, cells in project.build_table.items():
                for platform, torch in cells.items():
                    assert project.would_install(command, platform)["torch"] == torch
        wanted = answers.get("backends", ["cpu", "xpu"])
        assert found == {"2.16.0", *(f"2.16.0+{backend}" for backend in wanted)}


def test_2_15_as_announced(folder: Path) -> None:
    """On PyPI first, then on cu130 and cu132, with nothing for cu126 and ROCm."""
    text = (folder / "releases.yml").read_text("utf-8")

    def early(entry) -> bool:
        return entry.wheel.index != PYPI and entry.wheel.release in ("2.15.0", "0.29.2", "3.9.0")

    with PyTorchIndex(listing=without(copy(), early)) as served:
        assert look(folder, served, write=True, check=False, lines=frozenset({"2.15"})) == 0
        # What was expected of the indexes stays, as no index has the line.
        assert (folder / "releases.yml").read_text("utf-8") == text
        drop(folder, "2.15")
        assert look(folder, served, write=True) == 0
    assert "2.15" not in blocks(folder)
    with PyTorchIndex(listing=as_recorded()) as served:
        assert look(folder, served, write=True) == 0
    block = blocks(folder)["2.15"]
    assert list(block["indexes"]) == ["cpu", "cu130", "cu132", "xpu"]
    assert block["companions"]["torchaudio"]["absent"] == ["cu132"]
    load.cache_clear()
    assert load(folder).default_line() == "2.15"
