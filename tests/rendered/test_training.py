"""The training example: there with all its files, or not at all, under any name of a package."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.conftest import Render
from tests.rendered.test_combinations import RUFF
from tests.support.checks import check_everything


def test_the_example_is_there_or_leaves_no_trace(render: Render) -> None:
    with_it, without = render(example="training"), render(example="none")
    folder = "src/my_project/training"
    added = {
        path.relative_to(with_it.path).as_posix()
        for path in with_it.files
        if not (without.path / path.relative_to(with_it.path)).exists()
    }
    modules = {"__init__", "__main__", "checkpoint", "config", "data", "evaluate", "metrics"}
    modules |= {"model", "processes", "throughput", "trainer"}
    assert added == {"tests/test_training.py", *(f"{folder}/{name}.py" for name in modules)}
    assert not (without.path / folder).exists()
    texts = "".join(without.text(str(path.relative_to(without.path))) for path in without.files)
    for word in (".training", "tqdm", "tensorboard", "matplotlib"):
        assert word not in texts


@pytest.mark.parametrize("name", ["x", "zz_top", "torch_lab", "a" * 60])
def test_any_package_name_is_sorted_and_formatted(render: Render, name: str) -> None:
    project = render(package_name=name, example="training")
    check_everything(project)
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [RUFF, *command, "--no-cache", project.path],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_the_readme_runs_the_program_in_the_environment_of_the_choice(render: Render) -> None:
    for answers, prefix in (
        ({"strategy": "groups"}, "uv run --no-sync"),
        ({"strategy": "extras", "backends": ["cpu", "cu130"]}, "uv run --no-sync"),
        ({"strategy": "pip", "backend": "cpu"}, "uv run"),
    ):
        readme = render(example="training", **answers).text("README.md")
        commands = re.findall(r"^(.*) (?:python|torchrun) .*my_project\.training", readme, re.M)
        assert commands == [prefix] * 3
