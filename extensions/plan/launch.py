"""How a cluster runs the training: which build, how many accelerators, which image and logins."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..questions.contract import Answers
from ..tables.backends import kind
from ..tables.platforms import LINUX
from .automation import automate, keep, setup
from .plan import Choice, Index, Plan

NODES = 2
# What a node of a cluster usually has; with a CPU build one process takes all of its cores.
ACCELERATORS = 8
# The names under which the vendors' device plugins offer their GPUs to Kubernetes.
RESOURCES = {"cuda": "nvidia.com/gpu", "rocm": "amd.com/gpu", "xpu": "gpu.intel.com/i915"}
# GPUs by their names in SkyPilot's catalog, which has none of Intel's.
RENTED = {"cuda": "H100", "rocm": "MI300X"}


@dataclass(frozen=True)
class Launch:
    """`by` is the launcher, `none` without the example. A job has `nodes` with `accelerators` each
    (0: it computes on the CPU) and `processes` per node.

    `name` is the project's as a DNS label that leaves room for a suffix. `resource` is what
    Kubernetes calls the accelerators, `rented` what SkyPilot does (both empty without). `label` is
    the build in words, `install` the commands that install it from the lock, and `image` the
    switches of `docker build` that put it into the project's image. `keep` begins a command that
    leaves the environment as it is; `logins` are the indexes whose credentials the install needs.
    """

    by: str
    name: str
    nodes: int
    accelerators: int
    processes: int
    resource: str
    rented: str
    label: str
    install: tuple[str, ...]
    image: tuple[str, ...]
    keep: str
    logins: tuple[Index, ...]


def launch(plan: Plan, answers: Answers) -> Launch:
    """Decide what the files in `jobs/` say."""
    choice, backend = _on_linux(plan, answers.launcher)
    work, of = automate(plan, answers), kind(backend)
    if plan.strategy == "provided":
        # A cluster has it for its GPUs, or its image does.
        of = work.gpu_kind or "cuda"
    count = ACCELERATORS if of in RESOURCES else 0
    image = [work.image.platform]
    if work.image.build:
        build = backend if plan.strategy == "pip" else choice.name
        image += [f"--build-arg PYTORCH={build}"] if build != work.image.build else []
    image += ["--secret id=netrc,src=$HOME/.netrc"] if work.authenticated else []
    return Launch(
        by=answers.launcher,
        name=_label(plan.distribution),
        nodes=NODES,
        accelerators=count,
        processes=count or 1,
        resource=RESOURCES.get(of, ""),
        rented=RENTED.get(of, ""),
        label=choice.label,
        install=setup(plan, choice, backend=backend, locked=True),
        image=tuple(filter(None, image)),
        keep=keep(plan),
        logins=work.logins,
    )


def _label(name: str) -> str:
    """A DNS label of RFC 1035, as JobSets and services have it: from a letter on, and short."""
    words = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
    return (words if words[:1].isalpha() else f"run-{words}")[:40].rstrip("-")


def _on_linux(plan: Plan, launcher: str) -> tuple[Choice, str]:
    """The choice for a cluster and its build on Linux: one for accelerators, the default first."""
    found = [
        (choice, [build.backend for build in choice.builds if build.platform in LINUX])
        for choice in (plan.default, *plan.choices)
    ]
    usable = RENTED if launcher == "skypilot" else RESOURCES
    for choice, backends in found:
        # The newest of a choice that leaves it to the machine.
        for backend in reversed(backends):
            if kind(backend) in usable:
                return choice, backend
    for choice, backends in found:
        if {*backends} == {"cpu"}:
            return choice, "cpu"
    return plan.default, "cpu"
