"""CI, containers, bots and editor files: they fit their schemas and linters, and CI's commands,
run as rendered, install the CPU build and nothing for a GPU."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from extensions.plan.automation import RUNNERS, UV
from extensions.plan.plan import UV_CAP, UV_FLOOR
from extensions.tables.releases import minor
from tests.conftest import THIS_PYTHON, Render
from tests.schemas import SCHEMAS, check_file
from tests.support.checks import check_everything
from tests.support.starter import STRATEGIES, dry_run, name_of, scripts

BIN = Path(sys.executable).parent
FILES = [*SCHEMAS, ".github", ".pre-commit-config.yaml", "Dockerfile"]
ACCELERATOR = re.compile(r"(nvidia|cuda|triton|pytorch-triton|intel|rocm)\b.*")


def starters() -> list[dict[str, Any]]:
    """Every strategy, with the other answers taking turns."""
    turns = itertools.cycle(
        itertools.product(
            ("github", "gitlab", "none"),
            (["docker", "devcontainer"], ["docker"], ["devcontainer"], []),
            ("ty", "mypy", "none"),
            ("none", "training"),
            ("none", "workflow", "renovate"),
        )
    )
    found = []
    for answers in STRATEGIES:
        for _ in range(2):
            ci, containers, checker, example, updates = next(turns)
            rest = {"ci": ci, "containers": containers, "type_checker": checker}
            if ci == "github" or updates != "workflow":
                rest["template_updates"] = updates
            if len(found) % 3 == 0:
                mirror = "https://mirror.example.org"
                rest |= {"pypi_url": f"{mirror}/simple", "authenticate": "always"}
                if answers.get("backend") != "auto":
                    rest["index_url"] = f"{mirror}/whl"
            found.append({**answers, **rest, "example": example})
            for _ in range(36):
                next(turns)
    return found


def test_files_fit_their_schemas_and_linters(render: Render, tmp_path: Path) -> None:
    """Workflows pass zizmor and actionlint, hooks pre-commit's own check, Dockerfiles hadolint."""
    rendered = [render(**answers) for answers in starters()]
    for project in rendered:
        check_everything(project)
    projects = [project.path for project in rendered]
    found = {name: [p / name for p in projects if (p / name).exists()] for name in FILES}
    assert all(len(files) > 3 for files in found.values())
    for name in SCHEMAS:
        for file in found[name]:
            check_file(file.parents[name.count("/")], name)
    for command in (
        [BIN / "zizmor", "--offline", "--quiet", *found[".github"]],
        [BIN / "actionlint", *(w for file in found[".github"] for w in file.rglob("workflows/*"))],
        [BIN / "pre-commit", "validate-config", *found[".pre-commit-config.yaml"]],
        [BIN / "hadolint", *found["Dockerfile"]],
        [BIN / "shellcheck", *(f for file in found[".github"] for f in file.glob("*.sh"))],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr


def test_both_services_run_the_same_commands(render: Render) -> None:
    for answers in STRATEGIES:
        assert scripts(render(ci="github", **answers)) == scripts(render(ci="gitlab", **answers))


@pytest.mark.parametrize("answers", STRATEGIES, ids=name_of)
def test_ci_installs_the_cpu_build_alone(lockable: Render, index, answers: dict[str, Any]) -> None:
    line = "2.13"
    project = lockable(
        torch_version=line, ci="github", example="training", type_checker="mypy", **answers
    )
    if answers["strategy"] != "pip":
        project.lock()
    commands = [c for c in scripts(project)["check"] if not c.startswith("uv run")]
    for command in commands:
        assert not re.search(r"[|&;<>$*\"']", command), "bash and PowerShell differ"
    installed = dry_run(project, commands, index.url)
    assert installed["torch"] == "2.13.0+cpu"
    assert installed["torchvision"] == "0.28.0+cpu"
    assert {"ruff", "mypy", "pytest", "tensorboard", "my-project"} <= set(installed)
    assert not [name for name in installed if ACCELERATOR.fullmatch(name)]


def test_ci_checks_all_that_the_project_has(render: Render) -> None:
    checks = " ".join(scripts(render())["check"])
    for words in (
        "uv lock --check",
        "scripts/check_lock.py",
        "ruff check",
        "ruff format --check",
        "ty check",
        "smoke_test.py --allow-cpu --expect cpu",
        "pytest",
    ):
        assert words in checks
    assert "mypy" in " ".join(scripts(render(type_checker="mypy"))["check"])
    pip = render(strategy="pip", backend="cpu")
    assert "lock" not in " ".join(scripts(pip)["check"])
    assert not (pip.path / "scripts" / "check_lock.py").exists()


@pytest.mark.parametrize(
    ("answers", "install", "smoke"),
    [
        ({"backends": ["cpu", "cu130"], "default_backend": "cpu"},
         "uv sync --locked --no-group cpu --group cu130", "--expect cu130"),
        ({"backends": ["cpu", "cu130"], "default_backend": "cu130"},
         "uv sync --locked", "--expect cu130"),
        ({"strategy": "extras", "backends": ["cpu", "rocm7.2"]},
         "uv sync --locked --extra rocm7-2", "--expect rocm7.2"),
        ({"strategy": "pypi"}, "uv sync --locked", "--expect cu130"),
    ],
)  # fmt: skip
def test_the_gpu_job_installs_an_accelerator(render: Render, answers, install, smoke) -> None:
    job = scripts(render(torch_version="2.14", **answers))["gpu"]
    assert job[0] == install
    assert job[1].endswith(smoke)


def test_no_gpu_job_without_a_gpu_build(render: Render) -> None:
    assert "gpu" not in scripts(render(strategy="index", backend="cpu"))
    assert "gpu" not in scripts(render(platforms=["macos-arm64"], strategy="pypi"))


@pytest.mark.parametrize("platform", RUNNERS)
def test_the_runner_is_of_a_claimed_platform(render: Render, platform: str) -> None:
    project = render(platforms=[platform], strategy="pypi")
    job = yaml.safe_load(project.text(".github/workflows/ci.yml"))["jobs"]["check"]
    assert job["runs-on"] == RUNNERS[platform]
    both = render(platforms=[platform, "linux-x86_64"], strategy="pypi")
    assert "ubuntu-24.04\n" in both.text(".github/workflows/ci.yml")


def test_uv_is_pinned_within_its_bounds(render: Render) -> None:
    assert minor(UV_FLOOR) <= minor(UV) < minor(UV_CAP)
    project = render(containers=["docker", "devcontainer"])
    for name in (".github/workflows/ci.yml", "Dockerfile", ".devcontainer/devcontainer.json"):
        assert UV in project.text(name)


def test_bots_keep_to_the_caps_of_pyproject(render: Render) -> None:
    answers = {"strategy": "extras", "backends": ["cpu", "rocm7.2"], "torch_version": "2.13"}
    caps = {"torch": "2.14", "torchvision": "0.29", "triton-rocm": "3.8"}
    updates = yaml.safe_load(render(**answers).text(".github/dependabot.yml"))["updates"]
    assert updates[0]["groups"]["pytorch"]["patterns"] == list(caps)
    ignored = {i["dependency-name"]: i["versions"] for i in updates[0]["ignore"]}
    assert ignored == {name: [f">={cap}"] for name, cap in caps.items()}
    for ci in ("gitlab", "none"):
        project = render(ci=ci, **answers)
        rules = json.loads(project.text("renovate.json"))["packageRules"]
        assert rules[0]["matchPackageNames"] == list(caps)
        # PyTorch's indexes say nothing of a release's age, so no release would ever be old enough.
        assert rules[0]["minimumReleaseAge"] is None
        python = rules.pop()
        assert python["matchPackageNames"] == ["python"]
        assert f",{python['allowedVersions']}" in project.text("pyproject.toml")
        allowed = {r["matchPackageNames"][0]: r["allowedVersions"] for r in rules[1:]}
        assert allowed == {name: f"<{cap}" for name, cap in caps.items()}
        assert not (project.path / ".github").exists()
    on_pypi = json.loads(render(ci="none", strategy="pypi").text("renovate.json"))
    assert "minimumReleaseAge" not in on_pypi["packageRules"][0]


def test_gitlab_s_job_runs_on_a_claimed_platform(render: Render) -> None:
    for platforms, tags in (
        (["linux-aarch64"], ["saas-linux-small-arm64"]),
        (["linux-aarch64", "windows-amd64"], ["saas-linux-small-arm64"]),
        (["linux-x86_64", "linux-aarch64"], None),
    ):
        project = render(ci="gitlab", platforms=platforms)
        assert yaml.safe_load(project.text(".gitlab-ci.yml"))["check"].get("tags") == tags
        assert ("saas-linux-small-arm64" in project.text("docs/pytorch.md")) == bool(tags)


def test_github_saves_what_is_slow_and_keeps_gpus_from_strangers(render: Render) -> None:
    project = render()
    workflow = yaml.safe_load(project.text(".github/workflows/ci.yml"))
    on_gpu = yaml.safe_load(project.text(".github/workflows/gpu.yml"))
    check, gpu = workflow["jobs"]["check"], on_gpu["jobs"]["gpu"]
    (cache,) = [s["with"] for s in check["steps"] if "setup-uv" in s.get("uses", "")]
    assert cache["enable-cache"] is cache["prune-cache"] is True
    assert gpu["if"] == "vars.GPU_RUNNER != ''"
    # PyYAML reads the key `on` as true.
    assert on_gpu[True] == {"push": {"branches": ["main"]}}
    assert gpu["runs-on"] == "${{ vars.GPU_RUNNER }}"
    # A run of the main branch is let finish: its result belongs to a commit.
    pull_request = "${{ github.event_name == 'pull_request' }}"
    assert workflow["concurrency"]["cancel-in-progress"] == pull_request


def test_gitlab_saves_what_is_slow_and_keeps_gpus_from_strangers(render: Render) -> None:
    pipeline = yaml.safe_load(render(ci="gitlab").text(".gitlab-ci.yml"))
    default = pipeline["default"]
    assert default["after_script"] == ["uv cache prune --ci"]
    assert default["cache"]["paths"] == [".uv-cache"]
    assert pipeline["variables"]["UV_CACHE_DIR"] == "$CI_PROJECT_DIR/.uv-cache"
    assert pipeline["gpu"]["tags"] == ["$GPU_RUNNER"]
    (rule,) = pipeline["gpu"]["rules"]
    assert rule == {"if": "$GPU_RUNNER && $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"}


def test_hooks_run_what_the_project_has(render: Render) -> None:
    for answers in ({}, {"strategy": "pip", "backend": "cpu"}, {"type_checker": "mypy"}):
        project = render(**answers)
        (repo,) = yaml.safe_load(project.text(".pre-commit-config.yaml"))["repos"]
        entries = [re.sub("^uv run (--no-sync )?", "", hook["entry"]) for hook in repo["hooks"]]
        dev = project.pyproject.get("dependency-groups") or project.pyproject["project"].get(
            "optional-dependencies"
        )
        tools = {re.match(r"[a-z-]+", requirement)[0] for requirement in dev["dev"]}
        for entry in entries:
            name = entry.split()[0]
            assert name in tools or (project.path / name).is_file(), entry
        checks = " ".join(scripts(project)["check"])
        assert all(" ".join(entry.split()[:2]).split(" --")[0] in checks for entry in entries)


@pytest.mark.parametrize("example", ["none", "training"])
def test_an_image_is_small_and_its_user_is_not_root(render: Render, example: str) -> None:
    project = render(containers=["docker"], example=example)
    build, final = re.split(r"(?m)^FROM .*\n", project.text("Dockerfile"))[1:]
    for step in re.findall(r"(?m)^RUN .*(?:\\\n.*)*", build):
        assert step.startswith("RUN --mount=type=cache,target=/root/.cache/uv ")
    assert "UV_COMPILE_BYTECODE=1" in build
    lines = final.splitlines()
    assert "COPY --from=build /app/.venv .venv" in lines
    assert re.findall(r"(?m)^COPY (?!--from)(.*)", final) == ["scripts/smoke_test.py scripts/"]
    made = re.search(r"useradd .*--uid (\d+)", final)
    assert made and lines[-2] == f"USER {made[1]}" and lines[-1].startswith("CMD ")
    left_out = set(project.text(".dockerignore").splitlines())
    assert {".venv", ".git", ".env", "**/*.egg-info", "**/__pycache__"} <= left_out
    assert ("runs" in left_out) == (example == "training")


@pytest.mark.parametrize("answers", STRATEGIES, ids=name_of)
def test_an_image_installs_what_it_is_built_for(
    lockable: Render, index, answers: dict[str, Any]
) -> None:
    """Both steps of the Dockerfile, dry, with its own default build; no tools in it."""
    project = lockable(torch_version="2.13", containers=["docker"], **answers)
    text = project.text("Dockerfile")
    base = project.answers.get("base_image", f"python:{THIS_PYTHON}-slim-trixie")
    assert text.count(f"FROM {base}") == 2
    assert "uv run" not in text and "alpine" not in text
    default = re.search(r"^ARG PYTORCH=(\S+)$", text, re.MULTILINE)
    assert bool(default) == (answers["strategy"] in ("extras", "groups", "pip"))
    build = default[1] if default else ""
    if answers["strategy"] != "pip":
        project.lock()
    steps = re.findall(r"uv (?:sync|pip install|venv)[^&\n\\]*", text)
    assert len(steps) >= 2
    installed = dry_run(project, [step.replace('"$PYTORCH"', build) for step in steps], index.url)
    assert "my-project" in installed and "pytest" not in installed
    if answers["strategy"] == "provided":
        assert "torch" not in installed
        return
    wanted = build or answers.get("backend") or answers.get("linux_backend") or ""
    assert installed["torch"].partition("+")[2] == wanted.replace("rocm7-2", "rocm7.2")


@pytest.mark.parametrize(
    ("backend", "key", "value"),
    [
        ("cpu", "hostRequirements", None),
        ("cu130", "hostRequirements", {"gpu": "optional"}),
        ("rocm7.2", "runArgs", ["--device=/dev/kfd", "--device=/dev/dri", "--group-add=video"]),
        ("xpu", "runArgs", ["--device=/dev/dri"]),
    ],
)
def test_a_devcontainer_sees_the_gpu_of_the_default_build(
    render: Render, backend: str, key: str, value: object
) -> None:
    project = render(strategy="index", backend=backend, containers=["devcontainer"])
    found = json.loads(project.text(".devcontainer/devcontainer.json"))
    assert found.get(key) == value
    assert found["postCreateCommand"] == "uv sync"
    # Root alone opens the nodes of AMD and Intel, whose group has another number on each host.
    assert found["remoteUser"] == ("root" if key == "runArgs" else "vscode")
    assert found["containerEnv"]["UV_HTTP_TIMEOUT"] == "300"
    assert not (project.path / "Dockerfile").exists()


@pytest.mark.parametrize("checker", ["ty", "mypy", "none"])
def test_a_devcontainer_has_the_extensions_of_the_folder(render: Render, checker: str) -> None:
    project = render(type_checker=checker, containers=["devcontainer"])
    container = json.loads(project.text(".devcontainer/devcontainer.json"))
    folder = json.loads(project.text(".vscode/extensions.json"))
    assert container["customizations"]["vscode"]["extensions"] == folder["recommendations"]


def test_a_devcontainer_can_be_built_again(lockable: Render) -> None:
    """The environment of the first time lies in the folder: plain `uv venv` would stop there."""
    project = lockable(strategy="pip", backend="cpu", containers=["devcontainer"])
    found = json.loads(project.text(".devcontainer/devcontainer.json"))
    first = found["postCreateCommand"].split(" && ")[0]
    assert first.startswith("uv venv")
    for _ in range(2):
        project.uv(*first.split()[1:])
