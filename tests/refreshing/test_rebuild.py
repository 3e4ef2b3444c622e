"""From the indexes as they were recorded, refresh.py makes the tables that stand here."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from extensions.refreshing.fetch import Web
from extensions.refreshing.observe import Observed, Scope, observe
from extensions.refreshing.propose import propose
from extensions.tables.releases import UNVERIFIED, load
from tests.pytorch_index import PyTorchIndex
from tests.pytorch_index.recorded import platform_of, wheels
from tests.refreshing.worlds import TODAY, blocks, drop, look, tables
from tests.support import frozen
from tests.support.cells import LINES, TABLES

RECORDED = [line for line in LINES if line != "2.15"]  # nobody saw the indexes of 2.15
SEEN = {"lock", "url", "manual", "nix"}
# What no index shows, and a person says: where the sources are, and the default Python.
PERSONS = {"sources", "seen", "default"}


def bare(value: Any) -> Any:
    """A block without its confidences and what a person says of it."""
    if isinstance(value, dict):
        return {key: bare(found) for key, found in value.items() if key not in PERSONS}
    return "there" if value in ("high", "medium", *UNVERIFIED) else value


@pytest.fixture(scope="module")
def rebuilt(pytorch: PyTorchIndex, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The tables after a run over all lines."""
    folder = tables(tmp_path_factory.mktemp("rebuilt"))
    assert look(folder, pytorch, write=True) == 0
    yield folder


@pytest.mark.parametrize("line", RECORDED)
def test_a_line_is_as_the_indexes_show_it(rebuilt: Path, line: str) -> None:
    """The platforms of every build, Pythons, systems, companions, tritons and PyPI's builds."""
    assert bare(blocks(rebuilt)[line]) == bare(blocks(frozen.tables())[line])


def test_what_was_seen_is_high_in_the_table() -> None:
    """A wheel in a public lock is there: the table says no less of its cell."""
    seen = {
        (w.package, w.release, w.index, platform_of(w.platform_tag))
        for w in wheels()
        if w.evidence in SEEN
    }
    less = [
        (line.name, name, backend, platform)
        for line in TABLES.lines.values()
        for name, release, indexes in (
            ("torch", line.torch, line.indexes),
            *((c.name, c.version, c.indexes or {}) for c in line.companions.values()),
        )
        for backend, cells in indexes.items()
        for platform, confidence in cells.items()
        if confidence != "high" and (name, release, backend, platform) in seen
    ]
    assert not less


def test_all_that_is_seen_becomes_high(rebuilt: Path) -> None:
    for line, block in blocks(rebuilt).items():
        cells = {c for on in block["indexes"].values() for c in on.values()}
        assert cells == {"high"}, line
    load.cache_clear()
    assert load(rebuilt).default_line() == "2.15"


def test_a_second_run_changes_nothing(rebuilt: Path, pytorch: PyTorchIndex) -> None:
    before = (rebuilt / "releases.yml").read_bytes()
    assert look(rebuilt, pytorch, write=True, check=True) == 0
    assert (rebuilt / "releases.yml").read_bytes() == before


def theirs_apart(block: dict[str, Any]) -> Any:
    """A block without torchcodec, which does not say for which torch it is."""
    found = bare(block)
    found["companions"].pop("torchcodec")
    return found


@pytest.fixture(scope="module")
def seen(rebuilt: Path, pytorch: PyTorchIndex) -> Observed:
    load.cache_clear()
    scope = Scope(load(rebuilt), None, pytorch.url, pytorch.pypi_url)
    return observe(Web(), scope, lambda text: None)


@pytest.mark.parametrize("line", LINES)
def test_a_line_that_is_gone_is_proposed_again(rebuilt: Path, seen: Observed, line: str) -> None:
    """Equal to the one that a person wrote, but for what is a person's."""
    whole = blocks(rebuilt)
    others = {name: block for name, block in whole.items() if name != line}
    made = propose(line, others, seen, TABLES.not_offered)
    assert made and theirs_apart(made.block) == theirs_apart(whole[line])


@pytest.mark.parametrize("line", ["2.15", "2.14", "2.5"])
def test_a_block_that_is_gone_comes_back_where_it_was(
    tmp_path: Path, rebuilt: Path, pytorch: PyTorchIndex, line: str
) -> None:
    folder = tmp_path / "tables"
    shutil.copytree(rebuilt, folder)
    whole = blocks(folder)
    text = drop(folder, line)
    assert line not in blocks(folder)
    assert look(folder, pytorch, write=True, lines=frozenset({line})) == 0
    again = blocks(folder)
    assert list(again) == list(whole)
    assert theirs_apart(again[line]) == theirs_apart(whole[line])
    assert again[line]["seen"] == TODAY
    assert {**again, line: 0} == {**whole, line: 0}
    # In the form of the others: what differs are the sources, and remarks for a person.
    marked = {"sources:", "python:", "torchcodec:", "default"}
    new = (folder / "releases.yml").read_text("utf-8").splitlines()
    odd = [row for row in new if row not in (rebuilt / "releases.yml").read_text("utf-8")]
    assert all(any(word in row for word in marked) for row in odd), odd
    assert len(text.splitlines()) - 2 <= len(drop(folder, line).splitlines())


def test_what_a_person_wrote_beside_a_cell_stays(tmp_path: Path, pytorch: PyTorchIndex) -> None:
    """But for a remark on a line that says something else now."""
    folder = tables(tmp_path)
    file = folder / "releases.yml"
    text = file.read_text("utf-8")
    head, mark, body = text.partition('  - line: "2.15"')
    told = {
        r"(?m)^    indexes:$": "    # Of this line\n    indexes:",
        r"(?m)^      cu130: \{": "      # Of CUDA\n      cu130: {",
        r"(?m)^    torch: 2.15.0$": "    torch: 2.15.0  # of the release",
    }
    for at, instead in told.items():
        body = re.sub(at, instead, body, count=1)
    text = head + mark + body
    file.write_text(text, "utf-8")
    assert look(folder, pytorch, write=True) == 0
    after = file.read_text("utf-8")
    for remark in ("\n    # Of this line\n    indexes:\n", "\n      # Of CUDA\n      cu130: {l"):
        assert remark in after
    assert "    torch: 2.15.0  # of the release\n" in after
    # Its version is known now.
    assert "version not known" in text and "version not known" not in after
    assert [x for x in after.splitlines() if x.startswith("#")] == [
        x for x in text.splitlines() if x.startswith("#")
    ]
