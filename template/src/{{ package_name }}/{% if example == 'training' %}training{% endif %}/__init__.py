"""A training program to start from: it learns to tell two spirals apart."""

from .config import Config, SettingsError, parse
from .trainer import Trainer, train

__all__ = ["Config", "SettingsError", "Trainer", "parse", "train"]
