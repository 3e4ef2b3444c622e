"""Which known faults of PyTorch a project has, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill

from ..tables.backends import AUTO, kind
from ..tables.faults import Fault, numbers
from ..tables.releases import Tables
from .plan import Plan
from .shown import WIDTH

ALL_KINDS = frozenset({"cpu", "cuda", "rocm", "xpu"})


def kinds(plan: Plan) -> frozenset[str]:
    """The kinds of builds that a project may get: all where it does not name them."""
    builds = [build.backend for choice in plan.choices for build in choice.builds]
    return ALL_KINDS if not builds or AUTO in builds else frozenset(map(kind, builds))


def lasting(tables: Tables, plan: Plan) -> tuple[Fault, ...]:
    """The faults that even the newest release of the project's line has."""
    newest = tables.lines[plan.line].torch
    return tuple(f for f in tables.faults if f.affects(newest) and f.of_kinds(kinds(plan)))


def of_releases(tables: Tables, plan: Plan) -> dict[str, Mapping[str, str]]:
    """The faults that some release has which the project may come to be installed with, as texts:
    name to `what` and to `first`, `fixed` and `kinds` where the table has them.

    A torch that is there already may be of any line.
    """
    return {
        fault.name: _texts(fault)
        for fault in tables.faults
        if (plan.strategy == "provided" or fault.is_in(plan.line)) and fault.of_kinds(kinds(plan))
    }


def _texts(fault: Fault) -> dict[str, str]:
    kinds = " ".join(sorted(fault.kinds))
    texts = {"what": fault.what, "first": fault.first, "fixed": fault.fixed, "kinds": kinds}
    return {key: text for key, text in texts.items() if text}


def faults_shown(tables: Tables, plan: Plan) -> str:
    """What to know of the project's line of PyTorch, as lines of text; empty for nothing.

    Faults that a patch release mends are not in it: a lock takes the newest one.
    """
    found = lasting(tables, plan)
    if not found:
        return ""
    line = tables.lines[plan.line]
    entries = [
        fill(f"- {fault.name}: {fault.what}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)
        for fault in found
    ]
    head = f"Known faults of torch {line.torch}, the newest release of its line:"
    return "\n".join([head, "", *entries, "", *_way_out(tables, plan)])


def _way_out(tables: Tables, plan: Plan) -> list[str]:
    """The oldest newer line that has none of the faults of these kinds of builds."""
    for name, line in reversed(tables.lines.items()):
        if numbers(name) > numbers(plan.line) and not any(
            fault.affects(line.torch) and fault.of_kinds(kinds(plan)) for fault in tables.faults
        ):
            return [f"The first line without any is {name}: --data torch_version={name}"]
    return ["No newer line is without any."]
