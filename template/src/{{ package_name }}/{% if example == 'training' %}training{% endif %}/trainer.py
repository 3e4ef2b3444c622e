"""The run: from the first step, or the newest checkpoint, to the end."""

import contextlib
import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset, TensorDataset

from ..device import autocast_dtype, pin_memory
from .checkpoint import Checkpoints
from .config import Config, SettingsError
from .data import batches, ignore_signals, mixed, spirals
from .metrics import Metrics, Row
from .model import build_model
from .processes import Agreement, gathered, shared, synchronize, world
from .throughput import flops, peak

# What a run begins with and goes on with.
FIXED = ("seed", "batch_size")
Dtype = torch.dtype | None


def learning_rate(config: Config, step: int) -> float:
    """That of a step, counted from 0: it rises in a line, and falls along a cosine."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / (config.warmup + 1)
    last = config.decay or config.steps
    fallen = min(1.0, (step - config.warmup) / max(1, last - config.warmup))
    return config.learning_rate * (0.55 + 0.45 * math.cos(math.pi * fallen))


def mixed_precision(config: Config, device: torch.device) -> Dtype:
    """The dtype that a setting means; None for float32."""
    if config.precision == "auto":
        return autocast_dtype(device)
    return {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(config.precision)


def scored(
    model: nn.Module, points: Tensor, classes: Tensor, dtype: Dtype
) -> tuple[Tensor, Tensor]:
    """The scores of some points, and the mean loss."""
    with torch.autocast(points.device.type, dtype, enabled=dtype is not None):
        scores = model(points)
        return scores, nn.functional.cross_entropy(scores, classes)


@torch.no_grad()
def measured(
    model: nn.Module, data: TensorDataset, device: torch.device, dtype: Dtype
) -> tuple[float, float]:
    """Loss and accuracy on some data, of which each process takes an equal share.

    A rest that cannot be shared is left out: with FSDP, all have to take part.
    """
    rank, processes = world()
    mine = range(rank, len(data) // processes * processes, processes)
    sums = torch.zeros(2, device=device)
    model.eval()
    for points, classes in DataLoader(Subset(data, mine), batch_size=1024):
        points, classes = points.to(device), classes.to(device)
        scores, loss = scored(model, points, classes, dtype)
        right = (scores.argmax(1) == classes).sum()
        sums += torch.stack([loss.float() * len(classes), right])
    model.train()
    losses, rights = zip(*gathered(*sums.tolist()), strict=True)
    return sum(losses) / len(mine) / processes, sum(rights) / len(mine) / processes


class Trainer:
    """Everything that one process needs to take steps."""

    def __init__(self, config: Config, device: torch.device) -> None:
        self.config, self.device, self.step = config, device, 0
        self.rank, self.processes = world()
        if config.batch_size % (self.processes * config.accumulate):
            raise SettingsError(
                f"a batch of {config.batch_size} cannot be shared by {self.processes} "
                f"processes in {config.accumulate} equal parts each"
            )
        self.data, self.held_out = spirals(config.seed)
        # Every process begins with the same weights.
        torch.manual_seed(config.seed)
        self.model = build_model(config.hidden).to(device)
        self.replica = shared(self.model, config, device)
        self.optimizer = torch.optim.AdamW(self.model.parameters())
        self.dtype = mixed_precision(config, device)
        half = self.dtype is torch.float16
        self.scaler = torch.amp.GradScaler(device.type, enabled=half)
        self.checkpoints = Checkpoints(config.folder, config.keep)
        self.restore()
        if gathered(self.step) != [[self.step]] * self.processes:
            raise SettingsError(f"{config.folder} must be on a disk that all share")
        self.peak = peak(device, self.dtype is not None) * self.processes
        self.flops = flops(config.hidden) if self.peak else 0
        self.clock = self.step, time.perf_counter()

    def restore(self) -> None:
        """Go on from the newest checkpoint, if there is one."""
        run = self.checkpoints.restore(self.model, self.optimizer)
        self.step = run.get("step", 0)
        for name in FIXED:
            given = getattr(self.config, name)
            if run.get(name, given) != given:
                raise SettingsError(
                    f"{self.checkpoints.path} was made with {name} {run[name]}, not "
                    f"{given}: give the same, or another folder"
                )
        # It is empty where the run before needed none, as on another device.
        if run.get("scaler"):
            self.scaler.load_state_dict(run["scaler"])

    def save(self) -> None:
        """Write a checkpoint."""
        run = {name: getattr(self.config, name) for name in FIXED}
        run |= {"step": self.step, "scaler": self.scaler.state_dict()}
        self.checkpoints.save(self.model, self.optimizer, run)
        self.clock = self.step, time.perf_counter()

    def batches(self) -> DataLoader[tuple[Tensor, ...]]:
        """What is left of this process's share of the batches."""
        config, steps = self.config, range(self.step, self.config.steps)
        sizes, share = (len(self.data), config.batch_size), (self.rank, self.processes)
        return DataLoader(
            self.data,
            batch_sampler=batches(*sizes, config.seed, steps, share),
            pin_memory=pin_memory(self.device),
            num_workers=config.workers,
            worker_init_fn=ignore_signals,
        )

    def take_step(self, points: Tensor, classes: Tensor) -> Tensor:
        """One optimizer step over a share of a batch; the loss of that."""
        # All that is random in a step, such as dropout, is the same after a resume.
        # torch.manual_seed() does this as well, a hundred times slower.
        seed = mixed(self.config.seed, self.step, self.rank)
        torch.default_generator.manual_seed(seed)
        if self.device.type != "cpu":
            torch.get_device_module(self.device).manual_seed(seed)
        loss = self.accumulate(points, classes)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, self.step)
        if self.config.clip:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        self.step += 1
        return loss

    def accumulate(self, points: Tensor, classes: Tensor) -> Tensor:
        """Add up the gradients of the parts of a share; its loss."""
        parts, total = self.config.accumulate, torch.zeros((), device=self.device)
        pairs = zip(points.chunk(parts), classes.chunk(parts), strict=True)
        for number, pair in enumerate(pairs, start=1):
            # Only the last part needs the gradients of the other processes.
            synchronize(self.replica, number == parts)
            inputs, labels = (part.to(self.device, non_blocking=True) for part in pair)
            _, loss = scored(self.replica, inputs, labels, self.dtype)
            torch.autograd.backward(self.scaler.scale(loss / parts))
            total += loss.detach() / parts
        return total

    def progress(self, loss: Tensor) -> Row:
        """Metrics of a step; they wait for the device and the other processes."""
        losses = [loss for (loss,) in gathered(loss.item())]
        (step, before), now = self.clock, time.perf_counter()
        pace = (self.step - step) * self.config.batch_size / (now - before)
        self.clock = self.step, now
        row = {"loss": sum(losses) / self.processes, "samples_per_second": pace}
        row["learning_rate"] = learning_rate(self.config, self.step - 1)
        return {**row, "mfu": pace * self.flops / self.peak} if self.peak else row

    def evaluate(self) -> Row:
        """Metrics on data that no step sees."""
        found = measured(self.replica, self.held_out, self.device, self.dtype)
        self.clock = self.step, time.perf_counter()
        return dict(zip(("held_out_loss", "held_out_accuracy"), found, strict=True))


def train(config: Config, device: torch.device, stopping: Callable[[], bool]) -> bool:
    """Train to the last step, and say whether it was reached.

    Raises SettingsError for what does not fit the processes, the checkpoint, the disk.
    """
    try:
        config.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{config.folder}: {error.strerror}") from error
    trainer = Trainer(config, device)
    first, agreement = trainer.step, Agreement(trainer.step)
    with contextlib.ExitStack() as stack:
        metrics = None
        if trainer.rank == 0:
            config.save(config.folder / "config.toml")
            metrics = Metrics(config.folder, first)
            stack.callback(metrics.close)
        for points, classes in trainer.batches():
            loss, step = trainer.take_step(points, classes), trainer.step
            last, row = step == config.steps, Row()
            if last or step % config.log_every == 0:
                row |= trainer.progress(loss)
            if last or step % config.eval_every == 0:
                row |= trainer.evaluate()
            if metrics and row:
                metrics.write(step, row)
                text = ", ".join(f"{name} {value:.4g}" for name, value in row.items())
                print(f"step {step} of {config.steps}: {text}", flush=True)
            stop = agreement.to_stop(step, stopping())
            if stop or last or step % config.save_every == 0:
                trainer.save()
            trainer.checkpoints.finish(wait=stop or last)
            if stop and not last:
                return False
    return True
