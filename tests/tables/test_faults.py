"""Known faults of releases: which releases have them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from extensions.tables.faults import Fault, fault
from tests.support.cells import LINES, TABLES

RELEASES = st.builds("2.{}.{}".format, st.integers(0, 16), st.integers(0, 3))


@settings(max_examples=200)
@given(release=RELEASES, first=st.just("") | RELEASES, fixed=st.just("") | RELEASES)
def test_a_fault_lasts_from_its_first_release_to_the_one_that_mends_it(
    release: str, first: str, fixed: str
) -> None:
    found = Fault("CVE", "breaks", "S", first, fixed)
    bounds = [f">={first}"] * bool(first) + [f"<{fixed}"] * bool(fixed)
    assert found.affects(release) == SpecifierSet(",".join(bounds)).contains(release)
    # What a build adds to the version of its release says nothing.
    assert found.affects(f"{release}+cu130") == found.affects(f"{release}a0+b2c75.nv26.09")
    line = release.rpartition(".")[0]
    of_line = (f"{line}.{patch}" for patch in range(6))
    if not first or not fixed or Version(first) < Version(fixed):
        assert found.is_in(line) == any(map(found.affects, of_line))


def test_every_fault_is_told_once_with_its_source_and_ends_after_it_begins() -> None:
    names = [f.name for f in TABLES.faults]
    assert len(set(names)) == len(names)
    for found in TABLES.faults:
        assert found.source and found.what and not found.what.endswith(".")
        assert found.kinds <= {"cpu", "cuda", "rocm", "xpu"}
        assert not found.first or not found.fixed or Version(found.first) < Version(found.fixed)
        # What no line has is told to nobody.
        assert any(map(found.is_in, LINES)), found.name


def test_what_is_known_of_the_oldest_line_is_not_said_of_the_newest() -> None:
    def lasting(line: str) -> set[str]:
        return {f.name for f in TABLES.faults if f.affects(TABLES.lines[line].torch)}

    assert lasting("2.5") >= {"CVE-2025-32434", "CVE-2026-24747"}
    # One that a patch of the line mends is not for whoever takes the newest.
    assert lasting("2.9") == {"CVE-2026-24747"}
    assert any(f.name == "CVE-2025-2999" and f.is_in("2.9") for f in TABLES.faults)
    assert not lasting("2.14")


@pytest.mark.parametrize("entry", [{"name": "x", "what": "y"}, {"name": "x", "mended": "2.6.0"}])
def test_an_entry_that_is_none_does_not_load(entry: dict[str, str]) -> None:
    with pytest.raises(KeyError):
        fault(entry)
