"""The laws of the editor, over all strategies, backends, lines, platforms and ways to write."""

from __future__ import annotations

import json
import os
import re
import tomllib
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement

from extensions.project.editor import CannotEdit, edit
from extensions.questions.contract import PYPI_URL, PYTORCH_URL, VALUES
from extensions.questions.names import FAMILY
from extensions.tables.platforms import AARCH64, PLATFORMS
from tests.support.cells import LINES, TABLES
from tests.support.fresh import completed, plan_of, rendered
from tests.support.toml_styles import Dumper

EXAMPLES = int(os.environ.get("EDITOR_EXAMPLES", "60"))
LAW = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
MIRROR = "https://mirror.example.org/whl"
# What an owner keeps out, beside what is there already.
OWN_EXCLUDED = "opencv-python"


@st.composite
def answers(draw: st.DrawFn) -> dict[str, Any]:
    """Complete answers; what draws no project is drawn anew."""
    line = draw(st.sampled_from(LINES))
    backends = TABLES.lines[line].backends()
    strategy = draw(st.sampled_from(list(VALUES["strategy"])))
    given_answers: dict[str, Any] = {
        "project_name": "My Project",
        "torch_version": line,
        "python_version": draw(st.sampled_from(TABLES.lines[line].pythons)),
        "strategy": strategy,
        "packages": draw(
            st.lists(st.sampled_from(["torchvision", "torchaudio", "torchcodec"]), unique=True)
        ),
        "platforms": draw(
            st.lists(st.sampled_from(list(PLATFORMS)), min_size=1, unique=True)
            | st.just(list(PLATFORMS))
        ),
        "index_url": draw(st.sampled_from([PYTORCH_URL, PYTORCH_URL, MIRROR])),
        "pypi_url": draw(
            st.sampled_from([PYPI_URL, PYPI_URL, "https://mirror.example.org/simple"])
        ),
    }
    if given_answers["index_url"] == MIRROR:
        given_answers["authenticate"] = draw(st.sampled_from(["auto", "always"]))
    if strategy in ("extras", "groups"):
        chosen = draw(st.lists(st.sampled_from(backends), min_size=2, max_size=4, unique=True))
        given_answers["backends"] = chosen
        if strategy == "groups":
            given_answers["default_backend"] = draw(st.sampled_from(chosen))
    elif strategy in ("index", "pip"):
        given_answers["backend"] = draw(st.sampled_from(backends))
    elif strategy == "markers":
        given_answers["linux_backend"] = draw(st.sampled_from(backends))
        if AARCH64 in given_answers["platforms"]:
            fit = [b for b in backends if AARCH64 in TABLES.lines[line].indexes[b]]
            given_answers["aarch64_backend"] = draw(st.sampled_from(fit))
    try:
        return completed(given_answers)
    except ValueError:
        assume(False)
        raise


def name_of(item: Any) -> str:
    return Requirement(item).name if isinstance(item, str) else ""


def is_family(item: Any) -> bool:
    return name_of(item) in FAMILY - {"triton"}


def choices_of(*known: dict[str, Any]) -> set[tuple[str, str]]:
    return {
        (k["strategy"].removesuffix("s"), b.replace(".", "-"))
        for k in known
        for b in k.get("backends", ())
    }


def parts(data: dict[str, Any], choices: set[tuple[str, str]]) -> dict[str, Any]:
    """PyTorch's parts of a file, each list in one order."""
    uv = data["tool"]["uv"]
    tables = {
        "extra": data["project"].get("optional-dependencies", {}),
        "group": data.get("dependency-groups", {}),
    }
    names = {name for _, name in choices}
    return {
        "python": data["project"]["requires-python"],
        "dependencies": sorted(filter(is_family, data["project"]["dependencies"])),
        "choices": {
            (kind, name): sorted(filter(is_family, items))
            for kind, table in tables.items()
            for name, items in table.items()
            if any(map(is_family, items))
        },
        "default": [n for n in uv.get("default-groups", ()) if n in names],
        "conflicts": [
            ordered(s) for s in uv.get("conflicts", ()) if all(pair(e) in choices for e in s)
        ],
        "managed": uv.get("managed"),
        "excluded": sorted(n for n in uv.get("exclude-dependencies", ()) if n != OWN_EXCLUDED),
        "environments": uv.get("environments"),
        "sources": {k: v for k, v in uv.get("sources", {}).items() if k in FAMILY},
        "indexes": ordered(i for i in uv.get("index", ()) if i["name"] != "corp"),
    }


def rest(data: dict[str, Any], choices: set[tuple[str, str]]) -> dict[str, Any]:
    """All else; what an owner put beside torch is looked for in all choices together."""
    found = deepcopy(data)
    uv, project = found["tool"]["uv"], found["project"]
    tables = {
        "extra": project.pop("optional-dependencies", {}),
        "group": found.pop("dependency-groups", {}),
    }
    names = {name for _, name in choices}
    beside: list[Any] = []
    for kind, table in tables.items():
        for name in [n for n in table if (kind, n) in choices]:
            beside += [item for item in table.pop(name) if not is_family(item)]
    project["dependencies"] = sorted(x for x in project["dependencies"] if not is_family(x))
    del project["requires-python"]
    for key in ("managed", "environments", "required-environments", "constraint-dependencies"):
        uv.pop(key, None)
    excluded = [n for n in uv.pop("exclude-dependencies", []) if n == OWN_EXCLUDED]
    groups = [n for n in uv.pop("default-groups", ["dev"]) if n not in names]
    conflicts = [s for s in uv.pop("conflicts", []) if not all(pair(e) in choices for e in s)]
    sources = {k: v for k, v in uv.pop("sources", {}).items() if k not in FAMILY}
    indexes = [i for i in uv.pop("index", []) if i["name"] == "corp"]
    dev = [*tables["extra"].pop("dev", []), *tables["group"].pop("dev", [])]
    return {
        **found,
        "tables": tables,
        "beside": sorted(set(beside)),
        "dev": dev,
        "groups": groups,
        "excluded": excluded,
        "conflicts": conflicts,
        "sources": sources,
        "indexes": indexes,
    }


def pair(entry: dict[str, str]) -> tuple[str, str]:
    ((kind, name),) = entry.items()
    return kind, name


def ordered(items: Any) -> list[Any]:
    return sorted(items, key=json.dumps)


def owned(data: dict[str, Any], draw: st.DrawFn) -> dict[str, Any]:
    """The same with what an owner may have put into it."""
    found = deepcopy(data)
    project, uv = found["project"], found["tool"]["uv"]
    extras = project.setdefault("optional-dependencies", {})
    groups = found.setdefault("dependency-groups", {})
    if draw(st.booleans()):
        project["dependencies"].insert(draw(st.sampled_from([0, 99])), "zarr>=3")
    if draw(st.booleans()):
        extras["viz"] = ["plotly>=6"]
        groups["docs"] = ["sphinx>=8"]
    if draw(st.booleans()):
        extras["a"], extras["b"] = ["einops<0.8"], ["einops>=0.8"]
        own = [{"extra": "a"}, {"extra": "b"}]
        uv.setdefault("conflicts", []).insert(draw(st.sampled_from([0, 9])), own)
    if draw(st.booleans()):
        uv.setdefault("sources", {})["corp-tools"] = {"index": "corp"}
        place = draw(st.sampled_from([0, 9]))
        entry = {"name": "corp", "url": "https://pypi.example.org/simple", "explicit": True}
        uv.setdefault("index", []).insert(place, entry)
    if draw(st.booleans()):
        found["tool"]["coverage"] = {"branch": True}
        uv["override-dependencies"] = ["urllib3>=2"]
    if draw(st.booleans()):
        names = uv.setdefault("exclude-dependencies", [])
        names.insert(draw(st.sampled_from([0, 7, 99])), OWN_EXCLUDED)
    conflicts = uv.get("conflicts", [])
    if conflicts and draw(st.booleans()):
        # Beside torch, in a choice.
        kind, name = pair(conflicts[-1][0])
        {"extra": extras, "group": groups}[kind][name].append("lightning>=2.5")
    for table, key in ((project, "optional-dependencies"), (found, "dependency-groups")):
        if not table[key]:
            del table[key]
    return found


@LAW
@given(answers())
def test_a_fresh_render_is_a_fixed_point(known: dict[str, Any]) -> None:
    text = rendered(known)
    assert edit(text, known, plan_of(known)).text == text


@LAW
@given(answers())
def test_a_fresh_render_can_be_adopted_without_a_change(known: dict[str, Any]) -> None:
    text = rendered(known)
    assert edit(text, None, plan_of(known)).text == text


@LAW
@given(answers(), answers(), st.data())
def test_from_any_plan_to_any_other(
    one: dict[str, Any], other: dict[str, Any], data: st.DataObject
) -> None:
    before = owned(tomllib.loads(rendered(one)), data.draw)
    dumper = Dumper(data.draw)
    text = dumper.dump(before)
    try:
        assert tomllib.loads(text) == before
    except tomllib.TOMLDecodeError:
        # Tables cannot be extended in every order of their parts.
        assume(False)
    result = edit(text, one, plan_of(other))
    after = tomllib.loads(result.text)
    choices = choices_of(one, other)
    wanted = tomllib.loads(rendered(other))
    assert parts(after, choices) == parts(wanted, choices)
    assert rest(after, choices) == rest(before, choices)
    for comment in dumper.comments:
        assert result.text.count(comment) == 1, comment
    if "\r\n" in text:
        assert not re.search(r"(?<!\r)\n", result.text)
    assert edit(result.text, other, plan_of(other)).text == result.text, "twice is once"


@LAW
@given(answers(), answers(), st.data())
def test_only_lines_of_the_template_come_and_go(
    one: dict[str, Any], other: dict[str, Any], data: st.DataObject
) -> None:
    """In a file as it was rendered, with lines of an owner's between its statements."""
    fresh, wanted = rendered(one), rendered(other)
    lines = fresh.splitlines(keepends=True)
    starts = [n for n, line in enumerate(lines) if re.match(r"[\w\[\n#]", line)]
    places = data.draw(st.sets(st.sampled_from(starts), max_size=6))
    notes = [f"# own {place}.\n" for place in sorted(places)]
    for place, note in sorted(zip(sorted(places), notes, strict=True), reverse=True):
        lines.insert(place, note)
    after = edit("".join(lines), one, plan_of(other)).text.splitlines(keepends=True)
    assert [line for line in after if line in notes] == notes
    known = {*fresh.splitlines(keepends=True), *wanted.splitlines(keepends=True)}
    assert {line for line in after if line not in notes} <= known


@pytest.mark.parametrize(
    "text", ["", "[project", "name = 1", "[project]\ndynamic = ['dependencies']"]
)
def test_what_cannot_be_edited_is_said(text: str) -> None:
    plan = plan_of(completed({"project_name": "My Project"}))
    with pytest.raises(CannotEdit, match="pyproject.toml"):
        edit(text, None, plan)


def test_an_index_that_gets_another_name_is_said() -> None:
    known = completed({"project_name": "Lab", "strategy": "index", "backend": "cu130"})
    text = """\
[project]
name = "lab"
dependencies = ['torch ; python_version<"3.99"', "torchvision"]

[tool.uv.sources]
torch = { index = "corp-cu" }
torchvision = { index = "corp-cu" }

[[tool.uv.index]]
name = "corp-cu"
url = "https://download.pytorch.org/whl/cu130"
authenticate = "always"
"""
    result = edit(text, None, plan_of(known))
    assert "UV_INDEX_CORP_CU_USERNAME" in result.said[0]
    assert "UV_INDEX_PYTORCH_CU130_USERNAME" in result.said[0]
    # An owner's marker, and quotes, are as they were.
    assert """'torch>=2.14,<2.15; python_version<"3.99"'""" in result.text


LINUX, MAC = PLATFORMS["linux-x86_64"].marker, PLATFORMS["macos-arm64"].marker
OWN = "platform_machine == 's390x'"


@pytest.mark.parametrize(
    ("aged", "stated", "stays"),
    [
        # What versions below 0.3 wrote goes; an owner's stays, and so does one of a later day.
        (True, [LINUX, MAC], None),
        (True, [LINUX, OWN, MAC], [OWN]),
        (True, [OWN], [OWN]),
        (False, [LINUX, MAC], [LINUX, MAC]),
    ],
)
def test_required_environments_of_older_versions_go(
    aged: bool, stated: list[str], stays: list[str] | None
) -> None:
    known = completed(
        {"project_name": "x", "strategy": "pypi", "platforms": ["linux-x86_64", "macos-arm64"]}
    )
    text = rendered(known).replace(
        "environments = [", f"required-environments = {json.dumps(stated)}\nenvironments = [", 1
    )
    after = tomllib.loads(edit(text, known, plan_of(known), aged=aged).text)
    assert after["tool"]["uv"].get("required-environments") == stays
    assert after["tool"]["uv"]["environments"] == [LINUX, MAC]
