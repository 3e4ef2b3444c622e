"""Files of a project, read as those of a stranger: a name may be that of a device, a pipe or a
link, and its bytes may have no end."""

from __future__ import annotations

import os
import stat
from pathlib import Path

LARGEST = 1_000_000
# A pipe is not waited for, and no link takes the place of a file. Windows has no such flags.
FLAGS = os.O_RDONLY | sum(getattr(os, n, 0) for n in ("O_NONBLOCK", "O_NOFOLLOW", "O_BINARY"))


class Unreadable(Exception):
    """What has the name of a file and cannot be read as one; the message says why."""


def contents(folder: Path, name: str, largest: int = LARGEST) -> bytes | None:
    """The bytes of a regular file in a folder; None if nothing has that name.

    Links are followed inside the folder. Raises Unreadable for all else that has the name, and for
    more bytes than `largest`.
    """
    try:
        top, file = os.path.realpath(folder), os.path.realpath(folder / name, strict=True)
        if not Path(file).is_relative_to(top):
            raise Unreadable("it is a link that leaves the project")
        # Before it is opened, too: that alone does something to some devices.
        if not stat.S_ISREG(os.lstat(file).st_mode):
            raise Unreadable("it is no regular file")
        with open(os.open(file, FLAGS), "rb") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise Unreadable("it is no regular file")
            found = opened.read(largest + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from None
    if len(found) > largest:
        raise Unreadable(f"it has more than {largest} bytes")
    return found
