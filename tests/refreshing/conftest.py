"""The recorded indexes, as PyTorch has them: new files lie on a host of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pytorch_index import PyTorchIndex


@pytest.fixture(scope="session")
def pytorch() -> Iterator[PyTorchIndex]:
    with PyTorchIndex(apart=True) as served:
        yield served
