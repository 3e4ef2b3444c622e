"""The page in a real browser: what visitors choose, and what they get for it."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from build import build, node_modules
from copier import run_copy
from plumbum import local

from extensions.questions.contract import VALUES
from tests.conftest import ROOT
from tests.support.browser import Visit, browser, browser_here, served
from tests.support.git import tagged_template

SOURCE = "gh:org/torch-uv-template"
AXE = Path("node_modules", "axe-core", "axe.min.js")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not browser_here(), reason="no chromium and no Chrome (see README)"),
    # One worker has the browser for all of them.
    pytest.mark.xdist_group("browser"),
]


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as a repository with a release."""
    return tagged_template(tmp_path_factory.mktemp("released") / "template")


@pytest.fixture(scope="module")
def dist(released: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        node_modules()
    except SystemExit as error:
        pytest.skip(str(error))
    out = tmp_path_factory.mktemp("site")
    build(released, out, SOURCE)
    return out


@pytest.fixture(scope="module")
def visit(dist: Path) -> Iterator[Visit]:
    """One page for all tests here: Python starts once."""
    with served(dist) as address, browser() as opened:
        found = Visit(opened.new_page(viewport={"width": 1280, "height": 900}), address)
        found.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        found.open()
        yield found


@pytest.fixture(autouse=True)
def behaves(visit: Visit) -> Iterator[None]:
    """Whatever a test does: no error, and no other host."""
    yield
    assert visit.errors == []
    assert visit.strangers == []


def test_a_first_visit_needs_no_answer(visit: Visit) -> None:
    assert visit.chosen("strategy") == ["groups"]
    assert "cu130" in visit.text("#builds")
    assert visit.text("#command").endswith(f"{SOURCE} myproj")
    assert visit.text("#f-pyproject-toml-text").startswith("[project]")
    assert visit.text("#status") == ""


@pytest.mark.parametrize("strategy", VALUES["strategy"])
def test_every_strategy_can_be_chosen(visit: Visit, strategy: str) -> None:
    visit.follow("strategy=pip" if strategy != "pip" else "strategy=index")
    visit.choose("strategy", strategy)
    assert visit.chosen("strategy") == [strategy]
    assert f"strategy={strategy}" in visit.page.url
    assert f"--data strategy={strategy}" in visit.text("#command")


# Each with an answer that differs from the defaults, so that every file of the template and every
# strategy is among them.
CHOICES = [
    "",
    "strategy=pypi&torch_version=2.13&ci=none",
    "strategy=index&backend=cu126&packages=torchvision,torchaudio",
    "strategy=index&backend=rocm7.2&containers=docker&license=Apache-2.0",
    "strategy=index&backend=xpu&containers=devcontainer&license=BSD-3-Clause",
    "strategy=markers&linux_backend=cu126&aarch64_backend=cu130&windows_backend=cpu",
    "strategy=markers&linux_backend=rocm7.2&ci=gitlab&type_checker=mypy",
    "strategy=extras&backends=cpu,cu126,cu130&default_backend=cpu",
    "strategy=extras&backends=cpu,gpu%3Dcu130&type_checker=none",
    "strategy=groups&backends=cpu,cu130&default_backend=cu130&python_version=3.14",
    "strategy=groups&backends=cpu,rocm7.2&containers=docker,devcontainer",
    "strategy=pip&backend=auto",
    "strategy=pip&backend=cu130&license=proprietary",
    "strategy=provided&containers=docker",
    "strategy=provided&containers=docker,devcontainer&ci=gitlab&example=training",
    "example=training&launcher=slurm",
    "example=training&launcher=kubernetes&containers=docker&strategy=index&backend=cu130",
    "example=training&launcher=skypilot&torch_version=2.11",
    "torch_version=2.5&strategy=index&backend=cu118&packages=",
    "torch_version=2.15&strategy=pypi&packages=",
    "index_url=https://mirror.example.org/whl&pypi_url=https://mirror.example.org/simple"
    "&authenticate=always&containers=docker",
    "ci=github&template_updates=workflow&platforms=linux-x86_64",
    "template_updates=renovate&license=other&platforms=windows-amd64,macos-arm64",
    "project_name=Two+Words&project_description=Says+%22no%22+to+%24HOME+%26+%C3%A9&user_name=Ada&user_email=ada%40example.org&folder=x-y",
]


def test_the_project_is_what_copier_renders(
    visit: Visit, released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file, byte for byte, by the command that the page shows: the address and the version in
    `.copier-answers.yml` among it, since git fetches the template from where it is made here."""
    settings = tmp_path / "gitconfig"
    settings.write_text(
        Path(os.environ["GIT_CONFIG_GLOBAL"]).read_text("utf-8")
        + f'[url "{released.as_uri()}"]\n\tinsteadOf = https://github.com/org/torch-uv-template.git\n'
    )
    # Whatever GPU there is where the command runs.
    monkeypatch.setenv("TORCH_TEMPLATE_MACHINE", "rocm,gfx942")
    for number, link in enumerate(CHOICES):
        visit.follow(link)
        assert visit.text("#said") == "", link
        folder, files = unpacked(visit.download(tmp_path / f"{number}.zip"))
        answers, source, name = parsed(visit.text("#command"))
        assert name == folder
        there = tmp_path / str(number) / name
        with local.env(GIT_CONFIG_GLOBAL=str(settings)):
            run_copy(source, there, answers, defaults=True, unsafe=True, quiet=True)
        rendered = {
            file.relative_to(there).as_posix(): (file.read_bytes(), file.stat().st_mode & 0o777)
            for file in there.rglob("*")
            if file.is_file()
        }
        assert list(files) == sorted(rendered), link
        for path, content in rendered.items():
            assert files[path] == content, (link, path)


def unpacked(file: Path) -> tuple[str, dict[str, tuple[bytes, int]]]:
    """The folder in a .zip, and its files with their modes."""
    with zipfile.ZipFile(file) as archive:
        found = {
            entry.filename: (archive.read(entry), entry.external_attr >> 16 & 0o777)
            for entry in archive.infolist()
        }
    (folder,) = {name.partition("/")[0] for name in found}
    return folder, {name.partition("/")[2]: content for name, content in found.items()}


def parsed(command: str) -> tuple[dict[str, Any], str, str]:
    """The answers, the template and the folder of a `copier copy`, as a shell reads it."""
    *words, source, folder = shlex.split(command)
    answers = dict(
        words[place + 1].split("=", 1) for place, word in enumerate(words) if word == "--data"
    )
    return answers, source, folder
