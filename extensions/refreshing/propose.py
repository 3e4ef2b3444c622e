"""What the tables should say of a line, by what was seen and by what they say already.

What was seen is `high`. A `high` cell goes only where the index shows the same release of torch
without it; where the index shows nothing of that release, the cell stays, and a person looks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from packaging.requirements import Requirement

from ..tables.backends import kind, version
from ..tables.platforms import LINUX, MACOS, PLATFORMS
from ..tables.releases import minor
from .companions import Block, builds, companion, plain, pythons
from .observe import PYPI, Observed, sample

# Below it no project is rendered.
OLDEST_PYTHON = 10
_SYSTEMS = {"linux": "Linux", "win32": "Windows", "darwin": "Darwin"}
_KINDS = ["cpu", "cuda", "rocm", "xpu"]


@dataclass
class Proposal:
    """A line's block, with the backends that were not offered so far, what the index contradicts
    and nothing was changed for, and what a person must do: of a cell, or of the whole line."""

    block: dict[str, Any]
    opened: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    todo: list[tuple[tuple[str, ...], str]] = field(default_factory=list)


def order(backend: str) -> tuple[int, tuple[int, ...]]:
    return _KINDS.index(kind(backend)), version(backend)


def propose(
    line: str, lines: Mapping[str, Block], seen: Observed, shut: Mapping[str, str]
) -> Proposal | None:
    """The proposal for a line; None where nothing of it was seen.

    `lines` are all blocks of the table by their lines, `shut` the backends that are not offered.
    """
    torch = seen.newest(line)
    if torch is None:
        return None
    old, near = lines.get(line, {}), _nearest(line, lines)
    if old and not any(seen.patches(line, place) for place in seen.places):
        # Announced, and on no index yet: what the table expects of them stays.
        seen = seen.on_pypi()
    made = Proposal({"line": line, "torch": torch})
    block = made.block
    if released := seen.uploaded("torch", torch)[:10]:
        block["released"] = date.fromisoformat(released)
    elif "released" in old and old["torch"] == torch:
        block["released"] = old["released"]
    block["sources"] = list(old.get("sources", [])) or ["S1"]
    _indexes(made, old, seen, shut)
    _pythons(made, old, near, seen)
    _oldest(made, old, near, seen)
    _pypi(made, old, near, seen)
    _triton(made, old, seen)
    names = dict.fromkeys(n for b in (old, near, *lines.values()) for n in b.get("companions", ()))
    found = {}
    for name in names:
        entry, todo = companion(name, line, old, near, lines, seen, block)
        made.todo += [(("companions", name), text) for text in todo]
        if entry is not None:
            found[name] = entry
    block["companions"] = found
    _no_local(block, old, seen)
    keys = ["line", "torch", "released", "sources", "python", "oldest", "companions", "triton"]
    keys += ["no_local", "pypi", "indexes"]
    extra = {k: v for k, v in old.items() if k not in keys}
    made.block = {k: block[k] for k in keys if block.get(k)} | extra
    return made


def _nearest(line: str, lines: Mapping[str, Block]) -> Block:
    """The block of the next older line, or else of the next newer one."""
    older = [name for name in lines if minor(name) < minor(line)]
    newer = [name for name in lines if minor(name) > minor(line)]
    name = max(older, key=minor) if older else min(newer, key=minor, default=None)
    return lines[name] if name else {}


def _indexes(made: Proposal, old: Block, seen: Observed, shut: Mapping[str, str]) -> None:
    stated: Block = old.get("indexes", {})
    found = {}
    for backend in sorted({*stated, *seen.places}, key=order):
        was = stated.get(backend, {})
        cells = _cells(backend, was, made, old, seen, shut)
        if backend == "cpu" and was and not cells:
            # Each project needs it, so that no line is without.
            made.doubts.append(f"cpu stays, though no {made.block['torch']} is there")
            cells = dict(was)
        if cells:
            found[backend] = {p: cells[p] for p in PLATFORMS if p in cells}
    made.block["indexes"] = found


def _cells(
    backend: str, was: Block, made: Proposal, old: Block, seen: Observed, shut: Mapping[str, str]
) -> dict[str, str]:
    """Platform to confidence for one index; `was` is what the table says of it."""
    torch, mirror = made.block["torch"], seen.listed is None
    if here := builds("torch", torch, seen, [backend]).get(backend):
        if needs := _cannot_be_locked(backend, torch, seen):
            if backend not in shut:
                text = f"it has torch {torch}, and is not offered: {needs}"
                made.todo.append((("indexes", backend), text))
            return {}
        if backend in shut:
            made.opened.append(backend)
        return {**(_unseen(was, old, torch) if mirror else {}), **dict.fromkeys(here, "high")}
    if mirror:
        return _unseen(was, old, torch)
    kept = {p: c for p, c in was.items() if c == "high"}
    if old.get("torch") != torch and (earlier := seen.patches(made.block["line"], backend)):
        # Until it gets the newest patch, a project gets the one before.
        there = builds("torch", earlier[-1], seen, [backend]).get(backend, set())
        return dict.fromkeys(there, "medium")
    if backend not in (seen.listed or ()):
        return {}  # No index goes away: there was none.
    if kept:
        made.doubts.append(f"{backend}: {', '.join(kept)} stays, though no {torch} is there now")
    return kept


def _unseen(was: Block, old: Block, torch: str) -> dict[str, str]:
    """Cells that a mirror does not show: of a new patch nothing was seen anywhere."""
    moved = old.get("torch") != torch
    return {p: "medium" if moved and c == "high" else c for p, c in was.items()}


def _cannot_be_locked(backend: str, torch: str, seen: Observed) -> str:
    """Why no project can lock a build; empty if it can."""
    names = {r.name for r in _needs(backend, torch, seen, LINUX[0])}
    return "its wheels need the ROCm SDK, which is no wheel" if "rocm" in names else ""


def _needs(place: str, torch: str, seen: Observed, platform: str) -> list[Requirement]:
    """What a build of torch requires on a platform."""
    group = seen.of(place, "torch", torch)
    # Where those of a platform were not read, they are as those of Linux.
    read = [w for w in group if w.url in seen.needs]
    wheel = sample(read, platform) or sample(read, LINUX[0])
    if wheel is None:
        return []
    there = PLATFORMS[platform]
    where = {
        "sys_platform": there.sys_platform,
        "platform_machine": there.machine,
        "platform_system": _SYSTEMS[there.sys_platform],
        "os_name": "nt" if there.sys_platform == "win32" else "posix",
        "python_version": "3.12",
        "python_full_version": "3.12.0",
        "implementation_name": "cpython",
        "extra": "",
    }
    return [r for r in seen.needs[wheel.url] if r.marker is None or r.marker.evaluate(where)]


def _pythons(made: Proposal, old: Block, near: Block, seen: Observed) -> None:
    """The Pythons of PyPI's wheels and of most indexes; a build without one of them is left out."""
    torch, indexes = made.block["torch"], made.block["indexes"]
    cells = {
        (backend, p): {n for w in seen.of(backend, "torch", torch) for q, n in w.cells if q == p}
        for backend, on in indexes.items()
        for p, confidence in on.items()
        if confidence == "high"
    }
    cells = {cell: found for cell, found in cells.items() if found}
    if seen.listed is None and seen.of(PYPI, "torch", torch):
        cells = {}  # A mirror need not have every wheel.
    most = {n for found in cells.values() for n in found}
    most = {n for n in most if 2 * sum(n in found for found in cells.values()) > len(cells)}
    if seen.of(PYPI, "torch", torch):
        on_pypi = pythons("torch", torch, seen, [PYPI])
        most = most & on_pypi if cells else on_pypi
    default = (old.get("python") or near["python"])["default"]
    most = _run({n for n in most if n >= OLDEST_PYTHON}, int(default.removeprefix("3.")))
    if not most:
        made.block["python"] = dict(old.get("python") or near["python"])
        made.todo.append((("python",), "there is none for which every build has a wheel"))
        return
    for (backend, platform), found in cells.items():
        if lacking := sorted(most - found):
            versions = ", ".join(f"3.{n}" for n in lacking)
            text = f"left out, without a wheel for Python {versions}"
            made.todo.append((("indexes", backend, platform), text))
            del indexes[backend][platform]
            if not indexes[backend]:
                del indexes[backend]
    known = {f"3.{n}" for n in most}
    if not old:
        made.todo.append((("python",), f"default as in {near['line']}"))
    default = default if default in known else f"3.{max(most)}"
    made.block["python"] = {
        "first": f"3.{min(most)}",
        "last": f"3.{max(most)}",
        "default": default,
    }


def _run(numbers: set[int], wanted: int) -> set[int]:
    """Those that follow each other without a gap: around the wanted one, or else the last."""
    found: set[int] = set()
    for number in sorted(numbers):
        if number - 1 not in found:
            if wanted in found:
                break
            found = set()
        found.add(number)
    return found


def _oldest(made: Proposal, old: Block, near: Block, seen: Observed) -> None:
    """By the wheels for the default Python: those for a newer one may need a newer system."""
    torch = made.block["torch"]
    default = int(made.block["python"]["default"].removeprefix("3."))
    places = (PYPI, *made.block["indexes"])
    group = [w for place in places for w in seen.of(place, "torch", torch)]
    group = [w for w in group if default in {python for _, python in w.cells}]
    known = dict(old.get("oldest") or near.get("oldest", {}))
    if glibc := max((w.glibc for w in group if w.glibc), default=None):
        known["glibc"] = f"{glibc[0]}.{glibc[1]}"
    if macos := max((w.macos for w in group if w.macos), default=None):
        known["macos"] = f"{macos[0]}.{macos[1]}".removesuffix(".0")
    made.block["oldest"] = known


def _pypi(made: Proposal, old: Block, near: Block, seen: Observed) -> None:
    line, torch = made.block["line"], made.block["torch"]
    there = {p for w in seen.of(PYPI, "torch", torch) for p in w.platforms}
    if not there:
        made.block["pypi"] = dict(old.get("pypi") or near.get("pypi", {}))
        made.todo.append((("pypi",), f"no wheels there yet, as in {near.get('line', line)}"))
        return
    made.block["pypi"] = {
        p: _cuda(_needs(PYPI, torch, seen, p)) if p in LINUX else "cpu"
        for p in PLATFORMS
        if p in there
    }


def _cuda(needs: list[Requirement]) -> str:
    """The CUDA that a wheel is built for, by the version of the toolkit or runtime it requires."""
    for need in needs:
        names_it = re.fullmatch(r"cuda-toolkit|nvidia-cuda-runtime(-cu\d+)?", need.name)
        number = re.search(r"(\d+)\.(\d+)", str(need.specifier))
        if names_it and number:
            return f"cu{number[1]}{number[2]}"
    return "cpu"


def _triton(made: Proposal, old: Block, seen: Observed) -> None:
    """The triton that ROCm's and XPU's wheels require; where none says, as it was."""
    found = {}
    for of_kind in ("rocm", "xpu"):
        there = [b for b in made.block["indexes"] if kind(b) == of_kind]
        known = old.get("triton", {}).get(of_kind)
        entry = next((e for b in reversed(there) if (e := _triton_of(b, made, seen))), None)
        if entry or (there and known):
            found[of_kind] = entry or dict(known)
    made.block["triton"] = found


def _triton_of(backend: str, made: Proposal, seen: Observed) -> dict[str, Any]:
    """Its name and version, and the platforms where not all of torch's need it."""
    torch, on = made.block["torch"], made.block["indexes"][backend]
    asked = {p: _needs(backend, torch, seen, p) for p in on}
    need = {p: [r for r in found if "triton" in r.name] for p, found in asked.items()}
    need = {p: found for p, found in need.items() if found}
    if not need:
        return {}
    first = next(iter(need.values()))[0]
    entry: dict[str, Any] = {"name": first.name}
    if number := re.search(r"[=~]=\s*([\d.]+)", str(first.specifier)):
        entry["version"] = number[1].rstrip(".")
    return entry | ({} if set(need) == set(on) else {"platforms": list(need)})


def _no_local(block: dict[str, Any], old: Block, seen: Observed) -> None:
    if seen.listed is None:
        block["no_local"] = dict(old.get("no_local", {}))
        return
    names = {"torch": block["torch"]} | {
        name: c["version"] for name, c in block["companions"].items() if "indexes" not in c
    }
    found = {}
    for platform in PLATFORMS:
        places = [b for b, on in block["indexes"].items() if platform in on and platform != MACOS]
        bare = [n for n, release in names.items() if plain(n, release, seen, places, platform)]
        if bare:
            found[platform] = bare
    block["no_local"] = found
