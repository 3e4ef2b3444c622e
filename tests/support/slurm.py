"""A real SLURM cluster on machines that are namespaces, from Debian's packages."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .machines import HEAD, Machines, machines, until, why_none

DAEMONS = ("munged", "slurmctld", "slurmd")
# A job of the partition `urgent` sends one of `usual` back to the queue, which has half a minute to
# save itself. A requeued job waits until its old credential has expired: two minutes, if nothing is
# said. Nodes of one CPU, so that a job has them for itself.
CONFIGURATION = """\
ClusterName=trial
SlurmctldHost=head({head})
SlurmUser=root
AuthInfo=socket={folder}/munge.socket,cred_expire=5
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
SlurmdTimeout=10
SlurmdParameters=config_overrides
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmdSpoolDir={folder}/spool-%n
{nodes}
PartitionName=usual Nodes=ALL Default=YES PriorityTier=1 GraceTime=30
PartitionName=urgent Nodes=ALL PriorityTier=2 PreemptMode=OFF
"""


def why_no_cluster() -> str:
    """Why there can be no cluster here; empty if there can."""
    if missing := [name for name in DAEMONS if not shutil.which(name)]:
        return f"there is no {missing[0]} here: apt-get install slurm-wlm munge"
    return why_none()


@dataclass
class Cluster:
    """`environment` is that of whoever submits jobs."""

    machines: Machines
    environment: dict[str, str]

    def run(self, *command: str, folder: Path | None = None) -> str:
        """The output of a command of SLURM on the head node."""
        variables = (f"{key}={value}" for key, value in self.environment.items())
        place = ["--chdir", str(folder)] if folder else []
        return self.machines.run("", "env", *place, *variables, *command)

    def job(self, number: str) -> dict[str, str]:
        """What SLURM knows of a job."""
        return dict(re.findall(r"(\w+)=(\S*)", self.run("scontrol", "show", "job", number)))

    def reaches(self, number: str, seconds: float = 120, **wanted: str) -> None:
        """Wait until a job has some state."""

        self.until(number, lambda found: wanted.items() <= found.items(), f"{wanted}", seconds)

    def until(
        self,
        number: str,
        happened: Callable[[dict[str, str]], object],
        what: str,
        seconds: float = 120,
    ) -> None:
        """Wait for something of a job. Raises AssertionError, with its last state, if it does not
        happen in that time."""
        seen: dict[str, str] = {}

        def there() -> object:
            seen.update(self.job(number))
            return happened(seen)

        try:
            until(there, f"job {number} with {what}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {seen}") from None


@contextmanager
def cluster(folder: Path, *nodes: str) -> Iterator[Cluster]:
    """A cluster of some nodes, with their logs in the folder."""
    with machines(folder, *nodes) as found:
        lines = (f"NodeName={n} NodeAddr={a} CPUs=1" for n, a in found.addresses.items())
        text = CONFIGURATION.format(folder=folder, head=HEAD, nodes="\n".join(lines))
        (folder / "slurm.conf").write_text(text, "utf-8")
        for name in ("state", *(f"spool-{node}" for node in nodes)):
            (folder / name).mkdir()
        key = folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        socket = folder / "munge.socket"
        files = [f"--{name}-file={folder}/munge.{name}" for name in ("pid", "seed", "log")]
        found.start(
            "",
            "munged",
            "--force",
            "--foreground",
            f"--key-file={key}",
            f"--socket={socket}",
            *files,
        )
        until(socket.exists, "munged")
        usual = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        found.start("", "slurmctld", "-D", "-c", environment=usual)
        for node in nodes:
            found.start(node, "slurmd", "-D", "-N", node, environment=usual)
        made = Cluster(found, {"SLURM_CONF": usual["SLURM_CONF"]})
        idle = ("sinfo", "--noheader", "--partition=usual", "--states=idle", "--format=%D")

        def up() -> bool:
            try:
                return made.run(*idle) == str(len(nodes))
            except AssertionError:  # slurmctld does not answer yet
                return False

        until(up, "a cluster with idle nodes")
        try:
            yield made
        finally:
            found.run(
                "", "env", f"SLURM_CONF={usual['SLURM_CONF']}", "scancel", "--me", "--signal=KILL"
            )
