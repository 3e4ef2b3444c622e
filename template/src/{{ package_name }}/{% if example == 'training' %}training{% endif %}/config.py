"""The settings of a run, and the command line made from them."""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

# The settings that make sense above 0 alone.
POSITIVE = (
    "steps",
    "batch_size",
    "accumulate",
    "learning_rate",
    "hidden",
    "log_every",
    "save_every",
)


class SettingsError(ValueError):
    """Settings that cannot work, with a reason for people."""


def setting(default: object, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Config:
    """Raises SettingsError for settings that cannot work."""

    folder: Path = setting(Path("runs/spirals"), "where the run is kept")
    steps: int = setting(500, "optimizer steps in all")
    batch_size: int = setting(128, "samples per step, over all processes")
    accumulate: int = setting(1, "parts in which a process takes its batch")
    learning_rate: float = setting(0.01, "of AdamW")
    hidden: int = setting(64, "width of the hidden layers")
    seed: int = setting(0, "of data, weights and batches")
    log_every: int = setting(10, "steps between metrics")
    save_every: int = setting(100, "steps between checkpoints")
    device: str = setting("auto", "auto takes an accelerator; or cpu, cuda, xpu, mps")

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**31:
            raise SettingsError(f"seed must be from 0 to 2147483647, not {self.seed}")
        for name in POSITIVE:
            if not 0 < getattr(self, name) < math.inf:
                raise SettingsError(f"{name} must be above 0, not {vars(self)[name]}")


def parse(arguments: Sequence[str] | None = None) -> Config:
    """The settings of a command line: `--batch-size 256` and so on."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {__package__}",
        description="Train a network to tell two spirals apart, or go on with it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for known in fields(Config):
        kind: dict[str, Any] = {"type": type(known.default)}
        if isinstance(known.default, Path):
            kind = {"type": Path}
        elif isinstance(known.default, bool):
            kind = {"action": argparse.BooleanOptionalAction}
        parser.add_argument(
            f"--{known.name.replace('_', '-')}",
            default=known.default,
            help=known.metadata["help"],
            **kind,
        )
    try:
        return Config(**vars(parser.parse_args(arguments)))
    except SettingsError as error:
        parser.error(str(error))
