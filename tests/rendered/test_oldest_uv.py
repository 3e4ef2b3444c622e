"""Projects work with the oldest uv that they ask for, from the real PyPI."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from extensions.plan.plan import UV_FLOOR
from tests.conftest import THIS_PYTHON, Render
from tests.pytorch_index import PyTorchIndex
from tests.rendered.test_matrix import packages
from tests.support import project as support
from tests.support.cells import others
from tests.support.project import Project

BACKENDS = ["cpu", *others("2.14")]
ANSWERS: dict[str, dict[str, Any]] = {
    "groups": {"backends": BACKENDS, "default_backend": "cu130"},
    "extras": {"backends": ["cpu", "xpu"]},
    "markers": {"linux_backend": "rocm7.2", "windows_backend": "cpu"},
    "index": {"backend": "cu130"},
    "pypi": {},
}


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("oldest")
    whole = UV_FLOOR if UV_FLOOR.count(".") == 2 else f"{UV_FLOOR}.0"
    Project(folder).uv("pip", "install", "--quiet", "--target", str(folder), f"uv=={whole}")
    return str(folder / "bin" / "uv")


def versions(project: Project) -> set[tuple[str, str]]:
    found = tomllib.loads(project.text("uv.lock"))["package"]
    return {(package["name"], package.get("version", "")) for package in found}


def test_the_oldest_uv_locks_and_installs_as_the_newest(
    lockable: Render, index: PyTorchIndex, oldest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = support.UV
    for strategy, answers in ANSWERS.items():
        named = [answers[k] for k in ("backend", "linux_backend") if k in answers]
        companions = packages("2.14", *answers.get("backends", named or ["cu132"]))
        project = lockable(strategy=strategy, torch_version="2.14", packages=companions, **answers)
        monkeypatch.setattr(support, "UV", oldest)
        project.lock()
        for command, cells in project.build_table.items():
            # On Windows it looks for another machine in a dry run, and only there.
            for platform in ("Linux x86-64", "Linux aarch64", "macOS arm64"):
                installed = project.would_install(command, platform)
                assert installed["torch"] == cells[platform].split(" ")[0], (command, platform)
        project.uv("build")
        ours = versions(project)
        monkeypatch.setattr(support, "UV", newest)
        project.uv("lock", "--check")
        (project.path / "uv.lock").unlink()
        project.lock()
        assert versions(project) == ours


def test_the_oldest_uv_knows_what_the_docs_say_of_a_cooldown(
    render: Render,
    index: PyTorchIndex,
    oldest: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    mirror = {"index_url": index.url, "pypi_url": index.pypi_url}
    project = render(strategy="index", backend="cpu", python_version=THIS_PYTHON, **mirror)
    file = project.path / "pyproject.toml"
    text = file.read_text("utf-8")
    for kind in ("explicit", "default"):
        text = text.replace(f"{kind} = true", f"{kind} = true\nexclude-newer = false")
    file.write_text(text, "utf-8")
    more = {"UV_EXCLUDE_NEWER": "7 days", "UV_NO_CONFIG": "false", "UV_CACHE_DIR": str(tmp_path)}
    project.environment = more
    monkeypatch.setattr(support, "UV", oldest)
    project.uv("lock")
