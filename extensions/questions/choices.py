"""What a question offers, and its default: the first candidate that fits all known answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from types import MappingProxyType
from typing import Any

from ..tables.backends import AUTO, kind, nearest_backend
from ..tables.platforms import AARCH64, LINUX, MACOS, PLATFORMS, WINDOWS
from ..tables.releases import Line, Tables, minor
from . import names
from .contract import (
    DEFAULT_STRATEGY,
    KEYS,
    LISTS,
    PYPI_URL,
    PYTORCH_URL,
    VALUES,
    Item,
    Known,
    asked,
    item,
    items,
)
from .machine import Machine, fitting_backends, platform_name
from .policy import policy_of
from .refusals import has_companions, why_not, why_not_any

NOT_VERIFIED = "not verified"
# What a person knows who does not know the backend's name.
_RUNS_ON = {
    "cpu": "computers without a GPU",
    "cuda": "NVIDIA GPUs",
    "rocm": "AMD GPUs",
    "xpu": "Intel GPUs",
}


def choices(key: str, tables: Tables, known: Known) -> dict[str, str]:
    """Label to value, for a question with fixed choices, as they fit the earlier answers."""
    found, policy = _choices(key, tables, known), policy_of(tables)
    return {text: value for text, value in found.items() if policy.allows(key, value)}


def _choices(key: str, tables: Tables, known: Known) -> dict[str, str]:
    line = _line(tables, known)
    match key:
        case "strategy":
            fit = [n for n in VALUES[key] if why_not(key, tables, {**known, key: n}) is None]
            return {f"{name}: {VALUES[key][name]}": name for name in fit}
        case "example":
            return {f"{name}: {text}": name for name, text in VALUES[key].items()}
        case _ if key in VALUES:
            return {text: name for name, text in VALUES[key].items()}
        case "torch_version":
            return {_line_label(other): name for name, other in tables.lines.items()}
        case "python_version":
            return {python: python for python in line.pythons}
        case "platforms":
            return {platform.label: name for name, platform in PLATFORMS.items()}
        case "packages":
            return {f"{c.name} {c.version}": c.name for c in line.companions.values()}
    offered = line.backends()
    if key == "default_backend":
        offered = [one.backend for one in items(known)]
    if key == "backends":
        return _items(tables, line, known.get(key, ()))
    on = {"aarch64_backend": AARCH64, "windows_backend": WINDOWS}.get(key, "")
    if on in known.get("platforms", PLATFORMS):
        offered = [b for b in offered if on in line.indexes[b]]
    found = {_backend_label(tables, line, b): b for b in offered if b in line.indexes}
    if key == "backend" and known.get("strategy") == "pip":
        found["auto: what uv finds on the machine"] = AUTO
    return found


def _items(tables: Tables, line: Line, named: Iterable[str]) -> dict[str, str]:
    """The backends of a line, those that have a name of their own by that name.

    Copier accepts only what is offered, so that an item whose backend is gone stands here under
    the one that follows it.
    """
    texts = {}
    for text in [*_successors(line, named), *named]:
        one = item(text)
        if one.backend in line.indexes and one.text != one.backend:
            texts[one.backend] = text
    found = {}
    for backend in line.backends():
        text, said = texts.get(backend, backend), _backend_label(tables, line, backend)
        found[said if text == backend else f"{text}: {said.partition(': ')[2]}"] = text
    return found


def _successors(line: Line, named: Iterable[str]) -> list[str]:
    """Items with the backends of a line: each keeps its own, or else has the nearest other one."""
    found: dict[str, Item] = {}
    ordered = sorted(map(item, named), key=lambda one: one.backend not in line.indexes)
    for one in ordered:
        kept = one.backend in line.indexes
        backend = one.backend if kept else nearest_backend(line.backends(), one.backend)
        plain = one.text == one.backend
        found.setdefault(backend, item(backend) if plain else Item(one.name, backend))
    return [one.text for one in found.values()]


def successor(key: str, tables: Tables, known: Known, previous: Any) -> Any:
    """What comes nearest to an answer of an earlier version that cannot work any more.

    None where nothing comes near, or the question is of another sort.
    """
    line = _line(tables, known)
    match key:
        case "backend" | "linux_backend" | "aarch64_backend" | "windows_backend":
            value = nearest_backend(choices(key, tables, known).values(), previous)
        case "default_backend":
            # An item that moved to another backend has the name that it had.
            named, meant = {one.name: one.backend for one in items(known)}, item(previous)
            nearest = nearest_backend(named.values(), meant.backend)
            value = named.get(meant.name, nearest)
        case "backends":
            value = _successors(line, previous)
            if len(value) == 1 and value != ["cpu"]:
                value = ["cpu", *value]
        case "python_version" if _is_minor(previous):
            older = minor(previous) < minor(line.first_python)
            value = line.first_python if older else line.last_python
        case "torch_version" if _is_minor(previous):
            # An old line makes room for a newer one.
            oldest_first = sorted(tables.lines, key=minor)
            newer = (name for name in oldest_first if minor(name) > minor(previous))
            value = next(newer, oldest_first[-1])
        case "index_url":
            value = names.pattern_of(previous)
        case "packages" | "platforms" | "containers":
            value = [x for x in previous if why_not(key, tables, {**known, key: [x]}) is None]
        case _:
            return None
    return value if why_not(key, tables, {**known, key: value}) is None else None


def follows(key: str, tables: Tables, recorded: Known, known: Known) -> bool:
    """Whether an answer was the default that came of another one, and that one has changed."""
    leader = {"aarch64_backend": "linux_backend"}.get(key)
    if leader is None or key not in recorded or recorded.get(leader) == known.get(leader):
        return False
    rest = {name: value for name, value in recorded.items() if name != key}
    of_a_line = recorded.get("torch_version") in tables.lines
    return of_a_line and default(key, tables, rest, "", Machine) == recorded[key]


def _is_minor(text: str) -> bool:
    return re.fullmatch(r"\d+\.\d+", text) is not None


def default(
    key: str,
    tables: Tables,
    known: Known,
    folder: str,
    machine: Callable[[], Machine],
    adopted: Known = MappingProxyType({}),
) -> Any:
    """The default of a question; `folder` is the destination's name, and `adopted` what a project
    that is there already says to the questions.

    Answers that were given in advance to later questions count too: with `backend` given, the
    default of `torch_version` is the newest line that has it.
    """
    later = KEYS[KEYS.index(key) :]
    # A question before the strategy's looks ahead under the strategy that will be the default.
    ahead = {"strategy": _strategy(known), **known}
    candidates = list(_candidates(key, tables, known, folder, machine))
    if key in adopted:
        candidates.insert(0, adopted[key])
    rule = policy_of(tables).rule(key)
    allowed: list[Any] = list(rule.allow) if rule else []
    for pool in (candidates, [allowed] if key in LISTS else allowed):
        for keys in (later, [key]):
            for candidate in pool:
                if why_not_any(keys, tables, {**ahead, key: candidate}) is None:
                    return candidate
    return candidates[0]


def _line(tables: Tables, known: Known) -> Line:
    name = known.get("torch_version", "")
    return tables.lines.get(name) or tables.lines[tables.default_line()]


def _line_label(line: Line) -> str:
    observed = any(line.verified(backend) for backend in line.indexes)
    note = "" if observed else f", {NOT_VERIFIED}"
    return f"{line.name} ({line.torch}{note})"


def _backend_label(tables: Tables, line: Line, backend: str) -> str:
    details = []
    if floor := tables.driver_floor(backend, "linux"):
        details.append(f"driver {floor} or newer")
    if not line.verified(backend):
        details.append(NOT_VERIFIED)
    note = f" ({', '.join(details)})" if details else ""
    return f"{backend}: {_RUNS_ON[kind(backend)]}{note}"


def _candidates(
    key: str, tables: Tables, known: Known, folder: str, machine: Callable[[], Machine]
) -> Iterator[Any]:
    line = _line(tables, known)
    match key:
        case "project_name":
            yield names.human_name(folder)
        case "package_name":
            yield names.import_name(known.get("project_name", ""))
        case "project_description":
            yield "A PyTorch project."
        case "user_name" | "user_email":
            yield ""
        case "license":
            yield "MIT"
        case "torch_version":
            yield tables.default_line()
            yield from tables.lines
        case "python_version":
            if known.get("strategy", _strategy(known)) == "provided":
                # That of an image, which may be older than a project would choose.
                yield line.first_python
            yield line.default_python
            yield from reversed(line.pythons)
        case "strategy":
            yield _strategy(known)
            if "backends" not in known:
                yield "index"
        case "backend":
            yield from fitting_backends(tables, line, machine())
            yield "cpu"
        case "linux_backend":
            yield from _fitting_on(LINUX[0], tables, line, machine())
            yield from _newest_cuda(line, known)
            yield "cpu"
        case "aarch64_backend":
            yield known.get("linux_backend", "cpu")
            yield "cpu"
        case "windows_backend":
            yield from _fitting_on(WINDOWS, tables, line, machine())
            yield "cpu"
        case "backends":
            wanted = known.get("default_backend", "cpu")
            if asked("default_backend", known) and wanted != "cpu":
                yield ["cpu", wanted]
            yield from (["cpu", here] for here in fitting_backends(tables, line, machine())[:1])
            yield from (["cpu", cuda] for cuda in _newest_cuda(line, known))
            yield from (["cpu", b] for b in line.backends() if kind(b) not in ("cpu", "cuda"))
        case "default_backend":
            backends = [one.backend for one in items(known)]
            yield from (b for b in fitting_backends(tables, line, machine()) if b in backends)
            yield "cpu" if "cpu" in backends else next(iter(backends), "cpu")
        case "packages":
            yield ["torchvision"]
            yield []
        case "platforms":
            yield list(PLATFORMS)
            # A companion may have wheels for fewer.
            yield [p for p in PLATFORMS if has_companions(line, {**known, key: [p]})]
        case "index_url":
            yield PYTORCH_URL
        case "place":
            yield "repository"
        case "example":
            yield "training" if known.get("launcher", "none") != "none" else "none"
            yield "none"
        case "ci":
            yield "github"
            yield "none"
        case "containers":
            yield []
            # For a launcher that was given in advance.
            yield ["docker"]
        case "launcher":
            yield "none"
        case "base_image":
            yield tables.image(line.name)
        case "type_checker":
            yield "ty"
        case "pypi_url":
            yield PYPI_URL
        case "authenticate":
            yield "auto"
        case "template_updates":
            yield "none"


def _strategy(known: Known) -> str:
    """The strategy that the answers given in advance speak of, else the default."""
    if "backend" in known:
        return "index"
    if {"linux_backend", "aarch64_backend", "windows_backend"} & set(known):
        return "markers"
    if "base_image" in known:
        return "provided"
    only_macos = set(known.get("platforms", ())) == {MACOS}
    return "pypi" if only_macos and "backends" not in known else DEFAULT_STRATEGY


def _fitting_on(platform: str, tables: Tables, line: Line, machine: Machine) -> list[str]:
    """What runs on the machine, if it is of a platform."""
    return fitting_backends(tables, line, machine) if platform_name(machine) == platform else []


def _newest_cuda(line: Line, known: Known) -> list[str]:
    """CUDA backends, newest first; those observed on every claimed platform before the others."""
    claimed = known.get("platforms", tuple(PLATFORMS))

    def observed(backend: str) -> bool:
        return all(line.verified(backend, p) for p in line.indexes[backend] if p in claimed)

    newest_first = list(reversed(line.backends("cuda")))
    return sorted(newest_first, key=lambda backend: not observed(backend))
