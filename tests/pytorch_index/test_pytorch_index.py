"""The recorded index: its data, its answers over HTTP, and what uv makes of them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import pytest
from packaging.requirements import Requirement
from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename

from extensions.tables.releases import minor
from tests.pytorch_index import PyTorchIndex
from tests.pytorch_index.listing import LEGACY, as_recorded
from tests.pytorch_index.metadata import metadata
from tests.pytorch_index.recorded import PYPI, TRITONS, platform_of, releases, wheels
from tests.pytorch_index.stand_ins import stand_ins
from tests.support.project import UV
from tests.support.wheels import real_wheel

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
PLATFORMS = {
    "linux-x86_64": ("x86_64-unknown-linux-gnu", "linux", "x86_64"),
    "linux-aarch64": ("aarch64-unknown-linux-gnu", "linux", "aarch64"),
    "windows-amd64": ("x86_64-pc-windows-msvc", "win32", "AMD64"),
    "macos-arm64": ("aarch64-apple-darwin", "darwin", "arm64"),
}


@pytest.fixture(scope="module")
def index() -> Iterator[PyTorchIndex]:
    with PyTorchIndex() as served:
        yield served


# The data


@pytest.mark.parametrize(
    ("index_name", "filename", "sha256"),
    [
        # Seen names with their hashes: local parts, plain aarch64 names and old platform tags.
        (
            "cu124",
            "torch-2.5.1-cp311-cp311-linux_aarch64.whl",
            "e080353c245b752cd84122e4656261eee6d4323a37cfb7d13e0fffd847bae1a3",
        ),
        (
            "cpu",
            "torch-2.10.0-cp312-none-macosx_11_0_arm64.whl",
            "7fbbf409143a4fe0812a40c0b46a436030a7e1d14fe8c5234dfbe44df47f617e",
        ),
        (
            "cpu",
            "torch-2.14.1-cp312-cp312-macosx_14_0_arm64.whl",
            "9cf3082d25560efb1eef921871595227c0cf305abb7761ca45b6b988ef6cdd45",
        ),
        ("cu130", "torchvision-0.24.1-cp312-cp312-manylinux_2_28_aarch64.whl", None),
        ("cu130", "torchvision-0.25.0+cu130-cp312-cp312-manylinux_2_28_aarch64.whl", None),
        ("cu126", "torch-2.6.0+cu126-cp312-cp312-linux_aarch64.whl", None),
        ("cu126", "torch-2.6.0+cu126-cp312-cp312-manylinux_2_28_x86_64.whl", None),
        ("cu124", "torch-2.6.0+cu124-cp312-cp312-linux_x86_64.whl", None),
        ("rocm6.2.4", "torch-2.6.0+rocm6.2.4-cp312-cp312-manylinux_2_28_x86_64.whl", None),
        ("xpu", "torch-2.12.1+xpu-cp312-cp312-linux_x86_64.whl", None),
        ("xpu", "torch-2.13.0+xpu-cp312-cp312-manylinux_2_28_x86_64.whl", None),
        ("rocm7.2", "triton_rocm-3.8.0-cp312-cp312-linux_x86_64.whl", None),
        # Filled in by the convention.
        ("cpu", "torchvision-0.29.2+cpu-py3-none-manylinux_2_28_x86_64.whl", None),
        (PYPI, "torchvision-0.29.2-py3-none-win_amd64.whl", None),
        (PYPI, "torch-2.5.1-cp311-none-macosx_11_0_arm64.whl", None),
        (PYPI, "torch-2.15.0-cp315-cp315-manylinux_2_28_aarch64.whl", None),
        ("cu132", "torch-2.15.0+cu132-cp313-cp313-win_amd64.whl", None),
        ("xpu", "triton_xpu-3.9.0-cp313-cp313-win_amd64.whl", None),
    ],
)
def test_names_are_those_of_the_index(index_name: str, filename: str, sha256: str | None) -> None:
    found = {(w.index, w.filename): w for w in wheels()}
    assert (index_name, filename) in found
    if sha256 is not None:
        assert found[index_name, filename].sha256 == sha256


@pytest.mark.parametrize(
    ("package", "release", "index_name", "platform"),
    [
        ("torch", "2.15.0", "cu126", None),  # announced as not published
        ("torch", "2.12.0", "cu129", None),
        ("torch", "2.9.1", "cu129", "windows-amd64"),
        ("torch", "2.8.0", "cu128", "linux-aarch64"),
        ("torch", "2.14.0", "rocm7.2", "windows-amd64"),
        ("torchaudio", "2.11.0", "cu132", None),
        ("pytorch-triton-xpu", "3.2.0", "xpu", "windows-amd64"),
        ("triton", "3.4.0", PYPI, "linux-aarch64"),
    ],
)
def test_what_was_never_published_is_absent(
    package: str, release: str, index_name: str, platform: str | None
) -> None:
    assert not [
        w.filename
        for w in wheels()
        if (w.package, w.release, w.index) == (package, release, index_name)
        and platform in (None, platform_of(w.platform_tag))
    ]


def test_every_cell_of_the_releases_has_its_wheels() -> None:
    have = {
        (w.package, w.release, w.index, platform_of(w.platform_tag), w.python_tag) for w in wheels()
    }
    missing = []
    for release in releases():
        for index_name, cells in [(PYPI, release["pypi"]), *release["indexes"].items()]:
            for name, pythons in cells.items():
                platform = platform_of(name) if index_name == PYPI else name
                for python in pythons.split():
                    for package in ("torch", "torchvision", "torchaudio"):
                        if not expected(release, package, index_name, python):
                            continue
                        cell = (package, release[package], index_name, platform)
                        if not {(*cell, python), (*cell, "py3")} & have:
                            missing.append((*cell, python))
    assert not missing


def expected(release: dict, package: str, index_name: str, python: str) -> bool:
    if package == "torchvision":
        return python != "cp315" or index_name not in release["torchvision_not_cp315"]
    if package == "torchaudio":
        return python != "cp315" and index_name not in release["torchaudio_not_on"]
    return True


def test_releases_are_complete() -> None:
    assert [release["torch"] for release in releases()] == [
        *("2.5.0", "2.5.1", "2.6.0", "2.7.0", "2.7.1", "2.8.0", "2.9.0", "2.9.1"),
        *("2.10.0", "2.11.0", "2.12.0", "2.12.1", "2.13.0", "2.14.0", "2.14.1", "2.15.0"),
    ]
    indexes = {index_name for release in releases() for index_name in release["indexes"]}
    assert indexes == {
        *("cpu", "cu118", "cu121", "cu124", "cu126", "cu128", "cu129", "cu130", "cu132", "xpu"),
        *("rocm6.1", "rocm6.2", "rocm6.2.4", "rocm6.3", "rocm6.4", "rocm7.0", "rocm7.1", "rocm7.2"),
    }


def test_every_wheel_is_well_formed() -> None:
    stand_in_wheels = [w for group in stand_ins().values() for w in group]
    hashes: dict[str, str] = {}
    for wheel in [*wheels(), *stand_in_wheels]:
        name, version, _, _ = parse_wheel_filename(wheel.filename)
        assert (name, str(version)) == (wheel.package, wheel.version)
        assert re.fullmatch("[0-9a-f]{64}", wheel.sha256), wheel
        assert version.local in (None, wheel.index), wheel
        assert hashes.setdefault(wheel.path, wheel.sha256) == wheel.sha256, wheel


def test_every_requirement_can_be_met() -> None:
    """A requirement without a wheel would make every lock of its release fail."""
    offered: dict[str, set[str]] = {}
    for wheel in [*wheels(), *(w for group in stand_ins().values() for w in group)]:
        offered.setdefault(wheel.package, set()).add(wheel.release)
    on_index = {(w.index, w.package, w.release) for w in wheels()}
    for wheel in wheels():
        for line in metadata(wheel).decode().splitlines():
            if not line.startswith("Requires-Dist: "):
                continue
            need = Requirement(line.removeprefix("Requires-Dist: "))
            met = {v for v in offered.get(need.name, ()) if need.specifier.contains(v)}
            assert met, (wheel.filename, str(need))
            if need.name in TRITONS and need.name != "triton":
                assert any((wheel.index, need.name, v) in on_index for v in met), wheel.filename


@pytest.mark.parametrize(
    ("index_name", "release", "environment", "wanted"),
    [
        ("cpu", "2.14.1", ("Linux", "x86_64", "3.12"), set()),
        (
            "cu118",
            "2.7.1",
            ("Linux", "x86_64", "3.12"),
            {"nvidia-cuda-runtime-cu11", "nvidia-cudnn-cu11", "nvidia-nccl-cu11", "triton"},
        ),
        ("cu128", "2.9.1", ("Windows", "AMD64", "3.12"), set()),
        ("cu128", "2.9.1", ("Linux", "aarch64", "3.12"), set()),
        (
            "cu130",
            "2.14.1",
            ("Linux", "aarch64", "3.14"),
            {"cuda-toolkit", "nvidia-cudnn-cu13", "nvidia-nccl-cu13", "triton"},
        ),
        (
            "cu130",
            "2.14.1",
            ("Linux", "x86_64", "3.15"),
            {"cuda-toolkit", "nvidia-cudnn-cu13", "nvidia-nccl-cu13"},
        ),
        ("rocm6.4", "2.9.1", ("Linux", "x86_64", "3.12"), {"pytorch-triton-rocm"}),
        ("rocm7.2", "2.14.1", ("Linux", "x86_64", "3.12"), {"triton-rocm"}),
        ("xpu", "2.6.0", ("Windows", "AMD64", "3.12"), set()),
        ("xpu", "2.14.0", ("Windows", "AMD64", "3.12"), {"triton-xpu", "intel-cmplr-lib-rt"}),
        (PYPI, "2.10.0", ("Linux", "aarch64", "3.12"), set()),
        (
            PYPI,
            "2.15.0",
            ("Linux", "aarch64", "3.15"),
            {"cuda-toolkit", "nvidia-cudnn-cu13", "nvidia-nccl-cu13", "triton"},
        ),
    ],
)
def test_torch_requires_its_accelerator(
    index_name: str, release: str, environment: tuple[str, str, str], wanted: set[str]
) -> None:
    system, machine, python = environment
    where = {
        "platform_system": system,
        "platform_machine": machine,
        "python_version": python,
    }
    wheel = next(
        w for w in wheels() if (w.package, w.release, w.index) == ("torch", release, index_name)
    )
    lines = metadata(wheel).decode().splitlines()
    needs = [Requirement(x.partition(": ")[2]) for x in lines if x.startswith("Requires-Dist: ")]
    found = {need.name for need in needs if need.marker is None or need.marker.evaluate(where)}
    prefixes = ("nvidia-", "cuda-", "triton", "pytorch-triton", "intel-")
    assert {name for name in found if name.startswith(prefixes)} == wanted


# The answers


class Links(HTMLParser):
    """The anchors of a PEP 503 page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[dict[str, str], str]] = []
        self._open: dict[str, str] | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._open = {key: value or "" for key, value in attrs}

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self.found.append((self._open, data))
            self._open = None


def get(url: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), dict(error.headers)


def test_page_of_a_package(index: PyTorchIndex) -> None:
    url = f"{index.url}/cu130/torch/"
    status, page, headers = get(url)
    assert status == 200
    assert headers["Content-Type"].startswith("text/html")
    links = Links(page.decode()).found
    recorded = {w.filename: w for w in wheels() if (w.index, w.package) == ("cu130", "torch")}
    legacy = [name for name in LEGACY if name.startswith("torch-")]
    assert {text for _, text in links[: len(legacy)]} == {*legacy}
    assert [text for _, text in links[len(legacy) :]] == list(recorded)
    for attributes, text in links[len(legacy) :]:
        href, fragment = urldefrag(attributes["href"])
        assert "+" not in href
        assert fragment == f"sha256={recorded[text].sha256}"
        assert unquote(urljoin(url, href)).endswith(f"/whl/cu130/{text}")


def test_a_page_has_the_form_of_pytorch_s() -> None:
    """Byte for byte what manage_v2.py of pytorch/test-infra writes, but for the two hosts."""
    with PyTorchIndex(apart=True) as index:
        files = index.files
        page = get(f"{index.url}/cu130/torch/")[1].decode()
        href = re.findall(r'href="([^"#]+)', page)[-1]
        assert href.startswith(files) and get(f"{href}.metadata")[0] == 200
        assert files != index.base
    lines = page.splitlines()
    assert lines[:4] == [
        "<!DOCTYPE html>",
        "<html>",
        "  <body>",
        "    <h1>Links for torch</h1>",
    ]
    assert lines[-3:-1] == ["  </body>", "</html>"]
    assert re.fullmatch(r"<!--TIMESTAMP \d{10}-->", lines[-1]) and page.endswith("-->\n")
    assert "data-requires-python" not in page

    def line(filename: str) -> str:
        (found,) = (line for line in lines if f">{filename}<" in line)
        return re.sub(r"(sha256=)[0-9a-f]{64}", r"\1…", found)

    new, old = (
        "torch-2.15.0+cu130-cp313-cp313-win_amd64",
        "torch-2.11.0+cu130-cp313-cp313-win_amd64",
    )
    meta = 'data-dist-info-metadata="sha256=…" data-core-metadata="sha256=…"'
    assert line(f"{new}.whl") == (
        f'    <a href="{files}/whl/cu130/{new.replace("+", "%2B")}.whl#sha256=…" {meta}'
        f' data-upload-time="2026-10-28T15:16:25Z">{new}.whl</a><br/>'
    )
    assert line(f"{old}.whl") == (
        f'    <a href="/whl/cu130/{old.replace("+", "%2B")}.whl#sha256=…" {meta}>{old}.whl</a><br/>'
    )


def test_the_base_lists_folders_that_promise_nothing() -> None:
    with PyTorchIndex(listing=as_recorded()) as index:
        names = {text for _, text in Links(get(f"{index.url}/")[1].decode()).found}
        old = get(f"{index.url}/cu92/torch/")[0]
        page = get(f"{index.url}/cu134/torch/")[1].decode()
    assert {"cpu", "cu130", "rocm7.2", "xpu", "cu134", "nightly", "test"} <= names
    assert "pypi" not in names
    assert old == 403
    assert {text for _, text in Links(page).found} == {n for n in LEGACY if n.startswith("torch-")}


def test_a_page_that_did_not_change_is_not_sent_again(index: PyTorchIndex) -> None:
    _, page, headers = get(f"{index.url}/cu130/torch/")
    status, again, _ = get(f"{index.url}/cu130/torch/", **{"If-None-Match": headers["ETag"]})
    assert (status, again) == (304, b"") and page


def test_metadata_hash_is_that_of_the_served_bytes(index: PyTorchIndex) -> None:
    for package in ("torch", "triton"):
        url = f"{index.url}/cu130/{package}/"
        for attributes, text in Links(get(url)[1].decode()).found[::10]:
            file_url = urljoin(url, urldefrag(attributes["href"])[0])
            status, served, _ = get(f"{file_url}.metadata")
            digest = f"sha256={hashlib.sha256(served).hexdigest()}"
            assert status == 200
            assert digest == attributes["data-core-metadata"]
            assert digest == attributes["data-dist-info-metadata"]
            assert f"Version: {text.split('-')[1]}\n" in served.decode()


@pytest.mark.parametrize(
    "path",
    [
        "cpu/no-such-package/",
        "cu131/torch/",
        "pypi/torch/",
        "cpu/torch-2.14.1%2Bcpu-cp312-cp312-win_amd64.whl",
        "cpu/torch-9.9.9%2Bcpu-cp312-cp312-win_amd64.whl.metadata",
    ],
)
def test_what_is_missing_is_forbidden(index: PyTorchIndex, path: str) -> None:
    assert get(f"{index.url}/{path}")[0] == 403


def test_pypi_has_what_pypi_has(index: PyTorchIndex) -> None:
    status, page, headers = get(f"{index.pypi_url}/torch/", Accept=JSON_TYPE)
    assert (status, headers["Content-Type"]) == (200, JSON_TYPE)
    files = json.loads(page)["files"]
    assert not [file for file in files if "+" in file["filename"]]
    file = next(file for file in files if file["filename"].startswith("torch-2.15.0"))
    served = get(urljoin(index.pypi_url, file["url"]) + ".metadata")[1]
    assert file["core-metadata"] == {"sha256": hashlib.sha256(served).hexdigest()}
    assert file["requires-python"] == ">=3.11"

    status, page, headers = get(f"{index.pypi_url}/torch/")
    assert headers["Content-Type"].startswith("text/html")
    assert [text for _, text in Links(page.decode()).found] == [f["filename"] for f in files]
    for absent in ("triton-xpu", "triton-rocm", "pytorch-triton-xpu", "no-such-package"):
        assert get(f"{index.pypi_url}/{absent}/")[0] == 404


def test_index_lists_its_packages(index: PyTorchIndex) -> None:
    names = {text for _, text in Links(get(f"{index.url}/xpu/")[1].decode()).found}
    assert {"torch", "torchvision", "torchaudio", "triton-xpu", "pytorch-triton-xpu"} <= names
    assert "numpy" in names and "pytest" not in names


def test_requests_are_recorded() -> None:
    with PyTorchIndex() as served:
        get(f"{served.url}/cu130/torch/")
        get(f"{served.url}/cu132/no-such-package/")
        assert served.requests == [
            ("GET", "/whl/cu130/torch/", 200),
            ("GET", "/whl/cu132/no-such-package/", 403),
        ]
    with pytest.raises(RuntimeError):
        _ = served.url


def test_credentials_are_asked_for() -> None:
    with PyTorchIndex(auth=("reader", "secret")) as served:
        url = f"{served.url}/cpu/torch/"
        status, _, headers = get(url)
        assert status == 401
        assert headers["WWW-Authenticate"].startswith("Basic")
        assert get(url, Authorization="Basic " + b64encode(b"reader:wrong").decode())[0] == 401
        assert get(url, Authorization="Basic " + b64encode(b"reader:secret").decode())[0] == 200
        assert get(f"{served.pypi_url}/ruff/")[0] == 401


# A folder of real wheels


def test_wheelhouse_takes_the_place_of_recorded_wheels(tmp_path: Path) -> None:
    torch = real_wheel(
        tmp_path,
        "torch-2.14.1+cpu-cp311-cp311-manylinux_2_28_x86_64.whl",
        "Requires-Python: >=3.10\nRequires-Dist: filelock\n",
    )
    real_wheel(tmp_path, "numpy-2.0.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
    real_wheel(tmp_path, "extra_tool-1.0-py3-none-any.whl")
    with PyTorchIndex(tmp_path) as served:
        page = get(f"{served.url}/cpu/torch/")[1].decode()
        links = {text: attributes for attributes, text in Links(page).found}
        href, fragment = urldefrag(links[torch.name]["href"])
        assert fragment == f"sha256={hashlib.sha256(torch.read_bytes()).hexdigest()}"
        assert get(urljoin(served.url, href))[1] == torch.read_bytes()
        there = {w.filename for w in wheels() if (w.index, w.package) == ("cpu", "torch")}
        assert as_recorded_alone({*links}) == there
        same_version = {
            a["data-core-metadata"] for text, a in links.items() if "-2.14.1+cpu-" in text
        }
        assert len(same_version) == 1

        def names(package: str) -> set[str]:
            return {
                text for _, text in Links(get(f"{served.pypi_url}/{package}/")[1].decode()).found
            }

        assert names("numpy") == {
            "numpy-2.0.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            "numpy-2.0.0-py3-none-manylinux_2_28_x86_64.whl",
            "numpy-2.0.0-py3-none-manylinux_2_28_aarch64.whl",
            "numpy-2.0.0-py3-none-win_amd64.whl",
            "numpy-2.0.0-py3-none-macosx_11_0_arm64.whl",
        }
        assert names("extra-tool") == {"extra_tool-1.0-py3-none-any.whl"}
        assert as_recorded_alone(names("torch")) == {
            w.filename for w in wheels() if (w.index, w.package) == (PYPI, "torch")
        }
    with PyTorchIndex() as served:
        assert "numpy-2.5.5-py3-none-any.whl" in get(f"{served.pypi_url}/numpy/")[1].decode()


def as_recorded_alone(names: set[str]) -> set[str]:
    """Those of torch that were recorded: neither older nor newer ones."""
    versions = {name: name.split("-")[1].partition("+")[0] for name in names}
    return {name for name, version in versions.items() if (2, 5) <= minor(version) < (2, 16)}


def test_wheelhouse_must_be_a_folder_of_wheels(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError):
        PyTorchIndex(tmp_path / "missing")
    zipfile.ZipFile(tmp_path / "hollow-1.0-py3-none-any.whl", "w").close()
    with pytest.raises(ValueError, match=r"hollow-1\.0"):
        PyTorchIndex(tmp_path)


# uv


def uv(project: Path, index: PyTorchIndex, *arguments: str) -> str:
    """Run uv against the recorded index only; return what it says."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("UV_")}
    environment = kept | {
        "UV_DEFAULT_INDEX": index.pypi_url,
        "UV_CACHE_DIR": str(project.parent / "uv-cache"),
        "UV_NO_CONFIG": "1",
        "UV_PYTHON": sys.executable,
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_PROJECT_ENVIRONMENT": str(project / ".venv"),
        "MACOSX_DEPLOYMENT_TARGET": "14.0",  # uv assumes 13, torch since 2.12 needs 14
        "NO_PROXY": "127.0.0.1",
    }
    environment.pop("VIRTUAL_ENV", None)
    run = subprocess.run(
        [UV, *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert "warning:" not in run.stderr
    return run.stderr


def environments() -> str:
    markers = (
        f"\"sys_platform == '{system}' and platform_machine == '{machine}'\""
        for _, system, machine in PLATFORMS.values()
    )
    return f"[{', '.join(markers)}]"


def groups_project(folder: Path, index: PyTorchIndex, torch: str, torchvision: str) -> Path:
    """A project with the groups `cpu` and `cu130`."""
    source = (
        "[{ index = 'pytorch-cpu', group = 'cpu', marker = \"sys_platform != 'darwin'\" },"
        " { index = 'pytorch-cu130', group = 'cu130', marker = \"sys_platform != 'darwin'\" }]"
    )
    needs = f"['torch{torch}', 'torchvision{torchvision}']"
    project = folder / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        f"""
[project]
name = "locked"
version = "0"
requires-python = ">=3.11,<3.15"

[dependency-groups]
cpu = {needs}
cu130 = {needs}
dev = ["pytest", "ruff", "ty", "mypy"]

[tool.uv]
default-groups = ["dev", "cpu"]
conflicts = [[{{ group = "cpu" }}, {{ group = "cu130" }}]]
environments = {environments()}
required-environments = {environments()}

[tool.uv.sources]
torch = {source}
torchvision = {source}

[[tool.uv.index]]
name = "pytorch-cpu"
url = "{index.url}/cpu"
explicit = true

[[tool.uv.index]]
name = "pytorch-cu130"
url = "{index.url}/cu130"
explicit = true
""",
        encoding="utf-8",
    )
    return project


def installed(said: str) -> dict[str, str]:
    """The versions that a dry run would install."""
    return dict(re.findall(r"^ \+ ([\w.-]+)==(\S+)$", said, flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("torch", "torchvision", "wanted", "on_cuda"),
    [
        (">=2.14,<2.15", ">=0.29,<0.30", "2.14.1", {"linux-x86_64", "linux-aarch64"}),
        # torchvision 0.24 for aarch64 has no local part on either index, and torch before 2.11
        # asks for CUDA packages on x86-64 only.
        (">=2.9,<2.10", ">=0.24,<0.25", "2.9.1", {"linux-x86_64"}),
    ],
)
def test_uv_locks_and_installs_each_build(
    tmp_path: Path,
    index: PyTorchIndex,
    torch: str,
    torchvision: str,
    wanted: str,
    on_cuda: set[str],
) -> None:
    project = groups_project(tmp_path, index, torch, torchvision)
    uv(project, index, "lock")
    lock = (project / "uv.lock").read_text(encoding="utf-8")
    files = re.findall(r"\{ url = .*?\}", lock)
    assert files
    assert all('hash = "sha256:' in file for file in files)

    for platform, (triple, _, _) in PLATFORMS.items():
        for backend, switch in (("cpu", ()), ("cu130", ("--no-group=cpu", "--group=cu130"))):
            said = uv(
                project,
                index,
                "sync",
                "--dry-run",
                "--frozen",
                "--python-platform",
                triple,
                *switch,
            )
            versions = installed(said)
            local = "" if platform == "macos-arm64" else f"+{backend}"
            assert versions["torch"] == wanted + local
            assert {"torchvision", "pytest", "ruff"} <= set(versions)
            accelerated = {n for n in versions if n.startswith(("nvidia-", "cuda-", "triton"))}
            cuda = backend == "cu130" and platform in on_cuda
            assert bool(accelerated) == cuda, (platform, backend)


def test_uv_installs_from_a_wheelhouse(tmp_path: Path) -> None:
    house = tmp_path / "house"
    house.mkdir()
    here = {str(tag) for tag in sys_tags()}
    torch = next(
        (
            w.filename
            for w in wheels()
            if (w.index, w.package, w.version) == ("cpu", "torch", "2.14.1+cpu")
            and here & {str(tag) for tag in parse_wheel_filename(w.filename)[3]}
        ),
        None,
    )
    if torch is None:
        pytest.skip("no +cpu wheel of torch for this machine")
    real_wheel(house, torch, "Requires-Dist: filelock\n")
    real_wheel(house, "filelock-9.0-py3-none-any.whl")
    project = tmp_path / "project"
    project.mkdir()
    with PyTorchIndex(wheelhouse=house) as served:
        (project / "pyproject.toml").write_text(
            f"""
[project]
name = "installed"
version = "0"
requires-python = ">=3.11,<3.15"
dependencies = ["torch>=2.14,<2.15"]

[tool.uv.sources]
torch = {{ index = "pytorch-cpu" }}

[[tool.uv.index]]
name = "pytorch-cpu"
url = "{served.url}/cpu"
explicit = true
""",
            encoding="utf-8",
        )
        said = uv(project, served, "sync")
    assert installed(said) == {"filelock": "9.0", "torch": "2.14.1+cpu"}
