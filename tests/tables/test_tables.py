"""The tables hold together, and what is derived from them is right."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import extensions
from extensions.tables.backends import kind
from extensions.tables.platforms import LINUX, MACOS, PLATFORMS, WINDOWS
from extensions.tables.releases import UNVERIFIED, load, minor, next_minor
from tests.support.cells import LINES, TABLES
from tests.support.frozen import tables

FOLDER = Path(extensions.__file__).parent
BLOCKS = yaml.safe_load((FOLDER / "releases.yml").read_text(encoding="utf-8"))["releases"]
# The tables as they are, with what is newer than these tests; TABLES is without it.
LIVE = load(FOLDER)
CUDA = [(n, b) for n, line in LIVE.lines.items() for b in line.backends("cuda")]
ROCM = sorted(backend for backend in LIVE.backends() if kind(backend) == "rocm")
TEXT = (tables() / "releases.yml").read_text(encoding="utf-8")

each_line = pytest.mark.parametrize("line", LIVE.lines.values(), ids=list(LIVE.lines))


def test_every_block_is_loaded_newest_first():
    lines = [block["line"] for block in BLOCKS]
    assert lines == list(LIVE.lines) == sorted(lines, key=minor, reverse=True)
    assert {f"2.{number}" for number in range(5, 16)} <= set(lines)


@each_line
def test_a_line_has_sane_versions(line):
    assert line.torch.startswith(f"{line.name}.")
    assert minor(line.first_python) <= minor(line.default_python) <= minor(line.last_python)
    assert line.pythons[0] == line.first_python and line.pythons[-1] == line.last_python
    assert line.default_python in line.pythons
    assert len(line.pythons) == int(line.last_python[2:]) - int(line.first_python[2:]) + 1
    assert minor(line.oldest_glibc) <= (2, 28) and minor(line.oldest_macos) >= (11,)


@each_line
def test_a_line_has_companions(line):
    # One that has not come out for a new line is not there yet.
    known = {"torchvision", "torchaudio", "torchcodec"}
    assert set(line.companions) <= known and (
        line.name not in LINES or set(line.companions) == known
    )
    for companion in line.companions.values():
        assert companion.absent <= set(line.indexes)
        assert companion.last_python in (None, *line.pythons)
        assert minor(companion.first) <= minor(companion.version)
        for backend, cells in (companion.indexes or {}).items():
            assert set(cells) <= set(line.indexes[backend]), backend
            assert set(cells.values()) <= {"high", "medium", "low", "guess"}


@each_line
def test_a_companion_is_never_of_another_accelerator(line):
    """Beside each build of torch stands its own or the CPU's, from an index that has it."""
    for companion in line.companions.values():
        for backend, cells in line.indexes.items():
            for platform in cells:
                found = companion.beside(backend, platform)
                assert found in (backend, "cpu", None)
                assert (
                    companion.indexes is None
                    or found is None
                    or platform in companion.indexes[found]
                )
        for platform, build in line.pypi.items():
            found = companion.on_pypi(build, platform)
            assert found is None or found == "cpu" or kind(found) == kind(build)


@pytest.mark.parametrize("package", ["torchvision", "torchaudio", "torchcodec"])
def test_a_newer_line_has_no_older_companion(package):
    found = (line.companions.get(package) for line in LIVE.lines.values())
    versions = [minor(companion.version) for companion in found if companion]
    assert versions == sorted(versions, reverse=True)


@each_line
def test_a_line_has_a_cpu_index_everywhere_but_on_macos(line):
    assert set(line.indexes["cpu"]) == {*LINUX, WINDOWS}


@each_line
def test_a_line_s_indexes_name_known_platforms_and_confidences(line):
    for backend, cells in line.indexes.items():
        assert kind(backend), backend
        assert cells and set(cells) <= set(PLATFORMS) - {MACOS}, backend
        assert set(cells.values()) <= {"high", "medium", "low", "guess"}, backend
        assert all(isinstance(platform, str) for platform in cells)


@each_line
def test_a_line_says_what_pypi_has(line):
    assert set(line.pypi) == set(PLATFORMS)
    assert line.pypi[MACOS] == line.pypi[WINDOWS] == "cpu"
    assert set(line.pypi.values()) <= set(line.indexes)


@each_line
def test_a_line_names_the_triton_of_each_accelerator_that_needs_one(line):
    kinds = {kind(backend) for backend in line.indexes}
    assert set(line.triton) == kinds & {"rocm", "xpu"}
    for of_kind, triton in line.triton.items():
        # It has been renamed before, and may be again.
        known = triton.name.endswith(f"triton-{of_kind}")
        assert known or (line.name not in LINES and "triton" in triton.name)
        assert triton.platforms is None or triton.platforms < set(PLATFORMS)


@each_line
def test_a_line_s_bare_wheels_are_packages_of_the_family(line):
    assert set(line.no_local) <= set(PLATFORMS)
    assert all(names <= {"torch", *line.companions} for names in line.no_local.values())


def test_every_source_that_is_cited_is_explained():
    text = (FOLDER / "releases.yml").read_text(encoding="utf-8")
    header = text.split("releases:\n", 1)[0]
    explained = set(re.findall(r"^#\s+(S\d+)\s+\S", header, re.MULTILINE))
    for block in BLOCKS:
        assert block["sources"], block["line"]
        assert set(block["sources"]) <= explained, block["line"]


@pytest.mark.parametrize(("line", "backend"), CUDA)
def test_a_cuda_backend_has_driver_floors_and_architectures(line, backend):
    linux, windows = (LIVE.driver_floor(backend, system) for system in ("linux", "windows"))
    assert linux and windows and minor(linux) > (450,) and minor(windows) > (450,)
    codes = LIVE.architectures(backend, line)
    assert codes and all(re.fullmatch(r"sm_\d{2,3}", code) for code in codes)


@pytest.mark.parametrize("backend", ROCM)
def test_a_rocm_backend_has_architectures(backend):
    codes = LIVE.architectures(backend, "2.14")
    assert codes and all(re.fullmatch(r"gfx[0-9a-f]{3,4}", code) for code in codes)
    assert TABLES.driver_floor(backend, "linux") is None


def test_architectures_are_listed_from_the_first_line_of_their_backend_on():
    for backend, blocks in LIVE.cuda_architectures.items():
        since = [minor(block["since"]) for block in blocks]
        assert since == sorted(set(since)), backend
        assert since[0] <= minor(LIVE.lines_with(backend)[-1]), backend


@pytest.mark.parametrize(
    ("backend", "line", "volta"),
    [
        *(("cu126", line, True) for line in ("2.6", "2.10", "2.14")),
        *(("cu128", line, True) for line in ("2.8", "2.9", "2.10")),
        *(("cu128", line, False) for line in ("2.7", "2.11")),
        *(("cu129", line, True) for line in ("2.8", "2.10")),
        *(("cu129", line, False) for line in ("2.11", "2.13")),
        ("cu130", "2.14", False),
    ],
)
def test_volta_is_built_where_pytorch_built_it(backend, line, volta):
    assert ("sm_70" in TABLES.architectures(backend, line)) == volta


def test_architectures_differ_by_machine_and_are_empty_where_no_source_says():
    assert "sm_110" in TABLES.architectures("cu130", "2.14", "aarch64")
    assert "sm_110" not in TABLES.architectures("cu130", "2.14", "x86_64")
    assert TABLES.architectures("cu128", "2.7", "aarch64") == []
    assert TABLES.architectures("cu128", "2.6") == []
    assert TABLES.architectures("cpu", "2.14") == TABLES.architectures("xpu", "2.14") == []


@pytest.mark.parametrize(
    ("backend", "system", "floor"),
    [
        ("cu118", "linux", "450.80.02"),
        ("cu126", "windows", "528.33"),
        ("cu128", "linux", "525.60.13"),
        ("cu132", "linux", "580.65.06"),
        ("cu130", "windows", "580"),
        ("cu130", "darwin", None),
        ("cpu", "linux", None),
        ("xpu", "linux", None),
    ],
)
def test_the_driver_floor_is_that_of_the_cuda_major_version(backend, system, floor):
    assert TABLES.driver_floor(backend, system) == floor


@pytest.mark.parametrize(
    ("line", "package", "cap"),
    [
        ("2.14", "torch", "2.15"),
        ("2.15", "torch", "2.16"),
        ("2.9", "torch", "2.10"),
        ("2.14", "torchvision", "0.29.2"),
        ("2.15", "torchvision", "0.30"),
        ("2.9", "torchvision", "0.25"),
        ("2.15", "torchaudio", "2.12"),
        ("2.11", "torchaudio", "2.12"),
        ("2.9", "torchaudio", "2.10"),
        ("2.10", "torchaudio", "2.11"),
    ],
)
def test_a_cap_keeps_a_package_on_its_line(line, package, cap):
    assert TABLES.cap(TABLES.lines[line], package) == cap


@each_line
def test_a_cap_excludes_every_release_of_another_line(line):
    for package, companion in line.companions.items():
        cap = minor(LIVE.cap(line, package))
        assert minor(companion.version) < cap
        for other in LIVE.lines.values():
            if package not in other.companions:
                continue
            later = minor(other.companions[package].version)
            assert later >= cap or later <= minor(companion.version), (other.name, package)


def test_versions_are_numbers():
    assert minor("2.9") < minor("2.10") < minor("2.10.1")
    assert [next_minor(v) for v in ("0.29.1", "3.14", "2.9.1")] == ["0.30", "3.15", "2.10"]


def test_the_default_line_is_the_newest_that_was_observed():
    assert TABLES.default_line() == "2.14"
    assert not any(TABLES.lines["2.15"].verified(b) for b in TABLES.lines["2.15"].indexes)


def test_an_index_is_verified_on_a_platform_or_on_any():
    line = TABLES.lines["2.14"]
    assert line.indexes["cu132"]["linux-aarch64"] in UNVERIFIED
    assert line.verified("cu132") and line.verified("cu132", "linux-x86_64")
    assert not line.verified("cu132", "linux-aarch64")
    assert not line.verified("xpu")


def test_backends_are_in_the_order_cpu_cuda_rocm_xpu_and_oldest_first():
    assert TABLES.lines["2.6"].backends() == [
        *("cpu", "cu118", "cu124", "cu126", "rocm6.1", "rocm6.2.4", "xpu")
    ]
    assert TABLES.lines["2.11"].backends("cuda") == ["cu126", "cu128", "cu129", "cu130"]
    assert TABLES.lines["2.5"].backends("rocm") == ["rocm6.1", "rocm6.2"]
    assert TABLES.lines["2.5"].backends("xpu") == []


def test_backends_are_ordered_by_number():
    cells = {"linux-x86_64": "guess"}
    names = ["xpu", "rocm10.0", "rocm7.14", "rocm7.2", "cu118", "cu92", "cpu"]
    line = replace(TABLES.lines["2.14"], indexes=dict.fromkeys(names, cells))
    assert line.backends() == ["cpu", "cu92", "cu118", "rocm7.2", "rocm7.14", "rocm10.0", "xpu"]


def test_a_backend_s_lines_are_newest_first():
    assert TABLES.lines_with("cu128") == ["2.11", "2.10", "2.9", "2.8", "2.7"]
    assert TABLES.lines_with("cu999") == []
    assert TABLES.lines_with("cpu") == LINES


def test_what_is_not_offered_has_a_reason_and_is_offered_nowhere():
    assert not set(LIVE.not_offered) & LIVE.backends()
    assert all(kind(backend) and reason for backend, reason in LIVE.not_offered.items())


def test_a_new_line_is_one_more_block(tmp_path):
    content = yaml.safe_load(TEXT)
    newest = content["releases"][0]
    vision = newest["companions"]["torchvision"] | {"version": "9.9.0", "first": "9.9.0"}
    companions = newest["companions"] | {"torchvision": vision}
    block = newest | {"line": "9.0", "torch": "9.0.0", "companions": companions}
    content["releases"].insert(0, block)
    (tmp_path / "releases.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    (tmp_path / "backends.yml").write_bytes((FOLDER / "backends.yml").read_bytes())
    found = load(tmp_path)
    assert list(found.lines) == ["9.0", *LINES]
    assert found.lines["9.0"].torch == "9.0.0" and found.default_line() == "2.14"


@pytest.mark.parametrize("broken", ["releases: [{line: '2.14'}]", "other: 1"])
def test_a_broken_table_does_not_load(tmp_path, broken):
    (tmp_path / "releases.yml").write_text(broken)
    (tmp_path / "backends.yml").write_bytes((FOLDER / "backends.yml").read_bytes())
    with pytest.raises(KeyError):
        load(tmp_path)
