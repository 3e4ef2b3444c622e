"""The address of the template, whatever a folder is called, arrives whole where files name it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from extensions.questions.names import recorded, yaml_string
from tests.conftest import copy_template
from tests.fleet.test_drift import drift, tagged_template
from tests.schemas import SCHEMAS, check_file
from tests.support.project import Project, copied

ODD = "aé名🔥 :#'\"`$%{}[]()&*!|>?\\-~,@=+.;<^\ufeff\u200b"
# What a file system takes as a folder's name, and what a temporary folder may have before it.
FOLDERS = st.one_of(
    st.text(st.sampled_from(ODD), min_size=1, max_size=12),
    st.text(
        st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="/"),
        max_size=20,
    ),
).filter(lambda name: name.strip(".") and name[0] != "/" and len(name.encode()) < 200)
JOBS: tuple[dict[str, Any], ...] = (
    {"ci": "github", "template_updates": "workflow"},
    {"ci": "gitlab", "template_updates": "renovate"},
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the template in it, which each try renames."""
    folder = tmp_path_factory.mktemp("address")
    copy_template(folder / "t")
    yield folder


def evaluated(value: str) -> str:
    """What GitHub makes of a value with expressions, all of which are literals here."""
    return re.sub(r"\$\{\{ '(.*?)' \}\}", r"\1", value)


@settings(deadline=None, max_examples=10)
@given(FOLDERS, st.sampled_from(JOBS))
@example("a: b #c", JOBS[0])
@example("a: b #c", JOBS[1])
@example("-x '\"$(id)`id` ${{ github.token }} %TAG", JOBS[0])
@example("-x '\"$(id)`id` ${{ github.token }} %TAG", JOBS[1])
def test_every_file_holds_the_address_to_the_letter(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, name: str, answers: dict[str, Any]
) -> None:
    (current,) = folder.iterdir()
    template = current.rename(folder / name)
    project = copied(template, tmp_path_factory.mktemp("of") / "project", answers)
    address = str(template)
    for path in project.files:
        file = path.relative_to(project.path).as_posix()
        match path.suffix:
            case ".toml":
                tomllib.loads(path.read_text("utf-8"))
            case ".json":
                json.loads(path.read_text("utf-8"))
            case ".yml" | ".yaml":
                for content in (
                    yaml.safe_load(path.read_bytes()),
                    YAML(typ="safe").load(path.read_bytes()),
                ):
                    found = _address(content, file)
                    assert found is None or found == address, (file, found)
        if file in SCHEMAS:
            check_file(project.path, file)
    assert project.answers["_src_path"] == address


def _address(content: Any, file: str) -> str | None:
    match file:
        case ".copier-answers.yml":
            return content["_src_path"]
        case ".gitlab-ci.yml":
            clone = content["drift"]["script"][0]
            # As the job's shell takes it apart.
            assert shlex.split(clone)[-1] == "/tmp/template"
            script = f"git() {{ printf '%s.' \"$3\"; }}; {clone}"
            done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
            return done.stdout.decode()[:-1]
        case ".github/workflows/template.yml":
            (step,) = [s for s in content["jobs"]["drift"]["steps"] if "env" in s]
            assert '"$TEMPLATE"' in step["run"]
            return evaluated(step["env"]["TEMPLATE"])
    return None


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("true")
@example("a: b")
def test_any_text_is_a_value_of_yaml(text: str) -> None:
    for load in (yaml.safe_load, YAML(typ="safe").load):
        assert load(f"key: {yaml_string(text)}\n") == {"key": text}


@pytest.mark.parametrize(
    "address", ["https://github.com/org/x.git", "git@github.com:org/x.git", "/srv/my template"]
)
def test_an_ordinary_address_needs_no_quotes(address: str) -> None:
    assert yaml_string(address) == address


def test_an_address_is_found_from_another_folder(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "template.bundle").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for typed in ("template.bundle", "./template.bundle", "~/template.bundle"):
        found = recorded({"_src_path": typed})["_src_path"]
        assert found == str(tmp_path / "template.bundle")


@pytest.mark.parametrize("job", JOBS, ids=["github", "gitlab"])
def test_a_project_of_an_odd_address_has_not_drifted(tmp_path: Path, job: dict[str, Any]) -> None:
    template = tagged_template(tmp_path / 'a: b\'s "c" #d')
    project: Project = copied(template, tmp_path / "project", job)
    code, [found] = drift(project)
    assert (code, found["changed"], found["problem"]) == (0, {}, "")
