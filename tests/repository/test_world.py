"""The tests make what they need, whatever is inherited."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

# They ask git, uv, Copier, the locale, the umask and the signals.
TELLING = [
    "rendered/test_check_lock.py::test_a_wheel_without_a_hash",
    "project/test_destination.py::test_a_copy_that_is_stopped_leaves_no_new_folder",
    "rendered/test_properties.py",
    "repository/test_security.py::test_extensions_do_nothing_but_read",
    "project/test_update.py::test_the_result_is_a_fresh_render",
    "project/test_update.py::test_what_cannot_merge_is_a_conflict_in_its_file_and_counted",
]
GIT = """\
[core]
    autocrlf = true
    hooksPath = {home}/hooks
    excludesFile = {home}/excluded
    fsmonitor = {home}/hooks/pre-commit
[user]
    useConfigOnly = true
[commit]
    gpgsign = true
[tag]
    gpgsign = true
[init]
    defaultBranch = x
[diff]
    noprefix = true
    external = false
[merge]
    conflictStyle = diff3
[protocol]
    allow = never
[status]
    showUntrackedFiles = no
[color]
    ui = always
"""


def hostile_environment(folder: Path) -> dict[str, str]:
    """What somebody, somewhere, has set: each of these has an effect on what the tests start."""
    home, temporary = folder / "home", folder / "a folder for temporary files"
    hook = home / "hooks" / "pre-commit"
    for file, text in {
        home / ".gitconfig": GIT.format(home=home),
        home / "excluded": "*.py\n*.toml\n",
        hook: "#!/bin/sh\nexit 1\n",
        home / ".config/uv/uv.toml": 'index-url = "http://127.0.0.1:9/"\nno-cache = true\n',
        home / ".config/pip/pip.conf": "[global]\nindex-url = http://127.0.0.1:9/\n",
        home / ".config/copier/settings.yml": "defaults:\n  license: none\n  user_name: Eve\n",
    }.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    hook.chmod(0o755)
    temporary.mkdir()
    home.chmod(0o555)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "ANSWER_EXAMPLES": "5",
        "LC_ALL": "C",
        "LANG": "tr_TR.UTF-8",
        "TZ": "Pacific/Kiritimati",
        **{name: "/nowhere" for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")},
        **{name: "/nowhere" for name in ("GIT_OBJECT_DIRECTORY", "GIT_TEMPLATE_DIR")},
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.bare",
        "GIT_CONFIG_VALUE_0": "true",
        "UV_DEFAULT_INDEX": "http://127.0.0.1:9/",
        "UV_INDEX_URL": "http://127.0.0.1:9/",
        "UV_CONFIG_FILE": "/nowhere/uv.toml",
        "UV_EXCLUDE_NEWER": "2001-01-01",
        "UV_PROJECT_ENVIRONMENT": "elsewhere",
        **{name: "1" for name in ("UV_OFFLINE", "UV_FROZEN", "UV_NO_CACHE", "UV_SYSTEM_PYTHON")},
        "PIP_INDEX_URL": "http://127.0.0.1:9/",
        "COPIER_SETTINGS_PATH": str(home / ".config/copier/settings.yml"),
        "PYTHONOPTIMIZE": "1",
        "PYTHONWARNINGS": "error::EncodingWarning,error::DeprecationWarning:__main__",
        "PYTHONWARNDEFAULTENCODING": "1",
        "PYTHONUTF8": "0",
        "PYTEST_ADDOPTS": "--numprocesses=1 -p no:cacheprovider",
        **{name: "1" for name in ("FORCE_COLOR", "CI", "COLUMNS")},
    }


def inherit() -> None:
    """In the child: `nohup … &`, and nothing for anybody else."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.umask(0o077)


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither these signals nor a umask")
def test_the_tests_pass_whatever_they_inherit(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *(f"tests/{name}" for name in TELLING)],
        cwd=ROOT,
        env=hostile_environment(tmp_path),
        preexec_fn=inherit,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no tests ran" not in done.stdout
