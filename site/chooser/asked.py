"""The questions as the page shows them: what may be chosen, and why the rest may not."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from extensions.questions import choices, contract, prompts, refusals
from extensions.questions.machine import Machine
from extensions.tables.backends import kind, label, version
from extensions.tables.platforms import NOT_SUPPORTED, PLATFORMS
from extensions.tables.releases import Tables, minor

from .answers import PLACE, Settled, is_text
from .here import unfit

# In the order of the page: what decides about the builds, then what is around them.
ORDER = (
    *("torch_version", "strategy", "backend", "linux_backend", "aarch64_backend"),
    *("windows_backend", "backends", "default_backend", "python_version", "packages", "platforms"),
    *("example", "ci", "containers", "launcher", "base_image", "project_name", "package_name"),
    *("project_description", "user_name", "user_email", "license", "type_checker"),
    *("template_updates", "index_url", "pypi_url", "authenticate"),
)
assert {*ORDER, PLACE} == {*contract.KEYS}
_LATER = ORDER[ORDER.index("package_name") :]


@dataclass(frozen=True)
class Fix:
    """A way out of a refusal: what it is called, and the answers that it gives."""

    label: str
    given: Mapping[str, Any]


@dataclass(frozen=True)
class Option:
    """One answer; `reason` says why it cannot be given, `note` why the machine cannot run it, and
    `verified` whether somebody has recorded its wheels."""

    value: str
    label: str
    detail: str = ""
    group: str = ""
    checked: bool = False
    reason: str = ""
    note: str = ""
    verified: bool = True
    fixes: tuple[Fix, ...] = ()


@dataclass(frozen=True)
class Question:
    """`kind` is `one`, `several` or `text`; `later` are those of which most people take the
    default. Of a text, `value` is what was typed, and `reason` why that is not taken."""

    key: str
    help: str
    kind: str
    later: bool
    options: tuple[Option, ...] = ()
    value: str = ""
    reason: str = ""
    fixed: bool = False


def questions(
    tables: Tables, every: Tables, helps: Mapping[str, str], settled: Settled, machine: Machine
) -> list[Question]:
    """Every question that is asked. `tables` are inside the policy and `every` are not, so that
    what the policy leaves out can be seen, with its reason."""
    found = []
    for key in ORDER:
        known = _before(key, settled)
        if key not in settled.answers and not (is_text(key) and key in settled.texts):
            continue
        later = key in _LATER
        if is_text(key):
            value = str(settled.given.get(key, settled.answers.get(key, "")))
            reason = settled.texts.get(key, "")
            fixed = prompts.is_fixed(key, tables, known)
            found.append(Question(key, helps[key], "text", later, (), value, reason, fixed))
            continue
        several = key in contract.LISTS
        options = tuple(_options(key, tables, every, settled, machine))
        found.append(Question(key, helps[key], "several" if several else "one", later, options))
    return found


def _before(key: str, settled: Settled) -> dict[str, Any]:
    """What is known when a question is asked: the answers to earlier ones, and later ones that were
    given, since those are as if given in advance."""
    place = contract.KEYS.index(key)
    return {
        k: v
        for k, v in settled.answers.items()
        if contract.KEYS.index(k) < place or (k in settled.given and k != key)
    }


def _options(
    key: str, tables: Tables, every: Tables, settled: Settled, machine: Machine
) -> Iterator[Option]:
    known, answer = _before(key, settled), settled.answers[key]
    chosen = answer if key in contract.LISTS else [answer]
    before = {k: v for k, v in known.items() if k != key}
    offered = choices.choices(key, every, {**before, key: answer} if key == "backends" else before)
    labels = {value: text for text, value in offered.items()}
    line = tables.lines.get(settled.answers.get("torch_version", ""))
    of_backends = key in contract.BACKEND_KEYS
    for value in _values(key, every, before, chosen):
        new = _toggled(key, value, chosen)
        reason = ""
        if new != answer:
            reason = refusals.why_not(key, tables, {**before, key: new}) or ""
        text = labels.get(value, _label(key, value))
        backend = contract.item(value).backend if of_backends else ""
        short, _, detail = text.partition(": ")
        if key == "torch_version":
            short, detail = value, text.removeprefix(value).strip(" ()")
        note = unfit(tables, line, backend, machine) if line and backend and not reason else ""
        yield Option(
            value,
            short,
            detail,
            _group(backend) if of_backends else "",
            value in chosen,
            reason,
            note,
            choices.NOT_VERIFIED not in text,
            tuple(_fixes(key, tables, before, reason, chosen, value)) if reason else (),
        )


def _toggled(key: str, value: str, chosen: Collection[str]) -> Any:
    if key not in contract.LISTS:
        return value
    if value in chosen:
        return [other for other in chosen if other != value]
    return in_order(key, [*chosen, value])


def in_order(key: str, values: Collection[str]) -> list[str]:
    """A list of answers in the order in which the page and the template show them."""
    if key == "backends":
        return sorted(values, key=lambda text: _rank(contract.item(text).backend))
    order = {"platforms": list(PLATFORMS), "containers": list(contract.VALUES["containers"])}
    known = order.get(key, [])
    return sorted(values, key=lambda value: known.index(value) if value in known else len(known))


def _rank(backend: str) -> tuple[int, tuple[int, ...]]:
    kinds = ("cpu", "cuda", "rocm", "xpu")
    found = kind(backend)
    return (kinds.index(found) if found in kinds else len(kinds), version(backend))


def _values(
    key: str, every: Tables, before: Mapping[str, Any], chosen: Collection[str]
) -> list[str]:
    """All that anybody may look for, what cannot be chosen among it."""
    if key in contract.BACKEND_KEYS:
        named = {contract.item(text).backend: text for text in chosen}
        found = {*every.backends(), *every.not_offered}
        if key == "default_backend":
            found = {one.backend for one in contract.items(before)}
            named = {}
        values = [named.get(backend, backend) for backend in sorted(found, key=_rank)]
        is_pip = key == "backend" and before.get("strategy") == "pip"
        return [*(["auto"] if is_pip else []), *values]
    match key:
        case "torch_version":
            return list(every.lines)
        case "python_version":
            pythons = {python for line in every.lines.values() for python in line.pythons}
            return sorted(pythons, key=minor)
        case "packages":
            lines = every.lines.values()
            return list(dict.fromkeys(name for line in lines for name in line.companions))
        case "platforms":
            return [*PLATFORMS, *NOT_SUPPORTED]
    return list(contract.VALUES[key])


def _label(key: str, value: str) -> str:
    if key in contract.BACKEND_KEYS:
        return f"{value}: {label(contract.item(value).backend)}"
    if key == "strategy":
        return f"{value}: {contract.VALUES[key][value]}"
    names = {"windows-arm64": "Windows on Arm", "macos-x86_64": "macOS on Intel"}
    return names.get(value, value)


def _group(backend: str) -> str:
    words = {"cpu": "CPU", "cuda": "NVIDIA", "rocm": "AMD", "xpu": "Intel"}
    return words.get(kind(backend), "Any")


def _fixes(
    key: str,
    tables: Tables,
    before: Mapping[str, Any],
    reason: str,
    chosen: Collection[str],
    value: str,
) -> Iterator[Fix]:
    """What the refusal names as nearest, where that is an answer to this question or the line."""
    nearest = refusals.parted(reason)[1]
    several = key in contract.LISTS
    for line in re.findall(rf"{re.escape(value)} with torch (\d+\.\d+)", nearest)[:1]:
        given = {"torch_version": line, key: in_order(key, {*chosen, value}) if several else value}
        # Others of a list may have to give way to the line.
        alone = {**given, key: ["cpu", value]} if several else given
        if not refusals.why_not(key, tables, {**before, **alone}):
            yield Fix(f"{value} with torch {line}", given)
    first = re.match(r"(?:Python )?([\w.=-]+)(?:$|,| with| alone)", nearest)
    if first and not several and first[1] != value:
        known = {**before, key: first[1]}
        if not refusals.why_not(key, tables, known):
            yield Fix(first[1], {key: first[1]})
    elif first and several and first[1] not in chosen:
        new = in_order(key, [*chosen, first[1]])
        if not refusals.why_not(key, tables, {**before, key: new}):
            yield Fix(first[1], {key: new})
