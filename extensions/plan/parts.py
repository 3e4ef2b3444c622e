"""PyTorch's parts of a `pyproject.toml`, as values of TOML: all that a template owns in that file.

The file is rendered once; from then on these parts are edited in place, and everything else is its
owner's. `template/pyproject.toml.jinja` prints the same values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from .plan import Plan, Requirement

EXTRAS, GROUPS = ("project", "optional-dependencies"), ("dependency-groups",)
# What a fresh render says above the first line of a part. No comment depends on an answer, so that
# none is wrong after an edit of its part.
COMMENTS: Mapping[str, str] = {
    "choices": "# One build of PyTorch at a time; docs/pytorch.md says how to switch.",
    "managed": "# `uv pip` installs PyTorch here, as docs/pytorch.md says; nothing else may.",
    "excluded": "# These are there already: nothing installs them, whatever requires them.",
    "environments": "# Lock for these platforms.",
    "sources": "# Where PyTorch's packages come from; no other package comes from there.",
    "mirror": "# uv knows these peculiarities of PyTorch's own host; a mirror needs them said.",
}


@dataclass(frozen=True)
class Parts:
    """`kind` is `extra` or `group` where there are choices, else empty.

    `choices` maps the name of an extra or group to the family's requirements in it, `default` is
    the choice among `default-groups`, and `indexes` are tables of `[[tool.uv.index]]`.
    """

    requires_python: str
    dependencies: tuple[str, ...]
    kind: str
    choices: Mapping[str, tuple[str, ...]]
    default: str
    managed: bool
    excluded: tuple[str, ...]
    environments: tuple[str, ...]
    sources: Mapping[str, list[dict[str, str]]]
    indexes: tuple[dict[str, Any], ...]

    @property
    def conflicts(self) -> list[dict[str, str]]:
        """The set of choices that exclude each other; empty where there are none."""
        return [{self.kind: name} for name in self.choices]


def parts_of(plan: Plan) -> Parts:
    """What a fresh render of a plan says of PyTorch."""
    kind = plan.strategy.removesuffix("s") if plan.switchable else ""
    named = {c.name: c for c in plan.choices} if kind else {}
    # Those of a member have no effect: uv reads what the root of the workspace says.
    environments = plan.environments if plan.strategy != "pip" and not plan.member else ()
    return Parts(
        requires_python=plan.requires_python,
        dependencies=_listed(plan.dependencies),
        kind=kind,
        choices={name: _listed(choice.requirements) for name, choice in named.items()},
        default=plan.default.name if kind == "group" else "",
        managed=plan.strategy != "pip",
        excluded=plan.excluded,
        environments=environments,
        sources={
            package: [
                {
                    "index": source.index,
                    **({kind: source.choice} if source.choice else {}),
                    "marker": source.marker,
                }
                for source in entries
            ]
            for package, entries in plan.sources.items()
        },
        indexes=tuple(_index(plan, index) for index in plan.listed_indexes),
    )


def _listed(requirements: Iterable[Requirement]) -> tuple[str, ...]:
    """Sorted by name: uv adds to a sorted list where the order wants it."""
    return tuple(map(str, sorted(requirements, key=attrgetter("name"))))


def _index(plan: Plan, index: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"name": index.name, "url": index.url}
    found["default" if index.default else "explicit"] = True
    if index in plan.logins:
        found["authenticate"] = "always"
    if index.mirror and not index.default:
        found["ignore-error-codes"] = [403]
        found["cache-control"] = {"api": "max-age=600", "files": "max-age=365000000, immutable"}
    return found
