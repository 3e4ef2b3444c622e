"""Small wheels that install, made on the spot."""

from __future__ import annotations

import zipfile
from pathlib import Path


def real_wheel(folder: Path, filename: str, requires: str = "") -> Path:
    """Write a small but installable wheel."""
    name, version = filename.split("-")[:2]
    tags = "-".join(filename.removesuffix(".whl").split("-")[2:])
    info = f"{name}-{version}.dist-info"
    body = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}\n"
    files = {
        f"{name}/__init__.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": body,
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tags}\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / filename, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)
    return folder / filename
