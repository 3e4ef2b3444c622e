"""The files in `jobs/`: each is there when it is asked for, fits the engine's own schema, and its
command trains on machines that only share a disk."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from extensions.questions.contract import VALUES
from tests.conftest import Render
from tests.pytorch_index import PyTorchIndex
from tests.support.checks import check_everything
from tests.support.git import committed, git, tagged_template
from tests.support.machines import Machines, machines, until, why_none
from tests.support.project import UV, Project, copied

BIN = Path(sys.executable).parent
FILES = {"slurm": "train.sh", "kubernetes": "train.yaml", "skypilot": "train.sky.yaml"}
GPUS = {"strategy": "groups", "backends": ["cpu", "cu130"], "torch_version": "2.13"}
CPU = {"strategy": "index", "backend": "cpu", "torch_version": "2.13", "packages": []}
PRIVATE = {"index_url": "https://mirror.example.org/whl", "authenticate": "always"}


def jobs(project: Project) -> list[str]:
    return [path.name for path in project.files if path.parent.name == "jobs"]


@pytest.mark.parametrize("launcher", VALUES["launcher"])
def test_a_launcher_brings_one_file_and_says_how_to_use_it(render: Render, launcher: str) -> None:
    # The image comes with the job that needs it, and the example as well.
    project = render(launcher=launcher, **({} if launcher != "none" else {"example": "training"}))
    check_everything(project)
    assert jobs(project) == ([FILES[launcher]] if launcher != "none" else [])
    assert project.answers["example"] == "training"
    assert ("docker" in project.answers["containers"]) == (launcher == "kubernetes")
    docs = project.text("docs/pytorch.md").split("## Several machines")[1]
    assert ("--rdzv-endpoint node-1:29500" in docs) == (launcher == "none")
    assert launcher == "none" or f"jobs/{FILES[launcher]}" in docs
    assert "launcher" not in render(example="none").answers


@pytest.mark.parametrize("answers", [GPUS, CPU, {"strategy": "pip", "backend": "auto"}])
def test_a_batch_script_passes_its_linter(render: Render, answers: dict[str, Any]) -> None:
    project = render(launcher="slurm", **answers)
    script = project.path / "jobs" / "train.sh"
    done = subprocess.run([BIN / "shellcheck", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    text = script.read_text("utf-8")
    assert ("#SBATCH --gpus-per-node=8\n" in text) == (answers is not CPU)
    assert len(text.splitlines()) <= 50
    commands = re.findall(r"(?m)^#   (uv .*)", text)
    assert commands[0].startswith("uv venv" if answers.get("strategy") == "pip" else "uv sync")


def test_an_update_adds_and_removes_a_launcher(tmp_path: Path) -> None:
    from copier import run_update

    template = tagged_template(tmp_path / "template")
    project = copied(template, tmp_path / "project", {"example": "training"})
    committed(project.path, "Mine")
    for launcher, there in (
        ("slurm", ["train.sh"]),
        ("skypilot", ["train.sky.yaml"]),
        ("none", []),
    ):
        options = {"defaults": True, "unsafe": True, "quiet": True, "overwrite": True}
        run_update(str(project.path), data={"launcher": launcher}, **options)
        assert jobs(project) == there
        assert not git(project.path, "status", "--porcelain", "src", "tests", "pyproject.toml")
        committed(project.path, launcher)


# What the engines themselves say. Their packages are too large for the tests' own environment.


@pytest.fixture
def engines() -> Path:
    """The Python of an environment with skypilot and kubeflow-trainer-api."""
    python = Path(os.environ.get("LAUNCHERS", "")) / "bin" / "python"
    if "LAUNCHERS" not in os.environ:
        pytest.skip(
            "LAUNCHERS names no environment with skypilot, kubeflow-trainer-api (see README)"
        )
    assert python.exists(), python
    return python


def told(python: Path, program: str, *arguments: str, home: Path) -> Any:
    """What a program prints as JSON, without a network and with a home of its own."""
    offline = [] if why_none() else ["unshare", "--net"]
    done = subprocess.run(
        [*offline, python, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HOME": str(home)},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


KUBERNETES = """
import json, sys, yaml
from kubeflow_trainer_api import models

def strict(model):
    schema = model.model_json_schema(by_alias=True)
    known = schema["$defs"]
    for part in [schema, *known.values()]:
        if "properties" in part:
            part["additionalProperties"] = False
    # The models check by code what these may be.
    known["IoK8sApimachineryPkgApiResourceQuantity"] = {"type": ["string", "number"]}
    return schema

found = [yaml.safe_load(open(name)) for name in sys.argv[1:]]
print(json.dumps({
    "same": [models.JobsetV1alpha2JobSet.from_dict(one).to_dict() == one for one in found],
    "schema": strict(models.IoK8sApiCoreV1PodTemplateSpec),
}))
"""


def test_a_jobset_is_what_kubernetes_knows(render: Render, engines: Path, tmp_path: Path) -> None:
    from jsonschema import Draft202012Validator

    answers = (GPUS, CPU, {**GPUS, "backends": ["cpu", "rocm7.2"]})
    files = [render(launcher="kubernetes", **a).path / "jobs/train.yaml" for a in answers]
    found = told(engines, KUBERNETES, *map(str, files), home=tmp_path)
    # A key that the models do not know would be gone.
    assert found["same"] == [True] * len(files)
    validator = Draft202012Validator(found["schema"])
    for file in files:
        job = yaml.safe_load(file.read_text("utf-8"))["spec"]["replicatedJobs"][0]
        pod = job["template"]["spec"]["template"]
        assert not [error.message for error in validator.iter_errors(pod)]
        pod["spec"]["containers"][0]["imaeg"] = "x"
        assert not validator.is_valid(pod)


SKYPILOT = """
import json, sys
import sky, yaml

found = []
for name in sys.argv[1:]:
    wanted = yaml.safe_load(open(name)).get("secrets", {})
    overrides = [(secret, "x") for secret in wanted]
    task = sky.Task.from_yaml(name) if not wanted else sky.Task.from_yaml_config(
        yaml.safe_load(open(name)), secrets_overrides=overrides
    )
    task.validate()
    (resources,) = task.resources
    found.append({
        "nodes": task.num_nodes,
        "accelerators": resources.accelerators,
        "spot": resources.use_spot,
        "restarts": resources.job_recovery["max_restarts_on_errors"],
        "mounts": list(task.storage_mounts),
        "run": "torchrun" in task.run,
    })
print(json.dumps(found))
"""


def test_a_task_is_what_skypilot_reads(render: Render, engines: Path, tmp_path: Path) -> None:
    # SkyPilot would fetch its catalog, which says where a GPU is to be had.
    catalog = tmp_path / ".sky" / "catalogs" / "v8" / "common" / "accelerators.csv"
    catalog.parent.mkdir(parents=True)
    catalog.write_text("AcceleratorName,Clouds\nH100,\"['AWS', 'GCP']\"\n", "utf-8")
    answers = (GPUS, CPU, {**GPUS, **PRIVATE})
    files = [render(launcher="skypilot", **a).path / "jobs/train.sky.yaml" for a in answers]
    usual = {"nodes": 2, "spot": True, "restarts": 3, "mounts": ["/runs"], "run": True}
    assert told(engines, SKYPILOT, *map(str, files), home=tmp_path) == [
        {**usual, "accelerators": gpus} for gpus in ({"H100": 8}, None, {"H100": 8})
    ]
    secrets = [re.findall(r"(?m)^  (UV_INDEX_\w+): null$", f.read_text("utf-8")) for f in files]
    assert not secrets[0] and not secrets[1]
    assert "UV_INDEX_PYTORCH_CU130_PASSWORD" in secrets[2]


# Their commands, on two machines that share a disk and a network.


@pytest.fixture(scope="module")
def installed(
    template: Path,
    real_index: PyTorchIndex,
    real_environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    if reason := why_none():
        pytest.skip(reason)
    answers = {**CPU, "project_name": "My Project", "example": "training"}
    answers |= {"python_version": "3.11", "containers": ["docker"]}
    project = copied(template, tmp_path_factory.mktemp("several") / "project", answers)
    project.redirect(real_index.url)
    project.environment = dict(real_environment)
    project.uv("sync")
    return project


SETTINGS = ["--device=cpu", "--steps=300", "--save-every=20", "--decay=100"]


@contextmanager
def both(
    project: Project, folder: Path, command: Callable[[int], str]
) -> Iterator[tuple[Machines, list[subprocess.Popen[bytes]]]]:
    """A command on each of two machines; it must succeed on both by the end of the block."""
    with machines(folder, "node-1", "node-2") as found:
        started = []
        for rank, name in enumerate(found.addresses):
            variables = {
                "PATH": os.pathsep.join(
                    [str(project.path / ".venv" / "bin"), str(Path(UV).parent), os.environ["PATH"]]
                ),
                "HOME": str(folder),
                "OMP_NUM_THREADS": "1",
                "UV_NO_CONFIG": "1",
                "UV_OFFLINE": "1",
            }
            words = ["bash", "-euc", command(rank)]
            started.append(
                found.start(name, *words, environment=variables, place=str(project.path))
            )
        yield found, started
        for process in started:
            assert process.wait(150) == 0, (
                folder / f"{found.processes.index(process)}.log"
            ).read_text()


def rows(folder: Path) -> list[int]:
    file = folder / "metrics.csv"
    lines = file.read_text("utf-8").splitlines()[1:] if file.exists() else []
    return [int(line.split(",")[0]) for line in lines]


@pytest.mark.real
def test_torchrun_by_hand_goes_on_when_a_process_is_killed(
    installed: Project, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    docs = installed.text("docs/pytorch.md").split("## Several machines")[1]
    block = docs.split("```sh\n")[1].split("```")[0].rstrip()
    block = block.replace("--folder runs/first", shlex.join([f"--folder={run}", *SETTINGS[:1]]))
    more = shlex.join(["--steps=1500", *SETTINGS[2:]])
    with both(installed, tmp_path / "net", lambda rank: f"{block} {more}") as (found, started):
        until(lambda: list(run.glob("step-*[0-9]")), "a checkpoint")
        workers = found.run("node-2", "pgrep", "--full", f" -u -m my_project.training .*{run}")
        os.kill(int(workers.split()[-1]), 9)
    assert rows(run) == list(range(10, 1501, 10))
    logs = "".join(file.read_text("utf-8") for file in (tmp_path / "net").glob("*.log"))
    assert "exitcode: -9" in logs


@pytest.mark.real
@pytest.mark.parametrize("launcher", ["kubernetes", "skypilot"])
def test_the_command_of_a_job_trains_on_both_machines(
    installed: Project, render: Render, tmp_path: Path, launcher: str
) -> None:
    job = yaml.safe_load(render(launcher=launcher, **CPU).text(f"jobs/{FILES[launcher]}"))
    run = tmp_path / "run"
    if launcher == "kubernetes":
        spec = job["spec"]["replicatedJobs"][0]["template"]["spec"]
        (container,) = spec["template"]["spec"]["containers"]
        exports = [f"export {one['name']}={one['value']}" for one in container["env"]]

        def command(rank: int) -> str:
            words = shlex.join([*container["command"][:-1], f"--folder={run}", *SETTINGS])
            # What Kubernetes itself puts there, and its name for the first pod.
            words = words.replace("'--node-rank=$(JOB_COMPLETION_INDEX)'", f"--node-rank={rank}")
            return "\n".join([*exports, words.replace("my-project-node-0-0.my-project", "node-1")])

    else:

        def command(rank: int) -> str:
            ips = "$'10.77.0.11\\n10.77.0.12'"
            given = f"SKYPILOT_NODE_RANK={rank} SKYPILOT_NUM_NODES=2 SKYPILOT_NODE_IPS={ips}"
            uv = f"mkdir -p ~/.local/bin; ln -sf {UV} ~/.local/bin/uv"
            text = job["run"].rstrip().replace("/runs/first", str(run))
            return f"export {given}\n{uv}\n{text} {shlex.join(SETTINGS)}"

    with both(installed, tmp_path / "net", command):
        pass
    assert rows(run) == list(range(10, 301, 10))
    assert (run / "step-00000300").is_dir()
