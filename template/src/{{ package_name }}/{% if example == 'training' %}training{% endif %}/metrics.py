"""What a run leaves to look at: CSV, TensorBoard's events, a plot of the loss."""

import csv
from pathlib import Path

from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

NAMES = ("step", "loss", "accuracy")


class Metrics:
    """Writes metrics as they come, and begins `after` the step of the checkpoint."""

    def __init__(self, folder: Path, after: int) -> None:
        self.file, self.plot = folder / "metrics.csv", folder / "loss.png"
        keep(self.file, after)
        self._opened = self.file.open("a", newline="", encoding="utf-8")
        self._csv = csv.writer(self._opened)
        self._events = SummaryWriter(str(folder), purge_step=after + 1)

    def close(self) -> None:
        self._opened.close()
        self._events.close()
        plot_loss(self.file, self.plot)

    def write(self, step: int, loss: float, accuracy: float) -> None:
        self._csv.writerow([step, loss, accuracy])
        self._opened.flush()
        self._events.add_scalar("loss", loss, step)
        self._events.add_scalar("accuracy", accuracy, step)


def read(file: Path) -> list[dict[str, float]]:
    """The rows of a CSV file of metrics; none if there is no such file."""
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as opened:
        rows = csv.DictReader(opened)
        # A process killed while writing may leave half a row.
        whole = [row for row in rows if all(row.get(name) for name in NAMES)]
    return [{name: float(row[name]) for name in NAMES} for row in whole]


def keep(file: Path, after: int) -> None:
    """Leave the rows up to a step, and the head."""
    rows = [row for row in read(file) if row["step"] <= after]
    partial = file.with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(NAMES)
        writer.writerows((int(r["step"]), r["loss"], r["accuracy"]) for r in rows)
    partial.replace(file)


def plot_loss(file: Path, image: Path) -> None:
    """Draw the loss over the steps."""
    rows = read(file)
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    axes.plot([row["step"] for row in rows], [row["loss"] for row in rows])
    axes.set(xlabel="step", ylabel="loss", ylim=(0, None))
    figure.savefig(image)
