"""Evaluate a checkpoint on held-out data, and say of new points what its model does."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .checkpoint import read, saved
from .config import SettingsError, parse
from .data import spirals
from .model import build_model
from .processes import chosen_device
from .trainer import measured, mixed_precision, scored


def evaluate(folder: Path, step: int | None, samples: int, device_name: str) -> None:
    """Print the results of a checkpoint, by default the newest one of a run.

    Raises SettingsError where there is none that fits.
    """
    found = saved(folder)
    step = max(found, default=0) if step is None else step
    if step not in found:
        steps = ", ".join(map(str, found)) or "none"
        raise SettingsError(f"{folder} has no checkpoint of step {step}, but {steps}")
    config = parse(["--config", str(folder / "config.toml")])
    device = chosen_device(device_name)
    dtype = mixed_precision(config, device)
    model = build_model(config.hidden).to(device)
    read(found[step], {"model": model.state_dict()}, model)
    loss, accuracy = measured(model, spirals(config.seed)[1], device, dtype)
    print(f"{found[step]}: loss {loss:.4f}, accuracy {accuracy:.1%}")
    points, classes = spirals(config.seed + 1)[1][:samples]
    scores, _ = scored(model.eval(), points.to(device), classes.to(device), dtype)
    for (x, y), of, shares in zip(points, classes, scores.softmax(1), strict=True):
        print(f"({x:+.2f}, {y:+.2f}) is of spiral {of}, by {shares[of]:.1%}")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 for a result, 2 where there is none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/spirals"))
    parser.add_argument("--step", type=int, help="of the checkpoint, if not the newest")
    parser.add_argument("--samples", type=int, default=5, help="how many new points")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args(arguments)
    try:
        evaluate(given.folder, given.step, given.samples, given.device)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
