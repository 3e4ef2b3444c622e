"""What changed in the tables between two states, in words: what a release says of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

LABELS = {
    "linux-x86_64": "Linux x86-64",
    "linux-aarch64": "Linux aarch64",
    "windows-amd64": "Windows",
    "macos-arm64": "macOS",
}
UNSEEN = frozenset({"low", "guess"})
Yaml = Mapping[str, Any]


def changes(old: Yaml, new: Yaml) -> list[str]:
    """A sentence for each change of `releases.yml`, newest line first.

    Both are the file's content. An earlier form of it, which lacks something, says nothing of that.
    """
    before, after = _lines(old), _lines(new)
    found = []
    if (was := default_line(old)) != (now := default_line(new)):
        found.append(f"New projects get torch {now}, so far {was}.")
    for name, block in after.items():
        if name not in before:
            found.append(f"torch {name} is new ({block['torch']}), with {_listed(block)}.")
        elif said := list(_of_line(before[name], block)):
            found.append(f"torch {name}: {'; '.join(said)}.")
    found += [f"torch {name} is gone." for name in before if name not in after]
    return found


def changes_beside(old: Yaml, new: Yaml) -> list[str]:
    """A sentence for each change of `backends.yml` that decides what is offered or told."""
    found = []
    refused = [b for b in new.get("not_offered", {}) if b not in old.get("not_offered", {})]
    if refused:
        found.append(f"Refused with a reason: {', '.join(refused)}.")
    names = [fault["name"] for fault in old.get("faults", ())]
    known = [f["name"] for f in new.get("faults", ()) if f["name"] not in names]
    if known:
        found.append(f"Known faults: {', '.join(known)}.")
    for major, floors in new.get("drivers", {}).items():
        was = old.get("drivers", {}).get(major)
        if was != floors:
            words = ", ".join(f"{floor} on {system}" for system, floor in floors.items())
            found.append(f"Drivers for {major}: {words}.")
    return found


def default_line(content: Yaml) -> str:
    """The newest line whose CPU index, and one for CUDA if it has any, were seen."""
    lines = _lines(content)
    for name, block in lines.items():
        cuda = [b for b in block["indexes"] if b.startswith("cu")]
        if _seen(block, "cpu") and (not cuda or any(_seen(block, b) for b in cuda)):
            return name
    return next(iter(lines), "")


def _lines(content: Yaml) -> dict[str, Yaml]:
    blocks = {str(block["line"]): block for block in content.get("releases", ())}
    newest_first = sorted(blocks, key=lambda n: [int(part) for part in n.split(".")], reverse=True)
    return {name: blocks[name] for name in newest_first}


def _listed(block: Yaml) -> str:
    return ", ".join(b if _seen(block, b) else f"{b} (not verified)" for b in block["indexes"])


def _seen(block: Yaml, backend: str) -> bool:
    return any(c not in UNSEEN for c in block["indexes"].get(backend, {}).values())


def _of_line(old: Yaml, new: Yaml) -> Iterator[str]:
    if old["torch"] != new["torch"]:
        yield f"{new['torch']} (was {old['torch']})"
    yield from _of_companions(old.get("companions", {}), new.get("companions", {}))
    was, now = (f"{b['python']['first']} – {b['python']['last']}" for b in (old, new))
    if was != now:
        yield f"Python {now} (was {was})"
    yield from _of_indexes(old, new)
    for platform, build in new.get("pypi", {}).items():
        had = old.get("pypi", {}).get(platform, build)
        if had != build:
            yield f"PyPI's build for {LABELS.get(platform, platform)} is {build} (was {had})"


def _of_companions(old: Yaml, new: Yaml) -> Iterator[str]:
    for name, companion in new.items():
        if name not in old:
            yield f"{name} {companion['version']} is new"
        elif old[name]["version"] != companion["version"]:
            yield f"{name} {companion['version']} (was {old[name]['version']})"
        elif old[name] != companion:
            yield f"other builds of {name}"
    yield from (f"{name} is gone" for name in old if name not in new)


def _of_indexes(old: Yaml, new: Yaml) -> Iterator[str]:
    before, after = old["indexes"], new["indexes"]
    both = [b for b in after if b in before]
    for words, backends in (
        ("new: ", [b for b in after if b not in before]),
        ("gone: ", [b for b in before if b not in after]),
        ("seen now: ", [b for b in both if _seen(new, b) > _seen(old, b)]),
        ("not verified any more: ", [b for b in both if _seen(new, b) < _seen(old, b)]),
    ):
        if backends:
            yield words + ", ".join(backends)
    for backend in both:
        for words, one, other in (
            ("has wheels for", after[backend], before[backend]),
            ("has no wheels any more for", before[backend], after[backend]),
        ):
            if platforms := [LABELS.get(p, p) for p in one if p not in other]:
                yield f"{backend} {words} {' and '.join(platforms)}"
