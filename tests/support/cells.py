"""The cells that the tests go through: every release line with every backend that it offers."""

from extensions.tables.releases import load
from tests.support.frozen import tables

TABLES = load(tables())
LINES = list(TABLES.lines)
CELLS = [(name, backend) for name, line in TABLES.lines.items() for backend in line.backends()]


def others(line: str) -> list[str]:
    """The backends of a line beside `cpu`."""
    return [backend for name, backend in CELLS if name == line and backend != "cpu"]
