"""The cells that the tests go through: every release line with every backend that it offers."""

from pathlib import Path

from extensions.tables.releases import load

TABLES = load(Path(__file__).resolve().parents[2] / "extensions")
LINES = list(TABLES.lines)
CELLS = [(name, backend) for name, line in TABLES.lines.items() for backend in line.backends()]


def others(line: str) -> list[str]:
    """The backends of a line beside `cpu`."""
    return [backend for name, backend in CELLS if name == line and backend != "cpu"]
