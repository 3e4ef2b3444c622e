"""The build of the page: what is served, and where it comes from."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from build import DISTRIBUTIONS, HERE, archived, build, described, is_released, node_modules

from tests.conftest import ROOT
from tests.support.git import committed, git, tagged_template

BESIDE = Path(sys.executable).parent
WORKFLOW = ROOT / ".github" / "workflows" / "page.yml"
# Schemes and formats that look like addresses and are none that a browser asks.
NAMED = re.compile(r"https?://([\w.-]+)")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        node_modules()
    except SystemExit as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("built")
    build(tagged_template(folder / "template"), folder / "dist")
    return folder / "dist"


def test_the_page_fetches_from_beside_it_alone(dist: Path) -> None:
    html = (dist / "index.html").read_text("utf-8")
    for name, value in re.findall(r'<(?:script|link|img|iframe)[^>]*?(src|href)="([^"]*)"', html):
        assert value == "data:," or (dist / value).is_file(), (name, value)
    for file in dist.glob("*.js"):
        text = file.read_text("utf-8")
        assert NAMED.findall(text) == [], file.name
        for other in re.findall(r'(?:from|import\()\s*"\./([^"]+)"', text):
            assert (dist / other).is_file(), (file.name, other)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy and "default-src 'none'" in policy[1] and "http" not in policy[1]


def test_the_same_commit_gives_the_same_page(dist: Path, tmp_path: Path) -> None:
    build(dist.parent / "template", tmp_path / "again")
    names = sorted(file.relative_to(dist) for file in dist.rglob("*") if file.is_file())
    assert len(names) > 12
    for name in names:
        assert (dist / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "thesis.tex"
    kept.touch()
    for out in (tmp_path, kept):
        with pytest.raises(SystemExit, match="is no folder of a page"):
            build(ROOT, out)
    assert kept.exists()


def test_python_in_the_browser_has_the_template_as_it_is(dist: Path) -> None:
    template = dist.parent / "template"
    with zipfile.ZipFile(dist / "python.zip") as archive:
        names = set(archive.namelist())
        for folder in ("extensions", "template"):
            for file in (template / folder).rglob("*"):
                if file.is_file() and "__pycache__" not in file.parts:
                    assert archive.read(file.relative_to(template).as_posix()) == file.read_bytes()
        # Nothing compiled: it is for another machine.
        assert not [name for name in names if name.endswith((".so", ".pyd", ".pyc"))]
        about = json.loads(archive.read("about.json"))
    assert (about["version"], about["ref"]) == ("v1.0.0", "")


def test_the_licenses_of_others_are_served(dist: Path) -> None:
    text = (dist / "licenses.txt").read_text("utf-8")
    for name in (*DISTRIBUTIONS, "Pyodide"):
        assert name in text
    assert text.count("Copyright") >= len(DISTRIBUTIONS)


def test_between_releases_the_command_names_the_commit(tmp_path: Path) -> None:
    """Copier takes the newest tag by itself, which is another template then."""
    folder = tagged_template(tmp_path / "template")
    assert (described(folder), is_released(folder)) == ("v1.0.0", True)
    committed(folder, "More")
    assert re.fullmatch(r"v1\.0\.0-1-g[0-9a-f]+", described(folder))
    assert not is_released(folder)
    # A name of a commit that git takes as a reference.
    assert git(folder, "rev-parse", described(folder)) == git(folder, "rev-parse", "HEAD")


def test_a_program_of_the_template_stays_one(tmp_path: Path) -> None:
    folder = tagged_template(tmp_path / "template")
    script = folder / "template" / "scripts" / "smoke_test.py.jinja"
    script.chmod(0o755)
    build(folder, tmp_path / "dist")
    with zipfile.ZipFile(tmp_path / "dist" / "python.zip") as archive:
        about = json.loads(archive.read("about.json"))
    assert about["executable"] == ["template/scripts/smoke_test.py.jinja"]


def test_what_npm_brings_is_pinned_by_hash() -> None:
    wanted = json.loads((HERE / "package.json").read_text("utf-8"))
    lock = json.loads((HERE / "package-lock.json").read_text("utf-8"))["packages"]
    for name, version in {**wanted["dependencies"], **wanted["devDependencies"]}.items():
        assert re.fullmatch(r"[\d.]+", version)
        assert lock[f"node_modules/{name}"]["version"] == version
    for name, package in lock.items():
        assert not name or package["integrity"].startswith("sha512-")


def test_no_module_of_the_page_hides_one_of_python() -> None:
    names = {name for name, _ in archived(ROOT, {})}
    tops = {name.split("/")[0].removesuffix(".py") for name in names}
    assert not tops & {*sys.stdlib_module_names}


def test_one_workflow_publishes_it_with_the_least_rights() -> None:
    content = yaml.safe_load(WORKFLOW.read_text("utf-8"))
    assert content["permissions"] == {}
    jobs = content["jobs"]
    assert jobs["build"]["permissions"] == {"contents": "read"}
    # The job that may publish runs nothing of ours.
    assert jobs["publish"]["permissions"] == {"pages": "write", "id-token": "write"}
    assert [*jobs["publish"]["steps"][0]] == ["id", "uses"]
    for job in jobs.values():
        for step in job["steps"]:
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step.get("uses", f"x@{'0' * 40}"))
    for tool in (["zizmor", "--offline", "--quiet"], ["actionlint"]):
        command = [BESIDE / tool[0], *tool[1:], WORKFLOW]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
