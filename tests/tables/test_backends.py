"""What a backend's name says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from extensions.tables.backends import AUTO, dotted, index_name, kind, label, slug, version
from tests.support.cells import TABLES

BACKENDS = sorted(TABLES.backends())


@pytest.mark.parametrize(
    ("backend", "of_kind", "number", "words", "extra"),
    [
        ("cpu", "cpu", (), "CPU", "cpu"),
        ("xpu", "xpu", (), "Intel GPU (XPU)", "xpu"),
        ("cu92", "cuda", (9, 2), "CUDA 9.2", "cu92"),
        ("cu118", "cuda", (11, 8), "CUDA 11.8", "cu118"),
        ("cu126", "cuda", (12, 6), "CUDA 12.6", "cu126"),
        ("cu130", "cuda", (13, 0), "CUDA 13.0", "cu130"),
        ("rocm6.2", "rocm", (6, 2), "ROCm 6.2", "rocm6-2"),
        ("rocm6.2.4", "rocm", (6, 2, 4), "ROCm 6.2.4", "rocm6-2-4"),
        ("rocm7.14", "rocm", (7, 14), "ROCm 7.14", "rocm7-14"),
    ],
)
def test_a_backend_s_name_is_understood(backend, of_kind, number, words, extra):
    assert (kind(backend), version(backend)) == (of_kind, number)
    assert (label(backend), slug(backend)) == (words, extra)
    assert dotted(backend) == ".".join(map(str, number))
    assert index_name(backend) == f"pytorch-{extra}"


@pytest.mark.parametrize(
    "name", ["", AUTO, "cuda", "cu", "cu1", "cu12.6", "CU126", "cu126 ", "rocm", "rocm7", "cpux"]
)
def test_another_name_is_of_no_kind(name):
    assert (kind(name), version(name), label(name)) == ("", (), name)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_extra_and_an_index_have_normalized_names_of_their_own(backend):
    normalized = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
    assert normalized.fullmatch(slug(backend)) and normalized.fullmatch(index_name(backend))
    assert [b for b in BACKENDS if slug(b) == slug(backend)] == [backend]


def test_uv_knows_every_offered_backend():
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    assert uv, "the development dependencies have uv"
    command = [uv, "pip", "compile", "--help", "--color", "never"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # The help is wrapped at the width of the terminal.
    found = re.search(r"--torch-backend <.*?\[possible values: ([^\]]*)\]", " ".join(text.split()))
    assert found is not None
    known = found[1].split(", ")
    assert "cpu" in known and "cu126" in known
    assert {*BACKENDS, AUTO} - set(known) == set()
