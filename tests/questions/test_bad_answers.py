"""Answers that cannot work are refused when they are given: one message that says what, why and
the nearest thing that works, an exit code other than 0, and nothing written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from copier import run_copy, run_update
from copier.errors import UserMessageError

from extensions.questions.contract import KEYS, VALUES, given_refusal
from tests.conftest import Render
from tests.support.command import copier
from tests.support.git import committed, git, tagged_template
from tests.support.project import Project, copied

Answers = dict[str, Any]

# Answers, the question that refuses, and what the message must name as wrong and as nearest.
BAD: list[tuple[Answers, str, list[str]]] = [
    # Backends and release lines
    ({"strategy": "index", "torch_version": "2.7", "backend": "cu124"},
     "backend", ["cu124", "2.7", "last line is 2.6", "Nearest: cu126"]),
    ({"strategy": "index", "torch_version": "2.15", "backend": "cu126"},
     "backend", ["cu126", "2.15", "last line is 2.14", "Nearest: cu130"]),
    ({"strategy": "index", "torch_version": "2.12", "backend": "cu128"},
     "backend", ["cu128", "2.12", "last line is 2.11", "Nearest: cu129"]),
    ({"strategy": "index", "torch_version": "2.6", "backend": "cu121"},
     "backend", ["cu121", "2.6", "last line is 2.5", "Nearest: cu124"]),
    ({"strategy": "index", "torch_version": "2.8", "backend": "cu130"},
     "backend", ["cu130", "first line is 2.9"]),
    ({"strategy": "index", "torch_version": "2.14", "backend": "rocm7.14"},
     "backend", ["rocm7.14", "SDK", "hashes", "Nearest: rocm7.2"]),
    ({"strategy": "index", "torch_version": "2.15", "backend": "cu134"},
     "backend", ["cu134", "nightly", "Nearest: cu132"]),
    ({"strategy": "index", "torch_version": "2.14", "backend": "cu133"},
     "backend", ["cu133", "NVIDIA's own images", "Nearest: cu132"]),
    ({"strategy": "index", "torch_version": "2.15", "backend": "cu136"},
     "backend", ["cu136", "no wheels for CUDA 13.6", "Nearest: cu132"]),
    ({"strategy": "index", "torch_version": "2.5", "backend": "xpu"},
     "backend", ["xpu", "first line is 2.6", "Nearest: cpu"]),
    ({"strategy": "index", "backend": "cuda"}, "backend", ["no backend 'cuda'", "Nearest: cu"]),
    ({"strategy": "index", "backend": "auto"}, "backend", ["auto", "pip"]),
    ({"strategy": "pip", "backend": "cu999"}, "backend", ["no backend 'cu999'"]),
    ({"strategy": "markers", "torch_version": "2.7", "linux_backend": "cu124"},
     "linux_backend", ["cu124", "Nearest: cu126"]),
    ({"strategy": "markers", "torch_version": "2.13", "windows_backend": "cu129"},
     "windows_backend", ["cu129", "Windows", "Nearest: cu132"]),
    ({"strategy": "markers", "windows_backend": "rocm7.2"},
     "windows_backend", ["rocm7.2", "Windows", "Nearest: cpu"]),
    ({"strategy": "provided", "place": "member"},
     "place", ["at the root of a workspace alone", "Nearest: folder"]),
    ({"platforms": ["linux-x86_64", "windows-arm64"]},
     "platforms", ["Windows on ARM is not supported here", "Nearest: windows-amd64"]),
    ({"platforms": ["macos-x86_64"]}, "platforms", ["Intel Macs", "Nearest: macos-arm64"]),
    ({"strategy": "markers", "aarch64_backend": "rocm7.2"},
     "aarch64_backend", ["rocm7.2", "Linux aarch64", "Nearest: cpu"]),
    ({"strategy": "markers", "torch_version": "2.8", "aarch64_backend": "cu126"},
     "aarch64_backend", ["cu126", "2.8", "Nearest: cu129"]),
    ({"strategy": "provided", "containers": ["docker"], "base_image": "nvcr.io/nvidia/pytorch"},
     "base_image", ["pytorch has no tag", "Nearest: nvcr.io/nvidia/pytorch:"]),
    ({"strategy": "provided", "containers": ["docker"], "base_image": "a.b:5000/x/y:latest"},
     "base_image", ["y:latest is another one tomorrow"]),
    *(({"strategy": "provided", "containers": ["devcontainer"], "base_image": image},
       "base_image", ["no image, as registry/repository:tag"])
      for image in ("", "a b:1", "x:1 AS y", "https://nvcr.io/x:1", "X/y:1", "x:1@sha256:0",
                    "x:1\nRUN y", "$IMAGE:1", "-x:1", "x:")),
    ({"strategy": "extras", "torch_version": "2.12", "backends": ["cpu", "cu128"]},
     "backends", ["cu128", "last line is 2.11"]),
    ({"strategy": "extras", "backends": ["cu130"]},
     "backends", ["two or more", "cu130", "Nearest: [cu130, cpu]", "index"]),
    ({"strategy": "groups", "backends": []}, "backends", ["two or more", "none"]),
    ({"strategy": "groups", "backends": ["cpu", "cpu"]}, "backends", ["two or more"]),
    ({"strategy": "groups", "backends": ["cpu", "tpu"]}, "backends", ["no backend 'tpu'"]),
    ({"strategy": "groups", "backends": "cpu: [}"}, "backends", ["not a list"]),
    ({"strategy": "groups", "backends": ["cpu", "cu130"], "default_backend": "cu126"},
     "default_backend", ["'cu126' is not among", "cpu, cu130", "Nearest: cpu"]),
    # Platforms
    ({"strategy": "index", "torch_version": "2.13", "backend": "cu129",
      "platforms": ["windows-amd64"]},
     "platforms", ["cu129", "Linux", "Windows", "Nearest: add linux-x86_64", "cu132"]),
    ({"strategy": "index", "backend": "rocm7.2", "platforms": ["windows-amd64"]},
     "platforms", ["rocm7.2", "Linux x86-64", "cpu instead"]),
    ({"strategy": "index", "backend": "rocm7.2", "platforms": ["linux-aarch64"]},
     "platforms", ["rocm7.2", "Linux aarch64"]),
    ({"strategy": "extras", "backends": ["cpu", "rocm7.2"], "platforms": ["windows-amd64"]},
     "platforms", ["rocm7.2"]),
    ({"strategy": "index", "backend": "cpu", "platforms": ["macos-arm64"]},
     "platforms", ["macOS", "Nearest: the strategy pypi"]),
    ({"platforms": []}, "platforms", ["no platform", "Nearest: [linux-x86_64"]),
    ({"platforms": ["linux-x86_64", "solaris"]}, "platforms", ["no platform 'solaris'"]),
    ({"platforms": ["linux-x86-64"]}, "platforms", ["Nearest: linux-x86_64"]),
    # Example, CI, containers, type checker
    ({"example": "vision"}, "example", ["no example 'vision'", "none, training"]),
    ({"ci": "jenkins"}, "ci", ["no CI 'jenkins'", "github, gitlab"]),
    ({"ci": "gitlab", "platforms": ["windows-amd64"]},
     "ci", ["Linux", "Nearest: add linux-x86_64", "github"]),
    ({"containers": ["podman"]}, "containers", ["no container 'podman'", "docker"]),
    ({"containers": ["docker"], "platforms": ["macos-arm64"], "strategy": "pypi"},
     "containers", ["Linux", "Nearest: add linux-x86_64"]),
    ({"type_checker": "pyright"}, "type_checker", ["no type checker 'pyright'", "ty, mypy"]),
    # Packages
    ({"strategy": "index", "backend": "cu132", "packages": ["torchaudio"]},
     "packages", ["torchaudio", "CUDA 13.2", "Nearest: cu130"]),
    ({"strategy": "groups", "backends": ["cpu", "cu132"], "packages": ["torchaudio"]},
     "packages", ["torchaudio", "cu132"]),
    ({"strategy": "pypi", "torch_version": "2.15", "packages": ["torchaudio"]},
     "packages", ["torchaudio", "CUDA 13.2", "PyPI"]),
    ({"torch_version": "2.15", "python_version": "3.15", "packages": ["torchaudio"]},
     "packages", ["torchaudio", "3.15", "Nearest: Python 3.14"]),
    ({"packages": ["torchtext"]}, "packages", ["no package 'torchtext'"]),
    # Versions
    ({"torch_version": "2.15", "python_version": "3.10"},
     "python_version", ["3.10", "3.11 is the first", "Nearest: Python 3.11", "torch 2.14"]),
    ({"torch_version": "2.8", "python_version": "3.14"},
     "python_version", ["3.14", "3.13 is the last", "Nearest: Python 3.13", "torch 2.9"]),
    ({"python_version": "3.9"}, "python_version", ["no Python '3.9'", "Nearest: 3.1"]),
    ({"python_version": 3.1}, "python_version", ['Nearest: "3.10"', "quotes"]),
    ({"torch_version": "2.4"}, "torch_version", ["no torch line '2.4'", "Nearest: 2."]),
    ({"torch_version": 2.1}, "torch_version", ['Nearest: "2.10"', "quotes"]),
    ({"torch_version": "2.14.1"}, "torch_version", ["release line", "Nearest: 2.14"]),
    # Other choices
    ({"strategy": "conda"}, "strategy", ["no strategy 'conda'", "Nearest: "]),
    ({"license": "GPL"}, "license", ["no license 'GPL'", "Nearest: "]),
    # Names
    ({"project_name": ""}, "project_name", ["empty", "Nearest: my-project"]),
    ({"project_name": "   "}, "project_name", ["empty"]),
    ({"project_name": "🔥"}, "project_name", ["Nearest: my-project"]),
    ({"project_name": "名前"}, "project_name", ["ASCII", "Nearest: my-project"]),
    ({"project_name": "torch"}, "project_name", ["torch", "Nearest: torch-project"]),
    ({"project_name": 'a"b'}, "project_name", ["letters", "Nearest: a-b"]),
    ({"project_name": "a'b"}, "project_name", ["letters", "Nearest: a-b"]),
    ({"project_name": "a\nb"}, "project_name", ["letters", "Nearest: a-b"]),
    ({"project_name": "{{ 1 }}"}, "project_name", ["letters", "Nearest: 1"]),
    ({"project_name": "../evil"}, "project_name", ["letters", "Nearest: evil"]),
    ({"project_name": "x" * 61}, "project_name", ["60 characters"]),
    ({"package_name": ""}, "package_name", ["empty"]),
    ({"package_name": "class"}, "package_name", ["keyword", "Nearest: class_project"]),
    ({"package_name": "json"}, "package_name", ["standard library", "Nearest: json_project"]),
    ({"package_name": "torch"}, "package_name", ["installs", "Nearest: torch_project"]),
    ({"package_name": "Torch"}, "package_name", ["installs", "Nearest: torch_project"]),
    ({"package_name": "torchvision"}, "package_name", ["installs"]),
    ({"package_name": "pytest"}, "package_name", ["installs"]),
    ({"package_name": "tests"}, "package_name", ["folder", "Nearest: tests_project"]),
    ({"package_name": "con"}, "package_name", ["Windows"]),
    ({"package_name": "my-package"}, "package_name", ["Nearest: my_package"]),
    ({"package_name": "2fast"}, "package_name", ["Nearest: project_2fast"]),
    ({"package_name": 'a"b'}, "package_name", ["letters"]),
    ({"package_name": "../evil"}, "package_name", ["Nearest: evil"]),
    ({"package_name": "{{ 1 }}"}, "package_name", ["letters"]),
    ({"project_description": "two\nlines"}, "project_description", ["line break"]),
    ({"user_name": "a\x00b"}, "user_name", ["control character"]),
    ({"user_email": "nobody"}, "user_email", ["no e-mail", "Nearest: name@example.org"]),
    # URLs
    ({"index_url": "https://me:secret@mirror.example.org/whl"},
     "index_url", ["credentials", "UV_INDEX_", "Nearest: https://mirror.example.org/whl"]),
    ({"index_url": "https://mirror.example.org/whl?token=1"},
     "index_url", ["query", "Nearest: https://mirror.example.org/whl"]),
    ({"index_url": "http://mirror.example.org/whl"},
     "index_url", ["plain http", "Nearest: https://mirror.example.org/whl"]),
    ({"index_url": "https://download.pytorch.org/whl/cpu"},
     "index_url", ["without a backend", "Nearest: https://download.pytorch.org/whl"]),
    ({"index_url": "https://download.pytorch.org"},
     "index_url", ["PyTorch's own host", "Nearest: https://download.pytorch.org/whl"]),
    ({"package_name": "nvidia"}, "package_name", ["installs", "Nearest: nvidia_project"]),
    ({"project_name": "nvidia-cudnn-cu13"}, "project_name", ["installs"]),
    ({"index_url": "mirror"}, "index_url", ["https://", "Nearest: "]),
    ({"index_url": "https://a b/"}, "index_url", ["plain URL"]),
    ({"index_url": 'https://a/"'}, "index_url", ["plain URL"]),
    ({"index_url": "https://a/$(id)"}, "index_url", ["plain URL", "shell"]),
    # What is no text or list at all
    ({"project_description": None}, "project_description", ["not a text"]),
    ({"project_name": ["a"]}, "project_name", ["not a text"]),
    ({"packages": "torchvision"}, "packages", ["not a list"]),
    ({"packages": ""}, "packages", ["not a list", "Nearest: [a, b]"]),
    ({"platforms": None}, "platforms", ["not a list"]),
    ({"strategy": "pip", "backend": "auto", "index_url": "https://mirror.example.org/whl"},
     "index_url", ["auto", "mirror"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("answers", "key", "words"), BAD, ids=[f"{key}-{i}" for i, (_, key, _) in enumerate(BAD)]
)
def test_is_refused(render: Render, tmp_path: Path, answers: Answers, key: str, words: list[str]):
    with pytest.raises(UserMessageError) as refused:
        render(**answers)
    message = str(refused.value)
    assert message.startswith(f"{key}: ")
    assert message.count("\n") == 0
    for word in words:
        assert word in message
    if "secret" in str(answers):
        assert "secret" not in message
    # pytest-copie makes the destination folder itself; Copier put nothing into it.
    assert [p for p in (tmp_path / "copie").rglob("*") if p.is_file()] == []


@pytest.mark.parametrize(
    "answers",
    [
        {"strategy": "index", "torch_version": "2.7", "backend": "cu124"},
        {"strategy": "groups", "backends": ["cpu"]},
        {"project_name": "a\nb"},
        {"index_url": "https://me:secret@mirror.example.org/whl"},
    ],
)
@pytest.mark.parametrize("how", ["--data", "--data-file"])
def test_the_command_line_shows_one_message(
    template: Path, tmp_path: Path, answers: Answers, how: str
) -> None:
    """No traceback, exit code 1, and no folder."""
    if how == "--data":
        given = [f"--data={k}={v if isinstance(v, str) else v}" for k, v in answers.items()]
    else:
        file = tmp_path / "answers.yml"
        file.write_text(yaml.safe_dump(answers), encoding="utf-8")
        given = [f"--data-file={file}"]
    options = ("--trust", "--defaults", "--quiet", *given)
    done = copier("copy", *options, template, "project", folder=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "Nearest: " in done.stderr
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize("strategy", VALUES["strategy"])
def test_an_answer_to_a_question_that_is_not_asked_changes_nothing(
    render: Render, template: Path, tmp_path: Path, strategy: str
) -> None:
    unused = {
        "backend": "cu999",
        "linux_backend": "cu999",
        "aarch64_backend": "cu999",
        "windows_backend": "cu999",
        "backends": ["cu999"],
        "default_backend": "cu999",
    }
    asked = {
        "index": ["backend"],
        "pip": ["backend"],
        "markers": ["linux_backend", "aarch64_backend", "windows_backend"],
        "extras": ["backends"],
        "groups": ["backends", "default_backend"],
    }
    given = {k: v for k, v in unused.items() if k not in asked.get(strategy, ())}
    plain = render(strategy=strategy)
    run_copy(
        str(template),
        str(tmp_path / "other"),
        data={"strategy": strategy, "project_name": "My Project", **given},
        defaults=True,
        unsafe=True,
        quiet=True,
    )
    other = Project(tmp_path / "other")
    assert other.text("pyproject.toml") == plain.text("pyproject.toml")
    assert not set(given) & set(other.answers)


# Names that are none of a question: Jinja's, Copier's, this template's own, and misspelt ones.
OTHERS = {
    *("self", "context", "caller", "loop", "environment", "None", "now", "make_secret", "UNSET"),
    *(
        "range",
        "dict",
        "lipsum",
        "cycler",
        "joiner",
        "namespace",
        "pathjoin",
        "true",
        "of_question",
    ),
    *("torch_plan", "asks_for", "default_for", "refusal_for", "choices_for", "check_first"),
    *("automation", "recorded", "kept", "_external_data", "", "a b", "\x1b[31m"),
}


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_a_name_that_is_none_of_a_question_is_refused(template: Path, tmp_path: Path, name: str):
    with pytest.raises(UserMessageError, match="there is no such question. Nearest: ") as refused:
        copied(template, tmp_path / "project", {name: "x"})
    assert "\n" not in refused.value.message and refused.value.message.isprintable()
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize("key", KEYS)
def test_a_misspelt_question_has_the_right_one_nearest(key: str) -> None:
    for name in (key.replace("_", "-"), f"{key}x", key.upper()):
        if name != key:
            said = f"{name}: there is no such question. Nearest: {key}"
            assert given_refusal({name}, ()) == said


# Copier that is quiet fails at its own names before it asks the template anything.
@pytest.mark.parametrize(
    ("name", "quiet"),
    [
        *(("self", ["--quiet"]), ("stratgy", ["--quiet"]), ("self", []), ("stratgy", [])),
        *(("_copier_conf", []), ("_copier_answers", []), ("_folder_name", [])),
    ],
)
def test_the_command_line_refuses_a_name_that_is_none_of_a_question(
    template: Path, tmp_path: Path, name: str, quiet: list[str]
) -> None:
    options = ("--trust", "--defaults", *quiet, "--data", f"{name}=x")
    done = copier("copy", *options, template, "project", folder=tmp_path)
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 1), done.stderr
    assert f"{name}: there is no such question. Nearest: " in done.stderr
    assert not (tmp_path / "project").exists()


def test_what_an_update_hands_over_is_no_given_name(tmp_path: Path) -> None:
    """Answers of earlier versions, and what people wrote into the file of answers."""
    template = tagged_template(tmp_path / "template")
    project = copied(template, tmp_path / "project", {})
    file = project.path / ".copier-answers.yml"
    file.write_text(file.read_text("utf-8") + "an_earlier_question: x\n", "utf-8")
    committed(project.path)
    run_update(project.path, defaults=True, overwrite=True, unsafe=True, quiet=True)
    assert "an_earlier_question" not in file.read_text("utf-8")
    committed(project.path)
    with pytest.raises(UserMessageError, match="stratgy: .* Nearest: strategy"):
        run_update(
            project.path, {"stratgy": "index"}, defaults=True, overwrite=True, unsafe=True,
            quiet=True,
        )  # fmt: skip
    assert git(project.path, "status", "--porcelain") == ""
