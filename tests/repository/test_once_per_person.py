"""What a person sets up once, as the README says, and then the bare command: from a git server on
loopback in the place of github.com."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, copy_template
from tests.support.git import committed, git
from tests.support.project import UV, Project

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A git server that has org/torch-uv-template.git with a release; its URL."""
    work = committed(copy_template(tmp_path / "work"))
    git(work, "tag", "v1.0.0")
    served = tmp_path / "served"
    git(tmp_path, "clone", "--quiet", "--bare", str(work), f"{served}/org/torch-uv-template.git")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["git", "daemon", "--export-all", f"--base-path={served}", "--reuseaddr"]
    with subprocess.Popen([*command, "--listen=127.0.0.1", f"--port={port}"]) as daemon:
        for _ in range(100):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"git://127.0.0.1:{port}/"
        daemon.terminate()


def test_the_bare_command_works_after_the_settings(server: str, tmp_path: Path) -> None:
    settings = tmp_path / "settings.yml"
    block = re.search(r"```yaml\n(trust:.*?)```", README, re.DOTALL)
    install = re.search(r"^(uv tool install copier .*)$", README, re.MULTILINE)
    bare = re.search(r"`(copier copy gh:\S+ myproj)` is enough", README)
    assert block and install and bare
    settings.write_text(block[1], encoding="utf-8")
    config = tmp_path / "gitconfig"
    git(tmp_path, "config", "--file", str(config), f"url.{server}.insteadOf", "https://github.com/")
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("UV_", "COPIER_"))},
        "COPIER_SETTINGS_PATH": str(settings),
        "GIT_CONFIG_GLOBAL": str(config),
        "TORCH_TEMPLATE_MACHINE": "none",
        "UV_TOOL_DIR": str(tmp_path / "tools"),
        "UV_TOOL_BIN_DIR": str(tmp_path / "bin"),
    }

    def run(program: Path | str, line: str, *more: str) -> None:
        done = subprocess.run(
            [program, *line.split()[1:], *more],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    run(UV, install[1])
    # Nobody answers here: the defaults stand in for the person at the prompt.
    run(tmp_path / "bin" / "copier", bare[1], "--defaults")
    answers = Project(tmp_path / "myproj").answers
    assert answers["user_name"] == "Ada Lovelace"
    assert answers["_src_path"] == "https://github.com/org/torch-uv-template.git"
    assert answers["_commit"] == "v1.0.0"
