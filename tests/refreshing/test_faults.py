"""Pages that fail: nothing is written, or nothing false."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.pytorch_index import PyTorchIndex
from tests.pytorch_index.listing import as_recorded
from tests.refreshing.faults import FAULTS, ODD, Failing, asked, contents, status
from tests.refreshing.worlds import (
    ALL,
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

LINE = frozenset({"2.14"})
SOME = ["/whl/", "/whl/cu130/torch/", "/whl/cu132/torchaudio/", "/pypi/simple/torchvision/"]


@pytest.fixture(scope="module")
def failing() -> Iterator[Failing]:
    """One server for all: to make its pages takes longer than to read them."""
    with Failing(apart=True, listing=as_recorded()) as served:
        yield served


@pytest.fixture
def served(failing: Failing) -> Failing:
    return failing.fail({})


@pytest.fixture(scope="module")
def truth(few: Path, failing: Failing, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The blocks that the indexes as they are lead to."""
    folder = shutil.copytree(few, tmp_path_factory.mktemp("truth") / "tables")
    assert look(folder, failing.fail({}), write=True) == 0
    return blocks(folder)


@pytest.fixture(scope="module")
def every_page(few: Path, failing: Failing) -> list[str]:
    failing.requests.clear()
    look(few, failing.fail({}))
    return asked(failing)


@pytest.fixture(scope="module")
def some_pages(every_page: list[str]) -> list[str]:
    """A page of each kind."""
    wheel = next(p for p in every_page if p.startswith("/whl/rocm7.2/torch-2.14.1"))
    assert {*SOME, "/whl/cu134/torch/", "/pypi/simple/torch/"} <= {*every_page}
    return [*SOME, wheel]


@pytest.mark.parametrize("name", FAULTS)
def test_a_page_that_fails_ends_the_run(
    folder: Path, served: Failing, some_pages: list[str], name: str, capsys
) -> None:
    before = contents(folder)
    for page in some_pages:
        if page == "/whl/" and name in ("404", "a login", "another page"):
            continue  # A mirror need not list its indexes; what it lacks changes nothing.
        assert look(folder, served.fail({page: FAULTS[name]}), write=True, lines=LINE) == 2, page
        said = capsys.readouterr()
        assert "Nothing was written." in said.err and not said.out, page
        assert contents(folder) == before, page


@pytest.mark.parametrize("name", ODD)
def test_an_odd_page_is_read(
    folder: Path, served: Failing, some_pages: list[str], truth: dict[str, Any], name: str
) -> None:
    assert look(folder, served.fail(dict.fromkeys(some_pages, ODD[name])), write=True) == 0
    assert blocks(folder) == truth


def test_what_fails_once_is_asked_again(
    folder: Path, served: Failing, some_pages: list[str], truth: dict[str, Any]
) -> None:
    names = ["503", "hangs up", "cut off", "429", "cut off in pieces"]
    faults = {page: FAULTS[name] for page, name in zip(some_pages, names, strict=True)}
    assert look(folder, served.fail(faults, times=1), write=True, pauses=(0.01,)) == 0
    assert blocks(folder) == truth


def test_a_page_is_not_there_where_its_folder_says_the_same(
    folder: Path, served: Failing, capsys
) -> None:
    """A store that is out of order forbids as well."""
    served.fail({"/whl/cu130/torch/": status(403)})
    assert look(folder, served, write=True) == 2
    assert "/whl/cu130/ lists torch" in capsys.readouterr().err


def high(of: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {
        (line, backend, platform)
        for line, block in of.items()
        for backend, cells in block["indexes"].items()
        for platform, confidence in cells.items()
        if confidence == "high"
    }


def test_a_high_cell_stays_where_an_index_shows_nothing_of_a_release(folder: Path, capsys) -> None:
    """An index that is behind has not taken anything back; --check says that something is odd."""
    before = high(blocks(folder))
    stale = without(copy(), is_of("torch", "2.14.1", "cu130"))
    with PyTorchIndex(apart=True, listing=stale) as served:
        assert look(folder, served, write=True) == 0
        assert look(folder, served, check=True) == 1
    assert before <= high(blocks(folder))
    assert "CUDA 13.0: linux-x86_64" in capsys.readouterr().out.replace("cu130", "CUDA 13.0")


def test_a_cell_goes_where_the_release_is_there_without_it(folder: Path) -> None:
    listing = without(copy(), is_of("torch", "2.14.1", "cu130", "win_amd64"))
    with PyTorchIndex(apart=True, listing=listing) as served:
        assert look(folder, served, check=True) == 1
        assert look(folder, served, write=True) == 0
        assert look(folder, served, check=True) == 0
    cells = blocks(folder)["2.14"]["indexes"]["cu130"]
    assert cells == {"linux-x86_64": "high", "linux-aarch64": "high"}


def test_a_build_that_never_was_goes(folder: Path, served: Failing, truth: dict[str, Any]) -> None:
    file = folder / "releases.yml"
    head, block = file.read_text("utf-8").split('  - line: "2.14"')
    bogus = "\n      cu135: {linux-x86_64: high}\n      cu132: {"
    block = block.replace("\n      cu132: {", bogus, 1)
    file.write_text(f'{head}  - line: "2.14"{block}', "utf-8")
    assert "cu135" in blocks(folder)["2.14"]["indexes"]
    assert look(folder, served, check=True) == 1
    assert look(folder, served, write=True) == 0
    assert blocks(folder) == truth


@pytest.mark.parametrize(
    ("field", "wrong"),
    # In the block of 2.14, at its last place.
    [
        ("torch: 2.14.1", "torch: 2.14.0"),
        ("torchvision: {version: 0.29.1}", "torchvision: {version: 0.29.0}"),
        ("xpu: {name: triton-xpu, version: 3.8.0}", "xpu: {name: triton-xpu, version: 3.7.9}"),
        ('python: {first: "3.10", last: "3.14"', 'python: {first: "3.10", last: "3.13"'),
        ('oldest: {glibc: "2.28", macos: "14"}', 'oldest: {glibc: "2.17", macos: "14"}'),
        ("released: 2026-09-30", "released: 2026-09-29"),
        ("torchaudio: {version: 2.11.0, absent: [cu132]}", "torchaudio: {version: 2.11.0}"),
        ("pypi: {linux-x86_64: cu130, linux", "pypi: {linux-x86_64: cu132, linux"),
    ],
)
def test_a_statement_that_is_wrong_is_found_and_mended(
    folder: Path, served: Failing, truth: dict[str, Any], field: str, wrong: str
) -> None:
    file = folder / "releases.yml"
    text = file.read_text("utf-8")
    place = text.rindex(field, 0, text.index('  - line: "2.13"'))
    file.write_text(text[:place] + wrong + text[place + len(field) :], "utf-8")
    assert look(folder, served, check=True, lines=frozenset({"2.14"})) == 1
    assert look(folder, served, write=True) == 0
    assert blocks(folder) == truth


def test_yanked_files_and_candidates_do_not_count(folder: Path, truth: dict[str, Any]) -> None:
    every = {index: ALL for index in ("cpu", "cu130", "pypi")}
    listing = appears(
        as_recorded(),
        Release("torch", "2.16.0", every, at="2026-12-01T00:00:00Z"),
        Release("torch", "2.17.0rc1", every),
        Release("torch", "2.14.2.dev20261201", every),
    )
    listing = changed(listing, is_of("torch", "2.16.0"), yanked=True)
    with PyTorchIndex(apart=True, listing=listing) as served:
        assert look(folder, served, write=True) == 0
    assert blocks(folder) == truth


def test_hashes_are_not_needed(folder: Path, truth: dict[str, Any]) -> None:
    """Large files have none at first."""
    listing = changed(as_recorded(), lambda entry: entry.wheel.package == "torch", hashed=False)
    with PyTorchIndex(apart=True, listing=listing) as served:
        assert look(folder, served, write=True) == 0
    assert blocks(folder) == truth


@pytest.mark.parametrize("channel", ["test", "nightly"])
def test_channels_of_candidates_are_no_index(
    folder: Path, served: Failing, channel: str, capsys
) -> None:
    served.requests.clear()
    assert look(folder, served, index_url=f"{served.url}/{channel}") == 2
    assert not served.requests
    assert "candidates" in capsys.readouterr().err


def statements(of: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every cell of every block."""

    def walk(path: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from walk((*path, key), inner)
        else:
            yield path, value

    return walk((), of)


# In a row of its own: REFRESH_EXAMPLES=200.
@settings(
    max_examples=int(os.environ.get("REFRESH_EXAMPLES", "12")),
    deadline=None,
    derandomize="REFRESH_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_nothing_false_is_written_whatever_fails(
    data: st.DataObject,
    few: Path,
    failing: Failing,
    truth: dict[str, Any],
    every_page: list[str],
) -> None:
    """Each statement afterwards is one of before, or true; and no `high` cell is lost."""
    kinds = {**FAULTS, **ODD, "403": status(403)}
    drawn = st.dictionaries(
        st.sampled_from(every_page), st.sampled_from(sorted(kinds)), min_size=1, max_size=3
    )
    names = data.draw(drawn)
    # That the folder has it, or not, is what tells a page that is out of order.
    names = {p: "404" if n == "403" and p.count("/") < 4 else n for p, n in names.items()}
    gone = data.draw(st.sampled_from(["", "2.14", "2.15"]))
    with tempfile.TemporaryDirectory() as top:
        folder = shutil.copytree(few, Path(top) / "tables")
        if gone:
            drop(folder, gone)
        before, files = blocks(folder), contents(folder)
        failing.fail({page: kinds[name] for page, name in names.items()})
        code = look(folder, failing, write=True)
        after = blocks(folder)
        if code:
            assert contents(folder) == files
    event(f"exit {code}")
    was, true = dict(statements(before)), dict(statements(truth))
    # The order in a list of sources tells nothing of PyTorch.
    false = {
        path: value
        for path, value in statements(after)
        if path[1] not in ("sources", "seen") and value not in (was.get(path), true.get(path))
    }
    assert not false, names
    assert high(before) & high(truth) <= high(after), names
