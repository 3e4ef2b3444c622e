"""From the answers that a visitor gave to all answers, as Copier asks for them one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from extensions.questions import choices, contract, names, refusals
from extensions.questions.machine import Machine
from extensions.questions.policy import policy_of
from extensions.tables.releases import Tables

from .here import newest_line

# The page makes projects that stand at the top of a repository: in another place, the folder tells.
PLACE, _PLACED = "place", "repository"
# An answer that is not said to whoever opens a link: it decides nothing of the builds.
FOLDER = "folder"
DEFAULT_FOLDER = "myproj"


@dataclass(frozen=True)
class Settled:
    """`answers` are those of all questions that are asked; `given` those that the visitor gave and
    that hold; `said` what was taken instead of others; `stuck` why nothing fits at all."""

    folder: str
    answers: Mapping[str, Any]
    given: Mapping[str, Any]
    said: tuple[str, ...] = ()
    stuck: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)


def settle(
    tables: Tables, given: Mapping[str, Any], machine: Machine, folder: str = DEFAULT_FOLDER
) -> Settled:
    """Answer every question: as given, or else by the default.

    An answer that cannot work is replaced by its nearest, as in an update. A text that cannot be
    taken, such as a name, stays as it was typed, and `texts` says why it is not taken.
    """
    said: list[str] = []
    held = _native(given, said)
    for _ in contract.KEYS:
        found = _pass(tables, held, machine, folder)
        said += [text for text in found.said if text not in said]
        if found.given == held:
            break
        # What was taken instead of a later answer may ask or allow other earlier ones.
        held = dict(found.given)
    return replace(found, said=tuple(said))


def changed(
    tables: Tables,
    given: Mapping[str, Any],
    change: Mapping[str, Any],
    machine: Machine,
    folder: str = DEFAULT_FOLDER,
) -> Settled:
    """The same after a choice, which moves no answer to an earlier question: a default of those may
    have come of what was given in advance to a later one."""
    before = settle(tables, given, machine, folder)
    if not change:
        return before
    after = settle(tables, {**before.given, **change}, machine, folder)
    last = max(map(contract.KEYS.index, change))
    earlier = (key for key in contract.KEYS[:last] if key in before.answers and key not in change)
    moved = {k: v for k in earlier if after.answers.get(k) != (v := before.answers[k])}
    if not moved:
        return after
    return settle(tables, {**before.given, **moved, **change}, machine, folder)


def _pass(tables: Tables, given: Mapping[str, Any], machine: Machine, folder: str) -> Settled:
    """Answer every question once, in their order."""
    said: list[str] = []
    texts: dict[str, str] = {}
    held, answers = dict(given), {}
    stuck = ""
    for key in contract.KEYS:
        later = {k: v for k, v in held.items() if k not in answers and k not in texts}
        known = contract.read({**later, **answers})
        value = known.pop(key, None)
        if not contract.asked(key, known):
            continue
        reason = value is not None and refusals.why_not(key, tables, {**known, key: value})
        if reason and is_text(key):
            texts[key], value, reason = reason, None, None
        if reason or value is None:
            taken = choices.successor(key, tables, known, value) if reason else None
            if taken is None:
                taken = _default(key, tables, known, folder, machine, said)
            misfit = refusals.why_not(key, tables, {**known, key: taken})
            if misfit and policy_of(tables).rules:
                stuck = f"{key}: nothing fits that policy.yml allows. {misfit}"
                break
            if misfit:
                # An answer that was taken before has to give way, once this one is known.
                held[key] = taken
            if reason:
                said.append(f"{key}: {refusals.parted(reason)[0]}. Taken: {_shown(taken)}.")
                held[key] = taken
            value = taken
        answers[key] = value
    return Settled(folder, contract.read(answers), held, tuple(said), stuck, texts)


def is_text(key: str) -> bool:
    """Whether a question is answered by typing."""
    return key in {
        *("project_name", "package_name", "project_description", "user_name", "user_email"),
        *names.URL_KEYS,
        "base_image",
    }


def texts_said(settled: Settled) -> tuple[str, ...]:
    """What was taken instead of texts that cannot be: nobody who opens a link has typed them."""
    return tuple(
        f"{key}: {refusals.parted(reason)[0]}. Taken: {_shown(settled.answers.get(key, ''))}."
        for key, reason in settled.texts.items()
    )


def _native(given: Mapping[str, Any], said: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in given.items():
        if key == PLACE:
            if value != _PLACED:
                said.append(f"{PLACE}: a project of this page has a {_PLACED} of its own.")
            continue
        if reason := contract.given_refusal([key], ()):
            said.append(f"{reason}.")
            continue
        key = {old: new for new, old in contract.RENAMED.items()}.get(key, key)
        try:
            if key in contract.KEYS:
                found[key] = contract.native(key, value)
        except ValueError as error:
            said.append(f"{key}: {error}.")
    return found


def _default(
    key: str,
    tables: Tables,
    known: Mapping[str, Any],
    folder: str,
    machine: Machine,
    said: list[str],
) -> Any:
    value = choices.default(key, tables, known, folder, lambda: machine)
    if key == "torch_version" and machine.kind != "cpu":
        newest = newest_line(tables, machine)
        # Where the answers that were given need another line, they go before the machine.
        later = [k for k in contract.KEYS if k != key]
        free = newest and not refusals.why_not_any(later, tables, {**known, key: newest})
        if newest != value and free:
            said.append(
                f"{key}: torch {value} has no build for this machine's GPU and driver. "
                f"Taken: {newest}, the newest line that has one."
            )
            return newest
    return value


def _shown(value: Any) -> str:
    text = ", ".join(value) if isinstance(value, list) else str(value)
    return text or "none"
