"""Checkpoints that are whole or not there."""

import os
from pathlib import Path
from typing import Any

import torch

from .config import SettingsError

State = dict[str, Any]


def save(state: State, file: Path) -> None:
    """Replace a checkpoint. A process killed on the way leaves the previous one."""
    partial = file.with_suffix(".partial")
    with partial.open("wb") as opened:
        torch.save(state, opened)
        opened.flush()
        os.fsync(opened.fileno())
    partial.replace(file)


def load(file: Path, device: torch.device) -> State | None:
    """The checkpoint, if there is one. It can hold no code, only data.

    Raises SettingsError for a file that is none.
    """
    if not file.exists():
        return None
    try:
        state: State = torch.load(file, map_location=device, weights_only=True)
    except Exception as error:  # torch raises much for bytes that it did not write
        raise SettingsError(f"{file} is no checkpoint: remove it first") from error
    return state
