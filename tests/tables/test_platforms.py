"""Markers name exactly the platforms that an index covers and a project claims."""

from __future__ import annotations

from itertools import chain, combinations

import pytest
from packaging.markers import Marker

from extensions.tables.platforms import LINUX, MACOS, PLATFORMS, WINDOWS, marker

SUBSETS = list(chain.from_iterable(combinations(PLATFORMS, n) for n in range(len(PLATFORMS) + 1)))
X86, AARCH64 = LINUX
SERVED = [*LINUX, WINDOWS]
ON_X86 = "sys_platform == 'linux' and platform_machine == 'x86_64'"
ON_AARCH64 = "sys_platform == 'linux' and platform_machine == 'aarch64'"


def true_on(text: str, name: str) -> bool:
    platform = PLATFORMS[name]
    environment = {"sys_platform": platform.sys_platform, "platform_machine": platform.machine}
    return Marker(text).evaluate(environment)


@pytest.mark.parametrize("covered", SUBSETS, ids=",".join)
def test_a_marker_is_true_exactly_where_an_index_is_covered_and_claimed(covered):
    for claimed in SUBSETS:
        text = marker(covered, claimed)
        assert bool(text) == bool(set(covered) & set(claimed)), claimed
        for name in PLATFORMS if text else ():
            # Nobody asks on an unclaimed platform, but it may be claimed later.
            if name in claimed or name not in covered:
                assert true_on(text, name) == (name in covered), (claimed, text, name)


@pytest.mark.parametrize(
    ("covered", "claimed", "shortest"),
    [
        (SERVED, PLATFORMS, "sys_platform != 'darwin'"),
        (SERVED, SERVED, "sys_platform != 'darwin'"),
        (SERVED, [X86, WINDOWS], "sys_platform != 'darwin'"),
        (SERVED, [AARCH64], "sys_platform == 'linux'"),
        (SERVED, [X86, MACOS], "sys_platform == 'linux'"),
        (SERVED, [WINDOWS], "sys_platform == 'win32'"),
        (LINUX, PLATFORMS, "sys_platform == 'linux'"),
        (LINUX, [X86], "sys_platform == 'linux'"),
        ([X86], PLATFORMS, ON_X86),
        ([X86], [X86], ON_X86),
        ([AARCH64], PLATFORMS, ON_AARCH64),
        ([X86, WINDOWS], PLATFORMS, f"({ON_X86}) or sys_platform == 'win32'"),
        ([AARCH64, WINDOWS], PLATFORMS, f"({ON_AARCH64}) or sys_platform == 'win32'"),
        ([X86, WINDOWS], [WINDOWS], "sys_platform == 'win32'"),
        ([WINDOWS], PLATFORMS, "sys_platform == 'win32'"),
        ([MACOS], PLATFORMS, "sys_platform == 'darwin'"),
        ([MACOS], SERVED, ""),
        ([], PLATFORMS, ""),
        (PLATFORMS, [], ""),
    ],
)
def test_a_marker_has_its_shortest_form(covered, claimed, shortest):
    assert marker(covered, claimed) == shortest


def test_a_marker_does_not_depend_on_the_order_of_its_platforms():
    for covered in SUBSETS:
        for claimed in SUBSETS:
            assert marker(covered[::-1], claimed[::-1]) == marker(covered, claimed)


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_platform_s_own_marker_is_true_there_alone(name):
    assert [p for p in PLATFORMS if true_on(PLATFORMS[name].marker, p)] == [name]
