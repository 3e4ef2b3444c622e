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
    """Set by SIGTERM, which a scheduler sends before it takes the machine away, and by
    Ctrl-C; for whoever cannot wait, a second Ctrl-C ends a lone process at once."""

    def __init__(self) -> None:
        self.number = 0
        self.before = {
            number: signal.signal(number, self.request)
            for number in (signal.SIGTERM, signal.SIGINT)
        }

    def request(self, number: int, frame: FrameType | None) -> None:
        if self.number and number == signal.SIGINT and "RANK" not in os.environ:
            raise KeyboardInterrupt
        self.number = number


def main(arguments: Sequence[str] | None = None) -> int:
    """0 for a complete run, 2 for settings that cannot work; for one that is saved for
    later the exit code after any such signal: 143, or 130 for Ctrl-C."""
    config = parse(arguments)
    # torchrun sets this variable.
    first = int(os.environ.get("RANK", 0)) == 0
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
            # Its threads end with what refers to it, which may go round in circles; one
            # that goes on may abort the exit.
            gc.collect()
            dist.destroy_process_group()
    if first:
        print(f"{config.folder}: {'complete' if complete else 'saved for later'}")
    return 0 if complete else 128 + (stop.number or signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
