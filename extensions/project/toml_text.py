"""A TOML file as text whose statements can be set and removed, and nothing else of it changes.

tomlkit edits what stands behind an equals sign. Statements are spliced here: with its tables, the
comments around an entry of an array of tables go with the entry, and a table that is written in
several places, or by dotted keys, is put together anew.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import tomlkit

from .toml_values import value_of

Path = tuple[str | int, ...]
"""Where a value stands; the number of an entry follows the name of an array of tables."""

_STRING = r'"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\''
_PART = rf"(?:{_STRING}|[A-Za-z0-9_-]+)"
_KEY = re.compile(rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*")
_TOKEN = re.compile(
    rf'"""(?:\\.|[^\\])*?"""(?!")|\'\'\'.*?\'\'\'(?!\')|{_STRING}|#[^\n]*|[\[\]{{}}\n]|[^"\'#\[\]{{}}\n]+',
    re.DOTALL,
)


@dataclass(frozen=True)
class Statement:
    """A header, or a key with its value; `start` and `end` take in whole lines.

    `table` is the path of the header that a key stands under, `value` where its value is.
    """

    path: Path
    table: Path
    start: int
    end: int
    value: tuple[int, int] | None = None

    @property
    def is_header(self) -> bool:
        return self.value is None

    def within(self, path: Path) -> bool:
        """Whether it says something of what stands at a path."""
        return self.path[: len(path)] == path


class TomlText:
    """Raises ValueError for a text that is not TOML."""

    def __init__(self, text: str) -> None:
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self._read(text)

    def _read(self, text: str) -> None:
        try:
            self.data: dict[str, Any] = tomllib.loads(text)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        self.text = text
        self.statements = tuple(_statements(text))

    def get(self, path: Path) -> Any:
        """The value at a path; None where there is none."""
        found: Any = self.data
        for part in path:
            try:
                found = found[part]
            except (KeyError, IndexError, TypeError):
                return None
        return found

    def is_value(self, path: Path) -> bool:
        """Whether a path is written behind an equals sign, and not as tables of its own."""
        return bool(self._pair(path) or self._outer(path))

    def raw(self, path: Path) -> str:
        """The value at a path as the file spells it."""
        if pair := self._pair(path):
            start, end = pair.value  # type: ignore[misc]
            return self.text[start:end]
        item = tomlkit.item(self.get(path))
        return str(item.as_string())

    def rename(self, path: Path, name: str) -> None:
        """Give a key another name; its place, its value and the comments around it stay."""
        pair = self._pair(path)
        if pair is None:
            value = self.raw(path)
            self.remove(path, prune=False)
            self.set((*path[:-1], name), value)
            return
        start, first = pair.start, pair.value[0]  # type: ignore[index]
        *_, last = re.finditer(_PART, self.text[start:first])
        self._splice(start + last.start(), start + last.end(), _key([name]))

    def set(self, path: Path, value: str) -> None:
        """Write a value, given as TOML."""
        if pair := self._pair(path):
            self._put(pair, self._lines(value))
        elif outer := self._outer(path):
            self._edit(outer, lambda item: _put(item, path[len(outer.path) :], value))
        else:
            self.remove(path, prune=False)
            self._add(path, self._lines(value))

    def edit(self, path: Path, change: Callable[[Any], None]) -> None:
        """Let a function change the value at a path, which it gets as tomlkit's item."""
        pair = self._pair(path) or self._outer(path)
        if pair is None:
            raise KeyError(".".join(map(str, path)))

        def inside(item: Any) -> None:
            for part in path[len(pair.path) :]:
                item = item[part]
            change(item)

        self._edit(pair, inside)

    def remove(self, path: Path, prune: bool = True) -> None:
        """Remove what stands at a path, and a header above it that is left with nothing.

        The comments between the lines of a value stay in its place.
        """
        if outer := self._outer(path):
            self._edit(outer, lambda item: _drop(item, path[len(outer.path) :]))
            return
        gone = [s for s in self.statements if s.within(path)]
        for statement in reversed(gone):
            if notes := _notes(self.text[slice(*statement.value)]) if statement.value else []:
                lines = "".join(f"{note}{self.newline}" for note in notes)
                self._splice(statement.start, statement.end, lines)
            else:
                self._cut(statement.start, statement.end)
        if prune and gone and len(path) > 1 and isinstance(path[-1], str):
            self._prune(path[:-1])

    def take(self, path: Path) -> str:
        """Remove what stands at a path, and return its value as the file spells it."""
        value = self.raw(path)
        if pair := self._pair(path):
            self._cut(pair.start, pair.end)
            self._prune(path[:-1])
        else:
            self.remove(path)
        return value

    def insert_table(self, path: Path, number: int, content: str, after: Path) -> None:
        """Insert `[[path]]` with its lines as an entry of that number; the first of all stands
        behind what `after` names. Where the array is a value, the entry is an inline table in it.
        """
        if self._pair(path) or self._outer(path):
            table = f"{{ {', '.join(content.splitlines())} }}"
            if self.get(path) is None:
                self.set(path, f"[{table}]")
            else:
                self.edit(path, lambda item: item.insert(number, value_of(table)))
            return
        block = f"[[{_key(path)}]]\n{content}"
        if following := self._within((*path, number)):
            self._insert(self._above(following[0]), self._lines(f"{block}\n"))
        else:
            self._insert_block(block, path, after)

    def comment_lines(self) -> list[tuple[int, int, str]]:
        """The lines that hold a comment and nothing else: where they start and end, and what."""
        return [
            (found.start(), found.end(), found[0].strip())
            for found in re.finditer(r"^[ \t]*#[^\n]*(\n|\Z)", self.text, re.MULTILINE)
            if not self._in_string(found.start())
        ]

    def replace(self, start: int, end: int, new: str) -> None:
        """Put whole lines in the place of others. Raises ValueError if that is no TOML."""
        self._splice(start, end, new)

    # How it is done

    def _within(self, path: Path) -> list[Statement]:
        return [s for s in self.statements if s.within(path)]

    def _pair(self, path: Path) -> Statement | None:
        return next((s for s in self.statements if s.path == path and not s.is_header), None)

    def _outer(self, path: Path) -> Statement | None:
        """The key whose value, an inline table or an array, holds the path."""
        return next(
            (
                s
                for s in self.statements
                if not s.is_header and len(s.path) < len(path) and path[: len(s.path)] == s.path
            ),
            None,
        )

    def _lines(self, text: str) -> str:
        return text.replace("\r\n", "\n").replace("\n", self.newline)

    def _splice(self, start: int, end: int, new: str) -> None:
        self._read(self.text[:start] + new + self.text[end:])

    def _cut(self, start: int, end: int) -> None:
        """Remove whole lines; of the blank lines around them one goes too, if two would meet."""
        before, after = self.text[:start], self.text[end:]
        blank_before = not before or re.search(r"\n[ \t]*\r?\n$", before)
        if blank_before and (blank := re.match(r"[ \t]*\r?\n", after)):
            after = after[blank.end() :]
        elif not after.strip():
            before = re.sub(r"(\r?\n)([ \t]*\r?\n)+$", r"\1", before)
        self._read(before + after)

    def _prune(self, table: Path) -> None:
        header = next((s for s in self.statements if s.is_header and s.path == table), None)
        if header is None or len(self._within(table)) > 1:
            return
        following = re.match(r"(?:[ \t]*\r?\n)*[ \t]*#", self.text[header.end :])
        if not following:
            self._cut(header.start, header.end)

    def _edit(self, pair: Statement, change: Callable[[Any], None]) -> None:
        assert pair.value
        start, end = pair.value
        document = tomlkit.parse(f"x = {self.text[start:end]}\n")
        change(document["x"])
        self._put(pair, self._lines(document.as_string()[len("x = ") :].rstrip("\r\n")))

    def _put(self, pair: Statement, value: str) -> None:
        """Replace a value; the comment lines that stood in it and do not any more go above it."""
        assert pair.value
        start, end = pair.value
        left = _notes(value)
        lost = [note for note in _notes(self.text[start:end]) if not _removed(left, note)]
        self._splice(start, end, value)
        if lost:
            self._splice(pair.start, pair.start, "".join(f"{n}{self.newline}" for n in lost))

    def _add(self, path: Path, value: str) -> None:
        *container, name = path
        header = next((s for s in self.statements if s.is_header and s.path == tuple(container)), 0)
        if header:
            inside = [s for s in self.statements if s.table == header.path and not s.is_header]
            end = max([header.end, *(s.end for s in inside)])
            self._insert(end, f"{_key([name])} = {value}{self.newline}")
            return
        dotted = [s for s in self._within(tuple(container)) if s.table != s.path and s.value]
        dotted = [s for s in dotted if len(s.table) < len(container)]
        if dotted:
            relative = path[len(dotted[-1].table) :]
            self._insert(dotted[-1].end, f"{_key(relative)} = {value}{self.newline}")
            return
        head = f"[{_key(container)}]\n{_key([name])} = {value}\n"
        if children := self._within(tuple(container)):
            # The header of a table stands before those of the tables in it.
            self._insert(self._above(children[0]), self._lines(f"{head}\n"))
            return
        self._insert_block(head, *_neighbours(tuple(container)))

    def _above(self, statement: Statement) -> int:
        """Where a statement begins with the comment lines right above it."""
        before = self.text[: statement.start]
        comments = re.search(r"(?:^[ \t]*#[^\n]*\n)+\Z", before, re.MULTILINE)
        return comments.start() if comments else statement.start

    def _insert(self, position: int, new: str) -> None:
        if position and self.text[position - 1] != "\n":
            new = self.newline + new
        self._splice(position, position, new)

    def _insert_block(self, block: str, *neighbours: Path) -> None:
        """Insert a table behind the last statement of the first neighbour that is there."""
        place = next(filter(None, map(self._within, neighbours)), self.statements)
        end = max((s.end for s in place), default=len(self.text))
        self._insert(end, self._lines(f"\n{block}" if end else block))

    def _in_string(self, position: int) -> bool:
        """Whether the line that starts there is no comment, but one of a text."""
        inside = (s for s in self.statements if s.value and s.start < position < s.end)
        pair = next(inside, None)
        if pair is None:
            return False
        tokens = _TOKEN.finditer(self.text, pair.value[0], pair.end)  # type: ignore[index]
        return any(token.start() < position < token.end() for token in tokens)


def _neighbours(table: Path) -> list[Path]:
    """Behind which tables a new one is looked for by its reader."""
    metadata: list[Path] = [("dependency-groups",), ("project",)]
    if table[0] == "project":
        metadata.reverse()
    if table[0] != "tool":
        return [p for p in metadata if p != table]
    return [*(table[:length] for length in range(len(table) - 1, 1, -1)), ("build-system",)]


def _key(path: Any) -> str:
    parts = (str(part) for part in path)
    bare = re.compile(r"[A-Za-z0-9_-]+")
    return ".".join(p if bare.fullmatch(p) else tomlkit.string(p).as_string() for p in parts)


def _notes(value: str) -> list[str]:
    """The lines of a value that hold a comment and nothing else."""
    return [
        token[0].strip()
        for token in _TOKEN.finditer(value)
        if token[0][0] == "#" and not value[: token.start()].rpartition("\n")[2].strip()
    ]


def _removed(notes: list[str], note: str) -> bool:
    """Whether a list had a note, which it has once less now."""
    if there := note in notes:
        notes.remove(note)
    return there


def _put(item: Any, path: Path, value: str) -> None:
    for part in path[:-1]:
        if isinstance(part, str) and part not in item:
            item[part] = tomlkit.inline_table()
        item = item[part]
    # An inline table of TOML 1.0 is one line.
    item[path[-1]] = value_of(" ".join(line.strip() for line in value.splitlines()))


def _drop(item: Any, path: Path) -> None:
    for part in path[:-1]:
        try:
            item = item[part]
        except (KeyError, IndexError):
            return
    if path[-1] in item if isinstance(path[-1], str) else path[-1] < len(item):
        del item[path[-1]]


def _statements(text: str) -> Iterator[Statement]:
    """The headers and keys of a text that is TOML, in their order."""
    position = 0
    table: Path = ()
    entries: dict[Path, int] = {}
    while position < len(text):
        start = position
        position = re.compile(r"[ \t]*").match(text, position).end()  # type: ignore[union-attr]
        if text[position : position + 1] not in ("", "\n", "\r", "#"):
            is_header = text[position] == "["
            is_array = text.startswith("[[", position)
            position += len("[[") if is_array else int(is_header)
            key = _KEY.search(text, position)
            assert key
            parts = _parts(key[0])
            if is_header:
                table = _numbered(parts, entries, is_array)
                position = _line_end(text, key.end())
                yield Statement(table, table, start, position)
                continue
            equals = text.index("=", key.end())
            first = re.compile(r"[ \t]*").match(text, equals + 1).end()  # type: ignore[union-attr]
            last = _value_end(text, first)
            position = _line_end(text, last)
            yield Statement((*table, *parts), table, start, position, (first, last))
            continue
        position = _line_end(text, position)


def _numbered(parts: Path, entries: dict[Path, int], is_array: bool) -> Path:
    """The path of a header, with the number of each entry of an array of tables on its way."""
    path: Path = ()
    for number, part in enumerate(parts, 1):
        path = (*path, part)
        if is_array and number == len(parts):
            entries[path] = entries.get(path, -1) + 1
        if path in entries:
            path = (*path, entries[path])
    return path


def _parts(key: str) -> Path:
    found = re.findall(_PART, key)
    return tuple(tomllib.loads(f"x = {p}")["x"] if p[0] in "\"'" else p for p in found)


def _value_end(text: str, position: int) -> int:
    depth, end = 0, position
    for token in _TOKEN.finditer(text, position):
        if token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
        elif depth == 0 and token[0][0] in "#\n":
            break
        if token[0].strip():
            end = token.start() + len(token[0].rstrip())
    return end


def _line_end(text: str, position: int) -> int:
    newline = text.find("\n", position)
    return len(text) if newline < 0 else newline + 1
