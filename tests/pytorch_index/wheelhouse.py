"""Real wheels of a folder, to be served among the recorded ones."""

from __future__ import annotations

import hashlib
import re
import zipfile
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from functools import cache
from pathlib import Path

from .recorded import PYPI, Wheel, platform_of

# Tags for what a real wheel does not serve, so that a universal lock finds a wheel.
PHANTOM_TAGS = {
    "linux-x86_64": "manylinux_2_28_x86_64",
    "linux-aarch64": "manylinux_2_28_aarch64",
    "windows-amd64": "win_amd64",
    "macos-arm64": "macosx_11_0_arm64",
}


@dataclass(frozen=True, slots=True)
class RealWheel:
    """A wheel file: where it is listed, its hash and its METADATA."""

    wheel: Wheel
    file: Path
    metadata: bytes

    @property
    def requires_python(self) -> str:
        return BytesHeaderParser().parsebytes(self.metadata).get("Requires-Python", "")


def read(folder: Path) -> list[RealWheel]:
    """Every wheel of a folder; one with a local part belongs to the index of that name.

    Raises NotADirectoryError if `folder` is none, and ValueError for a wheel without METADATA or
    with a name that is no wheel's.
    """
    if not folder.is_dir():
        raise NotADirectoryError(folder)
    return [_read(file, file.stat().st_mtime_ns) for file in sorted(folder.glob("*.whl"))]


@cache
def _read(file: Path, _changed: int) -> RealWheel:
    """Hash a wheel once per process and state of the file: torch's take a second each."""
    parts = file.name.removesuffix(".whl").split("-")
    if len(parts) not in (5, 6):
        raise ValueError(f"{file.name} is not a wheel's name")
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    with zipfile.ZipFile(file) as archive:
        names = [n for n in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", n)]
        if len(names) != 1:
            raise ValueError(f"{file.name} holds {len(names)} METADATA files")
        text = archive.read(names[0])
    # A local part such as ubuntu.1 may be in other packages: only backends are indexes.
    local = parts[1].partition("+")[2]
    index = local if re.fullmatch(r"cpu|xpu|cu\d+|rocm[\d.]+", local) else PYPI
    return RealWheel(Wheel(file.name, index, digest, "wheelhouse"), file, text)


def phantoms(real: list[RealWheel]) -> list[str]:
    """File names for the platforms and Pythons that the real wheels of one version leave out.

    None for a wheel of all platforms. An installer prefers the real wheel where it fits, since its
    Python tag is the narrower one.
    """
    tags = [tag for one in real for tag in one.wheel.platform_tag.split(".")]
    if "any" in tags:
        return []
    every_python = real[0].wheel.python_tag.startswith("py3")
    served = {platform_of(tag) for tag in tags} if every_python else set()
    package, version = real[0].wheel.filename.split("-")[:2]
    return [
        f"{package}-{version}-py3-none-{tag}.whl"
        for platform, tag in PHANTOM_TAGS.items()
        if platform not in served
    ]
