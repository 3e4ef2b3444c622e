"""The contract of questions: their order, which are asked, and their values in native types."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any

import yaml

from ..tables.backends import AUTO, slug
from ..tables.platforms import AARCH64, LINUX, MACOS, PLATFORMS, WINDOWS
from .names import PYPI_URL, PYTORCH_URL, URL_KEYS, base_url, normal_url

# The questions whose values are the same whatever was answered before.
VALUES: Mapping[str, Mapping[str, str]] = {
    "license": {
        "MIT": "MIT",
        "Apache-2.0": "Apache License 2.0",
        "BSD-3-Clause": "BSD 3-Clause",
        "proprietary": "none: all rights reserved",
        "other": "another one, which you add yourself",
    },
    "strategy": {
        "pypi": "what PyPI has: CUDA on Linux, CPU on Windows, MPS on macOS",
        "index": "one build for all machines",
        "markers": "one build per operating system",
        "extras": "chosen at install: uv sync --extra cpu, or --extra cu130",
        "groups": "chosen at install, with a default: plain uv sync is right",
        "pip": "uv pip install, without a lock",
        "provided": "torch is there already: an NGC image, a Jetson, a cluster",
    },
    "example": {
        "none": "an empty package with a device helper",
        "training": "a training program: distributed, resumable, tested",
    },
    "ci": {
        "github": "GitHub Actions",
        "gitlab": "GitLab CI/CD",
        "none": "none",
    },
    "containers": {
        "docker": "a Dockerfile",
        "devcontainer": "a development container",
    },
    "launcher": {
        "none": "torchrun by hand",
        "slurm": "SLURM: a batch script",
        "kubernetes": "Kubernetes: a JobSet on the project's image",
        "skypilot": "SkyPilot: a task for rented machines",
    },
    "type_checker": {
        "ty": "ty",
        "mypy": "mypy",
        "none": "none",
    },
    "place": {
        "repository": "at the top of a repository of its own",
        "folder": "in a folder of a repository",
        "member": "in a uv workspace, as a member of it",
    },
    "authenticate": {
        "auto": "no: it may be read by everybody who reaches it",
        "always": "yes: uv reads it from the environment or ~/.netrc",
    },
    "template_updates": {
        "none": "by hand: copier update",
        "workflow": "a weekly GitHub workflow opens a pull request",
        "renovate": "Renovate opens a pull request",
    },
}

# In the order in which they are asked: a later answer may be refused because of an earlier one.
KEYS = (
    "project_name",
    "package_name",
    "project_description",
    "user_name",
    "user_email",
    "license",
    "torch_version",
    "strategy",
    "python_version",
    "backend",
    "linux_backend",
    "aarch64_backend",
    "windows_backend",
    "backends",
    "default_backend",
    "packages",
    "platforms",
    "index_url",
    "place",
    "example",
    "ci",
    "containers",
    "launcher",
    "base_image",
    "type_checker",
    "pypi_url",
    "authenticate",
    "template_updates",
)
# Whoever says yes to this question is asked all others. It is none of the project's, so that Copier
# does not record it.
MORE = "more_questions"
# A key to the name that it had in an earlier version: an update finds the answer there, and so does
# whoever still gives it by that name.
RENAMED: Mapping[str, str] = {}
LISTS = frozenset({"backends", "packages", "platforms", "containers"})
# The values with which a question brings none of the files that belong to a project's owner.
WITHOUT_FILES: Mapping[str, tuple[str, ...]] = {
    "license": ("proprietary", "other"),
    "example": ("none",),
}
_ASKED_FOR = {
    "backend": ("index", "pip"),
    "linux_backend": ("markers",),
    "aarch64_backend": ("markers",),
    "windows_backend": ("markers",),
    "backends": ("extras", "groups"),
    "default_backend": ("groups",),
}
BACKEND_KEYS = frozenset(_ASKED_FOR)
# Beside those, the questions that other answers may leave without a use.
_SOMETIMES = BACKEND_KEYS | {"authenticate", "base_image", "launcher"}

# What Copier records beside the answers.
_RECORDED = frozenset({"_commit", "_src_path"})
_SCALARS = (str, int, float)

Known = Mapping[str, Any]
"""Answers that are known so far: native values, any key may be missing."""


DEFAULT_STRATEGY = "groups"


@dataclass(frozen=True)
class Item:
    """An item of `backends`: a backend, and the name of the extra or group that brings it."""

    name: str
    backend: str

    @property
    def text(self) -> str:
        """The item as an answer: `cu128`, or `gpu=cu128` where the name is another one."""
        return self.backend if self.name == slug(self.backend) else f"{self.name}={self.backend}"


def item(text: str) -> Item:
    """Read `cu128` or `gpu=cu128`. Whether name and backend are fit is not judged here."""
    name, named, backend = text.partition("=")
    return Item(slug(name.strip()), backend.strip()) if named else Item(slug(text), text)


def items(known: Known) -> list[Item]:
    """The chosen items of `backends`."""
    return [item(text) for text in known.get("backends", ())]


def settled(known: Known) -> dict[str, Any]:
    """The answers with the backend in the place of an item, or its name, as the default.

    No two items have one backend, so that it says which of them is meant.
    """
    chosen = dict(zip(known.get("backends", ()), items(known), strict=True))
    meant = {text: one.backend for text, one in chosen.items()}
    meant |= {one.name: one.backend for one in chosen.values()}
    meant |= {one.backend: one.backend for one in chosen.values()}
    default = known.get("default_backend")
    return {**known, "default_backend": meant[default]} if default in meant else dict(known)


def asked(key: str, known: Known) -> bool:
    """Whether a question matters after the earlier answers."""
    if key == "authenticate":
        return is_mirrored(known)
    if key == "launcher":
        return known.get("example", "training") == "training"
    if key == "base_image":
        return known.get("strategy") == "provided" and bool(known.get("containers"))
    if key == "aarch64_backend" and AARCH64 not in known.get("platforms", PLATFORMS):
        return False
    return key not in _ASKED_FOR or known.get("strategy") in _ASKED_FOR[key]


def is_mirrored(known: Known) -> bool:
    """Whether PyTorch's indexes or PyPI are read from a mirror."""
    urls = {"index_url": PYTORCH_URL, "pypi_url": PYPI_URL}
    return any(base_url(known.get(key, url)) != url for key, url in urls.items())


def native(key: str, value: Any) -> Any:
    """A raw answer in its native type: a list of str where several can be chosen, else a str.

    A URL is in the form that uv gives it.

    Raises ValueError, with a reason for people, for an answer of another shape.
    """
    if key not in LISTS:
        if not isinstance(value, _SCALARS):
            raise ValueError("it is not a text. Nearest: a text in quotes, or leave it out")
        return normal_url(str(value)) if key in URL_KEYS else str(value)
    if isinstance(value, str):
        try:
            value = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, LookupError, RecursionError):
            # PyYAML raises all of these for odd scalars and deep nesting.
            value = None
    if not isinstance(value, (list, tuple)) or not all(isinstance(x, _SCALARS) for x in value):
        raise ValueError("it is not a list of names. Nearest: [a, b], or leave it out")
    return list(dict.fromkeys(str(item) for item in value))


def given_refusal(given: Collection[str], taken: Collection[str]) -> str | None:
    """Why a name that is given an answer in advance is none of a question.

    `taken` are the names of Jinja's and Copier's own variables. An update gives all recorded
    answers in advance, those of earlier versions among them: where nothing is left to be asked, a
    name that is not known does no harm.
    """
    known = {*KEYS, MORE, *RENAMED.values()}
    always = set(KEYS) - _SOMETIMES
    everything = always <= set(given)
    for name in given:
        if name in taken or not (name in known or name in _RECORDED or everything):
            near = [*get_close_matches(name.lower(), KEYS, 1), "leave it out"]
            shown = name if name.isprintable() and 0 < len(name) < 60 else f"{name[:60]!a}"
            return f"{shown}: there is no such question. Nearest: {near[0]}"
    return None


def read(context: Mapping[str, Any]) -> dict[str, Any]:
    """The known answers in a Jinja context. What has the wrong shape counts as unknown."""
    known: dict[str, Any] = {}
    for key in KEYS:
        name = key if key in context else RENAMED.get(key, key)
        if name in context:
            try:
                known[key] = native(key, context[name])
            except ValueError:
                continue
    known = settled(known)
    if "strategy" not in known:
        return known
    return {key: value for key, value in known.items() if asked(key, known)}


@dataclass(frozen=True)
class Answers:
    """Every answer that shapes the plan, complete and already checked."""

    project_name: str
    package_name: str
    torch_version: str
    python_version: str
    strategy: str
    packages: tuple[str, ...]
    platforms: tuple[str, ...]
    index_url: str = PYTORCH_URL
    backend: str = ""
    linux_backend: str = ""
    aarch64_backend: str = ""
    windows_backend: str = ""
    backends: tuple[str, ...] = field(default=())
    default_backend: str = ""
    place: str = "repository"
    example: str = "none"
    ci: str = "none"
    containers: tuple[str, ...] = field(default=())
    launcher: str = "none"
    base_image: str = ""
    type_checker: str = "none"
    pypi_url: str = PYPI_URL
    authenticate: str = "auto"
    template_updates: str = "none"

    @classmethod
    def complete(cls, known: Known) -> Answers:
        """From known answers. Raises KeyError for one that is missing.

        Those of an earlier version have one backend for both machines of Linux, stand at the top
        of a repository, and start torchrun by hand.
        """
        names = {f.name for f in fields(cls)}
        known = {**{k: getattr(cls, k) for k in ("aarch64_backend", "place", "launcher")}, **known}
        values = {
            key: tuple(known[key]) if key in LISTS else known[key]
            for key in KEYS
            if key in names and asked(key, known)
        }
        values |= {key: base_url(values[key]) for key in URL_KEYS}
        return cls(**values)


def targets(known: Known) -> dict[str, tuple[str, ...]]:
    """The chosen backends, each with the platforms on which the strategy asks for it.

    macOS is in no list: its wheels come from PyPI whatever is chosen. `auto` names no backend.
    """
    claimed = known.get("platforms", tuple(PLATFORMS))
    others = tuple(p for p in claimed if p != MACOS)
    match known.get("strategy"):
        case "markers":
            # Answers of an earlier version have one backend for both machines of Linux.
            apart = {AARCH64} if "aarch64_backend" in known else set()
            wanted = {
                "linux_backend": tuple(p for p in others if p in {*LINUX} - apart),
                "aarch64_backend": tuple(p for p in others if p in apart),
                "windows_backend": tuple(p for p in others if p == WINDOWS),
            }
            found: dict[str, tuple[str, ...]] = {}
            for key, on in wanted.items():
                if on and key in known:
                    found[known[key]] = found.get(known[key], ()) + on
            return found
        case "index" | "pip":
            backend = known.get("backend", AUTO)
            return {} if backend == AUTO else {backend: others}
        case "extras" | "groups":
            return {chosen.backend: others for chosen in items(known)}
    return {}
