"""Packages beside PyTorch: companions that an owner added by hand, packages for Linux alone, and
packages that are compiled against torch."""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import tomllib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from extensions.plan.diagnosis import make_diagnosis
from extensions.project.editor import edit
from extensions.questions.contract import PYPI_URL, PYTORCH_URL
from extensions.tables.releases import companions
from tests.conftest import Render
from tests.pytorch_index import PyTorchIndex
from tests.rendered.test_check_lock import PASSES, check
from tests.support.cells import TABLES
from tests.support.fresh import completed, plan_of, rendered
from tests.support.project import Project, copied

TABLE: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("company.yml").read_text("utf-8"))
# How many packages of the table are added; all of them, and to a bare project as well, with 25.
EXAMPLES = int(os.environ.get("COMPANY_EXAMPLES", "4"))
CPU = {"strategy": "index", "backend": "cpu", "torch_version": "2.14", "packages": []}


def add_by_hand(project: Project, *requirements: str) -> None:
    file = project.path / "pyproject.toml"
    lines = "".join(f'    "{requirement}",\n' for requirement in requirements)
    text = file.read_text("utf-8")
    file.write_text(text.replace("dependencies = [\n", f"dependencies = [\n{lines}", 1), "utf-8")


# Companions


@pytest.mark.parametrize("packages", [[], ["torchvision"]], ids=["torch alone", "torchvision"])
def test_a_companion_from_pypi_is_named_with_the_answer_that_mends_it(
    lockable: Render, index: PyTorchIndex, packages: list[str]
) -> None:
    project = lockable(**{**CPU, "packages": packages})
    by_hand = [name for name in companions() if name not in packages]
    add_by_hand(project, *by_hand)
    project.lock()
    code, lines = check(project)
    assert code == 1
    for name in by_hand:
        answer = f"packages=[{','.join([*packages, name])}]"
        found = [line for line in lines if line.startswith(f"uv.lock: {name} ")]
        assert any("(linux-x86_64) comes from " in line for line in found), lines
        for line in found:
            assert line.endswith(f'. Next: copier update --trust --data "{answer}" && uv lock')
    # That answer, as an update makes it.
    known = {**project.answers, "packages": [*packages, *by_hand]}
    text = project.text("pyproject.toml").replace(index.url, PYTORCH_URL)
    mended = edit(text, project.answers, plan_of(completed(known)))
    (project.path / "pyproject.toml").write_text(mended.text, "utf-8")
    project.redirect(index.url)
    lock = project.lock()
    cpu = {p["name"] for p in lock["package"] if p.get("version", "").endswith("+cpu")}
    assert cpu == {"torch", *companions()}
    fresh = lockable(**{**CPU, "packages": [*packages, *by_hand]})
    guard = Path("scripts", "check_lock.py")
    shutil.copy(fresh.path / guard, project.path / guard)
    assert check(project) == PASSES


def test_a_companion_without_a_build_that_fits_is_to_go(lockable: Render) -> None:
    project = lockable(**{**CPU, "backend": "cu132"})
    add_by_hand(project, "torchaudio")
    project.lock()
    code, lines = check(project)
    assert code == 1
    assert all(
        line.endswith("Next: uv remove torchaudio") for line in lines if "torchaudio" in line
    )
    assert "(linux-x86_64) comes from " in lines[0]


def test_a_companion_that_another_package_brings_is_named_too(lockable: Render) -> None:
    project = lockable(**{**CPU, "packages": ["torchvision"]})
    project.lock()
    change = project.path / "uv.lock"
    text = change.read_text("utf-8")
    wheel = 'url = "https://files.pythonhosted.org/t.whl", hash = "sha256:00"'
    text += (
        '\n[[package]]\nname = "torchcodec"\nversion = "0.17.0"\n'
        'source = { registry = "https://pypi.org/simple" }\n'
        f"wheels = [{{ {wheel} }}]\n"
    )
    entry = '{ name = "torchcodec" },'
    text = re.sub(
        r'(name = "numpy"\nversion.*?\n(?=wheels))',
        rf"\1dependencies = [{entry}]\n",
        text,
        count=1,
        flags=re.S,
    )
    change.write_text(text, "utf-8")
    assert any("torchcodec 0.17.0 (linux-x86_64) comes from" in line for line in check(project)[1])


def test_every_companion_is_known_to_the_guard_by_the_tables() -> None:
    """With the answer that adds it exactly where the answer is accepted."""
    for line in TABLES.lines:
        for strategy in ({"strategy": "index", "backend": "cpu"}, {"strategy": "pypi"}):
            known = completed(
                {"project_name": "x", "torch_version": line, "packages": [], **strategy}
            )
            found = make_diagnosis(TABLES, known, plan_of(known)).companions
            assert set(found) == set(companions())
            for name, answer in found.items():
                fits = True
                try:
                    completed({**known, "packages": [name]})
                except ValueError:
                    fits = False
                assert answer == (f"packages=[{name}]" if fits else ""), (line, strategy)


# Packages for Linux alone


@pytest.fixture
def linux_alone(render: Render, index: PyTorchIndex) -> Project:
    """A render as the table has it, with PyPI as of its day."""
    project = render(strategy="index", backend="cu130", torch_version="2.14", python_version="3.11")
    frozen(project, index)
    project.environment = {"UV_DEFAULT_INDEX": PYPI_URL}
    return project


def frozen(project: Project, index: PyTorchIndex) -> None:
    project.redirect(index.url)
    file = project.path / "pyproject.toml"
    text = file.read_text("utf-8").replace(
        "[tool.uv]\n", f'[tool.uv]\nexclude-newer = "{TABLE["measured"]}"\n'
    )
    # The recorded index tells no upload times.
    file.write_text(
        text.replace("explicit = true\n", "explicit = true\nexclude-newer = false\n"), "utf-8"
    )


def locked(project: Project, name: str) -> list[str]:
    lock = tomllib.loads(project.text("uv.lock"))
    return sorted({p["version"] for p in lock["package"] if p["name"] == name})


@pytest.mark.parametrize("row", TABLE["packages"][:EXAMPLES], ids=lambda row: row["add"])
def test_a_package_for_linux_alone(
    linux_alone: Project, index: PyTorchIndex, tmp_path: Path, row: dict[str, Any]
) -> None:
    """In the way that the docs say: the newest release, and every platform locks."""
    project = linux_alone
    shown = "uv add --no-sync --marker \"sys_platform == 'linux'\" "
    assert shown in project.text("docs/pytorch.md")
    name = row["add"].partition("[")[0]
    wanted = row["version"] if isinstance(row["version"], list) else [row["version"]]
    project.uv("add", "--no-sync", "--marker", row["marker"], row["add"])
    assert locked(project, name) == wanted
    project.uv("lock", "--check")
    # Some bring a companion from PyPI, whose place the guard knows better.
    lines = [line for line in check(project)[1] if line.split()[1] not in companions()]
    assert lines in ([], PASSES[1])
    if EXAMPLES > 4:
        bare = tmp_path / "bare"
        bare.mkdir()
        (bare / "pyproject.toml").write_text(
            '[project]\nname = "bare"\nversion = "0"\nrequires-python = ">=3.11,<3.15"\n'
            'dependencies = ["torch>=2.14,<2.15"]\n\n[tool.uv]\n'
            "environments = [\"sys_platform == 'linux' and platform_machine == 'x86_64'\"]\n\n"
            '[tool.uv.sources]\ntorch = { index = "torch" }\n\n[[tool.uv.index]]\nname = "torch"\n'
            'url = "https://download.pytorch.org/whl/cu130"\nexplicit = true\n',
            "utf-8",
        )
        alone = Project(bare)
        frozen(alone, index)
        alone.uv("add", "--no-sync", "--marker", row["marker"], row["add"])
        assert locked(alone, name) == wanted


# Packages that were left behind

DAYS = {"1.0.0": "2024-01-05", "1.2.0": "2026-06-01", "2.0.0": "2026-09-01"}
LINUX = "sys_platform == 'linux'"
OLD, NEW = f"{LINUX} and python_version < '3.12'", f"{LINUX} and python_version >= '3.12'"
NAMED = (
    "Next: uv remove {flags}far && uv add --no-sync {flags}--marker \"sys_platform == 'linux'\" far"
)


def release(version: str, name: str, days: bool) -> str:
    when = f', upload-time = "{DAYS[version]}T10:00:00.123Z"' if days else ""
    url = f"https://files.pythonhosted.org/{name}-{version}-py3-none-any.whl"
    return (
        f'\n[[package]]\nname = "{name}"\nversion = "{version}"\n'
        'source = { registry = "https://pypi.org/simple" }\n'
        f'wheels = [\n    {{ url = "{url}", hash = "sha256:{"0" * 64}"{when} }},\n]\n'
    )


CASES: dict[str, tuple[str, dict[str, str], bool, str]] = {
    # requirement, version to marker, whether the index told days, what is said
    "years": (
        "far",
        {"1.0.0": "sys_platform != 'linux'", "2.0.0": LINUX},
        True,
        NAMED.format(flags=""),
    ),
    "bounds": (
        "far>=1",
        {"1.0.0": "sys_platform != 'linux'", "2.0.0": LINUX},
        True,
        NAMED.format(flags=""),
    ),
    "no days": (
        "far",
        {"1.0.0": "sys_platform != 'linux'", "2.0.0": LINUX},
        False,
        NAMED.format(flags=""),
    ),
    "an extra": ("far[x]", {"1.0.0": "sys_platform != 'linux'", "2.0.0": LINUX}, True, '"far[x]"'),
    "one machine": (
        "far",
        {"1.0.0": "platform_machine != 'x86_64'", "2.0.0": "platform_machine == 'x86_64'"},
        True,
        "--marker \"sys_platform == 'linux' and platform_machine == 'x86_64'\" far",
    ),
    "near": ("far", {"1.2.0": "sys_platform != 'linux'", "2.0.0": LINUX}, True, ""),
    "newer in name alone": (
        "far",
        {"1.0.0": LINUX, "2.0.0": "sys_platform != 'linux'"},
        True,
        "win32",
    ),
    "by Python": (
        "far",
        {"1.0.0": "python_version < '3.12'", "2.0.0": "python_version >= '3.12'"},
        True,
        "",
    ),
    "with a marker": (
        "far; sys_platform == 'linux' or sys_platform == 'win32'",
        {"1.0.0": "sys_platform != 'linux'", "2.0.0": LINUX},
        True,
        "",
    ),
    "not required here": ("", {"1.0.0": "sys_platform != 'linux'", "2.0.0": LINUX}, True, ""),
    "one version": (
        "far",
        {
            "1.0.0": "",
        },
        True,
        "",
    ),
    "on Linux alone": ("far", {"2.0.0": LINUX}, True, ""),
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Project:
    answers = {
        "project_name": "My Project",
        "strategy": "index",
        "backend": "cu130",
        "packages": [],
    }
    project = copied(template, tmp_path_factory.mktemp("guarded") / "p", answers)
    project.environment = {"UV_DEFAULT_INDEX": PYPI_URL}
    return project


def with_lock(project: Project, requirement: str, marked: dict[str, str], days: bool) -> list[str]:
    """What the guard says of a project that requires it, on a lock made by hand."""
    text = project.text("pyproject.toml")
    mine = re.sub(
        r"dependencies = \[.*?\n\]", 'dependencies = ["torch"]', text, count=1, flags=re.S
    )
    if requirement:
        mine = mine.replace('["torch"]', f'["torch", "{requirement}"]', 1)
    name = re.split(r"[\W]", requirement)[0] or "far"
    source = 'source = { registry = "https://pypi.org/simple" }'
    edges = "".join(
        f'    {{ name = "{name}", version = "{v}", {source}, marker = "{m}" }},\n'
        for v, m in marked.items()
    )
    lock = (
        'version = 1\nrevision = 3\n\n[[package]]\nname = "my-project"\nversion = "0.1.0"\n'
        f'source = {{ editable = "." }}\ndependencies = [\n{edges}]\n'
        + "".join(release(version, name, days) for version in marked)
    )
    (project.path / "uv.lock").write_text(lock, "utf-8")
    (project.path / "pyproject.toml").write_text(mine, "utf-8")
    try:
        return [line for line in check(project)[1] if "far" in line and "Next" in line]
    finally:
        (project.path / "pyproject.toml").write_text(text, "utf-8")


@pytest.mark.parametrize("case", CASES)
def test_a_package_that_was_left_behind(guarded: Project, case: str) -> None:
    requirement, marked, days, said = CASES[case]
    lines = with_lock(guarded, requirement, marked, days)
    if not said:
        assert not lines
        return
    (line,) = lines
    assert said in line and line.startswith("uv.lock: far 1.0.0 (")
    assert "far older than far 2.0.0 elsewhere" in line


@pytest.mark.parametrize("name", ["nvidia-cudnn-cu13", "triton"])
def test_forks_of_what_pytorch_brings_are_no_fault(guarded: Project, name: str) -> None:
    marked = {"1.0.0": "sys_platform != 'linux'", "2.0.0": LINUX}
    assert not with_lock(guarded, name, marked, days=True)


# Packages that are compiled against torch

FILES = {
    "setup.py": """\
import torch
from setuptools import setup

with open("built_against_torch/version.py", "w") as file:
    file.write(f"TORCH = {torch.__version__!r}")
setup(name="built-against-torch", version="1.0", packages=["built_against_torch"])
""",
    "built_against_torch/__init__.py": "",
    "PKG-INFO": "Metadata-Version: 2.2\nName: built-against-torch\nVersion: 1.0\n",
}
NEEDS_TORCH = """
[tool.uv.extra-build-dependencies]
built-against-torch = [{ requirement = "torch", match-runtime = true }]
"""


# In a spelling of its owner's.
OWN = """
[tool.uv.extra-build-dependencies]   # compiled here
flash-attn = [ {requirement = 'torch',match-runtime=true}, 'numpy' ]
[tool.uv.extra-build-variables]
flash-attn = { MAX_JOBS = '4' }
"""


def sdist(folder: Path) -> Path:
    """One whose setup.py imports torch, and whose metadata are static, as of those on PyPI."""
    file = folder / "built_against_torch-1.0.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        for name, text in FILES.items():
            info = tarfile.TarInfo(f"built_against_torch-1.0/{name}")
            info.size = len(text.encode())
            archive.addfile(info, BytesIO(text.encode()))
    return file


@pytest.mark.real
def test_a_package_that_is_compiled_against_torch(
    render: Render,
    real_index: PyTorchIndex,
    real_environment: dict[str, str],
    tmp_path: Path,
) -> None:
    project = render(
        strategy="index", backend="cpu", torch_version="2.13", python_version="3.11", packages=[]
    )
    docs = project.text("docs/pytorch.md")
    assert NEEDS_TORCH.replace("built-against-torch", "flash-attn").strip() in docs
    project.redirect(real_index.url)
    # That table is a setting, which uv reads with all others.
    project.environment = {**real_environment, "UV_NO_CONFIG": "0"}
    file = sdist(tmp_path)
    refused = project.uv("add", str(file), check=False)
    assert refused.returncode != 0 and "No module named 'torch'" in refused.stderr
    pyproject = project.path / "pyproject.toml"
    pyproject.write_text(pyproject.read_text("utf-8") + NEEDS_TORCH, "utf-8")
    done = project.uv("add", str(file))
    assert "warning:" not in done.stderr
    shown = project.uv(
        "run", "python", "-c", "from built_against_torch.version import TORCH; print(TORCH)"
    )
    assert shown.stdout.strip() == "2.13.0+cpu"


@pytest.mark.parametrize("strategy", ["index", "groups", "extras", "pypi"])
def test_updates_and_adoption_keep_what_is_compiled_against_torch(strategy: str) -> None:
    """Byte for byte."""
    answers = {"project_name": "My Project", "torch_version": "2.14", "strategy": strategy}
    before = completed(answers)
    after = completed(
        {
            "project_name": "My Project",
            "torch_version": "2.13",
            "strategy": "index",
            "backend": "cu126",
        }
    )
    text = rendered(before) + OWN
    assert OWN in edit(text, before, plan_of(after)).text
    assert OWN in edit(text, None, plan_of(before)).text
