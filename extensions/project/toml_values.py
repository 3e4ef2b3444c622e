"""How values are written in TOML, and lists of them changed; the lists are tomlkit's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tomlkit

from ..questions.names import toml_string
from .requirements import name_of


def to_toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return toml_string(value)
    if isinstance(value, Mapping):
        return inline(value)
    return one_line(map(to_toml, value)) if isinstance(value, (list, tuple)) else str(value)


def inline(table: Mapping[str, Any]) -> str:
    return f"{{ {', '.join(f'{key} = {to_toml(value)}' for key, value in table.items())} }}"


def one_line(items: Iterable[str]) -> str:
    return f"[{', '.join(items)}]"


def many_lines(items: Iterable[str]) -> str:
    lines = "".join(f"{item},\n" for item in items)
    indented = re.sub(r"^(?=.)", "    ", lines, flags=re.MULTILINE)
    return f"[\n{indented}]"


def conflict_set(entries: Iterable[Mapping[str, str]]) -> str:
    return many_lines(map(inline, entries))


def value_of(text: str) -> Any:
    """A value, given as TOML, as one of tomlkit's."""
    return tomlkit.parse(f"x = {text}\n")["x"]


def assign(items: Any, number: int, text: str) -> None:
    literal = items[number].as_string().startswith("'") and "'" not in text
    items[number] = value_of(f"'{text}'" if literal else toml_string(text))


def append_set(sets: Any, entries: Iterable[Mapping[str, str]]) -> None:
    if not sets or "\n" in sets[-1].as_string():
        sets.append(value_of(conflict_set(entries).replace("\n", "\n    ")))
    else:
        sets.append(value_of(one_line(map(inline, entries))))


def synchronize(items: Any, wanted: Sequence[str]) -> None:
    """Have a list hold values, given as TOML; what is right stays, with the comments around it."""
    for number in reversed(range(len(wanted), len(items))):
        del items[number]
    for number, text in enumerate(wanted):
        new = value_of(text)
        if number == len(items):
            items.append(new)
        elif items[number] != new:
            items[number] = new


def reorder(items: Any, names: Sequence[str]) -> None:
    """Have the requirements of some packages stand in an order, on the places that they have."""
    places = [n for n, item in enumerate(items) if name_of(item) in names]
    texts = {name_of(items[n]): str(items[n]) for n in places}
    if len(places) == len(names):
        for place, name in zip(places, names, strict=True):
            if str(items[place]) != texts[name]:
                assign(items, place, texts[name])


def insert(items: Any, text: str) -> None:
    """Where the order of the list wants it, else at the end."""
    names = [name_of(item) for item in items]
    place = len(names)
    if names == sorted(names):
        place = sum(name < name_of(text) for name in names)
    if place == 0 and names and "\n" not in items.as_string():
        # tomlkit leaves no space behind the comma of a first item.
        items.insert(1, items[0])
        items[0] = value_of(toml_string(text))
    else:
        items.insert(place, value_of(toml_string(text)))
