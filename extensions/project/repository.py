"""A project's git repository: what an update changed since the last commit, and how to undo it."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Repository:
    """The folder may be one below the top of its repository; all paths are relative to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def committed(self, name: str) -> bytes | None:
        """The last commit's content of a file; None if it has no such file."""
        done = self._git("show", f"HEAD:./{name}", check=False)
        return done.stdout if done.returncode == 0 else None

    def tracked(self) -> list[str]:
        """The files of the last commit."""
        return self._names("ls-tree", "-r", "-z", "--name-only", "HEAD", ".")

    def changed(self, *, removed: bool = False) -> list[str]:
        """The files that are not as in the last commit; with `removed`, those that are gone."""
        kind = ["--diff-filter=D"] if removed else ["--diff-filter=d"]
        return self._names("diff", "-z", "--name-only", "--relative", *kind, "HEAD", "--", ".")

    def new(self) -> list[str]:
        """The files that no commit has, and that git does not ignore."""
        return self._names("ls-files", "-z", "--others", "--exclude-standard")

    def restore(self, names: list[str]) -> None:
        """Have files as in the last commit again, in the index too."""
        if names:
            listed = "\0".join(f":(literal){name}" for name in names).encode()
            self._git(
                *("checkout", "--quiet", "HEAD", "--pathspec-from-file=-", "--pathspec-file-nul"),
                given=listed,
            )

    def _names(self, *arguments: str) -> list[str]:
        found = self._git(*arguments).stdout.decode("utf-8", errors="surrogateescape")
        return sorted({name for name in found.split("\0") if name})

    def _git(
        self, *arguments: str, check: bool = True, given: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["git", *arguments], cwd=self.folder, check=check, capture_output=True, input=given
        )
