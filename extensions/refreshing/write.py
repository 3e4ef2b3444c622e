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
from ruamel.yaml.tokens import CommentToken

from ..tables.backends import kind, nearest_backend, version
from ..tables.platforms import PLATFORMS
from ..tables.releases import load, minor
from .propose import Block, order

WIDTH = 100
# The order of the keys in a block, and in what it says of a companion and of a triton.
_KEYS = {
    "": (
        *("line", "torch", "released", "sources", "seen", "python", "oldest", "companions"),
        *("triton", "no_local", "pypi", "indexes"),
    ),
    "companions": (
        *("version", "needs", "first", "absent", "last_python", "no_local", "pypi", "indexes"),
    ),
    "triton": ("name", "version", "platforms"),
}
Remark = tuple[tuple[str, ...], str]  # where in a block, and what
LOW = "# low:"


def _yaml(width: int) -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    # One date in two lines is no reason for an anchor.
    yaml.representer.ignore_aliases = lambda data: True
    yaml.width = width
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _dumped(yaml: YAML, content: Any) -> str:
    out = io.StringIO()
    yaml.dump(content, out)
    return out.getvalue()


def marks(text: str) -> list[str]:
    """What a table says to be low, and a person has not looked at yet."""
    found, line = [], ""
    for row in text.splitlines():
        if match := re.match(r'  - line: "([\d.]+)"', row):
            line = f"torch {match[1]}, "
        if LOW in row:
            found.append(line + row.partition(LOW)[2].strip())
    return found


def with_blocks(
    text: str,
    blocks: Iterable[tuple[Block, Iterable[Remark]]],
    checked: date | None,
) -> str:
    """The text of releases.yml with these blocks in the places of theirs, or as new ones, and
    with a remark on each cell of a new one at which a person must look.

    `checked` is the day on which all of the table was held against the indexes, if it was.
    """
    yaml = _yaml(WIDTH)
    content = yaml.load(text)
    there = {block["line"]: block for block in content["releases"]}
    changed = False
    for block, remarks in blocks:
        if block["line"] in there:
            changed |= _merge(there[block["line"]], block, ())
        else:
            newer = [name for name in there if minor(name) > minor(block["line"])]
            made = _made(block, ())
            _remark(made, remarks)
            content["releases"].insert(len(newer), made)
            there[block["line"]] = made
            there = dict(sorted(there.items(), key=lambda pair: minor(pair[0]), reverse=True))
            changed = True
    if checked and "checked" in content and content["checked"] != checked:
        content["checked"] = checked
        changed = True
    return _spaced(_dumped(yaml, content)) if changed else text


def _remark(block: CommentedMap, remarks: Iterable[Remark]) -> None:
    texts: dict[tuple[str, ...], list[str]] = {}
    for path, text in remarks:
        texts.setdefault(path, []).append(text)
    for (*path, key), found in texts.items():
        holder = block
        for part in path:
            holder = holder.get(part, {})
        if key in holder:
            holder.yaml_add_eol_comment(f"{LOW[2:]} {'; '.join(found)}", key)


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
    """A remark on a line is about what the line said; those on lines of their own stay, and those
    for a person."""
    own = getattr(content[key], "ca", None)
    for tokens in (content.ca.items.get(key), own.comment if own else None):
        for token in filter(None, tokens or ()):
            if not isinstance(token, CommentToken) or token.value.startswith(LOW):
                continue
            if token.value.startswith("#"):
                token.value = "\n" + token.value.partition("\n")[2]


def _rank(path: tuple[str, ...], key: str) -> Any:
    """Where a key stands among its like."""
    if kind(key):
        return order(key)
    if key in PLATFORMS:
        return (list(PLATFORMS).index(key), ())
    keys = _KEYS.get(path[0] if path else "", ())
    return (keys.index(key) if key in keys else len(keys), ())


def _made(value: Any, path: tuple[str, ...]) -> Any:
    """A value in the form that the table has: what holds no mapping in one line, where it fits."""
    if isinstance(value, Mapping):
        keys = value if path else sorted(value, key=lambda key: _rank((), key))
        found = CommentedMap((key, _made(value[key], (*path, key))) for key in keys)
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


def with_backends(text: str, opened: Iterable[str], unknown: Mapping[str, str]) -> str:
    """The text of backends.yml without the backends that are offered now, and with what the tables
    need of each unknown one, which has a line: as the nearest has it, marked as low."""
    for backend in opened:
        text = re.sub(rf"(?m)^  {re.escape(backend)}: .*\n(    .*\n)*", "", text)
    for backend, line in sorted(unknown.items(), key=lambda pair: order(pair[0])):
        if kind(backend) == "rocm":
            text = _as_nearest(text, "rocm_architectures", backend)
            continue
        text = _as_nearest(text, "cuda_architectures", backend, line)
        text = _as_nearest(text, "drivers", f"cu{version(backend)[0]}")
    return text


def _as_nearest(text: str, table: str, name: str, line: str = "") -> str:
    """With an entry for a name in one of its tables, copied from the nearest one; of what changes
    with the lines the newest, from `line` on."""
    head, body, tail = re.split(rf"(?m)(?<=^{table}:\n)((?:  .*\n)+)", text, maxsplit=1)
    entries = {
        m[1]: m[0] for m in re.finditer(r"(?m)^  (\w[\w.]*):.*\n(?:(?:    |  #).*\n)*", body)
    }
    if name in entries:
        return text
    like = nearest_backend(entries, name)
    copied = re.sub(rf"(?m)^  {re.escape(like)}:", f"  {name}:", entries[like])
    copied = re.sub(r"(?m)^  #.*\n", "", copied)
    if line:
        first, *_, newest = copied.split("    - since:")
        copied = re.sub(r'"[\d.]+"', f'"{line}"', f"{first}    - since:{newest}", count=1)
    entries[name] = f"  {LOW} {name} as {like}\n{copied}"
    ordered = sorted(entries, key=version)
    return head + "".join(entries[key] for key in ordered) + tail


def replace(folder: Path, texts: Mapping[str, str]) -> None:
    """Put new texts in the places of the tables, if they are tables.

    Raises ValueError, and changes nothing, for what the rest of the template could not read.
    """
    with tempfile.TemporaryDirectory() as trial:
        for name in ("releases.yml", "backends.yml"):
            text = texts.get(name) or (folder / name).read_text(encoding="utf-8")
            (Path(trial) / name).write_text(text, encoding="utf-8", newline="\n")
        try:
            load(Path(trial))
        except Exception as error:
            raise ValueError(f"what would be written is no table: {error}") from error
    for name, text in texts.items():
        fresh = folder / f".{name}.new"
        fresh.write_text(text, encoding="utf-8", newline="\n")
        os.replace(fresh, folder / name)
