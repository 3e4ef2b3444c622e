"""Train: with `python -m` in one process, with `torchrun -m` in several."""

import importlib
import os
import signal
import sys
from types import FrameType

import torch
import torch.distributed as dist

from ..device import best_device, distributed_backend
from .config import SettingsError, parse
from .trainer import train


def chosen_device(name: str) -> torch.device:
    """The device of a name, the best one for `auto`; under torchrun, each has its own.

    Raises SettingsError for one that cannot be used here.
    """
    if name == "auto":
        return best_device()
    try:
        device = torch.device(name)
        if "LOCAL_RANK" in os.environ and name in ("cuda", "xpu"):
            device = torch.device(name, int(os.environ["LOCAL_RANK"]))
        torch.empty(0, device=device)
    except (AssertionError, ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0]
        raise SettingsError(f"device {name} cannot be used: {reason}") from error
    return device


class Stop:
    """Set by SIGTERM, which a scheduler sends before it takes the machine away."""

    def __init__(self) -> None:
        self.requested = False
        signal.signal(signal.SIGTERM, self.request)

    def request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True


def main() -> int:
    """0 for a complete run; 143, as after any SIGTERM, for one saved for later."""
    config = parse()
    stop = Stop()
    # torchrun sets this variable.
    distributed = "RANK" in os.environ
    first = int(os.environ.get("RANK", 0)) == 0
    try:
        device = chosen_device(config.device)
        if distributed:
            if device.index is not None:
                torch.get_device_module(device).set_device(device)
            # DDP imports it, and it keeps the group that is there by then: the threads
            # of that would outlive destroy_process_group(), and may abort the exit.
            importlib.import_module("torch.distributed.nn")
            dist.init_process_group(distributed_backend(device))
        complete = train(config, device, lambda: stop.requested)
    except SettingsError as error:
        if first:
            print(error, file=sys.stderr)
        return 2
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    if first:
        print(f"{config.folder}: {'complete' if complete else 'saved for later'}")
    return 0 if complete else 128 + signal.SIGTERM


if __name__ == "__main__":
    sys.exit(main())
