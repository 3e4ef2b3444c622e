"""A Python that has packages of its own, as that of an image or of a cluster has: not an
environment, whose packages uv would not see."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path


def outer_python(folder: Path) -> Path:
    """This Python once more, in a folder and without a package; its executable.

    Python looks for its library beside its executable, so a copy of that and links to the modules
    are a whole installation. POSIX alone.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    base = Path(sys.base_prefix)
    library = folder / "lib" / version
    for name in ("bin", f"lib/{version}/site-packages"):
        (folder / name).mkdir(parents=True)
    for module in Path(sysconfig.get_path("stdlib")).iterdir():
        if module.name not in ("site-packages", "dist-packages", "EXTERNALLY-MANAGED"):
            (library / module.name).symlink_to(module)
    for shared in (base / "lib").glob("libpython*"):
        (folder / "lib" / shared.name).symlink_to(shared)
    executable = folder / "bin" / version
    shutil.copy(os.path.realpath(sys.executable), executable)
    for name in ("python3", "python"):
        (folder / "bin" / name).symlink_to(version)
    return executable
