"""Mirrors as Artifactory, Nexus and devpi make them, of PyTorch's indexes and of PyPI, which want a
login: uv locks and installs with the right credentials alone, and no file ever holds them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from extensions.project.editor import edit
from tests.conftest import THIS_PYTHON, Render
from tests.pytorch_index import PyTorchIndex
from tests.support.checks import check_everything
from tests.support.fresh import plan_of
from tests.support.project import Project
from tests.support.starter import dry_run, scripts

USER, PASSWORD = "ada", "s3cr3t-0f-4d4"
# The answers `index_url` and `pypi_url` below the address of a server.
KINDS = {
    "plain": ("/whl", "/pypi/simple"),
    "artifactory": (
        "/artifactory/api/pypi/pytorch-{backend}/simple",
        "/artifactory/api/pypi/pypi/simple",
    ),
    "nexus": ("/repository/pytorch-{backend}/simple", "/repository/pypi/simple"),
    "devpi": ("/root/pytorch-{backend}/+simple", "/root/pypi/+simple"),
}
STRATEGIES: dict[str, dict[str, Any]] = {
    "pypi": {},
    "index": {"backend": "cu130"},
    "markers": {"linux_backend": "cpu", "windows_backend": "cu130"},
    "extras": {"backends": ["cpu", "cu130"]},
    "groups": {"backends": ["cpu", "cu130"], "default_backend": "cpu"},
    "pip": {"backend": "cu130"},
}


@pytest.fixture(scope="module")
def guarded() -> Iterator[PyTorchIndex]:
    with PyTorchIndex(auth=(USER, PASSWORD)) as served:
        yield served


def behind(render: Render, base: str, kind: str, strategy: str, **more: Any) -> Project:
    pytorch, pypi = KINDS[kind]
    answers = {
        "strategy": strategy,
        "index_url": base + pytorch,
        "pypi_url": base + pypi,
        "authenticate": "always",
        "torch_version": "2.13",
        "python_version": THIS_PYTHON,
    }
    return render(**answers, **STRATEGIES[strategy], **more)


def credentials(project: Project, password: str = PASSWORD) -> dict[str, str]:
    """The variables that docs/pytorch.md names, and nothing else."""
    names = re.findall(r"`(UV_INDEX_\w+)`", project.text("docs/pytorch.md"))
    assert names
    return {name: USER if name.endswith("_USERNAME") else password for name in names}


def lets_uv_read(project: Project, tmp_path: Path, environment: dict[str, str]) -> None:
    # A cache of its own, so that every page is asked for; and pyproject.toml names an index.
    cache = {"UV_CACHE_DIR": str(tmp_path / "cache"), "UV_NO_CONFIG": "false"}
    project.environment = {**cache, **environment}


def no_file_holds_the_password(project: Project) -> None:
    assert not [path for path in project.files if PASSWORD.encode() in path.read_bytes()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "pip"])
def test_uv_locks_with_the_right_credentials_alone(
    render: Render, guarded: PyTorchIndex, tmp_path: Path, kind: str, strategy: str
) -> None:
    project = behind(render, guarded.base, kind, strategy)
    check_everything(project)
    for password, hint in ((None, "Missing credentials"), ("wrong", "401 Unauthorized")):
        known = credentials(project, password) if password else {}
        lets_uv_read(project, tmp_path / str(password), known)
        done = project.uv("lock", check=False)
        assert done.returncode and hint in done.stderr, done.stderr
        assert not (project.path / "uv.lock").exists()
    lets_uv_read(project, tmp_path, credentials(project))
    project.lock()
    installed = project.would_install(project.commands[0], "Linux x86-64")
    local = {"pypi": "", "index": "+cu130", "extras": "+cu130"}.get(strategy, "+cpu")
    assert installed["torch"] == f"2.13.0{local}"
    no_file_holds_the_password(project)
    lock = project.text("uv.lock")
    assert USER not in re.findall(r"//(\w+)[:@]", lock)
    # Nothing comes from anywhere else.
    assert set(re.findall(r"https?://[^/\"]+", lock)) == {guarded.base}


def test_one_login_is_for_all_indexes_of_a_mirror(
    render: Render, guarded: PyTorchIndex, tmp_path: Path
) -> None:
    """`uv auth login`, as docs/pytorch.md says it."""
    project = behind(render, guarded.base, "artifactory", "groups")
    (command,) = (c for c in project.commands if c.startswith("uv auth login"))
    assert command.split()[-1] == guarded.base
    lets_uv_read(project, tmp_path, {"UV_CREDENTIALS_DIR": str(tmp_path / "credentials")})
    assert project.uv("lock", check=False).returncode
    project.uv(*command.split()[1:], "--username", USER, "--password", PASSWORD)
    project.lock()
    installed = project.would_install(project.commands[0], "Linux x86-64")
    assert installed["torch"] == "2.13.0+cpu"
    no_file_holds_the_password(project)


def test_a_mirror_without_upload_times_locks_with_a_cooldown(
    render: Render, index: PyTorchIndex, tmp_path: Path
) -> None:
    """What docs/pytorch.md says of it; a change of the backend keeps it and gives it to others."""
    pytorch, pypi = KINDS["nexus"]
    project = render(
        strategy="index",
        backend="cu130",
        torch_version="2.14",
        python_version=THIS_PYTHON,
        index_url=index.base + pytorch,
        pypi_url=index.base + pypi,
    )
    lets_uv_read(project, tmp_path, {"UV_EXCLUDE_NEWER": "7 days"})
    assert "filtered by `exclude-newer`" in project.uv("lock", check=False).stderr
    key = re.search(r"`(exclude-newer = \w+)` in its", project.text("docs/pytorch.md"))
    assert key
    file = project.path / "pyproject.toml"
    told = re.sub(
        r"^((explicit|default) = true)$", rf"\1\n{key[1]}", file.read_text("utf-8"), flags=re.M
    )
    file.write_text(told, "utf-8")
    project.uv("lock")
    after = edit(told, project.answers, plan_of({**project.answers, "backend": "cpu"})).text
    file.write_text(after, "utf-8")
    assert after.count(key[1]) == 2 and "/pytorch-cpu/" in after
    project.uv("lock")
    assert project.would_install("uv sync", "Linux x86-64")["torch"] == "2.14.1+cpu"


@pytest.mark.parametrize("kind", KINDS)
def test_pip_installs_with_a_netrc(
    render: Render, guarded: PyTorchIndex, tmp_path: Path, kind: str
) -> None:
    project = behind(render, guarded.base, kind, "pip")
    netrc = tmp_path / "netrc"
    for password in ("wrong", PASSWORD):
        netrc.write_text(f"machine 127.0.0.1 login {USER} password {password}\n", "utf-8")
        lets_uv_read(project, tmp_path / password, {"NETRC": str(netrc)})
        found: dict[str, str] = {}
        for command in project.setup[:3]:
            arguments = command.split()[1:]
            dry = ["--dry-run"] if "install" in arguments else ["--clear"]
            done = project.uv(*arguments, *dry, check=False)
            new = re.findall(r"^ \+ ([a-z0-9-]+)==(\S+)$", done.stderr, re.MULTILINE)
            found = {**dict(new), **found}
        assert (found.get("torch") == "2.13.0+cu130") == (password == PASSWORD), done.stderr
    assert "pytest" in found
    no_file_holds_the_password(project)


@pytest.mark.parametrize("ci", ["github", "gitlab"])
@pytest.mark.parametrize("strategy", ["index", "groups", "pip"])
def test_ci_has_the_credentials_of_all_that_it_asks(
    render: Render, guarded: PyTorchIndex, tmp_path: Path, strategy: str, ci: str
) -> None:
    project = behind(render, guarded.base, "nexus", strategy, ci=ci)
    name = {"github": ".github/workflows/ci.yml", "gitlab": ".gitlab-ci.yml"}[ci]
    pipeline = yaml.safe_load(project.text(name))
    secrets = {"github": "${{ secrets.MIRROR_%s }}", "gitlab": "$MIRROR_%s"}[ci]
    values = {secrets % "USERNAME": USER, secrets % "PASSWORD": PASSWORD}
    given = {
        variable: values.get(value, value)
        for variable, value in pipeline["env" if ci == "github" else "variables"].items()
        if variable.startswith("UV_INDEX_")
    }
    assert set(given.values()) == {USER, PASSWORD}
    lets_uv_read(project, tmp_path, given)
    if strategy != "pip":
        project.lock()
    for job, build in {"check": "+cpu", "gpu": "+cu130"}.items():
        shutil.rmtree(project.path / ".venv", ignore_errors=True)
        commands = [c for c in scripts(project)[job] if not c.startswith("uv run")]
        installed = dry_run(project, commands, guarded.url)
        assert installed["torch"] == f"2.13.0{build}"


@pytest.mark.real
def test_the_real_wheel_comes_through_a_login(render: Render, tmp_path: Path) -> None:
    if "REAL_WHEELS" not in os.environ:
        pytest.skip("REAL_WHEELS names no folder with the wheels of torch 2.13.0+cpu (see README)")
    folder = Path(os.environ["REAL_WHEELS"])
    with PyTorchIndex(wheelhouse=folder, auth=(USER, PASSWORD)) as served:
        project = behind(render, served.base, "artifactory", "groups", packages=[])
        lets_uv_read(project, tmp_path, credentials(project))
        project.lock()
        lets_uv_read(project, tmp_path, {})
        # Not even a lock opens the door.
        assert project.uv("sync", "--frozen", check=False).returncode
        lets_uv_read(project, tmp_path, credentials(project))
        project.uv("sync", "--locked")
    assert list((project.path / ".venv").rglob("torch-2.13.0+cpu.dist-info"))
