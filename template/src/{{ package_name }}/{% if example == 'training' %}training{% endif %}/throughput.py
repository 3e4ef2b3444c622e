"""How much of its accelerator a run makes use of: MFU, model FLOPs utilization."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from .model import build_model

# TFLOP/s in bfloat16 and float16 without sparsity, as the vendors' data sheets have it,
# by a part of the GPU's name; the first that fits counts.
PEAKS = {
    "B200": 2250,
    "H200": 989,
    "H100 PCIe": 756,
    "H100": 989,
    "A100": 312,
    "MI300X": 1307,
}


def peak(device: torch.device, mixed: bool) -> float:
    """FLOP/s of a device in mixed precision; 0 where they are not known."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return mixed * next((1e12 * p for known, p in PEAKS.items() if known in name), 0)


def flops(hidden: int) -> int:
    """FLOPs of one sample, forward and backward, counted without computing them."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        build_model(hidden)(torch.empty(1, 2)).sum().backward()
    return int(counter.get_total_flops())
