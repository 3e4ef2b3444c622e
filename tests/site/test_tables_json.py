"""The tables beside the page, and the rows of its static table."""

from __future__ import annotations

import json
from pathlib import Path

import facts
import pytest
from jsonschema import Draft202012Validator

from extensions.questions.policy import Policy, Rule
from extensions.tables.platforms import MACOS, PLATFORMS
from extensions.tables.releases import Tables, load
from tests.conftest import ROOT
from tests.support import frozen
from tests.support.cells import TABLES

FOLDER, LIVE = frozen.tables(), ROOT / "extensions"
SCHEMA = json.loads((ROOT / "site/page/tables.schema.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("tables", "folder"),
    [
        (TABLES, FOLDER),
        (Policy({"backends": Rule(("cu126", "cpu"))}).restrict(TABLES), FOLDER),
        (load(LIVE), LIVE),
    ],
    ids=["all", "policy", "live"],
)
def test_they_are_what_their_schema_says(tables: Tables, folder: Path) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    published = json.loads(json.dumps(facts.as_json(tables, folder, "v1.0.0")))
    Draft202012Validator(SCHEMA).validate(published)
    for line in published["lines"]:
        named = {build["backend"] for build in line["builds"]}
        assert named <= set(published["backends"])
        assert {*line["pypi"]} <= set(published["platforms"])
        assert {build["confidence"] for build in line["builds"]} <= set(published["confidence"])


def test_they_have_every_build_and_no_other() -> None:
    published = facts.as_json(TABLES, FOLDER, "")
    found = {
        (line["line"], build["backend"], build["platform"], build["confidence"])
        for line in published["lines"]
        for build in line["builds"]
    }
    assert published["date"] == TABLES.checked.isoformat()
    assert found == {
        (name, backend, platform, confidence)
        for name, line in TABLES.lines.items()
        for backend, on in line.indexes.items()
        for platform, confidence in on.items()
    }


def test_every_source_of_a_line_is_said_in_words() -> None:
    words, by_line = facts.sources((FOLDER / "releases.yml").read_text("utf-8"))
    assert {*by_line} == {*TABLES.lines}
    for names in by_line.values():
        for name in names:
            assert len(words[name]) > 20
    assert all("\n" not in text and "  " not in text for text in words.values())


def test_a_source_without_words_is_an_error() -> None:
    text = (
        '# State of 2026-01-01\n#   S1   a page\nreleases:\n  - {line: "2.9", sources: [S1, S2]}\n'
    )
    with pytest.raises(ValueError, match="S2"):
        facts.sources(text)


def test_the_rows_of_the_page_are_the_tables() -> None:
    others = [platform for platform in PLATFORMS if platform != MACOS]
    for entry in facts.matrix(TABLES):
        line = TABLES.lines[entry["line"].name]
        assert [row["backend"] for row in entry["rows"]] == line.backends()
        for row in entry["rows"]:
            cells = dict(zip(others, row["cells"], strict=True))
            assert {p: cell for p, cell in cells.items() if cell} == line.indexes[row["backend"]]
