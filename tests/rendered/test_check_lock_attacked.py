"""scripts/check_lock.py against misleading locks, broken files, and a closed output."""

from __future__ import annotations

import importlib.util
import os
import random
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extensions.questions.names import PYPI_URL, PYTORCH_URL, toml_string
from tests.conftest import Render
from tests.pytorch_index import PyTorchIndex
from tests.support.project import Project

Answer = tuple[int, list[str]]
Check = Callable[..., Answer]
PASSES = (0, ["uv.lock: every platform and choice has its PyTorch build."])
PYPI_FILES = "https://files.pythonhosted.org/"
drawn = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def project(lockable: Render) -> Project:
    project = lockable(
        torch_version="2.13", strategy="index", backend="cpu", platforms=["linux-x86_64"]
    )
    project.lock()
    return project


@pytest.fixture
def public(project: Project) -> Project:
    """The same as if it had been locked against the hosts of PyTorch and PyPI."""
    base = urlsplit(project.environment["UV_DEFAULT_INDEX"])
    server = f"{base.scheme}://{base.netloc}"
    for file in ("uv.lock", "pyproject.toml"):
        text = project.text(file).replace(f'"{server}/whl/cpu"', f'"{PYTORCH_URL}/cpu"')
        text = text.replace(f'"{server}/pypi/simple"', f'"{PYPI_URL}"')
        text = text.replace(f'"{server}/pypi/', f'"{PYPI_FILES}packages/')
        text = text.replace(f'"{server}/whl/', '"https://download-r2.pytorch.org/whl/')
        (project.path / file).write_text(text, "utf-8")
    project.environment = {}
    return project


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """Its exit code and lines, of the script in this process: a property asks many times."""
    for name in [name for name in os.environ if name.startswith("UV_")]:
        monkeypatch.delenv(name)

    def checked(project: Project, **environment: str) -> Answer:
        script = project.path / "scripts" / "check_lock.py"
        spec = importlib.util.spec_from_file_location("check_lock", script)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "check_lock", module)
            patch.setattr(sys, "dont_write_bytecode", True)
            for name, value in {**project.environment, **environment}.items():
                patch.setenv(name, value)
            spec.loader.exec_module(module)
            code = module.main()
        said = capsys.readouterr()
        assert not said.err
        return code, said.out.splitlines()

    return checked


def change(project: Project, old: str, new: str, count: int = -1, name: str = "uv.lock") -> None:
    text = project.text(name)
    assert old in text
    (project.path / name).write_text(text.replace(old, new, count), "utf-8")


def one_file(project: Project, package: str) -> tuple[str, str, str]:
    """What the lock has before one URL of a package, that URL, and what it has after it."""
    text = project.text("uv.lock")
    if package == "sdist":
        url = f"{PYPI_FILES}numpy.tar.gz"
        wheels = "\nwheels = ["
        text = text.replace(wheels, f'\nsdist = {{ url = "{url}", hash = "sha256:0" }}{wheels}', 1)
    else:
        found = re.search(rf'"(https://[^"]*/{package}-\d[^"]*\.whl)"', text)
        assert found
        url = found[1]
    before, _, after = text.partition(f'"{url}"')
    return before, url, after


# A host under which an allowed one seems to stand.
SCHEMES = [
    *("https://", "http://", "HTTPS://", "https:", "http:", "https:/", "http:///", "//", ""),
    *("https:\\\\", "ht\ntps://", "\thttps://", " https://", "file://", "git+https://"),
]
USERS = [
    *("", "", "", "user:pass@", "@", "127.0.0.1:8799\\@", "127.0.0.1:8799/@", "evil.example#@"),
    *("evil.example?@", "evil.example\\", "127.0.0.1:8799\t@"),
]
HOSTS: list[Callable[[str], str]] = [
    *(lambda host: host, lambda host: host, lambda host: host, str.upper),
    *(lambda host: f"{host}.", lambda host: f"evil.{host}", lambda host: f"{host}.evil.example"),
    *(lambda host: host.replace(".", "%2e"), lambda host: host.replace("o", "\u043e")),
    *(lambda host: host.replace(".", "\u3002"), lambda host: host.replace("f", "\uff46")),
    *(lambda host: f"{host}\x00", lambda host: f"\u00ad{host}", lambda host: "evil.example"),
    *(lambda host: host[:-1], lambda host: host.replace(".", "..", 1), lambda host: "127.0.0.1"),
]
PORTS = ["", "", "", ":443", ":", ":8799", ":0443"]
SLASHES = ["/", "/", "/", "\\", "//", "/\\", "?", "#", "", "/../", "/@evil.example/"]
DISGUISES = st.tuples(*map(st.sampled_from, (SCHEMES, USERS, HOSTS, PORTS, SLASHES)))


@settings(drawn, max_examples=150)
@given(st.sampled_from(["numpy", "torch", "sdist"]), DISGUISES)
def test_a_file_is_named_or_to_the_letter_below_its_origin(
    public: Project, check: Check, which: str, disguise: tuple[Any, ...]
) -> None:
    start, url, end = one_file(public, which)
    _, _, host, rest = url.split("/", 3)
    before = public.text("uv.lock")
    scheme, user, of, port, slash = disguise
    false = f"{scheme}{user}{of(host)}{port}{slash}{rest}"
    try:
        (public.path / "uv.lock").write_text(start + toml_string(false) + end, "utf-8")
        code, lines = check(public)
    finally:
        (public.path / "uv.lock").write_text(before, "utf-8")
    if false.startswith(f"https://{host}/"):
        assert (code, lines) == PASSES
    else:
        named = [line for line in lines if line.startswith("uv.lock: a file of ")]
        assert code == 1 and len(named) == 1
        assert " lies on " in named[0] and (which == "sdist" or f" {which} " in named[0])


@pytest.mark.parametrize(
    "false",
    [
        r"http://127.0.0.1:8799\\@files.pythonhosted.org/",
        "http:127.0.0.1:8799/",
        "http:///127.0.0.1:8799/",
        "http://files.pythonhosted.org:8799/",
        "http://files.pythonhosted.org/",
    ],
)
def test_every_file_of_a_package_from_another_host(
    public: Project, check: Check, false: str
) -> None:
    assert check(public) == PASSES
    change(public, PYPI_FILES, false)
    code, lines = check(public)
    assert code == 1 and any(line.startswith("uv.lock: a file of numpy ") for line in lines)


@pytest.mark.parametrize(
    "false",
    [
        r"https://evil.example\\@pypi.org/simple",
        "https://user@pypi.org/simple",
        "https:pypi.org/simple",
        "HTTPS://pypi.org/simple",
        "https://pypi.org:443/simple",
        "https://pypi.org/x/../simple",
    ],
)
def test_a_registry_is_compared_to_the_letter(public: Project, check: Check, false: str) -> None:
    """uv writes none of these."""
    change(public, f'"{PYPI_URL}"', f'"{false}"', count=1)
    assert check(public)[0] == 1


def test_a_mirror_may_lead_to_files_that_the_owner_names(project: Project, check: Check) -> None:
    assert check(project) == PASSES
    server = project.environment["UV_DEFAULT_INDEX"].removesuffix("/pypi/simple")
    change(project, f'"{server}/pypi/', '"https://files.example.org/', name="uv.lock")
    change(project, '"https://files.example.org/simple"', f'"{server}/pypi/simple"')
    code, lines = check(project)
    assert code == 1
    assert all(" lies on files.example.org, not with " in line for line in lines)
    assert all("file-origins in [tool.torch-uv-template]" in line for line in lines)
    own = '[tool.torch-uv-template]\nfile-origins = ["https://files.example.org"]\n'
    text = project.text("pyproject.toml")
    (project.path / "pyproject.toml").write_text(text + own, "utf-8")
    assert check(project) == PASSES
    # That is an origin, and not the beginning of one.
    change(project, "https://files.example.org/", "https://files.example.org.evil.example/")
    assert check(project)[0] == 1


def test_an_index_may_lead_to_the_files_of_another_in_pyproject(
    project: Project, check: Check
) -> None:
    index = '\n[[tool.uv.index]]\nname = "w"\nurl = "https://wheels.example.org:8443/simple/"\n'
    server = project.environment["UV_DEFAULT_INDEX"].removesuffix("/pypi/simple")
    change(project, f'"{server}/pypi/files/', '"https://wheels.example.org:8443/files/')
    assert check(project)[0] == 1
    text = project.text("pyproject.toml")
    (project.path / "pyproject.toml").write_text(text + index, "utf-8")
    assert check(project) == PASSES


def test_plain_http_is_for_this_machine(project: Project, check: Check) -> None:
    server = project.environment["UV_DEFAULT_INDEX"].removesuffix("/pypi/simple")
    for local in ("http://localhost:8000", "http://[::1]", "http://127.1.2.3:8000"):
        change(project, server, local)
        change(project, server, local, name="pyproject.toml")
        project.environment = {"UV_DEFAULT_INDEX": f"{local}/pypi/simple"}
        assert check(project) == PASSES
        server = local
    for host in ("http://mirror.example.org", "http://127.0.0.1.example.org", "http://localhost.x"):
        change(project, server, host)
        change(project, server, host, name="pyproject.toml")
        project.environment = {"UV_DEFAULT_INDEX": f"{host}/pypi/simple"}
        code, lines = check(project)
        assert code == 1 and any(" a file of torch " in line for line in lines)
        server = host


@pytest.mark.parametrize("source", ["git", "url"])
def test_a_source_that_pyproject_names_is_that_one(
    project: Project, check: Check, source: str
) -> None:
    entry = '(^name = "ruff"\nversion = "[^"]+"\nsource = ){[^}]+}'
    lock, pyproject = project.text("uv.lock"), project.text("pyproject.toml")
    named = f'[tool.uv.sources]\nruff = {{ {source} = "https://Example.org/a/ruff.x" }}\n'
    pyproject = pyproject.replace("[tool.uv.sources]\n", named)
    (project.path / "pyproject.toml").write_text(pyproject, "utf-8")
    for url, code in {
        "https://example.org/a/ruff.x?rev=1#2": 0,
        "https://example.org.evil.example/a/ruff.x": 1,
        r"https://evil.example\\@example.org/a/ruff.x": 1,
        "http://example.org/a/ruff.x": 1,
    }.items():
        text = re.sub(
            entry, rf'\1{{ {source} = "{url}" }}'.replace("\\\\", r"\\\\"), lock, flags=re.M
        )
        assert text != lock
        (project.path / "uv.lock").write_text(text, "utf-8")
        assert check(project)[0] == code, url


# Indexes of the environment


@pytest.mark.parametrize("form", ["pypi={}", "a.b_c-1={}/", "{}/", " {} "])
def test_a_default_index_may_have_a_name(project: Project, check: Check, form: str) -> None:
    url = form.format(project.environment["UV_DEFAULT_INDEX"])
    project.environment["UV_DEFAULT_INDEX"] = url
    project.uv("lock", "--upgrade")
    assert check(project) == PASSES


@pytest.mark.parametrize(
    "form",
    [
        "http://LOCALHOST:{}/pypi/simple",
        "http://localhost:{}/x/../pypi/./simple/",
        "http://me:secret@localhost:{}/pypi/simple",
    ],
)
def test_an_index_of_the_environment_is_what_uv_makes_of_it(
    project: Project, check: Check, index: PyTorchIndex, form: str
) -> None:
    project.environment["UV_DEFAULT_INDEX"] = form.format(index.base.rpartition(":")[2])
    change(project, "127.0.0.1", "localhost", name="pyproject.toml")
    (project.path / "uv.lock").unlink()
    project.uv("lock")
    # The server's pages lead to its own address.
    own = f'\n[tool.torch-uv-template]\nfile-origins = ["{index.base}"]\n'
    text = project.text("pyproject.toml")
    (project.path / "pyproject.toml").write_text(text + own, "utf-8")
    assert check(project) == PASSES


@pytest.mark.parametrize(
    ("variable", "form"),
    [
        *(("UV_INDEX", "{}"), ("UV_INDEX", "https://h/a=b w={}"), ("UV_INDEX", "w={} x=https://h")),
        *(("UV_EXTRA_INDEX_URL", "https://h/a {}"), ("UV_FIND_LINKS", "https://h/a,{}")),
    ],
)
@pytest.mark.parametrize("path", ["simple", "a=b/simple"])
def test_more_indexes_of_the_environment(
    public: Project, check: Check, variable: str, form: str, path: str
) -> None:
    url = f"https://wheels.example.org/{path}"
    text = public.text("uv.lock")
    entry = re.search(r'^name = "ruff"\n.*?(?=^\[\[package)', text, re.M | re.S)
    assert entry
    other = entry[0].replace(f'"{PYPI_URL}"', f'"{url}"')
    change(public, entry[0], other.replace(PYPI_FILES, "https://wheels.example.org/"))
    assert check(public)[0] == 1
    assert check(public, **{variable: form.format(url)}) == PASSES


def test_a_name_replaces_the_index_of_that_name(project: Project, check: Check) -> None:
    pypi = project.environment["UV_DEFAULT_INDEX"]
    cpu = project.uv_settings["index"][0]
    assert check(project, UV_INDEX=f"{cpu['name']}={pypi}")[0] == 1
    change(project, f'"{cpu["url"]}"', f'"{pypi}"', name="uv.lock")
    code, lines = check(project, UV_INDEX=f"{cpu['name']}={pypi}")
    assert not [line for line in lines if " comes from " in line]


# What cannot be read


def in_encoding(name: str) -> Callable[[Path], object]:
    text = '# größe\nname = "größe"\n'
    return lambda file: file.write_bytes(file.read_text("utf-8").encode(name) + text.encode(name))


def written(text: str) -> Callable[[Path], object]:
    return lambda file: file.write_text(text, "utf-8")


def replaced(pattern: str, new: str) -> Callable[[Path], object]:
    def change(file: Path) -> None:
        text, count = re.subn(pattern, new, file.read_text("utf-8"), count=1, flags=re.M | re.S)
        assert count, pattern
        file.write_text(text, "utf-8")

    return change


def instead(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def change(file: Path) -> None:
        file.unlink()
        make(file)

    return change


def huge(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(2**33)


SOURCE = r'source = \{ registry = "[^"]+" \}\n'
ENVIRONMENTS = r"^environments = \[.*?^\]"
BROKEN: list[tuple[str, Callable[[Path], object]]] = [
    *(("uv.lock", in_encoding(name)) for name in ("utf-16", "utf-16-le", "latin-1", "utf-32")),
    ("uv.lock", replaced(SOURCE, "")),
    ("uv.lock", replaced(SOURCE, "source = {}\n")),
    ("uv.lock", replaced(SOURCE, 'source = "x"\n')),
    ("uv.lock", replaced(r"^wheels = \[.*?^\]", 'wheels = ["x"]')),
    ("uv.lock", replaced(r"^wheels = \[.*?^\]", "wheels = [[]]")),
    ("uv.lock", replaced(r"^wheels = \[.*?^\]", "wheels = 3")),
    ("uv.lock", replaced(r"^version = 1$", "version = 2")),
    ("uv.lock", replaced(r"^version = 1$", 'version = "1.0"')),
    ("uv.lock", replaced(r"^version = 1\n", "")),
    ("uv.lock", replaced(r'^name = "numpy"\n', "")),
    ("uv.lock", replaced(r'^name = "numpy"', "name = 3")),
    ("uv.lock", replaced(r'^    \{ name = "numpy"', '    { name = "numpy", marker = "a ==="')),
    ("uv.lock", replaced(r'^    \{ name = "numpy"', '    { name = "numpy", marker = 3')),
    ("uv.lock", replaced(r'^    \{ name = "numpy"', '    { name = "numpy", marker = "\\\\u0000"')),
    ("uv.lock", written("package = 3\nversion = 1\n")),
    ("uv.lock", written("version = 1\npackage = [[1]]\n")),
    ("uv.lock", written("a = " + "[" * 10**5)),
    ("uv.lock", written("a = " + "9" * 10**4)),
    ("uv.lock", written("a = \ud7ff\n\x00")),
    ("uv.lock", instead(Path.mkdir)),
    ("uv.lock", instead(os.mkfifo)),
    ("uv.lock", instead(lambda file: file.symlink_to("/dev/zero"))),
    ("uv.lock", instead(lambda file: file.symlink_to("nowhere"))),
    ("uv.lock", instead(lambda file: file.symlink_to(file))),
    ("uv.lock", huge),
    ("pyproject.toml", Path.unlink),
    ("pyproject.toml", instead(Path.mkdir)),
    ("pyproject.toml", instead(os.mkfifo)),
    ("pyproject.toml", in_encoding("utf-16")),
    ("pyproject.toml", written("")),
    ("pyproject.toml", written("tool = 3\n")),
    ("pyproject.toml", written("[tool]\nuv = 3\n")),
    ("pyproject.toml", replaced(r"^\[project\]", "[other]")),
    ("pyproject.toml", replaced(r'^name = "[^"]*"', "")),
    ("pyproject.toml", replaced(r'^name = "[^"]*"', "name = 3")),
    ("pyproject.toml", replaced(ENVIRONMENTS, "environments = 3")),
    ("pyproject.toml", replaced(ENVIRONMENTS, "environments = [3]")),
    ("pyproject.toml", replaced(ENVIRONMENTS, "environments = { a = 1 }")),
    ("pyproject.toml", replaced(ENVIRONMENTS, 'environments = [["a"]]')),
    ("pyproject.toml", replaced(r"^dev = \[", 'dev = [{ include-group = "dev" },')),
    ("pyproject.toml", replaced(
        r"^dev = \[", 'a = [{ include-group = "b" }]\nb = [{ include-group = "a" }]\ndev = [')),
    ("pyproject.toml", replaced(r"^dev = \[", "dev = [{ other = 1 },")),
    ("pyproject.toml", replaced(r"^dependencies = \[", "dependencies = [[],")),
    ("pyproject.toml", replaced(r'marker = "[^"]*"', 'marker = "(("')),
    ("pyproject.toml", replaced(r'marker = "[^"]*"', 'marker = "a in (b"')),
    ("pyproject.toml", replaced(r'^url = "[^"]*"', "url = 3")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "broken"), BROKEN)
def test_what_is_broken_is_said_in_one_sentence(
    project: Project, check: Check, name: str, broken: Callable[[Path], object]
) -> None:
    broken(project.path / name)
    code, lines = check(project)
    assert code == 1
    assert len(lines) == 1 or all(line.startswith("uv.lock: ") for line in lines)
    assert re.search(r"\.$|Next: uv lock$", lines[0])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_lock_that_may_not_be_read(project: Project, check: Check) -> None:
    (project.path / "uv.lock").chmod(0)
    assert check(project) == (1, ["uv.lock cannot be read: Permission denied. Next: uv lock"])


def test_what_no_terminal_can_show_is_escaped(project: Project, check: Check) -> None:
    change(project, 'name = "numpy"', 'name = "\\u001b[2Jñ\\n"', count=1)
    lines = check(project)[1]
    assert lines and all(line.isascii() and line.isprintable() for line in lines)


def test_a_newer_revision_of_the_lock_is_fine(project: Project, check: Check) -> None:
    """Within a version uv reads them all."""
    lock = re.sub(r"^revision = \d+", "revision = 99", project.text("uv.lock"), flags=re.M)
    (project.path / "uv.lock").write_text(lock, "utf-8")
    project.uv("lock", "--locked")
    assert check(project) == PASSES


def test_environments_may_be_one_marker(project: Project, check: Check) -> None:
    """uv takes a text for a list of one."""
    text = re.sub(r"^((?:required-)?environments) = \[\n    (.*?),\n\]", r"\1 = \2",
                  project.text("pyproject.toml"), flags=re.M)  # fmt: skip
    (project.path / "pyproject.toml").write_text(text, "utf-8")
    assert '\nenvironments = "' in text
    assert check(project) == PASSES


def test_markers_that_python_does_not_know(project: Project, check: Check) -> None:
    lock = project.text("uv.lock")
    for marker in ("python_full_version ~= '3.11'", "python_version === '3.11'", " "):
        edge = f'    {{ name = "numpy", marker = "{marker}"'
        (project.path / "uv.lock").write_text(lock.replace('    { name = "numpy"', edge), "utf-8")
        assert check(project) == PASSES


VALUES = ['""', '"x"', "3", "-1", "true", "1.5", "[]", "[3]", '["x"]', "{}", "{ x = 1 }",
          "1979-05-27", '"(("', '"https://x/"']  # fmt: skip


@settings(drawn, max_examples=150)
@given(st.sampled_from(["uv.lock", "pyproject.toml"]), st.randoms(use_true_random=False))
def test_no_mutation_of_a_file_ends_in_a_traceback(
    project: Project, check: Check, name: str, by: random.Random
) -> None:
    file = project.path / name
    before = file.read_bytes()
    data = bytearray(before)
    kind = by.choice(["bytes", "cut", "value", "key"])
    if kind == "bytes":
        for _ in range(by.randint(1, 4)):
            data[by.randrange(len(data))] = by.randrange(256)
    elif kind == "cut":
        start = by.randrange(len(data))
        del data[start : start + by.randint(1, 3000)]
    else:
        text = before.decode()
        pairs = list(re.finditer(r'[\w-]+ = ("[^"\n]*"|\d+|\[\n.*?\n\]|\{[^\n{}]*\})', text, re.S))
        chosen = by.choice(pairs)
        new = f"{chosen[0].split(' = ')[0]} = {by.choice(VALUES)}" if kind == "value" else "x = 1"
        data = bytearray((text[: chosen.start()] + new + text[chosen.end() :]).encode())
    try:
        file.write_bytes(data)
        code, lines = check(project)
    finally:
        file.write_bytes(before)
    assert lines and (code, lines) == PASSES or code == 1
    try:
        tomllib.loads(data.decode())
    except ValueError:
        assert code == 1 and len(lines) == 1


# Where its result goes


def run(project: Project, **output: Any) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "scripts/check_lock.py"],
        cwd=project.path,
        env={**os.environ, **project.environment},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        **output,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("right", [True, False])
def test_a_result_that_cannot_be_printed_has_its_own_code(project: Project, right: bool) -> None:
    if not right:
        (project.path / "uv.lock").unlink()
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert run(project, stdout=writer) == (4, "")
    finally:
        os.close(writer)
    with Path("/dev/full").open("w") as full:
        assert run(project, stdout=full) == (4, "")
    assert run(project, preexec_fn=lambda: os.close(1)) == (4, "")
