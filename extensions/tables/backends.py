"""What a backend's name says: its kind, its label, its name as an extra, group or index."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

AUTO = "auto"
_CUDA = re.compile(r"cu(\d+)(\d)")
_ROCM = re.compile(r"rocm(\d+(?:\.\d+)+)")


@lru_cache(maxsize=1000)
def kind(backend: str) -> str:
    """`cpu`, `cuda`, `rocm` or `xpu`; an empty string for a name of no such form."""
    if backend in ("cpu", "xpu"):
        return backend
    if _CUDA.fullmatch(backend):
        return "cuda"
    return "rocm" if _ROCM.fullmatch(backend) else ""


@lru_cache(maxsize=1000)
def version(backend: str) -> tuple[int, ...]:
    """The accelerator's version: `cu126` is (12, 6), `rocm6.2.4` is (6, 2, 4), `cpu` is ()."""
    if match := _CUDA.fullmatch(backend):
        return tuple(int(part) for part in match.groups())
    if match := _ROCM.fullmatch(backend):
        return tuple(int(part) for part in match[1].split("."))
    return ()


def label(backend: str) -> str:
    """How people say it: `cu126` is "CUDA 12.6"."""
    words = {"cpu": "CPU", "cuda": "CUDA", "rocm": "ROCm", "xpu": "Intel GPU (XPU)", "": backend}
    return " ".join([words[kind(backend)], *([number] if (number := dotted(backend)) else [])])


def dotted(backend: str) -> str:
    """`cu126` is "12.6"; empty for `cpu` and `xpu`."""
    return ".".join(str(part) for part in version(backend))


@lru_cache(maxsize=1000)
def compute_capability(architecture: str) -> tuple[int, int]:
    """`sm_120` is (12, 0)."""
    return int(architecture[3:-1]), int(architecture[-1])


@lru_cache(maxsize=1000)
def slug(name: str) -> str:
    """The name of an extra or group, normalized as PEP 685 wants: `rocm7.2` is `rocm7-2`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def index_name(backend: str) -> str:
    """The name of its index in `[[tool.uv.index]]`."""
    return f"pytorch-{slug(backend)}"


def nearest_backend(offered: Iterable[str], backend: str) -> str:
    """The offered backend of the same kind whose version is closest, else `cpu`."""
    same = [other for other in offered if kind(other) == kind(backend)]
    if not same:
        return "cpu"

    def number(name: str) -> int:
        # 12.6 is nearer to 13.0 than to 13.2; rocm6.2 and rocm6.2.4 differ in length only.
        major, second, third = (*version(name), 0, 0, 0)[:3]
        return major * 100 + second * 10 + third

    return min(same, key=lambda other: (abs(number(other) - number(backend)), -number(other)))
