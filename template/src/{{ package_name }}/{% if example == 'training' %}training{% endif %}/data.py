"""Two interleaved spirals, and the order in which a run sees their points."""

import signal
from collections.abc import Iterator

import torch
from torch.utils.data import TensorDataset

TRAINING, HELD_OUT = 2000, 500


def spirals(seed: int) -> tuple[TensorDataset, TensorDataset]:
    """Points to train on and held-out ones: places, shape (n, 2), and classes, (n,)."""
    points = TRAINING + HELD_OUT
    generator = torch.Generator().manual_seed(seed)
    classes = torch.arange(points) % 2
    radius = torch.rand(points, generator=generator).sqrt()
    angle = 7 * radius + torch.pi * classes
    places = radius * torch.stack([angle.cos(), angle.sin()])
    places = places.T + 0.02 * torch.randn(points, 2, generator=generator)
    return (
        TensorDataset(places[:TRAINING], classes[:TRAINING]),
        TensorDataset(places[TRAINING:], classes[TRAINING:]),
    )


def mixed(seed: int, step: int, rank: int = 0) -> int:
    """A seed for all that is random in one step of one process."""
    return ((seed * 1_000_003 + step) * 4_099 + rank) % 2**63


def ignore_signals(worker: int) -> None:
    """In workers that load data: the last step of a job that has to go needs them."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def batches(
    points: int, batch_size: int, seed: int, steps: range, share: tuple[int, int]
) -> Iterator[list[int]]:
    """The share of one process in the batches of some steps.

    Epochs follow each other without a gap, each a permutation of all points. A step has
    the same batch in a resumed run, and with any number of processes.
    """
    rank, processes = share
    size = batch_size // processes
    known, order = -1, list[int]()
    for step in steps:
        batch, first = [], step * batch_size + rank * size
        for epoch, place in (divmod(n, points) for n in range(first, first + size)):
            if epoch != known:
                generator = torch.Generator().manual_seed(mixed(seed, epoch))
                order = torch.randperm(points, generator=generator).tolist()
                known = epoch
            batch.append(order[place])
        yield batch
