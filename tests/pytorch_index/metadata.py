"""The METADATA of every recorded wheel, as PEP 658 serves it.

Cut down to what decides a resolution. uv reads the metadata of one wheel of a version and believes
it for all of them, so the wheels of one version on one index share one text, as on PyPI.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from . import stand_ins
from .recorded import PYPI, TRITONS, Wheel, releases

# torch's METADATA, the same in every build of 2.5 to 2.15 but for lower bounds.
TORCH_REQUIRES = (
    "filelock",
    "typing-extensions>=4.10.0",
    "setuptools; python_version >= '3.12'",
    "sympy>=1.13.1",
    "networkx",
    "jinja2",
    "fsspec",
)


def metadata(wheel: Wheel) -> bytes:
    """The METADATA of a recorded wheel or stand-in.

    Raises KeyError for a package or a release that is not recorded.
    """
    return _metadata(wheel.package, wheel.version, wheel.index)


@cache
def _metadata(package: str, version: str, index: str) -> bytes:
    lines = ["Metadata-Version: 2.1", f"Name: {package}", f"Version: {version}"]
    if bound := requires_python(package, version.partition("+")[0]):
        lines.append(f"Requires-Python: {bound}")
    lines += [f"Requires-Dist: {one}" for one in _requires(package, version, index)]
    return ("\n".join(lines) + "\n\n").encode()


def requires_python(package: str, release: str) -> str:
    """The Requires-Python of a release, empty for a triton or a stand-in."""
    if package == "torchcodec":
        return ">=3.10"
    if package not in ("torch", "torchvision", "torchaudio"):
        return ""
    return str(_release(package, release)["requires_python"])


def _requires(package: str, version: str, index: str) -> list[str]:
    if package in (*TRITONS, "torchcodec"):
        return []
    if package not in ("torch", "torchvision", "torchaudio"):
        return stand_ins.requires(package, version)
    release = _release(package, version.partition("+")[0])
    if package == "torchvision":
        return ["numpy", "pillow!=8.3.*,>=5.3.0", release["torchvision_requires"]]
    if package == "torchaudio":
        return [release["torchaudio_requires"]] if release["torchaudio_requires"] else []
    return [*TORCH_REQUIRES, *_accelerator(release, index)]


def _accelerator(release: dict[str, Any], index: str) -> list[str]:
    """What a torch wheel needs for its accelerator; nothing on the `cpu` index."""
    triton, marker = release["triton"], release["nvidia_marker"]
    if index == PYPI:
        return [*(f"{pin}; {marker}" for pin in release["pypi_pins"]), triton["cuda"]]
    if index.startswith("cu"):
        return [*(f"{name}; {marker}" for name in nvidia(index)), triton["cuda"]]
    if index.startswith("rocm"):
        return [triton["rocm"]]
    if index == "xpu":
        markers = triton["xpu"].partition("; ")[2]
        return [triton["xpu"], f"intel-cmplr-lib-rt; {markers}"]
    return []


def nvidia(index: str) -> tuple[str, ...]:
    """The packages of a CUDA index. Their pins were not read for the indexes, only for PyPI."""
    major = index.removeprefix("cu")[:2]
    first = "cuda-toolkit" if int(major) >= 13 else f"nvidia-cuda-runtime-cu{major}"
    return first, f"nvidia-cudnn-cu{major}", f"nvidia-nccl-cu{major}"


@cache
def _release(package: str, version: str) -> dict[str, Any]:
    """The first release with that torch or companion: torchaudio 2.11.0 serves five lines."""
    for release in releases():
        if release[package] == version:
            return release
    raise KeyError(f"{package} {version} is not recorded")
