"""What a run says, asks for and ends with; mirrors; the command itself."""

from __future__ import annotations

import re
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT, copy_template
from tests.pytorch_index import PyTorchIndex
from tests.pytorch_index.listing import Entry, as_recorded
from tests.pytorch_index.recorded import PYPI
from tests.refreshing.worlds import blocks, changed, copy, drop, is_of, look, without
from tests.support import frozen
from tests.support.project import UV
from tests.support.wheels import real_wheel

SCRIPT = ROOT / "extensions" / "refresh.py"


def test_a_block_that_is_gone_comes_back_by_the_command(
    tmp_path: Path, pytorch: PyTorchIndex
) -> None:
    """As a person runs it, in a clone: with the libraries that the script itself names."""
    clone = copy_template(tmp_path / "clone")
    drop(clone / "extensions", "2.14")
    command = [UV, "run", "--quiet", "--script", str(clone / "extensions" / "refresh.py")]
    command += ["--write", "--index-url", pytorch.url, "--pypi-url", pytorch.pypi_url]
    done = subprocess.run(
        [*command, "--line", "2.14", "--no-cache"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "torch 2.14 is new: 2.14.1 with torchvision 0.29.1, torchaudio 2.11.0" in done.stdout
    assert re.search(r"Read \d+ pages", done.stdout)
    assert "Looking at" in done.stderr
    made = blocks(clone / "extensions")["2.14"]
    stated = blocks(frozen.tables())["2.14"]
    assert {k: made[k] for k in ("torch", "python", "oldest", "pypi", "triton")} == {
        k: stated[k] for k in ("torch", "python", "oldest", "pypi", "triton")
    }
    assert list(made["indexes"]) == list(stated["indexes"])


def test_the_script_names_its_libraries() -> None:
    """Those with which it is tested here; pyyaml is among the template's own."""
    (header,) = re.findall(r"(?m)^# /// script\n((?:#.*\n)+?)# ///$", SCRIPT.read_text("utf-8"))
    script = tomllib.loads(re.sub(r"(?m)^# ?", "", header))
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    here = [*pyproject["dependency-groups"]["dev"], *pyproject["project"]["dependencies"]]
    assert set(script["dependencies"]) <= set(here)
    assert script["requires-python"] == pyproject["project"]["requires-python"]


def test_requests_are_few_and_pages_known_before_are_not_sent(
    folder: Path, tmp_path: Path, capsys
) -> None:
    with PyTorchIndex(apart=True, listing=as_recorded()) as served:
        assert look(folder, served, cache=tmp_path / "cache") == 0
        first = [r.path for r in served.requests]
        assert len(first) == len({*first}) < 120
        served.requests.clear()
        assert look(folder, served, cache=tmp_path / "cache") == 0
        again = {r.status for r in served.requests if r.status not in (403, 404)}
    assert again == {304}
    said = re.findall(r"Read (\d+) pages, (\d+) unchanged", capsys.readouterr().out)
    assert said[0] == (str(len(first)), "0") and int(said[1][1]) > 0.8 * len(first)


def test_the_summary_says_the_cells_in_words(
    folder: Path, tmp_path: Path, pytorch: PyTorchIndex, capsys
) -> None:
    summary = tmp_path / "summary.md"
    assert look(folder, pytorch, write=True, summary=summary) == 0
    text = summary.read_text("utf-8")
    first = r"### Seen now\n\n- torch 2\.1\d, .* on Linux \S+: high, was (low|medium)\n"
    assert re.search(first, text)
    assert "\n\nRead " in text and text.endswith("differ.\n")
    assert look(folder, pytorch, check=True, summary=summary) == 0
    assert re.search(r"Read \d+ pages, .*: nothing differs\.\n$", summary.read_text("utf-8"))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ({"2.99"}, "there is no torch 2.99. Nearest: 2.15."),
        ({"2.14.1"}, "--line 2.14.1 is no release line. Nearest: 2.15."),
    ],
)
def test_a_line_that_is_none_is_refused(
    folder: Path, pytorch: PyTorchIndex, lines: set[str], said: str, capsys
) -> None:
    assert look(folder, pytorch, lines=frozenset(lines)) == 2
    assert said in capsys.readouterr().err


def test_who_cannot_look_says_so_without_the_password(folder: Path, capsys) -> None:
    with PyTorchIndex(auth=("reader", "secret"), listing=as_recorded()) as served:
        given = served.url.replace("://", "://reader:wrong@")
        assert look(folder, served, index_url=given, check=True) == 2
        gone = "http://127.0.0.1:9/whl"
        assert look(folder, served, index_url=gone, check=True) == 2
    said = capsys.readouterr().err
    assert "401 Unauthorized" in said and "wrong@" not in said
    last = said.splitlines()[-1]
    assert last.startswith("refresh.py: http://127.0.0.1:9/whl/: ") and "Pool" not in last
    assert last.endswith(". Nothing was written.")


def test_pypi_alone_is_enough_for_what_it_shows(folder: Path, pytorch: PyTorchIndex) -> None:
    file = folder / "releases.yml"
    before = file.read_text("utf-8")
    url = {"index_url": None, "pypi_only": True}
    assert look(folder, pytorch, write=True, check=True, **url) == 0
    assert file.read_text("utf-8") == before
    file.write_text(
        before.replace("linux-x86_64: cu132, linux-aarch64: cu132", "linux-x86_64: cu130")
    )
    assert look(folder, pytorch, check=True, **url) == 1
    assert look(folder, pytorch, write=True, **url) == 0
    wanted, made = blocks_of(before), blocks(folder)
    assert made["2.15"]["pypi"] == wanted["2.15"]["pypi"]
    assert made["2.15"]["indexes"] == wanted["2.15"]["indexes"]


def blocks_of(text: str) -> dict[str, Any]:
    return {block["line"]: block for block in yaml.safe_load(text)["releases"]}


# Mirrors


def mirror(served: PyTorchIndex) -> str:
    """As Nexus has it: an index for each backend, and 403 or 404 for what it lacks."""
    return f"{served.base}/repository/pytorch-{{backend}}/simple"


def test_what_a_mirror_lacks_is_said_and_changes_nothing(folder: Path, capsys) -> None:
    before = (folder / "releases.yml").read_text("utf-8")
    partial = without(copy(), lambda e: e.wheel.index in ("cu130", "xpu"))
    partial = without(partial, is_of("torch", "2.14.1", "cu132", "aarch64"))
    with PyTorchIndex(listing=partial) as served:
        assert look(folder, served, index_url=mirror(served), check=True) == 1
        said = capsys.readouterr().out
        assert look(folder, served, index_url=mirror(served), write=True) == 0
    assert "torch 2.14.1+cu130 for Linux x86-64, Linux aarch64, Windows x86-64\n" in said
    assert "torch 2.14.1+cu132 for Linux aarch64\n" in said
    assert "torch 2.14.1+cu126" not in said
    was, now = blocks_of(before), blocks(folder)
    for line, block in was.items():
        assert {b: list(on) for b, on in now[line]["indexes"].items()} == {
            b: list(on) for b, on in block["indexes"].items()
        }
        assert now[line]["indexes"].get("cu130") == block["indexes"].get("cu130")
        for name, companion in block["companions"].items():
            assert now[line]["companions"][name].get("absent") == companion.get("absent")


def test_pythons_that_a_mirror_lacks_change_nothing(folder: Path, capsys) -> None:
    partial = without(
        copy(),
        lambda e: (
            e.wheel.index not in (PYPI, "cu126")
            and e.wheel.package in ("torch", "torchvision")
            and e.wheel.python_tag != "cp312"
        ),
    )
    before = blocks(folder)
    with PyTorchIndex(listing=partial) as served:
        assert look(folder, served, index_url=mirror(served), write=True) == 0
    assert "Contradicted" not in capsys.readouterr().out
    now = blocks(folder)
    for line, block in before.items():
        assert now[line]["python"] == block["python"]
        assert [*now[line]["indexes"]] == [*block["indexes"]]
        for name, companion in block["companions"].items():
            assert now[line]["companions"][name].get("last_python") == companion.get("last_python")


def test_the_mirror_of_a_policy_is_read_for_what_the_policy_allows(folder: Path, capsys) -> None:
    partial = without(copy(), lambda e: e.wheel.index not in ("cpu", "cu130", PYPI))
    with PyTorchIndex(listing=partial) as served:
        (folder / "policy.yml").write_text(
            f'index_url:\n  allow: ["{mirror(served)}"]\n'
            f'pypi_url:\n  allow: ["{served.pypi_url}"]\n'
            'backends:\n  allow: [cpu, cu130]\ntorch_version:\n  allow: ["2.14"]\n',
            "utf-8",
        )
        none = {"index_url": None, "pypi_url": None}
        assert look(folder, served, check=True, **none) == 0
        said = capsys.readouterr().out
        (folder / "policy.yml").write_text(
            (folder / "policy.yml").read_text("utf-8").replace("cu130]", "cu130, cu132]"), "utf-8"
        )
        assert look(folder, served, check=True, **none) == 1
    assert "and lacks:\n  none" in said
    assert "torch 2.14.1+cu132 for Linux x86-64" in capsys.readouterr().out


# Metadata


def test_metadata_is_read_out_of_a_wheel_where_the_index_has_none(
    folder: Path, tmp_path: Path
) -> None:
    """Of which some bytes are enough: a mirror of PyPI may not know PEP 658."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()

    def bare(entry: Entry) -> Entry:
        if entry.wheel.index != PYPI or not is_of("torch", "2.15.0")(entry):
            return entry
        needs = "Requires-Dist: cuda-toolkit[nvrtc]==13.0.2; platform_system == 'Linux'"
        file = real_wheel(wheels, entry.wheel.filename, needs)
        return replace(entry, file=file, described=False)

    listing = copy()
    listing[PYPI]["torch"] = [bare(entry) for entry in listing[PYPI]["torch"]]
    with PyTorchIndex(listing=listing) as served:
        assert look(folder, served, write=True, lines=frozenset({"2.15"})) == 0
        parts = [r for r in served.requests if r.status == 206]
    assert parts and blocks(folder)["2.15"]["pypi"]["linux-x86_64"] == "cu130"


def test_metadata_that_is_another_file_s_ends_the_run(folder: Path, capsys) -> None:
    other = b"Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0\n\n"
    listing = changed(as_recorded(), is_of("torch", "2.15.0", PYPI), stated=other)
    with PyTorchIndex(listing=listing) as served:
        assert look(folder, served, write=True) == 2
    assert "its metadata is that of another file" in capsys.readouterr().err
