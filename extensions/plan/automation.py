"""What CI and containers do with a plan: which runner, which commands, which image."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..questions.contract import Answers
from ..questions.names import index_of
from ..tables.backends import AUTO, index_name, kind, label
from ..tables.platforms import LINUX, MACOS, PLATFORMS
from .plan import Build, Choice, Index, Plan, named_flags, pip_flags

# The uv of CI and images, between the floor and the cap of the plan.
UV = "0.13.9"
# The newest releases on 2026-11-23, by their commits.
CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1"
SETUP_UV = "astral-sh/setup-uv@20cfd1bf945f4377ade1205e4dbc17946fc9a30d # v10.0.1"
RUNNERS = {
    "linux-x86_64": "ubuntu-24.04",
    "linux-aarch64": "ubuntu-24.04-arm",
    "windows-amd64": "windows-2025",
    "macos-arm64": "macos-15",
}
# GitLab.com's runners are x86-64 unless a tag says otherwise.
TAGS = {"linux-aarch64": ("saas-linux-small-arm64",)}
CHECKS = {"ty": ("ty check",), "mypy": ("mypy",), "none": ()}
# What a container needs to see the GPU of its host. Nodes of AMD and Intel belong to the group
# `render`, whose number differs from host to host: a shell on the host knows it.
DEVICES = {
    "cuda": ("--gpus=all",),
    "rocm": ("--device=/dev/kfd", "--device=/dev/dri", "--group-add=video"),
    "xpu": ("--device=/dev/dri",),
}
RENDER = '--group-add "$(getent group render | cut -d: -f3)"'
EDITABLE = "uv pip install --no-deps --editable ."


@dataclass(frozen=True)
class Image:
    """How a Dockerfile installs PyTorch.

    `build` is the default of the build argument (empty: there is no choice), `label` the same in
    words, `dependencies` and `project` the two steps of the install. `platform` is empty where
    Docker's own choice is a platform of the project. `base` is the image below it.
    """

    base: str
    build: str
    label: str
    platform: str
    dependencies: tuple[str, ...]
    project: str


@dataclass(frozen=True)
class Automation:
    """Commands are tuples of lines that bash and PowerShell read alike.

    `install` brings the CPU build on `runner`; `stand_in` says why it is not that of the lock, as
    the lines of a comment.
    `tags` is what GitLab calls that runner (empty: its usual one). `gpu` is empty in a project
    without accelerators. `gpu_kind` is the kind of build whose GPU `gpu_options` hand over to a
    container; `run_options` is all that `docker run` says for the image's default build, and
    `devices` what hands over the GPU of that build (empty: it has none).

    Where a mirror is `authenticated`, CI puts the credentials of the indexes in `logins` into the
    environment. `dependabot` is false where Renovate does its work; `drift` says that a job
    compares a project with its template, `updates` that one updates it.
    """

    uv: str
    runner: str
    tags: tuple[str, ...]
    lock: tuple[str, ...]
    install: tuple[str, ...]
    stand_in: tuple[str, ...]
    checks: tuple[str, ...]
    gpu: tuple[str, ...]
    setup: tuple[str, ...]
    python_cap: str
    devices: tuple[str, ...]
    gpu_kind: str
    gpu_options: tuple[str, ...]
    keep: str
    run_options: tuple[str, ...]
    image: Image
    logins: tuple[Index, ...]
    authenticated: bool
    dependabot: bool
    drift: bool
    updates: bool
    checkout: str = CHECKOUT
    setup_uv: str = SETUP_UV


def automate(plan: Plan, answers: Answers) -> Automation:
    """Everything that CI, container and bot files say."""
    platform = next(name for name in PLATFORMS if name in plan.platforms)
    pip, provided = plan.strategy == "pip", plan.strategy == "provided"
    found = None if provided else _cpu_choice(plan, platform)
    stands_in = found is None and not pip
    tools = ("ruff check", "ruff format --check", *CHECKS[answers.type_checker])
    tests = ("scripts/smoke_test.py --allow-cpu --expect cpu", "pytest")
    accelerated = _accelerated(plan)
    devices = DEVICES.get(kind(_default_backend(plan)), ())
    gpu_backend = _default_backend(plan) if devices or not accelerated else accelerated[1].backend
    gpu_kind = kind(gpu_backend) if gpu_backend != "cpu" else ""
    if provided and answers.base_image:
        gpu_kind = _kind_of(answers.base_image)
        devices = DEVICES[gpu_kind]
    gpu_options = DEVICES.get(gpu_kind, ()) + ((RENDER,) if gpu_kind in ("rocm", "xpu") else ())
    volume = (
        (f"--volume {plan.distribution}-runs:/app/runs",) if answers.example == "training" else ()
    )
    image = _image(plan, answers)
    authenticated = plan.authenticate and (plan.mirror or plan.pypi.mirror)
    return Automation(
        uv=UV,
        runner=RUNNERS[platform],
        tags=TAGS.get(platform, ()),
        lock=() if pip else ("uv lock --check",),
        install=_cpu_install(plan, found),
        stand_in=_stand_in(plan) if stands_in else (),
        checks=tuple(
            f"{keep(plan)} {tool}"
            for tool in (*(() if pip else ("scripts/check_lock.py",)), *tools, *tests)
        ),
        gpu=_gpu(plan, *accelerated) if accelerated else (),
        setup=setup(plan, plan.default, anew=True),
        python_cap=plan.requires_python.partition("<")[2],
        devices=devices,
        gpu_kind=gpu_kind,
        gpu_options=gpu_options,
        keep=keep(plan),
        run_options=tuple(
            filter(None, (image.platform, *(gpu_options if devices else ()), *volume))
        ),
        image=image,
        logins=_logins(plan, "cpu" if pip or stands_in else "", gpu_backend if pip else ""),
        authenticated=authenticated,
        drift=answers.template_updates != "none" and answers.ci != "none",
        updates=answers.template_updates == "workflow",
        dependabot=answers.ci == "github" and answers.template_updates != "renovate",
    )


def keep(plan: Plan) -> str:
    """The beginning of a command that leaves the environment as it is.

    With `managed = false`, uv does so by itself, and warns of `--no-sync`.
    """
    return "uv run" if plan.strategy == "pip" else "uv run --no-sync"


def _logins(plan: Plan, *backends: str) -> tuple[Index, ...]:
    """The indexes of pyproject.toml and those that commands name, each once."""
    named = [
        Index(index_name(backend), index_of(plan.index_url, backend), mirror=True)
        for backend in backends
        if backend and plan.mirror and plan.authenticate
    ]
    return tuple({index.name: index for index in (*named, *plan.logins)}.values())


def setup(
    plan: Plan, choice: Choice, *, backend: str = "", locked: bool = False, anew: bool = False
) -> tuple[str, ...]:
    """The commands that install a choice into a fresh checkout; `anew` also into another one.

    `backend` is for the strategy `pip`: another one than that of the choice.
    """
    sync = plan.sync(choice)
    if plan.strategy != "pip":
        first = [f"{plan.venv} --clear" if anew else plan.venv] if plan.venv else []
        return (*first, sync.replace("uv sync", "uv sync --locked", 1) if locked else sync)
    sync = sync.replace(choice.flags, named_flags(plan.index_url, backend or choice.backend))
    # A mirror's index serves the family alone.
    rest = ("uv pip install --requirements pyproject.toml --extra dev",) if plan.mirror else ()
    return ("uv venv --clear" if anew else "uv venv", sync, *rest, EDITABLE)


def _on(choice: Choice, platform: str) -> list[Build]:
    return [build for build in choice.builds if build.platform == platform]


def _cpu_choice(plan: Plan, platform: str) -> Choice | None:
    """The choice that gives the CPU build on a platform, the default one if it does."""
    choices = [plan.default, *sorted(plan.choices, key=lambda choice: choice.backend != "cpu")]
    for choice in choices:
        if all(build.backend == "cpu" for build in _on(choice, platform)):
            return choice
    return None


def _cpu_install(plan: Plan, choice: Choice | None) -> tuple[str, ...]:
    if plan.strategy == "pip":
        return setup(plan, plan.default, backend="cpu")
    if choice is not None:
        return setup(plan, choice, locked=True)
    # The lock has no CPU build here: take it from its index, and all the rest from the lock.
    pins = " ".join(r.pin for r in plan.requirements if r.name in plan.packages)
    prunes = " ".join(f"--prune {name}" for name in plan.family)
    export = " ".join(filter(None, ["uv export --locked", plan.default.flags]))
    file = ".venv/requirements.txt"
    return (
        "uv venv",
        f"uv pip install {pins} {named_flags(plan.index_url, 'cpu')}",
        f"{export} --quiet --no-emit-project {prunes} --output-file {file}",
        f"uv pip install --requirements {file}",
        EDITABLE,
    )


def _stand_in(plan: Plan) -> tuple[str, ...]:
    if plan.strategy == "provided":
        return (
            "The lock has no PyTorch, nor has this runner: the newest patch release comes from",
            "the CPU index. The build that is there is tested where it is.",
        )
    return (
        "The lock has no CPU build for this runner: the newest patch release of PyTorch",
        "comes from its CPU index.",
    )


def _kind_of(image: str) -> str:
    """The kind of GPU for which an image is, as its name tells; most are NVIDIA's."""
    kinds = {"rocm": r"rocm|\bamd\b", "xpu": r"xpu|intel|oneapi"}
    return next((of for of, names in kinds.items() if re.search(names, image)), "cuda")


def _accelerated(plan: Plan) -> tuple[Choice, Build] | None:
    """The first choice with a GPU build, and that build; Linux first, the default choice first."""
    for platform in PLATFORMS:
        for choice in (plan.default, *plan.choices):
            for build in reversed(_on(choice, platform)):
                if kind(build.backend) != "cpu":
                    return choice, build
    return None


def _gpu(plan: Plan, choice: Choice, build: Build) -> tuple[str, ...]:
    # `auto` is what the runner's driver says.
    expect = "" if choice.backend == AUTO else f" --expect {build.backend}"
    return (
        *setup(plan, choice, locked=True),
        f"{keep(plan)} scripts/smoke_test.py{expect}",
        f"{keep(plan)} pytest",
    )


def _default_backend(plan: Plan) -> str:
    """What the default choice installs on Linux; for `auto` the newest CUDA build."""
    on_linux = [b for name in LINUX for b in _on(plan.default, name)]
    if plan.default.backend == AUTO:
        on_linux = [b for b in on_linux if kind(b.backend) == "cuda"]
        return on_linux[-1].backend if on_linux else "cpu"
    return next((b.backend for b in on_linux), "cpu")


def _image(plan: Plan, answers: Answers) -> Image:
    # Docker on a Mac builds for Linux aarch64 by itself.
    claimed = plan.platforms
    foreign = MACOS in claimed and "linux-aarch64" not in claimed
    platform = "--platform linux/amd64" if foreign else ""
    base = answers.base_image or f"python:{plan.python_version}-slim-trixie"
    if plan.strategy != "pip":
        flags = {
            "extras": '--no-dev --extra "$PYTORCH"',
            # No default group at all: neither another build nor the tools belong in an image.
            "groups": '--no-default-groups --group "$PYTORCH"',
        }.get(plan.strategy, "--no-dev")
        # Before the members of a workspace are there, a lock cannot be compared with them.
        sync = f"uv sync --frozen --no-install-workspace {flags}"
        dependencies = tuple(filter(None, (plan.venv, sync)))
        project = f"uv sync --locked --no-editable {flags}"
        build = plan.default.name
        return Image(base, build, plan.default.label, platform, dependencies, project)
    flags = pip_flags(plan.index_url, '"$PYTORCH"')
    rest = "uv pip install --requirements pyproject.toml"
    pins = " ".join(r.pin for r in plan.requirements)
    torch = (f"uv pip install {pins} {flags}", rest) if plan.mirror else (f"{rest} {flags}",)
    build = _default_backend(plan)
    project = "uv pip install --no-deps ."
    return Image(base, build, label(build), platform, ("uv venv", *torch), project)
