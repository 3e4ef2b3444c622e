"""What the README says of the tables is written by one command, and is there as that writes it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from extensions.tables.platforms import AARCH64, LINUX, WINDOWS
from tests.conftest import ROOT, copy_template
from tests.support.cells import LINES, TABLES

SCRIPT = ".github/scripts/readme.py"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def readme(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, folder / SCRIPT, *options], capture_output=True, text=True, check=False
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = copy_template(tmp_path / "repository")
    shutil.copytree(ROOT / ".github", folder / ".github")
    shutil.copy(ROOT / "README.md", folder)
    return folder


def table(name: str, text: str = README) -> list[list[str]]:
    """The cells of the table at a mark."""
    part = text.split(f"<!-- {name}: by readme.py -->")[1].split("<!-- end -->")[0]
    rows = [line for line in part.splitlines() if line.startswith("|") and "---" not in line]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_readme_is_as_the_tables_are() -> None:
    done = readme(ROOT, "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_cell_of_the_matrix_is_one_of_the_tables() -> None:
    head, *rows = table("platforms")
    assert head[1:] == LINES
    assert {row[0].strip("`") for row in rows} == TABLES.backends()
    letters = {LINUX[0]: "x", AARCH64: "a", WINDOWS: "w"}
    for backend, *cells in rows:
        for line, cell in zip(LINES, cells, strict=True):
            has = TABLES.lines[line].indexes.get(backend.strip("`"), {})
            assert set(re.findall("[xaw]", cell)) == {letters[platform] for platform in has}
            unseen = "".join(re.findall(r"\(([xaw ]+)\)", cell))
            for platform, confidence in has.items():
                assert (letters[platform] in unseen) == (confidence in ("low", "guess"))


def test_every_line_is_there_with_its_backends_and_dates() -> None:
    _, *rows = table("lines")
    assert [row[0].split()[0] for row in rows] == LINES
    for row in rows:
        line = TABLES.lines[row[0].split()[0]]
        assert {line.torch, line.released} <= set(row[1].split(", "))
        assert line.first_python in row[2] and line.last_python in row[2]
        names = [name for cell in row[3:6] for name in re.findall(r"(?:cu|rocm|xpu)[\d.]*", cell)]
        assert ["cpu", *names] == line.backends()
        # Where nothing of a line was seen, its name says so, and else each backend.
        unseen = {b for b in line.indexes if not line.verified(b)}
        marked = {name for name in names if f"{name} (not verified)" in " ".join(row[3:6])}
        assert unseen == set(line.indexes) if "(not verified)" in row[0] else unseen == marked


def test_one_command_follows_the_tables(repository: Path) -> None:
    """A patch release, another day, an index that was seen: another default, another picture."""
    file = repository / "extensions" / "releases.yml"
    text = file.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^checked: .*", "checked: 2031-02-03", text)
    newest, rest = text.split('  - line: "2.14"')
    newest = newest.replace("torch: 2.15.0", "torch: 2.15.3").replace("guess", "high")
    newest = newest.replace("low", "high").replace("released: 2026-10-28", "released: 2031-01-02")
    file.write_text(f'{newest}  - line: "2.14"{rest}', encoding="utf-8")
    assert readme(repository, "--check").returncode == 1
    assert readme(repository).returncode == 0
    assert readme(repository, "--check").returncode == 0
    written = (repository / "README.md").read_text(encoding="utf-8")
    assert "facts of 2031-02-03" in written and "torch 2.15, the newest line" in written
    assert table("lines", written)[1][:2] == ["2.15", "2.15.3, 2031-01-02"]
    assert table("platforms", written)[1][1] == "x a w"
    assert "2.15.3+cpu" in written.split("```text")[1].split("```")[0]
    # And nothing else.
    text = re.sub(r"<!-- (\w+): by readme.py.*?<!-- end -->|```text.*?```", "", written, flags=re.S)
    assert text == re.sub(
        r"<!-- (\w+): by readme.py.*?<!-- end -->|```text.*?```", "", README, flags=re.S
    )


def test_a_part_without_its_place_is_missed(repository: Path) -> None:
    file = repository / "README.md"
    file.write_text(README.replace("<!-- lines: by readme.py -->", ""), encoding="utf-8")
    done = readme(repository)
    assert done.returncode == 1
    assert "README.md has no place for its lines" in done.stderr
