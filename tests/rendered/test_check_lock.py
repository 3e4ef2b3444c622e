"""scripts/check_lock.py of a project: it passes the locks that uv makes, and names each fault."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conftest import Render
from tests.support.project import Project
from tests.support.starter import STRATEGIES, name_of

LOCKED = [answers for answers in STRATEGIES if answers["strategy"] != "pip"]


def check(project: Project, **environment: str) -> tuple[int, list[str]]:
    """Its exit code and its lines; with the default index in the environment, if nothing else."""
    usual = {"UV_DEFAULT_INDEX": project.environment["UV_DEFAULT_INDEX"]}
    clean = {key: value for key, value in os.environ.items() if not key.startswith("UV_")}
    done = subprocess.run(
        [sys.executable, "scripts/check_lock.py"],
        cwd=project.path,
        env=clean | (environment or usual),
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    return done.returncode, done.stdout.splitlines()


PASSES = (0, ["uv.lock: every platform and choice has its PyTorch build."])
ALONE = (0, ["uv.lock: nothing stands beside the PyTorch that is there."])


def passes(project: Project) -> tuple[int, list[str]]:
    return ALONE if project.answers["strategy"] == "provided" else PASSES


@pytest.mark.parametrize("line", ["2.5", "2.13"])
@pytest.mark.parametrize("answers", LOCKED, ids=name_of)
def test_a_lock_of_uv_passes(lockable: Render, line: str, answers: dict[str, Any]) -> None:
    if line == "2.5":
        names = {"cu130": "cu124", "rocm7.2": "rocm6.2", "xpu": "cpu"}
        answers = {
            key: list(dict.fromkeys(names.get(b, b) for b in value))
            if isinstance(value, list)
            else names.get(value, value)
            for key, value in answers.items()
        }
    project = lockable(torch_version=line, packages=["torchvision", "torchaudio"], **answers)
    project.lock()
    assert check(project) == passes(project)
    # Nothing names the default index, as where a person's own uv.toml does.
    assert check(project, LANG="C") == passes(project)


@pytest.fixture
def locked(lockable: Render) -> Project:
    project = lockable(
        torch_version="2.13",
        strategy="extras",
        backends=["cpu", "cu130", "rocm7.2"],
        platforms=["linux-x86_64", "windows-amd64", "macos-arm64"],
    )
    project.lock()
    assert check(project)[0] == 0
    return project


def change(project: Project, pattern: str, new: str, count: int = 1) -> None:
    file = project.path / "uv.lock"
    text, changed = re.subn(pattern, new, file.read_text("utf-8"), count=count, flags=re.M | re.S)
    assert changed, pattern
    file.write_text(text, "utf-8")


def test_no_lock(locked: Project) -> None:
    (locked.path / "uv.lock").unlink()
    assert check(locked) == (1, ["There is no uv.lock. Next: uv lock"])


def test_a_lock_from_before_another_line_is_told(locked: Project) -> None:
    """As after `copier update`."""
    file = locked.path / "pyproject.toml"
    text = file.read_text("utf-8")
    for bounds in (">=2.14,<2.15", ">= 2.12 , < 2.13"):
        file.write_text(text.replace("torch>=2.13,<2.14", f"torch{bounds}"), "utf-8")
        why = f"it is from before pyproject.toml required torch{bounds}. Next: uv lock"
        assert check(locked) == (1, [f"uv.lock: {why}"])


@pytest.mark.parametrize(
    "requirement",
    [
        *("torch<2.14,>=2.13", "Torch >= 2.13 , < 2.14", "torch (>=2.13,<2.14)", "torch~=2.13.0"),
        *("torch>=2.13.0rc1,<2.14", "torch==2.13.*", "torch>=2.13,<2.14 ; python_version > '3.8'"),
        *("torch>=2.13,<2.14; python_version < '3.8'", "torch[opt-einsum]>=2.13,<2.14"),
    ],
)
def test_a_lock_of_uv_is_never_from_before(locked: Project, requirement: str) -> None:
    file = locked.path / "pyproject.toml"
    text = file.read_text("utf-8").replace('"torch>=2.13,<2.14"', f'"{requirement}"')
    overridden = '[tool.uv]\noverride-dependencies = ["torch<2.14.0"]\n'
    file.write_text(text.replace("[tool.uv]\n", overridden), "utf-8")
    locked.uv("lock")
    assert not [line for line in check(locked)[1] if "from before" in line]


def test_a_wheel_without_a_hash(locked: Project) -> None:
    change(locked, r'(pytest-9\.2\.0-py3-none-any\.whl"), hash = "[^"]+"', r"\1")
    assert check(locked) == (1, ["uv.lock: a file of pytest 9.2.0 has no hash."])


def test_an_sdist_without_a_hash(locked: Project) -> None:
    entry = r'(^name = "pytest"\n.*?)(^wheels = )'
    change(locked, entry, r'\1sdist = { url = "https://x/pytest-9.2.0.tar.gz" }\n\2')
    assert check(locked) == (1, ["uv.lock: a file of pytest 9.2.0 has no hash."])


@pytest.mark.parametrize("name", ["torch", "numpy"])
def test_a_file_from_a_strange_host(locked: Project, name: str) -> None:
    """The index may be right, and a file of it still lie anywhere."""
    hosts = {
        locked.uv_settings["index"][0]["url"].rpartition("/")[
            0
        ]: "https://download.pytorch.org/whl",
        locked.environment["UV_DEFAULT_INDEX"]: "https://pypi.org/simple",
    }
    base = urlsplit(locked.environment["UV_DEFAULT_INDEX"])
    files = f"{base.scheme}://{base.netloc}"
    for file in ("uv.lock", "pyproject.toml"):
        text = locked.text(file)
        for host, real in hosts.items():
            text = re.sub(rf'(registry = |url = )"{host}(?=[/"])(?!.*whl")', rf'\1"{real}', text)
        text = re.sub(rf'url = "{files}/pypi/', 'url = "https://files.pythonhosted.org/', text)
        text = text.replace(f'url = "{files}/', 'url = "https://download-r2.pytorch.org/')
        (locked.path / file).write_text(text, "utf-8")
    assert check(locked, LANG="C") == PASSES
    change(locked, rf'url = "https://[^/]+/([^"]*{name}-\d)', r'url = "https://evil.example/\1')
    code, lines = check(locked, LANG="C")
    assert code == 1
    assert len(lines) == 1 and " lies on evil.example, not with " in lines[0]


def test_a_group_that_includes_a_choice_is_that_choice(lockable: Render) -> None:
    project = lockable(torch_version="2.13", backends=["cpu", "cu130"], default_backend="cpu")
    file = project.path / "pyproject.toml"
    text = file.read_text("utf-8").replace(
        "[dependency-groups]\n",
        '[dependency-groups]\ngpu = [{ include-group = "cu130" }, "httpx"]\n',
    )
    file.write_text(text.replace('"httpx"', '"markupsafe"'), "utf-8")
    project.lock()
    assert check(project) == PASSES


def test_a_pyproject_that_cannot_be_read(locked: Project) -> None:
    (locked.path / "pyproject.toml").write_text("[project\n", "utf-8")
    code, lines = check(locked)
    assert code == 1 and lines[0].startswith("pyproject.toml cannot be read: ")


def test_torch_from_another_index(locked: Project) -> None:
    """A lock that went back to PyPI under Linux, as after an edit of the sources by hand."""
    pypi = locked.environment["UV_DEFAULT_INDEX"]
    cpu = locked.uv_settings["index"][0]["url"]
    entry = rf'(name = "torch", version = "2[^"]+)\+cpu", source = {{ registry = "{cpu}"'
    change(locked, entry, rf'\1", source = {{ registry = "{pypi}"', count=0)
    code, lines = check(locked)
    assert code == 1
    expected = (
        f"uv.lock: torch 2.13.0 (linux-x86_64 --extra cpu) comes from {pypi}, not from {cpu}."
    )
    assert expected in lines


def test_a_tool_from_a_pytorch_index(locked: Project) -> None:
    pypi = locked.environment["UV_DEFAULT_INDEX"]
    cpu = locked.uv_settings["index"][0]["url"]
    change(
        locked,
        r'(^name = "ruff"\nversion = "[^"]+"\nsource = \{ registry = ")[^"]+',
        rf"\g<1>{cpu}",
    )
    code, lines = check(locked)
    assert code == 1
    what = "uv.lock: ruff 0.17.6 (linux-x86_64 --extra cpu)"
    assert lines[0] == f"{what} comes from {cpu}, not from {pypi}."


def test_a_companion_of_another_build(locked: Project) -> None:
    change(locked, r'("?torchvision"\nversion = "0\.28\.0\+)cpu', r"\1cu126")
    change(locked, r'(name = "torchvision", version = "0\.28\.0\+)cpu', r"\1cu126", count=0)
    code, lines = check(locked)
    assert code == 1
    names = "torch 2.13.0+cpu and torchvision 0.28.0+cu126"
    assert f"uv.lock: {names} (linux-x86_64 --extra cpu) are different builds." in lines


@pytest.mark.parametrize(
    "name",
    ["nvidia-cudnn-cu13", "cuda-toolkit", "triton", "intel-cmplr-lib-rt", "dpcpp-cpp-rt"]
    + ["onemkl-sycl-blas", "oneccl", "impi-rt", "tcmlib", "umf"],
)
def test_an_accelerator_in_a_cpu_build(locked: Project, name: str) -> None:
    text = locked.text("uv.lock")
    head = r'(^name = "torch"\nversion = "2\.13\.0\+cpu".*?^dependencies = \[\n)'
    if f'\nname = "{name}"\n' not in text:
        url = locked.environment["UV_DEFAULT_INDEX"]
        entry = (
            f'\n[[package]]\nname = "{name}"\nversion = "1"\nsource = {{ registry = "{url}" }}\n'
            f'wheels = [{{ url = "{url}/{name}-1-py3-none-any.whl", hash = "sha256:0" }}]\n'
        )
        (locked.path / "uv.lock").write_text(text + entry, "utf-8")
    change(locked, head, rf'\g<1>    {{ name = "{name}" }},\n')
    code, lines = check(locked)
    assert code == 1
    cpu = [line for line in lines if "does not belong to a CPU build" in line]
    assert {re.search(r"\((.*?)\)", line)[1] for line in cpu} == {
        "linux-x86_64 --extra cpu",
        "win32-AMD64 --extra cpu",
        "win32-AMD64 --extra rocm7-2",
    }


def test_a_companion_that_another_package_requires(lockable: Render) -> None:
    """Without a source of its own it comes from PyPI, which uv does not mind."""
    project = lockable(torch_version="2.13", strategy="index", backend="cu130")
    file = project.path / "pyproject.toml"
    text = re.sub(r"^torchvision = \[\n.*?^\]\n", "", file.read_text("utf-8"), flags=re.M | re.S)
    file.write_text(text, "utf-8")
    project.lock()
    code, lines = check(project)
    assert code == 1 and all("torchvision 0.28.0" in line for line in lines)


def test_indexes_that_are_open_to_all_are_fine(locked: Project) -> None:
    file = locked.path / "pyproject.toml"
    url = "https://wheels.example.org/simple"
    file.write_text(
        file.read_text("utf-8") + f'\n[[tool.uv.index]]\nname = "w"\nurl = "{url}/"\n', "utf-8"
    )
    change(
        locked,
        r'(^name = "ruff"\nversion = "[^"]+"\nsource = \{ registry = ")[^"]+',
        rf"\g<1>{url}",
    )
    assert check(locked)[0] == 0


def test_python_3_10_reads_toml_with_a_package(render: Render) -> None:
    old, new = render(python_version="3.10"), render(python_version="3.11")
    assert any(r.startswith("tomli>=") for r in old.pyproject["dependency-groups"]["dev"])
    assert "import tomli as tomllib\n" in old.text("scripts/check_lock.py")
    assert "tomli>" not in new.text("pyproject.toml")
    assert "import tomllib\n" in new.text("scripts/check_lock.py")


# What an install lacks


def test_a_requirement_that_leads_nowhere(locked: Project) -> None:
    change(locked, r'(name = "torch", version = "2\.13\.)0\+cpu', r"\g<1>9+cpu", count=0)
    code, lines = check(locked)
    assert code == 1
    what = "torch 2.13.9+cpu (linux-x86_64 --extra cpu)"
    assert f"uv.lock: {what} is missing." in lines


@pytest.mark.parametrize("name", ["torch", "torchvision"])
def test_an_extra_without_one_of_its_packages(locked: Project, name: str) -> None:
    """torchvision still leads to torch: only the list of the extra tells."""
    cpu = re.search(r"^cpu = \[\n.*?^\]\n", locked.text("uv.lock"), flags=re.M | re.S)
    kept = [line for line in cpu[0].splitlines(True) if f'name = "{name}"' not in line]
    change(locked, re.escape(cpu[0]), "".join(kept))
    code, lines = check(locked)
    assert code == 1
    assert f"uv.lock: {name} (linux-x86_64 --extra cpu) is missing." in lines
    assert all(f"{name} (" in line and "--extra cpu)" in line for line in lines)


@pytest.mark.parametrize(
    ("pattern", "platforms"),
    [
        (r'    \{ url = "[^"]+/torch-2\.13\.0%2Bcpu-[^\n]+\n', ["linux-x86_64", "win32-AMD64"]),
        (r'    \{ url = "[^"]+/torch-2\.13\.0%2Bcpu-[^\n]+-win_amd64[^\n]+\n', ["win32-AMD64"]),
        (r'    \{ url = "[^"]+/torch-2\.13\.0%2Bcpu-[^\n]+x86_64[^\n]+\n', ["linux-x86_64"]),
    ],
    ids=["none", "linux", "windows"],
)
def test_a_platform_without_a_wheel(locked: Project, pattern: str, platforms: list[str]) -> None:
    change(locked, pattern, "", count=0)
    what = "uv.lock: torch 2.13.0+cpu"
    code, lines = check(locked)
    expected = [f"{what} ({p} --extra cpu) has no wheel for this platform." for p in platforms]
    assert code == 1 and [line for line in lines if "--extra cpu" in line] == expected


def test_a_tool_without_a_wheel(locked: Project) -> None:
    """One that can be built is fine."""
    wheels = r'(^name = "ruff"\nversion = "[^"]+"\nsource = [^\n]+\n)wheels = \[\n.*?^\]'
    change(locked, wheels, r"\1wheels = []")
    code, lines = check(locked)
    assert code == 1 and all("ruff" in line and "has no wheel" in line for line in lines)
    sdist = f"{locked.environment['UV_DEFAULT_INDEX']}/ruff.tar.gz"
    built = rf'\1sdist = {{ url = "{sdist}", hash = "y" }}'
    change(locked, r'(^name = "ruff"\n.*?)wheels = \[\]', built)
    assert check(locked) == PASSES


# Where packages come from


def test_a_family_of_another_build_than_its_index(locked: Project) -> None:
    change(locked, r"\+cpu", "+cu126", count=0)
    code, lines = check(locked)
    cpu = locked.uv_settings["index"][0]["url"]
    assert code == 1
    what = "uv.lock: torch 2.13.0+cu126 (linux-x86_64 --extra cpu)"
    assert f"{what} is not a build of {cpu}." in lines


def test_a_family_without_a_build(locked: Project) -> None:
    change(locked, r"\+cpu", "", count=0)
    code, lines = check(locked)
    assert code == 1 and any("torch 2.13.0 (linux-x86_64 --extra cpu) is not a" in x for x in lines)


@pytest.mark.parametrize(
    "source",
    ['url = "https://example.org/torch.whl"', 'git = "https://example.org/torch.git?rev=1#2"'],
)
@pytest.mark.parametrize("name", ["torch", "ruff"])
def test_a_package_that_is_from_no_index(locked: Project, name: str, source: str) -> None:
    version = r"2\.13\.0\+cpu" if name == "torch" else r"[^\"]+"
    url = re.search(r'"(.*)"', source)[1]
    change(
        locked,
        rf'(name = "{name}"(?:\n|, )version = "{version}"(?:\n|, )source = )\{{ [^}}]+ \}}',
        rf"\1{{ {source} }}",
        count=0,
    )
    code, lines = check(locked)
    index = {"torch": locked.uv_settings["index"][0]["url"]}.get(
        name, locked.environment["UV_DEFAULT_INDEX"]
    )
    assert code == 1
    assert any(line.startswith(f"uv.lock: {name} ") for line in lines)
    assert all(f" comes from {url}, not from {index}." in line for line in lines)


def test_what_pyproject_takes_from_elsewhere_is_fine(locked: Project) -> None:
    """A source, or a requirement with a URL; and what a local package may take for itself."""
    file = locked.path / "pyproject.toml"
    change(
        locked,
        r'(^name = "ruff"\nversion = "[^"]+"\nsource = )\{[^}]+\}',
        r'\1{ git = "https://example.org/ruff.git" }',
    )
    assert check(locked)[0] == 1
    text = file.read_text("utf-8")
    git = '[tool.uv.sources]\nruff = { git = "https://example.org/ruff.git" }\n'
    file.write_text(text.replace("[tool.uv.sources]\n", git), "utf-8")
    assert check(locked) == PASSES
    url = '"ruff @ git+https://example.org/ruff.git"'
    file.write_text(re.sub(r'"ruff>=[^"]+"', url, text), "utf-8")
    assert check(locked) == PASSES
    file.write_text(text, "utf-8")
    change(
        locked,
        r'(^name = "pytest"\nversion = "[^"]+"\nsource = )\{[^}]+\}\ndependencies = \[\n',
        r'\1{ directory = "tools" }\ndependencies = [\n    { name = "ruff" },\n',
    )
    pytest_too = '[tool.uv.sources]\npytest = { path = "tools" }\n'
    file.write_text(text.replace("[tool.uv.sources]\n", pytest_too), "utf-8")
    assert check(locked) == PASSES


def test_accelerators_that_the_owner_asks_for_are_fine(locked: Project) -> None:
    """Intel's OpenMP comes with mkl, and nvidia-ml-py only watches: neither is of PyTorch."""
    url = locked.environment["UV_DEFAULT_INDEX"]
    text = locked.text("uv.lock")
    for name, requires in (("nvidia-ml-py", ""), ("mkl", '{ name = "umf" }'), ("umf", "")):
        text += (
            f'\n[[package]]\nname = "{name}"\nversion = "1"\nsource = {{ registry = "{url}" }}\n'
            f"dependencies = [{requires}]\n"
            f'wheels = [{{ url = "{url}/{name}-1-py3-none-any.whl", hash = "sha256:0" }}]\n'
        )
    (locked.path / "uv.lock").write_text(text, "utf-8")
    names = '    { name = "mkl" },\n    { name = "nvidia-ml-py" },\n'
    change(locked, r'(^name = "my-project"\n.*?^dependencies = \[\n)', rf"\1{names}")
    assert check(locked)[0] == 1
    file = locked.path / "pyproject.toml"
    text = file.read_text("utf-8")
    asked = 'dependencies = [\n    "mkl",\n    "nvidia_ml_py>=1",\n'
    file.write_text(text.replace("dependencies = [\n", asked, 1), "utf-8")
    assert check(locked) == PASSES


# The default index


def test_an_index_without_a_name(locked: Project) -> None:
    """As `uv add` writes it where UV_DEFAULT_INDEX is set."""
    locked.uv("add", "--no-sync", "packaging")
    added = tomllib.loads(locked.text("pyproject.toml"))["tool"]["uv"]["index"]
    assert {"url": locked.environment["UV_DEFAULT_INDEX"], "default": True} in added
    assert check(locked) == PASSES
    assert check(locked, LANG="C") == PASSES


def other_default(project: Project, url: str) -> None:
    """Every package but PyTorch's comes from `url`; it is not served, so uv takes no part."""
    pypi = project.environment["UV_DEFAULT_INDEX"]
    change(project, rf'registry = "{re.escape(pypi)}"', f'registry = "{url}"', count=0)


@pytest.mark.parametrize("variable", ["UV_DEFAULT_INDEX", "UV_INDEX_URL"])
def test_a_default_index_of_the_environment(locked: Project, variable: str) -> None:
    other_default(locked, "https://wheels.example.org/simple")
    assert check(locked)[0] == 1
    with_password = "https://me:secret@wheels.example.org/simple/"
    assert check(locked, **{variable: with_password}) == PASSES


def test_a_default_index_of_the_project(locked: Project) -> None:
    url = "https://wheels.example.org/simple"
    other_default(locked, url)
    file = locked.path / "pyproject.toml"
    text = file.read_text("utf-8")
    file.write_text(text.replace("[tool.uv]\n", f'[tool.uv]\nindex-url = "{url}"\n'), "utf-8")
    assert check(locked, LANG="C") == PASSES
    # The environment wins, as for uv.
    assert check(locked)[0] == 1
    other = text.replace("[tool.uv]\n", '[tool.uv]\nindex-url = "https://pypi.org/simple"\n')
    file.write_text(other, "utf-8")
    code, lines = check(locked, LANG="C")
    assert code == 1 and all("not from https://pypi.org/simple." in x for x in lines)


def test_an_unknown_default_index_is_one_and_not_of_pytorch(locked: Project) -> None:
    other_default(locked, "https://wheels.example.org/simple")
    assert check(locked, LANG="C") == PASSES
    change(
        locked,
        r'(^name = "ruff"\nversion = "[^"]+"\nsource = \{ registry = ")[^"]+',
        r"\1https://elsewhere.example.org/simple",
    )
    code, lines = check(locked, LANG="C")
    assert code == 1 and all(line.startswith("uv.lock: ruff ") for line in lines)


@pytest.mark.parametrize("build", ["cpu", "cu126", "rocm6.4", "xpu"])
def test_no_pytorch_index_is_the_default(lockable: Render, build: str) -> None:
    """Even where no index is listed, and all of a lock comes from one."""
    project = lockable(strategy="pypi", torch_version="2.13")
    project.lock()
    other_default(project, f"https://download.pytorch.org/whl/{build}")
    code, lines = check(project, LANG="C")
    assert code == 1
    assert any(line.startswith("uv.lock: ruff ") for line in lines)


# A project that was adopted


def without_environments(project: Project) -> Project:
    file = project.path / "pyproject.toml"
    text = re.sub(
        r"^(required-)?environments = \[\n.*?^\]\n", "", project.text("pyproject.toml"),
        flags=re.M | re.S,
    )  # fmt: skip
    file.write_text(text, "utf-8")
    project.lock()
    return project


def test_without_environments_it_goes_through_the_platforms_of_the_answers(locked: Project) -> None:
    without_environments(locked)
    assert check(locked)[0] == 0
    change(locked, r"(/torch-[^/]+-)win_amd64", r"\1win_arm64", count=0)
    code, lines = check(locked)
    assert code == 1
    assert any("torch" in line and "no wheel for this platform" in line for line in lines)


def test_a_project_without_settings_of_uv_is_checked(lockable: Render) -> None:
    project = lockable(torch_version="2.13", strategy="pypi")
    text = project.text("pyproject.toml")
    head, _, rest = text.partition("[tool.uv]\n")
    whole = head + rest[rest.index("[tool.ruff") :]
    (project.path / "pyproject.toml").write_text(whole, "utf-8")
    project.lock()
    assert check(project)[0] == 0


# What cannot be checked


def test_a_lock_with_a_conflict_of_git(locked: Project) -> None:
    change(locked, r"\A", "<<<<<<< ours\n")
    code, lines = check(locked)
    assert code == 1 and len(lines) == 1
    assert re.fullmatch(r"uv\.lock cannot be read: .*\. Next: uv lock", lines[0])


@pytest.mark.parametrize("text", ["", "version = 1\n"])
def test_a_lock_without_the_project(locked: Project, text: str) -> None:
    (locked.path / "uv.lock").write_text(text, "utf-8")
    assert check(locked) == (1, ["uv.lock does not hold this project. Next: uv lock"])


# What an owner adds


@pytest.mark.parametrize("answers", LOCKED, ids=name_of)
def test_a_lock_after_uv_add_passes(lockable: Render, answers: dict[str, Any]) -> None:
    project = lockable(torch_version="2.13", packages=[], **answers)
    project.uv("add", "--no-sync", "pyyaml", "pillow>=10")
    project.uv("add", "--no-sync", "--dev", "virtualenv")
    assert check(project) == passes(project)


@pytest.mark.parametrize("strategy", ["extras", "groups"])
def test_one_build_without_a_conflict_passes(lockable: Render, strategy: str) -> None:
    """No choice is left after an owner took the others out."""
    project = lockable(torch_version="2.13", strategy=strategy, backends=["cpu", "cu130"],
                       **({"default_backend": "cpu"} if strategy == "groups" else {}))  # fmt: skip
    text = project.text("pyproject.toml")
    text = re.sub(r"^(cu130|conflicts) = \[\n.*?^\]\n", "", text, flags=re.M | re.S)
    text = re.sub(r"^    \{ index = \"pytorch-cu130\".*\n", "", text, flags=re.M)
    (project.path / "pyproject.toml").write_text(text, "utf-8")
    project.lock()
    assert check(project) == PASSES


def test_the_folders_of_a_mirror_pass(lockable: Render, index) -> None:
    """Its folders are named like those of PyTorch's own host."""
    project = lockable(
        torch_version="2.9",
        strategy="index",
        backend="cu130",
        packages=["torchvision"],
        index_url=index.url,
    )
    project.lock()
    assert check(project) == PASSES
