"""A known fault of a release is one more entry of YAML: then a render, an update and the smoke test
tell those who have it, and nobody else."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from copier import run_copy, run_update
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extensions.tables.backends import kind
from tests.conftest import Render, copy_template
from tests.support.cells import TABLES
from tests.support.checks import check_everything
from tests.support.git import committed, git
from tests.support.project import Project, copied
from tests.support.smoke import Machine, cpu, cuda

ENTRIES = r"""faults:
  - name: CVE-2099-1
    what: 'tensors catch {fire}, "quoted" as \n it may be, in words for more than a line'
    first: 2.14.0
    kinds: [cuda]
    source: made up
  - name: pytorch#99
    what: sums are odd
    fixed: 2.14.2
    source: made up
  - name: of-the-first-patch
    what: is mended within the line
    fixed: 2.14.1
    source: made up
"""
FIRE, ODD, MENDED = "CVE-2099-1", "pytorch#99", "of-the-first-patch"


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template with a few faults more, and two releases."""
    folder = copy_template(tmp_path_factory.mktemp("faulty") / "template")
    committed(folder)
    git(folder, "tag", "v1.0.0")
    table = folder / "extensions" / "backends.yml"
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace("faults:\n", ENTRIES, 1), encoding="utf-8")
    committed(folder, "Know more")
    git(folder, "tag", "v1.1.0")
    return folder


def told(text: str) -> set[str]:
    return {name for name in (FIRE, ODD, MENDED) if f"- {name}: " in text}


def test_the_end_of_a_render_tells(
    faulty: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    answers = {"strategy": "index", "torch_version": "2.14"}
    for backend, known in (("cu130", {FIRE, ODD}), ("xpu", {ODD})):
        folder, more = tmp_path / backend, {"backend": backend}
        loud = {"defaults": True, "unsafe": True, "vcs_ref": "v1.1.0"}
        run_copy(str(faulty), folder, {**answers, **more}, **loud)
        check_everything(Project(folder))
        said = capfd.readouterr().err
        assert told(said) == known
        assert said.index("Known faults of torch 2.14.1") < said.index("Next:")
        # A line that is newer has the fault that nobody has mended.
        way_out = "2.15: --data torch_version=2.15" if backend == "xpu" else "No newer line"
        assert way_out in said
        paragraph = said.split("Known faults")[1].split("Next:")[0]
        assert max(map(len, paragraph.splitlines())) <= 80


def test_an_update_tells(faulty: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    answers = {"strategy": "index", "backend": "cu130", "torch_version": "2.13"}
    project = copied(faulty, tmp_path / "project", answers, vcs_ref="v1.0.0")
    committed(project.path)
    run_update(project.path, {"torch_version": "2.14"}, defaults=True, overwrite=True, unsafe=True)
    said = capfd.readouterr().err
    assert told(said) == {FIRE, ODD}
    assert said.index("PyTorch's builds:") < said.index("Known faults") < said.index("up to date")


@pytest.fixture(scope="module")
def project(faulty: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    answers = {"strategy": "extras", "torch_version": "2.14", "backends": ["cpu", "cu130"]}
    return copied(faulty, tmp_path_factory.mktemp("project"), answers, vcs_ref="v1.1.0")


@pytest.mark.parametrize(
    ("torch", "known"),
    [
        (cuda(version="2.14.1+cu130"), {FIRE, ODD}),
        (cuda(version="2.14.0+cu130"), {FIRE, ODD, MENDED}),
        (cuda(version="2.14.2+cu130"), {FIRE}),
        (cpu(version="2.14.1+cpu"), {ODD}),
        (cpu(version="2.14.2"), set()),
        # Of another line, which is another fault.
        (cpu(version="2.13.0+cpu"), {ODD, MENDED}),
        (None, set()),
    ],
)
def test_the_smoke_test_tells_by_the_installed_release(
    project: Project, tmp_path: Path, torch: dict[str, str] | None, known: set[str]
) -> None:
    machine = Machine(tmp_path / "machine", project)
    report = machine.run("--json", "--allow-cpu", torch=torch).report
    warned = {name for name in (FIRE, ODD, MENDED) if f"{name}: " in " ".join(report["warnings"])}
    assert warned == known
    # It fails for nothing that it has not seen.
    if torch and torch["version"].startswith("2.14"):
        assert report["exit_code"] == 0


def test_the_smoke_test_tells_people_as_well(project: Project, tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine", project)
    shown = machine.run("--allow-cpu", torch=cuda(version="2.14.1+cu130")).output
    lines = " ".join(shown.split())
    assert f'warning {FIRE}: tensors catch {{fire}}, "quoted" as \\n it may be' in lines
    assert f"warning {ODD}: sums are odd; torch 2.14.2 mends it" in lines


def test_a_torch_that_is_there_may_be_of_any_line(render: Render, tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine", render(strategy="provided", packages=[]))
    old = machine.run("--json", "--allow-cpu", torch=cpu(version="2.5.1")).report
    assert "CVE-2025-32434" in " ".join(old["warnings"])


def test_an_adoption_tells(faulty: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "theirs"\nversion = "1"\nrequires-python = ">=3.11"\n'
        'dependencies = ["torch>=2.14,<2.15"]\n',
        "utf-8",
    )
    run_copy(str(faulty), folder, defaults=True, unsafe=True, vcs_ref="v1.1.0")
    assert ODD in told(capfd.readouterr().err)


@pytest.fixture(scope="module")
def known_faults(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The smoke test's own function, of a project that may meet any release."""
    folder = tmp_path_factory.mktemp("provided")
    script = copied(template, folder / "x", {"strategy": "provided"}).path / "scripts/smoke_test.py"
    return runpy.run_path(str(script))["known_faults"]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    release=st.builds("2.{}.{}".format, st.integers(4, 15), st.integers(0, 2)),
    build=st.sampled_from(sorted(TABLES.backends())),
    more=st.sampled_from(["", "+{}", "a0+b2c75dd062.nv26.09"]),
)
def test_the_smoke_test_judges_as_the_tables_do(
    known_faults: Any, release: str, build: str, more: str
) -> None:
    found = [said.split(": ")[0] for said in known_faults(release + more.format(build), build)]
    assert found == [
        fault.name
        for fault in TABLES.faults
        if fault.affects(release) and fault.of_kinds(frozenset({kind(build)}))
    ]
