"""The PyPI packages around PyTorch, as small stand-ins out of `pypi.yml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from .recorded import PYPI, Wheel, read_yaml, stand_in_hash

PLATFORM_TAGS = ("manylinux_2_27_x86_64", "manylinux_2_27_aarch64", "win_amd64")


@cache
def stand_ins() -> dict[str, tuple[Wheel, ...]]:
    """The wheels of every stand-in, by package."""
    found = {}
    for name, package in _packages().items():
        tags = PLATFORM_TAGS if package.get("platforms") else ("any",)
        stem = name.replace("-", "_")
        found[name] = tuple(
            Wheel(filename, PYPI, stand_in_hash(filename, PYPI), "stand-in")
            for version in package["versions"]
            for tag in tags
            for filename in [f"{stem}-{version}-py3-none-{tag}.whl"]
        )
    return found


def requires(package: str, version: str) -> list[str]:
    """What a stand-in requires. Raises KeyError for a package that is none."""
    found = _packages()[package].get("requires", ())
    return list(found.get(version, ()) if isinstance(found, dict) else found)


def mirrored() -> list[str]:
    """The packages that PyTorch's indexes list beside its own."""
    return [name for name, package in _packages().items() if package.get("mirrored")]


@cache
def _packages() -> dict[str, dict[str, Any]]:
    packages: dict[str, dict[str, Any]] = read_yaml(Path(__file__).with_name("pypi.yml"))
    return packages
