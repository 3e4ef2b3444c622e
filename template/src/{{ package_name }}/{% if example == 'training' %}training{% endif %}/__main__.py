"""Train: with `python -m` in one process, with `torchrun -m` in several."""

import gc
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import torch.distributed as dist

from .config import SettingsError, parse
from .processes import chosen_device, join
from .trainer import train


class Stop:
    """Set by a scheduler's SIGTERM, or Ctrl-C; the second one ends a lone process."""

    def __init__(self) -> None:
        self.number = 0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.request)

    def request(self, number: int, frame: FrameType | None) -> None:
        if self.number and number == signal.SIGINT and "RANK" not in os.environ:
            raise KeyboardInterrupt
        self.number = number


def main(arguments: Sequence[str] | None = None) -> int:
    """0: complete; 143, or 130 for Ctrl-C: saved for later; 2: that cannot work."""
    config = parse(arguments)
    first = os.environ.get("RANK", "0") == "0"
    try:
        device = chosen_device(config.device)
        if "RANK" in os.environ:
            join(device, config.timeout)
        # Before this, nothing would be lost: a signal ends the process at once.
        stop = Stop()
        complete = train(config, device, lambda: stop.number != 0)
    except SettingsError as error:
        if first:
            print(error, file=sys.stderr)
        return 2
    finally:
        if dist.is_initialized():
            # A thread of it that something still refers to may abort the exit.
            gc.collect()
            dist.destroy_process_group()
    if first:
        print(f"{config.folder}: {'complete' if complete else 'saved for later'}")
    return 0 if complete else 128 + (stop.number or signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
