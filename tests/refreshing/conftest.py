"""The recorded indexes, as PyTorch has them: new files lie on a host of their own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pytorch_index import PyTorchIndex
from tests.pytorch_index.listing import as_recorded
from tests.refreshing.worlds import blocks, drop, tables


@pytest.fixture(scope="session")
def pytorch() -> Iterator[PyTorchIndex]:
    with PyTorchIndex(apart=True, listing=as_recorded()) as served:
        yield served


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of the newest lines alone, which are written in a fourth of the time."""
    folder = tables(tmp_path_factory.mktemp("few"))
    for line in [line for line in blocks(folder) if line not in ("2.13", "2.14", "2.15")]:
        drop(folder, line)
    return folder


@pytest.fixture
def folder(few: Path, tmp_path: Path) -> Path:
    """Those tables, to be changed."""
    return Path(shutil.copytree(few, tmp_path / "tables"))
