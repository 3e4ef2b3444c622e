"""The run: from the first step, or the last checkpoint, to the end."""

import contextlib
from collections.abc import Callable
from dataclasses import asdict

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from tqdm import tqdm

from ..device import autocast_dtype, pin_memory
from . import checkpoint
from .config import Config, SettingsError
from .data import StepSampler, spirals, step_seed
from .metrics import Metrics
from .model import build_model

POINTS = 2000
# What a resumed run may change.
FREE = {"folder", "steps", "accumulate", "log_every", "save_every", "device"}


class Trainer:
    """Everything that one process needs to take steps."""

    def __init__(self, config: Config, device: torch.device) -> None:
        self.config, self.device, self.step = config, device, 0
        self.rank, self.processes = 0, 1
        if dist.is_initialized():
            self.rank, self.processes = dist.get_rank(), dist.get_world_size()
        torch.manual_seed(config.seed)
        self.model = build_model(config.hidden).to(device)
        self.replica: nn.Module = self.model
        if self.processes > 1:
            ids = None if device.type == "cpu" else [device.index]
            self.replica = DistributedDataParallel(self.model, device_ids=ids)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=config.learning_rate
        )
        self.dtype = autocast_dtype(device)
        self.scaler = torch.amp.GradScaler(
            device.type, enabled=self.dtype is torch.float16
        )
        self.file = config.folder / "checkpoint.pt"
        self.restore()
        if any(step != self.step for step in self.gathered(self.step)):
            raise SettingsError(f"{self.file} must be on a disk that all share")

    def gathered(self, value: float) -> list[float]:
        """A number of every process."""
        if self.processes == 1:
            return [value]
        all_values = torch.zeros(self.processes, device=self.device)
        all_values[self.rank] = value
        dist.all_reduce(all_values)
        return all_values.tolist()

    def restore(self) -> None:
        """Go on from the checkpoint in the folder, if there is one."""
        state = checkpoint.load(self.file, self.device)
        if state is None:
            return
        for name, saved in state["config"].items():
            given = getattr(self.config, name)
            if given != saved:
                raise SettingsError(
                    f"{self.file} was made with {name} {saved}, not {given}: "
                    "give the same, or another folder"
                )
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        # It is empty where the run before needed none, as on another device.
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])

    def save(self) -> None:
        """Write a checkpoint; the first process does it for all."""
        if self.rank == 0:
            settings = asdict(self.config)
            state = {
                "step": self.step,
                "config": {k: v for k, v in settings.items() if k not in FREE},
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
            }
            checkpoint.save(state, self.file)

    def batches(self) -> DataLoader[tuple[Tensor, ...]]:
        """What is left of this process's batches."""
        config = self.config
        sampler = StepSampler(
            POINTS,
            config.batch_size,
            config.seed,
            range(self.step, config.steps),
            (self.rank, self.processes),
            config.accumulate,
        )
        return DataLoader(
            spirals(POINTS, config.seed),
            batch_sampler=sampler,
            pin_memory=pin_memory(self.device),
        )

    def take_step(self, parts: list[tuple[Tensor, ...]]) -> tuple[Tensor, Tensor]:
        """One optimizer step over the parts of a batch; its loss and accuracy."""
        # All that is random in a step, such as dropout, is the same after a resume.
        torch.manual_seed(step_seed(self.config.seed, self.step, self.rank))
        totals = torch.zeros(2, device=self.device)
        for number, (points, classes) in enumerate(parts, start=1):
            with self.unless_last(number == len(parts)):
                totals += self.accumulate(points, classes, len(parts))
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        self.step += 1
        if self.processes > 1:
            dist.all_reduce(totals)
        loss, accuracy = totals / self.processes
        return loss, accuracy

    def unless_last(self, last: bool) -> contextlib.AbstractContextManager[None]:
        """Only the last part of a batch needs the other processes' gradients."""
        if isinstance(self.replica, DistributedDataParallel) and not last:
            synchronize: contextlib.AbstractContextManager[None] = (
                self.replica.no_sync()
            )
            return synchronize
        return contextlib.nullcontext()

    def accumulate(self, points: Tensor, classes: Tensor, parts: int) -> Tensor:
        """Add the gradients of one part; its share of loss and accuracy, shape (2,)."""
        points = points.to(self.device, non_blocking=True)
        classes = classes.to(self.device, non_blocking=True)
        with torch.autocast(
            self.device.type, self.dtype, enabled=self.dtype is not None
        ):
            scores = self.replica(points)
            loss = nn.functional.cross_entropy(scores, classes) / parts
        torch.autograd.backward(self.scaler.scale(loss))
        accuracy = (scores.argmax(1) == classes).float().mean() / parts
        return torch.stack([loss.detach().float(), accuracy])


def train(
    config: Config,
    device: torch.device,
    should_stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Train to the last step, and say whether it was reached.

    Raises SettingsError for settings that do not fit the processes, the checkpoint or
    the disk.
    """
    try:
        config.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{config.folder}: {error.strerror}") from error
    trainer = Trainer(config, device)
    batches = iter(trainer.batches())
    with contextlib.ExitStack() as stack:
        metrics = None
        if trainer.rank == 0:
            metrics = Metrics(config.folder, trainer.step)
            stack.callback(metrics.close)
        bar = tqdm(
            range(trainer.step, config.steps),
            initial=trainer.step,
            total=config.steps,
            # None: a bar on a terminal only.
            disable=None if trainer.rank == 0 else True,
        )
        for _ in bar:
            parts = [next(batches) for _ in range(config.accumulate)]
            loss, accuracy = trainer.take_step(parts)
            if metrics and trainer.step % config.log_every == 0:
                metrics.write(trainer.step, loss.item(), accuracy.item())
                bar.set_postfix(loss=f"{loss.item():.3f}")
            # Told to stop, all processes do so at the same step.
            stop = any(trainer.gathered(should_stop()))
            if stop or trainer.step % config.save_every == 0:
                trainer.save()
            if stop:
                return False
        trainer.save()
    return True
