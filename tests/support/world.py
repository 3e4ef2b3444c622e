"""A world of their own for the tests: whatever the process that starts them has set, they see this.

It is made when conftest.py is imported, before the first fixture, and before pytest-xdist starts
its workers, which then have it from their first instruction on. Without workers (`-n 0`) what
Python itself reads when it starts, as PYTHONOPTIMIZE, is as it was.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

# All else goes: settings of git, uv, pip, Python, Copier and pytest, locale, colours, CI.
KEPT = {
    *(
        "PATH",
        "TMPDIR",
        "TEMP",
        "TMP",
        "REAL_WHEELS",
        "LAUNCHERS",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
    ),
    # A few tests install what a person would from the real PyPI.
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    # Without these, nothing runs on Windows.
    *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "PROGRAMDATA", "PROGRAMFILES"),
    *("PROGRAMFILES(X86)", "APPDATA", "LOCALAPPDATA", "USERNAME", "PROCESSOR_ARCHITECTURE"),
}
KEPT_PREFIXES = ("PYTEST_XDIST_", "PYTEST_CURRENT_", "HYPOTHESIS_")
# How many examples a property test draws.
KEPT_SUFFIX = "_EXAMPLES"
# Linux has files in memory there; and the bytes that must be left before any of ours goes there.
MEMORY, SPARE = "/dev/shm", 4 * 1024**3
# Where the tests' own home is: set, it says that a process has started this one in the world.
MARK = "TORCH_UV_TEMPLATE_TESTS"
# An update makes seven repositories and throws six away: they need no sample hooks and no disk.
GIT_SETTINGS = """\
[user]
\tname = Test
\temail = test@example.org
[init]
\tdefaultBranch = main
[safe]
\tdirectory = *
"""


def enter() -> None:
    """Make this process's environment, umask and signals those of the world."""
    os.umask(0o022)
    for name, default in (
        ("SIGINT", signal.default_int_handler),
        ("SIGTERM", signal.SIG_DFL),
        ("SIGHUP", signal.SIG_DFL),
    ):
        # A job in the background ignores the first, and with nohup the last.
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) == signal.SIG_IGN:
            signal.signal(getattr(signal, name), default)
    if MARK not in os.environ:
        home = Path(tempfile.mkdtemp(prefix="home-")).resolve()
        atexit.register(shutil.rmtree, home, ignore_errors=True)
        _furnish(home)
        kept = {name: value for name, value in os.environ.items() if _is_kept(name)}
        os.environ.clear()
        os.environ.update(kept | _variables(home) | _temporary_files())
        tempfile.tempdir = None
    if hasattr(time, "tzset"):
        time.tzset()


def _is_kept(name: str) -> bool:
    known = name.upper()
    return known in KEPT or known.startswith(KEPT_PREFIXES) or known.endswith(KEPT_SUFFIX)


def _furnish(home: Path) -> None:
    (home / ".gitconfig").write_text(GIT_SETTINGS, "utf-8")
    if os.name == "nt":
        return
    # What uv has is not to be downloaded again.
    cache = os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")
    data = os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")
    for name, place in (
        (".cache/uv", os.environ.get("UV_CACHE_DIR") or Path(cache, "uv")),
        (".local/share/uv/python", Path(data, "uv", "python")),
    ):
        if os.access(place, os.R_OK | os.W_OK | os.X_OK):
            (home / name).parent.mkdir(parents=True)
            (home / name).symlink_to(Path(place).resolve())


def _temporary_files() -> dict[str, str]:
    """Where Copier clones templates: in memory, where there is some to spare.

    An update makes and removes some thousand files, of a few megabytes at once. What the tests
    themselves write stays on the disk.
    """
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK | os.X_OK):
        return {}
    found = os.statvfs(MEMORY)
    if found.f_flag & os.ST_NOEXEC or found.f_bavail * found.f_frsize < SPARE:
        return {}
    return {"TMPDIR": MEMORY, "PYTEST_DEBUG_TEMPROOT": tempfile.gettempdir()}


def _variables(home: Path) -> dict[str, str]:
    return {
        MARK: str(home),
        "HOME": str(home),
        "USERPROFILE": str(home),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        # A folder for temporary files may be inside a repository.
        "GIT_CEILING_DIRECTORIES": os.pathsep.join([tempfile.gettempdir(), MEMORY]),
        # Defaults must not depend on the machine that runs the tests.
        "TORCH_TEMPLATE_MACHINE": "none",
        # Nor may questions, which say how old the tables are, depend on the day.
        "TORCH_TEMPLATE_TODAY": "2026-11-26",
    }
