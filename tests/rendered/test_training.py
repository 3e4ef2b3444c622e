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
    for word in (".training", "tensorboard"):
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


@pytest.mark.parametrize(
    ("line", "python", "sharding", "saving"),
    [
        ("2.5", "3.10", "torch.distributed._composable.fsdp.fully_shard", "save"),
        ("2.6", "3.11", "torch.distributed.fsdp", "save"),
        ("2.8", "3.11", "torch.distributed.fsdp", "save"),
        ("2.9", "3.11", "torch.distributed.fsdp", "async_save"),
        ("2.15", "3.11", "torch.distributed.fsdp", "async_save"),
    ],
)
def test_each_release_line_gets_what_it_has(
    render: Render, line: str, python: str, sharding: str, saving: str
) -> None:
    """FSDP2 is public since 2.6; since 2.9 async_save copies tensors of the CPU, too."""
    project = render(example="training", torch_version=line, python_version=python)
    folder = "src/my_project/training"
    assert f"from {sharding} import FSDPModule, fully_shard\n" in project.text(
        f"{folder}/processes.py"
    )
    saver = "from torch.distributed.checkpoint.state_dict_saver import"
    assert f"{saver} {saving}\n" in project.text(f"{folder}/checkpoint.py")
    reads = project.text(f"{folder}/config.py")
    assert ("tomli as tomllib" in reads) == ("tomli>=" in project.text("pyproject.toml"))
    assert ("tomli as tomllib" in reads) == (python == "3.10")


@pytest.mark.parametrize(("line", "python"), [("2.14", "3.13"), ("2.5", "3.10")])
def test_the_program_can_be_read_in_ten_minutes(render: Render, line: str, python: str) -> None:
    project = render(example="training", torch_version=line, python_version=python)
    folder = project.path / "src/my_project/training"
    lines = [x for file in folder.iterdir() for x in file.read_text("utf-8").splitlines()]
    assert len([line for line in lines if line.strip()]) <= 700
