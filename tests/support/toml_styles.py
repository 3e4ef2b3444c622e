"""The same TOML in the ways in which people write it: a dumper with drawn layouts."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

BLOCKS = (
    ("project",),
    ("project", "optional-dependencies"),
    ("dependency-groups",),
    ("build-system",),
    ("tool", "uv"),
    ("tool", "uv", "sources"),
    ("tool", "uv", "index"),
)
# Where a table in a block may stand within one line, or under dotted keys.
Layouts = dict[tuple[str, ...], str]
LAYOUTS = ("header", "header", "header", "inline", "dotted")


class Dumper:
    """Writes TOML; every layout is drawn, and a numbered comment stands above some lines."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.comments: list[str] = []

    def dump(self, data: dict[str, Any]) -> str:
        blocks = [(path, _at(data, path)) for path in BLOCKS]
        blocks += [(("tool", name), table) for name, table in data["tool"].items() if name != "uv"]
        present = {path: table for path, table in blocks if table}
        layouts = {path: "header" for path in present}
        for path in present:
            if path[:2] in (("tool", "uv"), ("project", "optional-dependencies")) and len(path) > 1:
                layouts[path] = self.draw(st.sampled_from(LAYOUTS))
        if layouts.get(("tool", "uv")) == "inline":
            # What is within one line ends with it.
            for path in present:
                if path[:2] == ("tool", "uv"):
                    layouts[path] = "inline"
        order = self.draw(st.permutations(list(present)))
        text = ""
        for path in order:
            if self._parent_holds(path, layouts):
                continue
            text += self._block(path, present, layouts)
        newline = self.draw(st.sampled_from(["\n", "\n", "\r\n"]))
        return text.replace("\n", newline)

    def _parent_holds(self, path: tuple[str, ...], layouts: Layouts) -> bool:
        return layouts[path] != "header" and path[:-1] in layouts

    def _block(
        self, path: tuple[str, ...], present: dict[Any, Any], layouts: dict[Any, str]
    ) -> str:
        table = present[path]
        name = ".".join(path)
        if isinstance(table, list):
            return "".join(
                f"{self._comment()}[[{name}]]\n{self._pairs(entry)}\n" for entry in table
            )
        if layouts[path] == "inline":
            whole = self._inline(self._whole(path, present))
            return f"{self._comment()}[{path[0]}]\n{path[1]} = {whole}\n\n"
        prefix = ""
        head = f"[{name}]"
        if layouts[path] == "dotted":
            head, prefix = f"[{'.'.join(path[:-1])}]", f"{path[-1]}."
        lines = self._pairs({k: v for k, v in table.items() if (*path, k) not in layouts}, prefix)
        for inner, layout in layouts.items():
            if inner[:-1] == path and layout == "inline":
                lines += f"{self._comment()}{prefix}{inner[-1]} = {self._value(present[inner])}\n"
            elif inner[:-1] == path and layout == "dotted" and isinstance(present[inner], dict):
                lines += self._pairs(present[inner], f"{prefix}{inner[-1]}.")
            elif inner[:-1] == path and layout == "dotted":
                lines += f"{self._comment()}{prefix}{inner[-1]} = {self._value(present[inner])}\n"
        return f"{self._comment()}{head}\n{lines}\n"

    def _whole(self, path: tuple[str, ...], present: dict[Any, Any]) -> dict[str, Any]:
        inner = {p[-1]: table for p, table in present.items() if p[:-1] == path}
        return {**present[path], **inner}

    def _pairs(self, table: dict[str, Any], prefix: str = "") -> str:
        return "".join(
            f"{self._comment()}{prefix}{_key(key)} = {self._value(value)}{self._trailing()}\n"
            for key, value in table.items()
        )

    def _comment(self) -> str:
        if not self.draw(st.booleans()):
            return ""
        self.comments.append(f"# note {len(self.comments)}.")
        return f"{self.comments[-1]}\n"

    def _trailing(self) -> str:
        return self.draw(st.sampled_from(["", "", "  "]))

    def _value(self, value: Any) -> str:
        if isinstance(value, list):
            return self._array(value)
        return self._inline(value) if isinstance(value, dict) else self._scalar(value)

    def _array(self, items: list[Any]) -> str:
        values = [self._inline(i) if isinstance(i, dict) else self._line(i) for i in items]
        layout = self.draw(st.sampled_from(["line", "line,", "lines", "lines,", "hanging"]))
        comma = "," if layout.endswith(",") and values else ""
        if layout.startswith("line") and not layout.startswith("lines"):
            return f"[{', '.join(values)}{comma}]"
        if layout == "hanging":
            return f"[{(',' + chr(10) + '    ').join(values)}]"
        return "[\n" + ",\n".join(f"  {value}" for value in values) + f"{comma}\n]"

    def _line(self, value: Any) -> str:
        """A value that is written within one line."""
        if isinstance(value, list):
            return f"[{', '.join(map(self._line, value))}]"
        return self._inline(value) if isinstance(value, dict) else self._scalar(value)

    def _inline(self, table: dict[str, Any]) -> str:
        pairs = ", ".join(f"{_key(key)} = {self._line(value)}" for key, value in table.items())
        return f"{{{pairs}}}" if self.draw(st.booleans()) else f"{{ {pairs} }}"

    def _scalar(self, value: Any) -> str:
        if isinstance(value, str) and "'" not in value and self.draw(st.booleans()):
            return f"'{value}'"
        return json.dumps(value)


def _at(data: dict[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = data
    for part in path:
        found = found.get(part, {})
    if isinstance(found, dict):
        return {k: v for k, v in found.items() if (*path, k) not in BLOCKS}
    return found


def _key(name: str) -> str:
    return (
        name
        if name.replace("-", "").replace("_", "").isalnum() and name.isascii()
        else json.dumps(name)
    )
