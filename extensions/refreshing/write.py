"""Changes the tables, and leaves all else in their files as it was: comments, order and form."""

from __future__ import annotations

import io
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from ..tables.backends import kind, nearest_backend, version
from ..tables.releases import load, minor
from .propose import Block, order

WIDTH = 100
KEYS = ("line", "torch", "released", "sources", "seen", "python", "oldest", "companions")
KEYS += ("triton", "no_local", "pypi", "indexes")
COMPANION_KEYS = ("version", "needs", "first", "absent", "last_python", "no_local", "pypi")
COMPANION_KEYS += ("indexes",)
LOW = "# low:"


def _yaml(width: int) -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = width
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _dumped(yaml: YAML, content: Any) -> str:
    out = io.StringIO()
    yaml.dump(content, out)
    return out.getvalue()


def with_blocks(text: str, blocks: Iterable[Block], checked: date | None) -> str:
    """The text of releases.yml with these blocks in the places of theirs, or as new ones.

    `checked` is the day on which all of the table was held against the indexes, if it was.
    """
    yaml = _yaml(WIDTH)
    content = yaml.load(text)
    there = {block["line"]: block for block in content["releases"]}
    changed = False
    for block in blocks:
        if block["line"] in there:
            changed |= _merge(there[block["line"]], block, ())
        else:
            newer = [name for name in there if minor(name) > minor(block["line"])]
            made = _made(block, ())
            content["releases"].insert(len(newer), made)
            there[block["line"]] = made
            there = dict(sorted(there.items(), key=lambda pair: minor(pair[0]), reverse=True))
            changed = True
    if checked and "checked" in content and content["checked"] != checked:
        content["checked"] = checked
        changed = True
    return _spaced(_dumped(yaml, content)) if changed else text


def _spaced(text: str) -> str:
    """With an empty line between two blocks, wherever ruamel put those that were there."""
    head, mark, body = text.partition("\nreleases:\n")
    lines = [line for line in body.splitlines() if line.strip()]
    spaced = re.sub(r"\n(?=  - line:)", "\n\n", "\n".join(lines))
    return f"{head}{mark}{spaced}\n"


def _merge(old: CommentedMap, new: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    """Make a mapping say what another does; whether that changed anything."""
    changed = False
    for key in [key for key in old if key not in new]:
        _forget_comment(old, key)
        del old[key]
        changed = True
    for key, value in new.items():
        if key not in old:
            place = sum(1 for other in old if _rank(path, other) < _rank(path, key))
            old.insert(place, key, _made(value, (*path, key)))
        elif isinstance(value, Mapping) and isinstance(old[key], Mapping):
            if not _merge(old[key], value, (*path, key)):
                continue
            _forget_comment(old, key)
        elif old[key] != value:
            old[key] = _made(value, (*path, key))
            _forget_comment(old, key)
        else:
            continue
        changed = True
    return changed


def _forget_comment(content: CommentedMap, key: str) -> None:
    """A remark on a line is about what the line said."""
    content.ca.items.pop(key, None)


def _rank(path: tuple[str, ...], key: str) -> Any:
    """Where a key stands among its like."""
    if kind(key):
        return order(key)
    keys = KEYS if not path else COMPANION_KEYS if path[0] == "companions" else ()
    return (keys.index(key) if key in keys else len(keys), ())


def _made(value: Any, path: tuple[str, ...]) -> Any:
    """A value in the form that the table has: what holds no mapping in one line, where it fits."""
    if isinstance(value, Mapping):
        found = CommentedMap((key, _made(v, (*path, key))) for key, v in value.items())
        flat = not any(isinstance(v, Mapping) for v in value.values())
        if flat and path and path[-1] not in ("companions", "indexes", "triton"):
            found.fa.set_flow_style()
        return found
    if isinstance(value, list):
        items = CommentedSeq(_made(v, path) for v in value)
        items.fa.set_flow_style()
        return items
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?", value):
        return DoubleQuotedScalarString(value)  # else it would be a number
    return value


def with_backends(text: str, opened: Iterable[str], lines: Mapping[str, Iterable[str]]) -> str:
    """The text of backends.yml without the backends that are offered now, and with what the tables
    need of each new one: as the nearest has it, and marked as low for a person to look at."""
    yaml = _yaml(4096)
    content = yaml.load(text)
    before = _dumped(yaml, content)
    for backend in opened:
        content["not_offered"].pop(backend, None)
    for backend, names in lines.items():
        if kind(backend) == "rocm":
            _as_nearest(content["rocm_architectures"], backend, lambda codes: _made([*codes], ()))
        if kind(backend) == "cuda":
            first = min(names, key=minor)

            def since(blocks: Any, first: str = first) -> Any:
                newest = {**blocks[-1], "since": first}
                return CommentedSeq([CommentedMap((k, _made(v, ())) for k, v in newest.items())])

            _as_nearest(content["cuda_architectures"], backend, since)
            major = f"cu{version(backend)[0]}"
            known = content["drivers"]
            if major not in known:
                last = max(known, key=lambda name: int(name[2:]))
                known[major] = _made(dict(known[last]), ("drivers", major))
                known.yaml_add_eol_comment(f"{LOW} as {last}", major)
    after = _dumped(yaml, content)
    return after if after != before else text


def _as_nearest(table: CommentedMap, backend: str, copied: Any) -> None:
    if backend in table:
        return
    nearest = nearest_backend(table, backend)
    place = sum(1 for other in table if order(other) < order(backend))
    table.insert(place, backend, copied(table[nearest]), comment=f"{LOW} as {nearest}")


def replace(folder: Path, texts: Mapping[str, str]) -> None:
    """Put new texts in the places of the tables, if they are tables.

    Raises ValueError, and changes nothing, for what the rest of the template could not read.
    """
    with tempfile.TemporaryDirectory() as trial:
        for name in ("releases.yml", "backends.yml"):
            text = texts.get(name) or (folder / name).read_text(encoding="utf-8")
            (Path(trial) / name).write_text(text, encoding="utf-8")
        try:
            load(Path(trial))
        except Exception as error:
            raise ValueError(f"what would be written is no table: {error}") from error
    for name, text in texts.items():
        fresh = folder / f".{name}.new"
        fresh.write_text(text, encoding="utf-8")
        os.replace(fresh, folder / name)
