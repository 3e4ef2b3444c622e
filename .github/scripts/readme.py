"""What the README says of the tables: matrix, marks, dates and the picture of a render.

uv run .github/scripts/readme.py           writes it
uv run .github/scripts/readme.py --check   exits with 1 if it would be written otherwise
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from copier import run_copy  # noqa: E402

from extensions.tables.backends import kind, version  # noqa: E402
from extensions.tables.platforms import AARCH64, LINUX, WINDOWS  # noqa: E402
from extensions.tables.releases import Line, Tables, load  # noqa: E402

NOT_VERIFIED = "not verified"
LETTERS = {LINUX[0]: "x", AARCH64: "a", WINDOWS: "w"}
NONE = "–"
# Where no folder and no variable of this machine has a say.
NEUTRAL = {"TORCH_TEMPLATE_MACHINE": "none", "COPIER_SETTINGS_PATH": os.devnull}


def facts(tables: Tables) -> str:
    """Of which day the facts are, and what a new project gets by default."""
    return (
        f"These are facts of {tables.checked}. New projects get torch {tables.default_line()}, the "
        "newest line whose indexes were seen."
    )


def lines(tables: Tables) -> str:
    """Per line its newest release, Pythons and backends."""
    head = ("torch", "newest release", "Python", "CUDA", "ROCm", "Intel GPU", "PyPI, on Linux")
    rows = [head]
    for name, line in tables.lines.items():
        unseen = not any(map(line.verified, line.indexes))
        rows.append(
            (
                f"{name} ({NOT_VERIFIED})" if unseen else name,
                f"{line.torch}, {line.released}" if line.released else line.torch,
                f"{line.first_python} – {line.last_python}",
                *(_listed(line, of_kind, unseen) for of_kind in ("cuda", "rocm", "xpu")),
                _on_pypi(line),
            )
        )
    return _table(rows)


def _listed(line: Line, of_kind: str, unseen: bool) -> str:
    names = [
        backend if unseen or line.verified(backend) else f"{backend} ({NOT_VERIFIED})"
        for backend in line.backends(of_kind)
    ]
    return ", ".join(names) or NONE


def _on_pypi(line: Line) -> str:
    x86, aarch64 = (line.pypi[platform] for platform in LINUX)
    return x86 if x86 == aarch64 else f"{x86} (aarch64: {aarch64})"


def platforms(tables: Tables) -> str:
    """Line × backend × platform, in letters; what nobody has seen stands in brackets."""
    every = list(tables.lines.values())
    kinds = ["cpu", "cuda", "rocm", "xpu"]
    known = sorted(tables.backends(), key=lambda b: (kinds.index(kind(b)), version(b)))
    rows = [("", *(line.name for line in every))]
    rows += [(f"`{b}`", *(_cell(line, b) for line in every)) for b in known]
    return _table(rows)


def _cell(line: Line, backend: str) -> str:
    has = line.indexes.get(backend, {})
    letters = [
        letter if line.verified(backend, platform) else f"({letter})"
        for platform, letter in LETTERS.items()
        if platform in has
    ]
    return " ".join(letters).replace(") (", " ") or NONE


def picture() -> str:
    """What the end of a render says, but for the answers that nobody was asked for."""
    said = io.StringIO()
    with (
        tempfile.TemporaryDirectory() as folder,
        _neutral(),
        contextlib.redirect_stderr(said),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        template = Path(folder, "template")
        for name in ("template", "extensions"):
            shutil.copytree(ROOT / name, template / name)
        shutil.copy(ROOT / "copier.yml", template)
        with contextlib.chdir(folder):
            run_copy(str(template), "myproj", defaults=True, unsafe=True)
    shown = said.getvalue()
    shown = shown[shown.index("myproj is there") :]
    return re.sub(r"\n *By default: .*?\n\n", "\n", shown, flags=re.DOTALL).rstrip()


@contextlib.contextmanager
def _neutral() -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(NEUTRAL)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = (f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows)
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def written(text: str, tables: Tables) -> str:
    """The README with these parts as they should be. Raises ValueError if one has no place."""
    parts = {"facts": facts(tables), "lines": lines(tables), "platforms": platforms(tables)}
    for name, part in parts.items():
        begin, end = f"<!-- {name}: by readme.py -->\n", "<!-- end -->"
        text = _replaced(text, begin, end, f"\n{part}\n\n", name)
    return _replaced(text, "```text\n", "\n```", picture(), "picture of a render")


def _replaced(text: str, begin: str, end: str, part: str, name: str) -> str:
    head, found, rest = text.partition(begin)
    if not found or end not in rest:
        raise ValueError(f"README.md has no place for its {name}: {begin.strip()} … {end.strip()}")
    return f"{head}{begin}{part}{end}{rest.partition(end)[2]}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    try:
        wanted = written(text, load(ROOT / "extensions"))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if options.check and text != wanted:
        print("README.md is not as the tables are: uv run .github/scripts/readme.py")
        return 1
    if text != wanted:
        readme.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
