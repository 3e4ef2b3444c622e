"""Render a template under Python's own audit hook, and tell what its extensions did.

    python audited.py TEMPLATE DESTINATION

Prints a JSON list of [event, what]: files opened for writing, and everything that changes files,
starts processes or opens sockets, wherever code of TEMPLATE/extensions is on the stack.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

WATCHED = (
    *("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn"),
    *("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.chmod", "os.link", "os.symlink"),
    *("os.truncate", "os.putenv", "shutil.", "ctypes.", "pty.", "urllib."),
)
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def main() -> None:
    template, destination = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    extensions = str(template / "extensions")
    seen: list[tuple[str, str]] = []

    def ours() -> bool:
        frame = sys._getframe(2)
        while frame := frame.f_back:  # type: ignore[assignment]
            if frame.f_code.co_filename.startswith(extensions):
                return True
        return False

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            # A number is a file that was seen when it was opened by its name.
            if isinstance(path, int) or not (flags or 0) & WRITES:
                return
            what = str(path)
        elif event.startswith(WATCHED):
            what = str(arguments[0] if arguments else "")
        else:
            return
        # Python keeps compiled libraries where they are installed, whoever imports them.
        library = "__pycache__" in what and not what.startswith(str(template))
        if ours() and not library:
            seen.append((event, what))

    from copier import run_copy

    sys.addaudithook(hook)
    answers = {"example": "training", "containers": ["docker", "devcontainer"]}
    run_copy(str(template), destination, answers, defaults=True, unsafe=True, quiet=True)
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
