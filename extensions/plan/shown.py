"""What is shown at the end of a render: the builds, and the commands to begin with."""

from __future__ import annotations

from collections.abc import Sequence

from .automation import Automation, setup
from .plan import Choice, Plan

# Columns of a narrow terminal, less an indent.
WIDTH = 76
# Not joined by `&&`, which the PowerShell that comes with Windows does not know.
FIRST_COMMIT = ("git init", "git add --all", 'git commit --message "Start"')


def builds_shown(plan: Plan) -> str:
    """The table platform × choice → build, as lines of text.

    Where the choices do not fit beside each other, they stand below each other.
    """
    rows = [
        ("", *(choice.name or "torch" for choice in plan.choices)),
        *((plan.platform_label(p), *(_cell(c, p) for c in plan.choices)) for p in plan.platforms),
    ]
    table = _aligned(rows)
    if max(map(len, table)) > WIDTH:
        table = _aligned(list(zip(*rows, strict=True)))
    return "\n".join(table)


def builds_moved(before: Plan, after: Plan) -> str:
    """Which choice has other builds than before, old → new, as lines of text; empty for none."""
    old, new = _cells(before), _cells(after)
    found: dict[tuple[str, str, str], list[str]] = {}
    for name, platform in {**old, **new}:
        one, other = old.get((name, platform), "-"), new.get((name, platform), "-")
        if one != other and platform in after.platforms:
            label = after.platform_label(platform)
            found.setdefault((name or "torch", one, other), []).append(label)
    rows = [(name, f"{one} → {other}", ", ".join(on)) for (name, one, other), on in found.items()]
    table = _aligned(rows) if rows else []
    if max(map(len, table), default=0) > WIDTH:
        table = _aligned([line for row in rows for line in _platform_by_platform(row)])
    return "\n".join(table)


def first_commands(
    plan: Plan, automation: Automation, folder: str, versioned: bool, here: Sequence[str] = ()
) -> tuple[str, ...]:
    """From the folder in which the project was rendered to a passed smoke test, and a commit.

    `folder` is the way to the project (empty: it was rendered where one is), `versioned` says that
    it lies in a git repository. Without one there is no `copier update`. `here` are the backends
    that run on this machine: an extra is one of those, or else the CPU build, which runs anywhere.
    """
    fitting = {choice.backend: choice for choice in plan.choices}
    choice = next((fitting[b] for b in (*here, "cpu") if b in fitting), plan.default)
    install = setup(plan, choice, anew=True) if plan.strategy == "extras" else automation.setup
    return (
        *([f"cd {folder}"] if folder else []),
        *install,
        f"{automation.keep} scripts/smoke_test.py",
        # With uv.lock in it: an update wants everything committed.
        *(() if versioned else FIRST_COMMIT),
    )


def _platform_by_platform(row: tuple[str, str, str]) -> list[tuple[str, str, str]]:
    name, moved, on = row
    first, *others = on.split(", ")
    return [(name, moved, first), *(("", "", other) for other in others)]


def _cells(plan: Plan) -> dict[tuple[str, str], str]:
    return {(c.name, p): _cell(c, p) for c in plan.choices for p in plan.platforms}


def _cell(choice: Choice, platform: str) -> str:
    if not choice.builds:
        return "the one that is there"
    builds = [build.shown for build in choice.builds if build.platform == platform]
    return builds[0] if len(builds) == 1 else "what uv finds"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
