"""The PyTorch indexes as recorded on 2026-11-23, served on loopback.

`build` makes the committed data out of the facts, `recorded` reads it, `metadata` says what each
wheel requires, `later` makes of the tables what came after the recording, `stand_ins` holds the
PyPI packages around PyTorch, and `server` answers like https://download.pytorch.org/whl and
https://pypi.org/simple.
"""

from .server import PyTorchIndex

__all__ = ["PyTorchIndex"]
