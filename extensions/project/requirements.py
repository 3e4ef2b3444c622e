"""What a requirement allows: compared with the bounds of a release line, and merged with them."""

from __future__ import annotations

from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name


def read_requirement(item: Any) -> Requirement | None:
    try:
        return Requirement(item)
    except (InvalidRequirement, TypeError):
        return None


def name_of(item: Any) -> str:
    requirement = read_requirement(item)
    return str(canonicalize_name(requirement.name)) if requirement else ""


def merged(item: str, wanted: str) -> str:
    """A requirement with the bounds that are wanted, and with its own extras and marker."""
    now, new = read_requirement(item), read_requirement(wanted)
    assert now and new
    extras = f"[{','.join(sorted(now.extras))}]" if now.extras else ""
    bounds = wanted.partition(";")[0].strip()[len(new.name) :]
    condition = (wanted if new.marker else item).partition(";")[2].strip()
    return f"{new.name}{extras}{bounds}{f'; {condition}' if condition else ''}"


def within(item: str, wanted: str) -> bool:
    """Whether a requirement says what is wanted, or allows less of the same line."""
    now, new = read_requirement(item), read_requirement(wanted)
    assert now and new
    if now.url or (new.marker and str(now.marker) != str(new.marker)):
        return False
    if now.specifier == new.specifier:
        return True
    allowed = [v for v in _releases(new) if now.specifier.contains(v)]
    return bool(allowed) and all(new.specifier.contains(v) for v in allowed)


def meets(item: str, wanted: str) -> bool:
    """Whether a requirement allows any release of the line."""
    now, new = read_requirement(item), read_requirement(wanted)
    assert now and new
    line = [v for v in _releases(new) if new.specifier.contains(v)]
    return bool(now.url) or any(now.specifier.contains(v) for v in line)


def _releases(requirement: Requirement) -> list[str]:
    """Releases around the bounds of a requirement, those that are thinkable included."""
    majors = {int(v.version.split(".")[0]) for v in requirement.specifier}
    around = {m + d for m in majors for d in (-1, 0, 1) if m + d >= 0}
    return [f"{a}.{b}.{c}" for a in sorted(around) for b in range(40) for c in range(10)]


def admits_older(specifier: str, floor: str) -> bool:
    """Whether a bound on Python allows a version below a floor such as 3.10."""
    try:
        allowed = SpecifierSet(specifier)
    except InvalidSpecifier:
        return False
    minor = int(floor.split(".")[1])
    versions = ["2.7.18", *(f"3.{m}.{patch}" for m in range(minor) for patch in (0, 20))]
    return any(allowed.contains(v) for v in versions)
