"""`jobs/train.sh` on a real SLURM cluster: whatever takes the nodes away, the run goes on."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Render
from tests.pytorch_index import PyTorchIndex
from tests.support.machines import until
from tests.support.project import UV, Project
from tests.support.slurm import Cluster, cluster, why_no_cluster

pytestmark = [pytest.mark.slurm, pytest.mark.real]


@pytest.fixture
def submitted(
    render: Render,
    real_index: PyTorchIndex,
    real_environment: dict[str, str],
    tmp_path: Path,
) -> Iterator[tuple[Project, Cluster]]:
    """A project that is installed on the cluster's disk, and the cluster."""
    if reason := why_no_cluster():
        pytest.skip(reason)
    project = render(
        **{"torch_version": "2.13", "python_version": "3.11", "packages": []},
        **{"strategy": "index", "backend": "cpu", "example": "training", "launcher": "slurm"},
    )
    project.redirect(real_index.url)
    project.environment = dict(real_environment)
    project.uv("sync")
    with cluster(tmp_path / "cluster", "n1", "n2") as running:
        running.environment |= {
            "PATH": os.pathsep.join([str(Path(UV).parent), os.environ["PATH"]]),
            "OMP_NUM_THREADS": "1",
            "UV_NO_CONFIG": "1",
        }
        yield project, running


def test_a_job_outlives_whatever_takes_its_nodes(submitted: tuple[Project, Cluster]) -> None:
    project, running = submitted
    metrics = project.path / "runs" / "long" / "metrics.csv"

    def submit(*settings: str) -> str:
        # Its nodes have one CPU, and it is for two.
        words = ["sbatch", "--parsable", "--cpus-per-task=1", "jobs/train.sh", *settings]
        return running.run(*words, "--device=cpu", folder=project.path)

    def step() -> int:
        with metrics.open(newline="", encoding="utf-8") as opened:
            rows = [row for row in csv.reader(opened) if len(row) > 1 and row[0].isdigit()]
        return int(rows[-1][0]) if rows else 0

    wrong = submit("--steps=0")
    running.reaches(wrong, JobState="FAILED", Restarts="0")
    short = submit("--steps=20", "--folder=runs/short")
    running.reaches(short, JobState="COMPLETED", Restarts="0")
    assert (project.path / "runs/short/step-00000020").is_dir()

    job = submit("--steps=1000000", "--save-every=100", "--folder=runs/long")
    running.reaches(job, JobState="RUNNING")
    until(lambda: metrics.exists() and step() > 200, "a run that trains")

    def now() -> tuple[int, int]:
        """How often it was restarted, and how far it is."""
        return int(running.job(job)["Restarts"]), step()

    def goes_on(restarts: int, before: int) -> None:
        # A node that is slow to answer may cost it one more.
        running.until(
            job,
            lambda it: it["JobState"] == "RUNNING" and int(it["Restarts"]) > restarts,
            f"more than {restarts} restarts",
        )
        until(lambda: step() > before + 100, "a run that resumes")

    seen = now()
    running.run("scontrol", "requeue", job)
    goes_on(*seen)

    seen = now()
    urgent = ["--partition=urgent", "--nodes=2", "--output=/dev/null", "--wrap=srun sleep 1"]
    running.run("sbatch", *urgent)
    goes_on(*seen)
    assert "saved for later" in (project.path / f"my_project-{job}.out").read_text("utf-8")

    seen = now()
    # What SLURM sends three minutes before the time is up.
    running.run("scancel", "--batch", "--signal=USR1", job)
    goes_on(*seen)

    seen = now()
    running.machines.cable("n2", "down")
    until(lambda: running.job(job)["JobState"] != "RUNNING", "a job without its node")
    running.machines.cable("n2", "up")
    goes_on(*seen)

    running.run("scancel", job)
    running.reaches(job, JobState="CANCELLED")
    with metrics.open(newline="", encoding="utf-8") as opened:
        steps = [int(row["step"]) for row in csv.DictReader(opened)]
    assert steps[:-1] == list(range(10, steps[-1], 10))
