"""Train: with `python -m` in one process, with `torchrun -m` in several."""

import os
import signal
import sys
from types import FrameType

import torch
import torch.distributed as dist

from ..device import best_device, distributed_backend
from .config import SettingsError, parse
from .trainer import train


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
    device = best_device() if config.device == "auto" else torch.device(config.device)
    if distributed:
        if device.index is not None:
            torch.get_device_module(device).set_device(device)
        dist.init_process_group(distributed_backend(device))
    try:
        complete = train(config, device, lambda: stop.requested)
    except SettingsError as error:
        if first:
            print(error, file=sys.stderr)
        return 2
    finally:
        if distributed:
            dist.destroy_process_group()
    if first:
        print(f"{config.folder}: {'complete' if complete else 'saved for later'}")
    return 0 if complete else 128 + signal.SIGTERM


if __name__ == "__main__":
    sys.exit(main())
