"""Whether a file can be read as what its name says that it is."""

from __future__ import annotations

import ast
import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

import yaml


def trouble(name: str, content: bytes) -> str:
    """Why TOML, YAML, JSON or Python cannot be read; empty if it can, or is none of these."""
    reader = READERS.get(PurePath(name).suffix)
    if reader is None:
        return ""
    try:
        reader(content.decode("utf-8-sig"))
    except (SyntaxError, ValueError, RecursionError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: {error.problem}" if mark else ""  # type: ignore[attr-defined]
        if isinstance(error, SyntaxError):
            where = f"line {error.lineno}: {error.msg}"
        return where or str(error) or type(error).__name__
    return ""


def _yaml(text: str) -> None:
    """Raises for what is no YAML, or has a key twice; tags may be anybody's."""
    for document in yaml.compose_all(text, yaml.SafeLoader):
        _no_key_twice(document)


def _no_key_twice(node: Any) -> None:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _no_key_twice(item)
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    line = key.start_mark.line + 1
                    raise ValueError(f"line {line}: {key.value} stands there twice")
                seen.add(key.value)
            _no_key_twice(value)


READERS: Mapping[str, Callable[[str], Any]] = {
    ".toml": tomllib.loads,
    ".yml": _yaml,
    ".yaml": _yaml,
    ".json": json.loads,
    ".py": ast.parse,
}
