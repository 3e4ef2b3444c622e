"""Any answers, valid or not: a project whose files all parse, or a refusal with a message."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from copier import run_copy
from copier.errors import UserMessageError
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from extensions.questions.contract import KEYS, LISTS, VALUES
from extensions.tables.platforms import PLATFORMS
from tests.support.cells import LINES, TABLES
from tests.support.checks import check_everything
from tests.support.project import Project

BACKENDS = sorted(TABLES.backends())
# What a command line or a data file can hold: no lone surrogates.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NASTY = st.sampled_from(['"', "'", "\\", "\n", "{{ x }}", "{% x %}", "../x", "🔥", "torch", ""])
ANY = TEXT | NASTY | st.none() | st.integers() | st.floats() | st.booleans()
PYTHONS = [f"3.{minor}" for minor in range(9, 17)]


def one_of(values: list[str]) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


def some_of(values: list[str]) -> st.SearchStrategy[Any]:
    return st.lists(st.sampled_from(values), max_size=4)


PLAUSIBLE: dict[str, st.SearchStrategy[Any]] = {
    **{key: (some_of if key in LISTS else one_of)(list(VALUES[key])) for key in VALUES},
    "project_name": st.from_regex(r"[A-Za-z][A-Za-z0-9 ._-]{0,30}", fullmatch=True),
    "package_name": st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True),
    "project_description": TEXT | NASTY,
    "user_name": TEXT | NASTY,
    "user_email": st.emails() | NASTY,
    "torch_version": one_of(LINES),
    "python_version": one_of(PYTHONS),
    "backend": one_of([*BACKENDS, "auto"]),
    "linux_backend": one_of(BACKENDS),
    "aarch64_backend": one_of(BACKENDS),
    "windows_backend": one_of(BACKENDS),
    "backends": some_of(BACKENDS),
    "default_backend": one_of(BACKENDS),
    "packages": some_of(["torchvision", "torchaudio", "torchcodec"]),
    "platforms": some_of(list(PLATFORMS)),
    "index_url": st.sampled_from(
        [
            "https://mirror.example.org/whl",
            "http://127.0.0.1:3141/root",
            "https://u:p@x/",
            "ftp://x",
        ]
    ),
    "base_image": one_of(["nvcr.io/nvidia/pytorch:26.09-py3", "ubuntu", "a b", "x:latest"]),
    "pypi_url": st.sampled_from(
        ["https://mirror.example.org/simple", "http://[::1]:3141/", "https://u:p@x/", "pypi.org"]
    ),
}


@st.composite
def answers(draw: st.DrawFn) -> dict[str, Any]:
    """Some answers; most are plausible, and now and then one is anything at all."""
    given_keys = draw(st.sets(st.sampled_from(KEYS)))
    found = {key: draw(PLAUSIBLE[key]) for key in KEYS if key in given_keys}
    if draw(st.integers(0, 3)) == 0:
        found[draw(st.sampled_from(KEYS))] = draw(ANY | st.lists(ANY, max_size=3))
    return found


@settings(
    max_examples=int(os.environ.get("ANSWER_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(answers())
def test_a_project_or_a_refusal(template: Path, data: dict[str, Any]) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        _render_or_refuse(template, folder / "project", data)
    finally:
        shutil.rmtree(folder)


def _render_or_refuse(template: Path, destination: Path, data: dict[str, Any]) -> None:
    try:
        run_copy(str(template), str(destination), data, defaults=True, unsafe=True, quiet=True)
    except UserMessageError as refused:
        event("refused")
        key, _, reason = refused.message.partition(": ")
        assert key in KEYS
        assert len(reason) > 20
        assert "\n" not in reason
        assert not destination.exists()
    else:
        event("rendered")
        check_everything(Project(destination))
