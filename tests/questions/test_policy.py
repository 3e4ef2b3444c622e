"""`policy.yml` of an organization's fork: what it allows is all that is offered and accepted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from copier import run_update
from copier.errors import UserMessageError

from extensions.questions.choices import choices
from extensions.questions.contract import BACKEND_KEYS
from extensions.questions.policy import load
from tests.conftest import ROOT, copy_template
from tests.support.cells import TABLES
from tests.support.checks import check_everything
from tests.support.git import committed, git
from tests.support.project import Project, copied

POLICY: dict[str, Any] = {
    "torch_version": {"allow": ["2.13", "2.12"], "because": "2.14 is not released for production"},
    "backends": {"allow": ["cpu", "cu126"], "because": "our drivers are older than 580"},
    "python_version": {"allow": ["3.12"]},
    "platforms": {"allow": ["linux-x86_64"]},
    "strategy": {"allow": ["groups", "index"]},
    "license": {"allow": ["proprietary"], "because": "the code is ours"},
    "user_email": {"allow": ["@example.org"], "because": "addresses are the company's"},
    "ci": {"allow": ["gitlab"]},
    "index_url": {"allow": ["https://mirror.example.org/whl"], "because": "there is no way out"},
}


@pytest.fixture
def fork(template: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "fork"
    shutil.copytree(template, folder)
    (folder / "policy.yml").write_text(yaml.safe_dump(POLICY), encoding="utf-8")
    return folder


def render(fork: Path, folder: Path | None = None, **answers: Any) -> Project:
    return copied(fork, folder or fork.parent / "project", answers)


def test_the_policy_of_this_repository_holds() -> None:
    """It is empty upstream, and filled in a fork, which runs these tests too."""
    assert load(ROOT / "policy.yml").restrict(TABLES).lines


def test_the_defaults_are_inside_the_policy(fork: Path) -> None:
    project = render(fork)
    expected = {
        "torch_version": "2.13",
        "backends": ["cpu", "cu126"],
        "python_version": "3.12",
        "platforms": ["linux-x86_64"],
        "strategy": "groups",
        "license": "proprietary",
        "ci": "gitlab",
        "index_url": "https://mirror.example.org/whl",
    }
    assert {key: project.answers[key] for key in expected} == expected
    check_everything(project)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"torch_version": "2.14"},
         "torch_version: 2.14 is outside the organization's policy: 2.14 is not released for "
         "production. Nearest: 2.13."),
        ({"backends": ["cpu", "cu130"]},
         "backends: cu130 is outside the organization's policy: our drivers are older than 580. "
         "Nearest: cu126."),
        ({"strategy": "index", "backend": "rocm7.2"}, "backend: rocm7.2 is outside"),
        ({"strategy": "pip"}, "strategy: pip is outside the organization's policy. Nearest: "),
        ({"platforms": ["linux-x86_64", "windows-amd64"]}, "platforms: windows-amd64 is outside"),
        ({"license": "MIT"}, "license: MIT is outside the organization's policy: the code is ours"),
        ({"user_email": "ada@gmail.com"},
         "user_email: ada@gmail.com is outside the organization's policy: addresses are the "
         "company's. Nearest: name@example.org."),
        ({"index_url": "https://download.pytorch.org/whl"}, "there is no way out"),
    ],
)  # fmt: skip
def test_what_is_outside_is_refused_with_its_reason(
    fork: Path, answers: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserMessageError) as refused:
        render(fork, **answers)
    assert message in refused.value.message
    assert not (fork.parent / "project").exists()


def test_what_is_inside_is_accepted(fork: Path) -> None:
    project = render(fork, user_email="ada@example.org", torch_version="2.12")
    assert project.answers["user_email"] == "ada@example.org"


def test_only_what_is_allowed_is_offered(fork: Path) -> None:
    offered = load(fork / "policy.yml").restrict(TABLES)
    known = {"torch_version": "2.13", "strategy": "groups", "platforms": ["linux-x86_64"]}
    found = {key: list(choices(key, offered, known).values()) for key in POLICY if "_" not in key}
    assert found["backends"] == ["cpu", "cu126"]
    assert found["platforms"] == ["linux-x86_64"]
    assert list(choices("torch_version", offered, {}).values()) == ["2.13", "2.12"]


def with_policy(fork: Path, text: str, **answers: Any) -> Project:
    (fork / "policy.yml").write_text(text, encoding="utf-8")
    return render(fork, **answers)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("backends: {allow: [cpu]}",
         {"strategy": "index", "backend": "cpu", "torch_version": "2.14"}),
        ("backends: {allow: [cu118]}",
         {"strategy": "index", "backend": "cu118", "torch_version": "2.7"}),
        ("backends: {allow: [rocm7.2, rocm7.1]}",
         {"strategy": "groups", "backends": ["rocm7.1", "rocm7.2"], "torch_version": "2.13"}),
        ("backends: {allow: [cpu, rocm7.2], because: }",
         {"strategy": "groups", "backends": ["cpu", "rocm7.2"], "torch_version": "2.14"}),
        ("backends: {allow: [cpu, xpu]}", {"strategy": "groups", "backends": ["cpu", "xpu"]}),
        ("{strategy: {allow: [index]}, backends: {allow: [cu126]}}", {"backend": "cu126"}),
        ("{strategy: {allow: [markers]}, backends: {allow: [cu126]}}",
         {"linux_backend": "cu126", "windows_backend": "cu126"}),
        ("strategy: {allow: [provided]}", {"strategy": "provided"}),
        ("{strategy: {allow: [pypi]}, backends: {allow: [cpu]}, platforms: {allow: [macos-arm64]}}",
         {"strategy": "pypi"}),
        ("torch_version: {allow: ['1.13', '2.9']}", {"torch_version": "2.9"}),
        ("index_url: {allow: ['https://mirror.example.org/whl/']}",
         {"index_url": "https://mirror.example.org/whl/"}),
        ("packages: {allow: []}", {"packages": []}),
    ],
)  # fmt: skip
def test_the_defaults_fit_a_policy_of_few_rules(
    fork: Path, text: str, expected: dict[str, Any]
) -> None:
    project = with_policy(fork, text)
    assert {key: project.answers[key] for key in expected} == expected
    check_everything(project)


def test_an_image_is_held_to_a_policy(fork: Path) -> None:
    policy = "base_image: {allow: ['hub.example.org/torch:1'], because: it is scanned}"
    answers: dict[str, Any] = {"strategy": "provided", "containers": ["docker"]}
    with pytest.raises(UserMessageError, match=r"base_image: ubuntu:26\.04 is .*: it is scanned\."):
        with_policy(fork, policy, base_image="ubuntu:26.04", **answers)
    project = with_policy(fork, policy, **answers)
    assert project.answers["base_image"] == "hub.example.org/torch:1"
    with pytest.raises(UserMessageError, match="policy.yml: base_image: torch has no tag"):
        with_policy(fork, policy.replace(":1", ""), folder=fork.parent / "other", **answers)


def test_what_is_written_otherwise_is_the_same(fork: Path) -> None:
    text = "{index_url: {allow: ['https://m.example.org/whl']}, user_email: {allow: ['@acme.org']}}"
    with_policy(fork, text, index_url="https://m.example.org/whl/", user_email="Ada@ACME.org")


@pytest.mark.parametrize(
    ("text", "answers", "message"),
    [
        ("backends: {allow: [cpu, cu126], because: our drivers are old}",
         {"strategy": "pypi", "torch_version": "2.14"},
         "strategy: PyPI's torch 2.14 for Linux x86-64 is cu130, and cu130 is outside the "
         "organization's policy: our drivers are old. Nearest: the strategy index with cu126."),
        ("backends: {allow: [cpu]}", {"strategy": "groups", "torch_version": "2.14"},
         "of torch 2.14 the organization's policy allows cpu alone. Nearest: index."),
        ("template_updates: {allow: [workflow]}", {"ci": "gitlab"},
         "template_updates: nothing fits that policy.yml allows. workflow: the workflow is one of "
         "GitHub's. Nearest: another answer before, or another policy."),
        ("{strategy: {allow: [pypi]}, backends: {allow: [cpu]}}", {},
         "strategy: nothing fits that policy.yml allows. pypi: PyPI's torch 2.14 for Linux x86-64 "
         "is cu130, and"),
        ("{torch_version: {allow: ['2.9']}, python_version: {allow: ['3.15']}}", {},
         "python_version: nothing fits that policy.yml allows."),
    ],
)  # fmt: skip
def test_what_no_rule_leaves_room_for_is_refused(
    fork: Path, text: str, answers: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserMessageError) as refused:
        with_policy(fork, text, **answers)
    assert message in refused.value.message
    assert not (fork.parent / "project").exists()


def test_an_update_leaves_a_strategy_that_a_policy_excludes(fork: Path, tmp_path: Path) -> None:
    for name in ("policy.yml", ".git"):
        (fork / name).unlink(missing_ok=True)
    git(committed(fork), "tag", "v1.0.0")
    project = copied(fork, tmp_path / "project", {"strategy": "pypi"})
    committed(project.path)
    (fork / "policy.yml").write_text("backends: {allow: [cpu, cu126]}", encoding="utf-8")
    git(committed(fork, "Our policy"), "tag", "v1.0.0.post1")
    run_update(project.path, defaults=True, overwrite=True, unsafe=True, quiet=True)
    assert project.answers["strategy"] == "groups"
    assert project.answers["backends"] == ["cpu", "cu126"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: b: c", "it is no YAML"),
        ("- torch_version", "it is no mapping"),
        ("torch: {allow: ['2.13']}", "there is no question 'torch'. Nearest: torch_version"),
        ("backend: {allow: [cpu]}", "there is no question 'backend'. Nearest: backends"),
        ("license: [MIT]", "license: a rule has `allow`"),
        ("license: {allow: [MIT], reason: x}", "license: a rule has `allow`"),
        ("torch_version: {allow: [2.10]}", 'torch_version: `allow` is a list of texts; quote'),
        ("strategy: {allow: []}", "strategy: `allow` is empty"),
        ("torch_version: {allow: ['1.13']}", "torch_version: there is none of 1.13"),
        ("backends: {allow: [tpu]}", "backends: there is none of tpu"),
        ("license: {allow: [MIT, GPL-3.0]}", "license: there is none of GPL-3.0. Nearest: "),
        ("platforms: {allow: [linux-x86_64, solaris]}", "platforms: there is none of solaris"),
        ("python_version: {allow: ['2.7']}", "python_version: there is none of 2.7"),
        ("ci: {allow: [none]}\nci: {allow: [github]}", "ci: it has two rules"),
        ("user_email: {allow: [example.org]}", "user_email: a domain begins with @. Nearest: @ex"),
        ("index_url: {allow: [not a url]}", "index_url: "),
        ("{torch_version: {allow: ['2.14']}, backends: {allow: [cu118]}}",
         "torch_version and backends: no line that is allowed has them."),
    ],
)  # fmt: skip
def test_a_policy_that_cannot_hold_says_what_is_wrong(fork: Path, text: str, message: str) -> None:
    (fork / "policy.yml").write_text(text, encoding="utf-8")
    with pytest.raises(UserMessageError) as refused:
        render(fork)
    assert refused.value.message.startswith(f"policy.yml: {message}")


def test_without_the_file_everything_is_allowed(fork: Path) -> None:
    (fork / "policy.yml").unlink()
    assert render(fork).answers["torch_version"] == TABLES.default_line()


def test_the_example_in_the_readme_is_a_policy(fork: Path) -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("### Policy")[1]
    example = section.split("```yaml\n")[1].split("```")[0]
    (fork / "policy.yml").write_text(example, encoding="utf-8")
    project = render(fork, user_email="ada@example.org")
    assert project.answers["backends"] == ["cpu", "cu126"]
    assert project.answers["license"] == "proprietary"


def test_a_fork_differs_in_one_file_and_merges_from_upstream(tmp_path: Path) -> None:
    upstream = committed(copy_template(tmp_path / "upstream"))
    git(tmp_path, "clone", "--quiet", str(upstream), "fork")
    fork = tmp_path / "fork"
    (fork / "policy.yml").write_text(yaml.safe_dump(POLICY), encoding="utf-8")
    committed(fork, "Our policy")
    assert git(fork, "diff", "--name-only", "origin/HEAD", "HEAD") == "policy.yml"
    # Upstream changes everything but the policy, in each file at both ends.
    for file in upstream.rglob("*"):
        name = file.relative_to(upstream)
        if file.is_file() and name.parts[0] != ".git" and name.name != "policy.yml":
            file.write_text(f"\n{file.read_text('utf-8')}\n", encoding="utf-8")
    committed(upstream, "Everything")
    git(fork, "pull", "--quiet", "--no-rebase", "--no-edit")
    assert yaml.safe_load((fork / "policy.yml").read_text("utf-8")) == POLICY
    assert git(fork, "diff", "--name-only", "origin/HEAD", "HEAD") == "policy.yml"


def test_every_question_can_have_a_rule(template: Path, tmp_path: Path) -> None:
    """Its default alone, for each question that is not about a name."""
    project = render(template, folder=tmp_path / "project")
    backends = {key for key in BACKEND_KEYS if key != "backends"}
    rules = {
        key: {"allow": value if isinstance(value, list) else [value]}
        for key, value in project.answers.items()
        if not key.startswith(("_", "project_", "package_", "user_")) and key not in backends
    }
    shutil.copytree(template, tmp_path / "fork")
    (tmp_path / "fork" / "policy.yml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    again = render(tmp_path / "fork", folder=tmp_path / "again" / "project")
    for key in rules:
        assert again.answers[key] == project.answers[key]
