"""What the page asks of Python, without a browser."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from chooser import answers, asked, links
from chooser.door import Chooser
from chooser.here import Here, newest_line, unfit
from hypothesis import given, settings
from hypothesis import strategies as st

from extensions.questions import refusals
from extensions.questions.contract import KEYS, LISTS, VALUES
from extensions.questions.machine import Machine, fitting_backends
from extensions.tables.platforms import NOT_SUPPORTED, PLATFORMS
from tests.conftest import ROOT
from tests.support.cells import TABLES
from tests.support.project import copied

ABOUT = {"source": "gh:org/torch-uv-template", "version": "v1.0.0", "ref": ""}
HELPS = dict.fromkeys(KEYS, "?")
LINES = list(TABLES.lines)
BACKENDS = sorted({*TABLES.backends(), *TABLES.not_offered})
GPUS = ["", *TABLES.gpus["others"], *TABLES.gpus["jetson"], "gfx942", "gfx1100", "xpu"]


@pytest.fixture(scope="module")
def chooser(template: Path) -> Chooser:
    return Chooser(template, ABOUT)


def state(chooser: Chooser, link: str = "", **request: Any) -> dict[str, Any]:
    """What the page shows for a link, or for a request of another form."""
    found: dict[str, Any] = json.loads(chooser.state(json.dumps(request or {"link": link})))
    return found


def some(values: Any, least: int = 0) -> Any:
    return st.lists(st.sampled_from(list(values)), min_size=least, max_size=3, unique=True)


def drawn() -> Any:
    """Answers that somebody may give, fit or not."""
    backend = st.sampled_from(BACKENDS)
    return st.fixed_dictionaries(
        {},
        optional={
            **{key: st.sampled_from(list(VALUES[key])) for key in VALUES if key not in LISTS},
            "place": st.just("repository"),
            "torch_version": st.sampled_from([*LINES, "2.4", "2.1"]),
            "python_version": st.sampled_from(["3.9", "3.10", "3.12", "3.14"]),
            "backend": backend | st.just("auto"),
            **dict.fromkeys(("linux_backend", "aarch64_backend", "windows_backend"), backend),
            "backends": some([*BACKENDS, "gpu=cu130"]),
            "default_backend": backend,
            "packages": some(["torchvision", "torchaudio", "torchcodec", "torchtext"]),
            "platforms": some([*PLATFORMS, *NOT_SUPPORTED]),
            "containers": some(VALUES["containers"]),
            "index_url": st.sampled_from(["https://mirror.example.org/whl", "no url"]),
            "project_name": st.sampled_from(["My project", "x", "1", ""]),
        },
    )


def machines() -> Any:
    return st.builds(
        lambda system, machine, driver, gpu: Here.read(
            {"system": system, "machine": machine, "driver": driver, "gpu": gpu}
        ),
        st.sampled_from(["linux", "windows", "darwin"]),
        st.sampled_from(["x86_64", "aarch64"]),
        st.sampled_from(["", "470.1", "535.183", "580.65.06"]),
        st.sampled_from(GPUS),
    )


# What holds for whatever is chosen.


@settings(max_examples=20, deadline=None)
@given(drawn(), machines())
def test_what_is_shown_holds(wanted: dict[str, Any], here: Here) -> None:
    """Every answer fits, the link brings the same ones back, and so does the command where there
    is another machine."""
    settled = answers.settle(TABLES, wanted, here.as_machine)
    assert settled.stuck == ""
    for key, value in settled.answers.items():
        assert refusals.why_not(key, TABLES, settled.answers) is None, value
    said = links.stated(TABLES, settled)
    link = links.link(said, here, settled.folder)
    given_again, fields, folder = links.parted(links.read(link))
    again = answers.settle(TABLES, given_again, Here.read(fields).as_machine, folder)
    assert (again.answers, again.said) == (settled.answers, ())
    data, _, _ = command_of(links.command("gh:org/t", "", said, folder))
    elsewhere = Machine("cuda", driver=(580, 65, 6), capabilities=((9, 0),))
    assert answers.settle(TABLES, data, elsewhere, folder).answers == settled.answers


@settings(max_examples=25, deadline=None)
@given(drawn(), st.data())
def test_an_option_can_be_chosen_or_says_why_not(wanted: dict[str, Any], data: Any) -> None:
    machine = Machine()
    settled = answers.settle(TABLES, wanted, machine)
    shown = asked.questions(TABLES, TABLES, HELPS, settled, machine)
    question = data.draw(st.sampled_from([q for q in shown if q.kind != "text"]))
    option = data.draw(st.sampled_from(question.options))
    is_list = question.kind == "several"
    chosen = [o.value for o in question.options if o.checked]
    toggled = (
        [v for v in chosen if v != option.value] if option.checked else [*chosen, option.value]
    )
    new = toggled if is_list else option.value
    if option.reason:
        assert "Nearest: " in option.reason
        changes = [fix.given for fix in option.fixes]
    else:
        changes = [{question.key: new}]
    for change in changes:
        then = answers.changed(TABLES, settled.given, change, machine)
        # What was chosen before may have to give way: to the line, that is.
        assert then.answers["torch_version"] == change.get(
            "torch_version", settled.answers["torch_version"]
        )
        if "torch_version" in change:
            assert option.value in then.answers[question.key]
        else:
            assert answers_alike(then.answers[question.key], change[question.key]), option


def answers_alike(one: Any, other: Any) -> bool:
    return sorted(one) == sorted(other) if isinstance(one, list) else one == other


def command_of(command: str) -> tuple[dict[str, str], str, str]:
    *words, source, folder = shlex.split(command)
    pairs = [words[place + 1] for place, word in enumerate(words) if word == "--data"]
    return dict(pair.split("=", 1) for pair in pairs), source, folder


# Links


def test_an_answer_that_is_gone_is_replaced_and_named(chooser: Chooser) -> None:
    found = state(chooser, "torch_version=2.14&strategy=index&backend=cu128")
    assert found["given"]["backend"] == "cu130"
    (said,) = found["said"]
    assert said.startswith("backend: cu128 has no wheels of torch 2.14")
    assert said.endswith("Taken: cu130.")


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("backendz=cpu", "backendz: there is no such question. Nearest: backend"),
        ("torch_version=1.13", "there is no torch line '1.13'"),
        ("strategy=poetry", "there is no strategy 'poetry'"),
        ("license=GPL", "there is no license 'GPL'"),
        ("platforms=macos-x86_64", "no wheels for Intel Macs"),
        ("packages=torchtext", "there is no package 'torchtext'"),
        ("%F0%9F%94%A5=1", "there is no such question"),
        ("index_url=https://{backend}/x", "index_url: {backend} stands once, and behind the host"),
        ("package_name=class", "package_name: class is a keyword of Python. Taken: myproj."),
    ],
)
def test_what_a_link_gets_wrong_is_said(chooser: Chooser, link: str, words: str) -> None:
    found = state(chooser, link)
    assert any(words in said for said in found["said"]), found["said"]
    # And the link that the page then has is right.
    assert state(chooser, found["link"])["said"] == []


@pytest.mark.parametrize("link", ["&&&", "=", "%", "a" * 100_000, "backends=,,,", "gpu=x&driver=y"])
def test_no_link_breaks_the_page(chooser: Chooser, link: str) -> None:
    assert state(chooser, link)["files"]["pyproject.toml"]


def test_who_somebody_is_stays_out_of_the_link(chooser: Chooser) -> None:
    found = state(chooser, "user_name=Ada&user_email=ada@example.org&ci=none")
    assert "Ada" in found["command"] and "ada@example.org" in found["files"]["pyproject.toml"]
    assert "Ada" not in found["link"] and "example.org" not in found["link"]
    assert "ci=none" in found["link"]


@pytest.mark.parametrize(
    "name", ["Plain", "Two words", 'She said "no"', "$HOME `id` $(id) %PATH%", "it's", "!x", "a\\b"]
)
def test_a_shell_reads_the_command_as_it_is_meant(chooser: Chooser, name: str) -> None:
    found = state(chooser, given={"project_description": name}, here={}, folder="x")
    data, source, folder = command_of(found["command"])
    assert (data["project_description"], source, folder) == (name, ABOUT["source"], "x")


def test_a_name_that_cannot_be_taken_stays_with_its_reason(chooser: Chooser) -> None:
    found = state(chooser, given={"package_name": "1x"}, here={})
    (question,) = [q for q in found["questions"] if q["key"] == "package_name"]
    assert question["value"] == "1x" and question["reason"]
    assert "package_name" not in found["command"]


# The machine


@pytest.mark.parametrize(
    ("fields", "line", "backend"),
    [
        ({"gpu": "9.0", "driver": "580.65.06"}, "2.14", "cu132"),
        ({"gpu": "9.0", "driver": "550.54"}, "2.14", "cu126"),
        ({"gpu": "7.0", "driver": "580.65.06"}, "2.14", "cu126"),
        ({"gpu": "9.0", "driver": "470.256"}, "2.7", "cu118"),
        ({"gpu": "12.0", "driver": "550.54"}, "2.13", "cu129"),
        ({"gpu": "gfx942"}, "2.14", "rocm7.2"),
        ({"gpu": "xpu"}, "2.14", "xpu"),
        ({}, "2.14", "cpu"),
    ],
)
def test_the_default_is_the_newest_that_runs(
    chooser: Chooser, fields: dict[str, str], line: str, backend: str
) -> None:
    """A driver that no build of the newest line runs on gets an older line, and is told so."""
    found = state(chooser, given={"strategy": "index"}, here=fields)
    assert f"torch_version={line}&strategy=index&backend={backend}" in found["link"]
    assert bool(found["said"]) == (line != TABLES.default_line())


@settings(max_examples=60, deadline=None)
@given(machines())
def test_a_build_is_unfit_where_it_does_not_run(here: Here) -> None:
    machine = here.as_machine
    newest = newest_line(TABLES, machine)
    for line in TABLES.lines.values():
        fit = fitting_backends(TABLES, line, machine)
        for backend in line.backends():
            runs = backend == "cpu" or machine.kind == "cpu" or backend in fit
            assert bool(unfit(TABLES, line, backend, machine)) != runs
    assert not newest or fitting_backends(TABLES, TABLES.lines[newest], machine)


def test_known_faults_are_told(chooser: Chooser) -> None:
    """Those that even the newest release of a line has, as at the end of a render."""
    told = {fault.name: fault for fault in TABLES.faults}
    for line in TABLES.lines.values():
        notes = " ".join(state(chooser, f"torch_version={line.name}&strategy=index")["notes"])
        for name, fault in told.items():
            has = fault.affects(line.torch) and fault.of_kinds(frozenset({"cpu"}))
            assert (name in notes) == has, (line.name, name)


# Policy


def test_a_policy_restricts_the_page(template: Path, tmp_path: Path) -> None:
    found = state(
        Chooser(restricted(template, tmp_path, "torch_version:\n  allow: ['2.13']\n"), ABOUT),
        "torch_version=2.14",
    )
    assert found["given"]["torch_version"] == "2.13"
    assert "outside the organization's policy" in found["said"][0]
    (question,) = [q for q in found["questions"] if q["key"] == "torch_version"]
    options = {option["value"]: option["reason"] for option in question["options"]}
    assert [value for value, reason in options.items() if not reason] == ["2.13"]
    assert "outside the organization's policy" in options["2.14"]


def test_a_policy_that_leaves_nothing_is_said(template: Path, tmp_path: Path) -> None:
    rules = "backends:\n  allow: [cpu]\nstrategy:\n  allow: [groups]\n"
    found = state(Chooser(restricted(template, tmp_path, rules), ABOUT), "")
    assert "strategy: nothing fits that policy.yml allows" in found["stuck"]
    assert "link" not in found and "files" not in found


def restricted(template: Path, folder: Path, policy: str) -> Path:
    """The template with a policy, in a folder of links."""
    for name in ("copier.yml", "template", "extensions"):
        (folder / name).symlink_to(template / name)
    (folder / "policy.yml").write_text(policy, "utf-8")
    return folder


# Files


@pytest.mark.parametrize(
    "given_answers",
    [
        {"strategy": "extras", "backends": ["cpu", "gpu=cu126"], "containers": ["docker"]},
        {"example": "training", "launcher": "slurm", "ci": "gitlab", "type_checker": "mypy"},
        {"strategy": "provided", "containers": ["devcontainer"], "license": "Apache-2.0"},
    ],
)
def test_files_are_those_of_copier(
    chooser: Chooser, template: Path, tmp_path: Path, given_answers: dict[str, Any]
) -> None:
    """All but the template's address, which here is a folder."""
    settled = answers.settle(chooser.tables, given_answers, Machine(), "myproj")
    found = chooser.template.render(settled)
    project = copied(template, tmp_path / "myproj", given_answers)
    names = [file.relative_to(project.path).as_posix() for file in project.files]
    assert list(found) == sorted(names)
    for name, (content, _) in found.items():
        rendered = (project.path / name).read_bytes()
        if name == ".copier-answers.yml":
            content = b"\n".join(line for line in content.split(b"\n") if b"_commit:" not in line)
            content = content.replace(
                b"https://github.com/org/torch-uv-template.git", bytes(template)
            )
        assert content == rendered, name


def test_the_command_is_that_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert f"{links.COPY} gh:org/torch-uv-template myproj" in readme
