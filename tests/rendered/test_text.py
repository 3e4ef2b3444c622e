"""Whatever people type arrives unchanged, in files that parse."""

from __future__ import annotations

import re

import pytest

from tests.conftest import Render
from tests.support.checks import check_everything

TEXTS = [
    'She said "no".',
    "It's \\ back\\slashed \\n \\u0041",
    "\"\"\"triple\"\"\" and '''quotes'''",
    "emoji 🔥 and ümläuts and 日本語",
    "{{ 1 + 1 }} {% raw %} {# comment #}",
    "# not a heading",
    "- not a list, *not* emphasis, `not code`, [not](a-link), <b>not html</b>, a | b",
    "key: value # comment & *anchor",
    "1. not numbered",
    "---",
    "%TAG ! tag:yaml",
    "$(whoami) `whoami` ${HOME}",
]


@pytest.mark.parametrize("text", TEXTS)
def test_text_survives(render: Render, text: str) -> None:
    project = render(project_description=text, user_name=text, user_email="a.b+c@example.org")
    check_everything(project)
    metadata = project.pyproject["project"]
    assert metadata["description"] == text
    assert metadata["authors"] == [{"name": text, "email": "a.b+c@example.org"}]
    assert project.answers["project_description"] == text
    # As Markdown shows it: a backslash before punctuation is not seen.
    paragraph = project.text("README.md").split("\n\n")[1]
    assert re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", paragraph) == text
    assert f"Copyright (c) {text}\n" in project.text("LICENSE")


@pytest.mark.parametrize(
    ("name", "email", "authors"),
    [
        ("", "", None),
        ("Ada", "", [{"name": "Ada"}]),
        ("", "ada@example.org", [{"email": "ada@example.org"}]),
    ],
)
def test_an_author_is_what_was_given(render: Render, name: str, email: str, authors) -> None:
    project = render(user_name=name, user_email=email)
    assert project.pyproject["project"].get("authors") == authors


@pytest.mark.parametrize("name", ["Größe & Co. (v2)", "a+b", "R2-D2", "x" * 60, "42"])
def test_unusual_project_names(render: Render, name: str) -> None:
    project = render(project_name=name)
    check_everything(project)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", project.pyproject["project"]["name"])
    assert f"# {name}\n" in project.text("README.md")


@pytest.mark.parametrize(
    ("license", "expression", "words"),
    [
        ("MIT", "MIT", "Permission is hereby granted"),
        ("Apache-2.0", "Apache-2.0", "Apache License"),
        ("BSD-3-Clause", "BSD-3-Clause", "Redistribution and use"),
        ("proprietary", "LicenseRef-Proprietary", None),
    ],
)
def test_licenses(render: Render, license: str, expression: str, words: str | None) -> None:
    project = render(license=license)
    check_everything(project)
    assert project.pyproject["project"]["license"] == expression
    assert (project.path / "LICENSE").exists() == (words is not None)
    if words:
        assert words in project.text("LICENSE")
    else:
        assert project.pyproject["project"]["classifiers"] == ["Private :: Do Not Upload"]


def test_a_mirror_is_everywhere(render: Render) -> None:
    for url in ("https://mirror.example.org/pytorch/whl", "https://mirror.example.org/whl/"):
        for strategy in ("index", "markers", "extras", "groups", "pip"):
            check_everything(render(strategy=strategy, backend="cu130", index_url=url))
