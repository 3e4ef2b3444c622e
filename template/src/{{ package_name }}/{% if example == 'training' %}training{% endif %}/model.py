"""The model: replace it by yours."""

from torch import nn


def build_model(hidden: int) -> nn.Module:
    """From points, shape (n, 2), to scores of the two classes, shape (n, 2)."""
    return nn.Sequential(
        nn.Linear(2, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, 2),
    )
