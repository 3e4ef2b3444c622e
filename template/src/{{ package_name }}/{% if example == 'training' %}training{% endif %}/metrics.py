"""What a run leaves to look at: CSV and TensorBoard's events.

Only the first process writes it, so that only that one imports the library for it.
"""

import csv
from pathlib import Path

NAMES = ["step", "loss", "learning_rate", "samples_per_second", "mfu"]
NAMES += ["held_out_loss", "held_out_accuracy"]
Row = dict[str, float]  # metrics of a step by name, as many as are known


class Metrics:
    """Writes metrics as they come, and begins `after` the step of the checkpoint."""

    def __init__(self, folder: Path, after: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        file = folder / "metrics.csv"
        keep(file, after)
        self._opened = file.open("a", newline="", encoding="utf-8")
        self._csv = csv.DictWriter(self._opened, NAMES)
        self._events = SummaryWriter(str(folder), purge_step=after + 1)

    def close(self) -> None:
        self._opened.close()
        self._events.close()

    def write(self, step: int, row: Row) -> None:
        self._csv.writerow({"step": step, **row})
        self._opened.flush()
        for name, value in row.items():
            self._events.add_scalar(name, value, step)


def read(file: Path) -> list[Row]:
    """The rows of a CSV file of metrics; none if there is no such file."""
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as opened:
        # A process killed while writing may leave half a row.
        rows = [row for row in csv.DictReader(opened) if None not in row.values()]
    return [{k: float(v) for k, v in row.items() if k in NAMES and v} for row in rows]


def keep(file: Path, after: int) -> None:
    """Leave the rows up to a step, and the head."""
    rows = [row for row in read(file) if row["step"] <= after]
    partial = file.with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, NAMES)
        writer.writeheader()
        writer.writerows({**row, "step": int(row["step"])} for row in rows)
    partial.replace(file)
