"""The device to compute on, and what goes with it."""

import os

import torch
import torch.distributed as dist


def best_device() -> torch.device:
    """The accelerator, else the CPU. Under `torchrun`, each process has its own."""
    # torchrun sets this variable.
    rank = int(os.environ.get("LOCAL_RANK", 0))
    if torch.cuda.is_available():  # AMD's GPUs, too
        return torch.device("cuda", rank)
    if torch.xpu.is_available():
        return torch.device("xpu", rank)
    # No backend of torch.distributed knows MPS.
    if torch.backends.mps.is_available() and "LOCAL_RANK" not in os.environ:
        return torch.device("mps")
    return torch.device("cpu")


def pin_memory(device: torch.device) -> bool:
    """Whether a data loader should pin its batches; elsewhere that is slow or fails."""
    return device.type == "cuda"


def autocast_dtype(device: torch.device) -> torch.dtype | None:
    """The dtype of mixed precision, where it is fast; float16 needs a scaler."""
    if device.type == "cuda":
        bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if bfloat16 else torch.float16
    return torch.bfloat16 if device.type == "xpu" else None


def distributed_backend(device: torch.device) -> str:
    """The backend of `torch.distributed` for tensors of this device, else gloo."""
    backend = {"cuda": "nccl", "xpu": "xccl"}.get(device.type, "gloo")
    # Windows has no NCCL.
    return backend if dist.is_backend_available(backend) else "gloo"
