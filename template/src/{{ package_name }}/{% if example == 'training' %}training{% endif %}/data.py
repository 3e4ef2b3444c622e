"""Two interleaved spirals, and the order in which a run sees their points."""

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler, TensorDataset

from .config import SettingsError


def spirals(points: int, seed: int) -> TensorDataset:
    """Points in the plane, shape (points, 2), and their classes, shape (points,)."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.arange(points) % 2
    radius = torch.rand(points, generator=generator).sqrt()
    angle = 7 * radius + torch.pi * classes
    places = radius * torch.stack([angle.cos(), angle.sin()])
    noise = 0.02 * torch.randn(points, 2, generator=generator)
    return TensorDataset(places.T + noise, classes)


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """A seed for all that is random in one step of one process."""
    return ((seed * 1_000_003 + step) * 4_099 + rank) % 2**63


class StepSampler(Sampler[list[int]]):
    """The batches of one process, each in `parts`, from the step `first` to the last.

    The batch of a step follows from the seed and the step alone: a resumed run sees
    the same batches, and any number of processes share the same ones.
    """

    def __init__(
        self,
        points: int,
        batch_size: int,
        seed: int,
        steps: range,
        share: tuple[int, int] = (0, 1),
        parts: int = 1,
    ) -> None:
        rank, processes = share
        if batch_size % (processes * parts):
            raise SettingsError(
                f"a batch of {batch_size} cannot be shared by {processes} processes "
                f"in {parts} equal parts each"
            )
        self.points, self.batch_size, self.seed = points, batch_size, seed
        self.steps, self.parts = steps, parts
        size = batch_size // processes
        self.share = slice(rank * size, (rank + 1) * size)

    def __len__(self) -> int:
        return len(self.steps) * self.parts

    def __iter__(self) -> Iterator[list[int]]:
        for step in self.steps:
            generator = torch.Generator().manual_seed(step_seed(self.seed, step))
            batch = torch.randint(self.points, (self.batch_size,), generator=generator)
            for part in batch[self.share].chunk(self.parts):
                yield part.tolist()
