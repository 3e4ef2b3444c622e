"""Why an answer cannot work: what is wrong, why, and the nearest thing that works."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping

from ..tables.backends import AUTO, kind, label, nearest_backend, slug
from ..tables.platforms import AARCH64, LINUX, MACOS, NOT_SUPPORTED, PLATFORMS, WINDOWS
from ..tables.releases import Line, Tables, minor
from . import names
from .contract import PYTORCH_URL, VALUES, Item, Known, asked, item, items, settled, targets
from .policy import policy_of

Check = Callable[[Tables, str, Known], str | None]


def why_not(key: str, tables: Tables, known: Known) -> str | None:
    """Why the answer to one question cannot work with the earlier ones; None if it can.

    Earlier answers that are missing or unknown are not held against it.
    """
    known = settled(known)
    return policy_of(tables).why_not(key, known[key]) or _CHECKS[key](tables, key, known)


def parted(reason: str) -> tuple[str, str]:
    """A refusal as why, and what is nearest; that is empty where nothing is named."""
    why, mark, nearest = reason.rpartition(". Nearest: ")
    return (why, nearest) if mark else (reason, "")


def why_not_any(keys: Iterable[str], tables: Tables, known: Known) -> str | None:
    """The first refusal among the answers that are known to some questions."""
    reasons = (why_not(key, tables, known) for key in keys if key in known and asked(key, known))
    return next((reason for reason in reasons if reason), None)


def _listing(values: Iterable[str]) -> str:
    return ", ".join(values)


def _quoted(value: str) -> str:
    """A given value for a message: short, on one line, nothing that a template would expand."""
    shown = "".join(c if c.isprintable() and c not in "{}" else "?" for c in value)
    return f"'{shown[:60]}'"


def _unknown(value: str, what: str, offered: Collection[str], nearest: str | None = None) -> str:
    close = difflib.get_close_matches(value.lower(), offered, 1, 0.4)
    nearest = nearest or (close[0] if close else next(iter(offered)))
    return (
        f"there is no {what} {_quoted(value)} (there are {_listing(offered)}). Nearest: {nearest}"
    )


def _one_of(what: str) -> Check:
    def check(tables: Tables, key: str, known: Known) -> str | None:
        value = known[key]
        return None if value in VALUES[key] else _unknown(value, what, VALUES[key])

    return check


def _text(refusal: Callable[[str], str | None]) -> Check:
    def check(tables: Tables, key: str, known: Known) -> str | None:
        return refusal(known[key])

    return check


def _line(tables: Tables, known: Known) -> Line | None:
    return tables.lines.get(known.get("torch_version", ""))


def _unpadded(value: str, offered: Iterable[str]) -> str | None:
    """2.1 where 2.10 is offered and 2.1 is not: YAML reads an unquoted 2.10 as a number."""
    padded = f"{value}0"
    return padded if padded in set(offered) else None


def _torch_version(tables: Tables, key: str, known: Known) -> str | None:
    value = known[key]
    if value in tables.lines:
        return None
    if padded := _unpadded(value, tables.lines):
        return (
            f"there is no torch line {_quoted(value)} here. "
            f'Nearest: "{padded}", in quotes, since YAML reads an unquoted {padded} as {value}'
        )
    series = ".".join(value.split(".")[:2])
    if series in tables.lines:
        patch = tables.lines[series].torch
        return f"a release line is asked for, not a release. Nearest: {series} (that is {patch})"
    if re.fullmatch(r"2\.\d{1,3}", value):
        nearest = min(tables.lines, key=lambda name: abs(minor(name)[1] - minor(value)[1]))
        return _unknown(value, "torch line", tables.lines, nearest)
    return _unknown(value, "torch line", tables.lines)


def _python_version(tables: Tables, key: str, known: Known) -> str | None:
    value, line = known[key], _line(tables, known)
    if line is None or value in line.pythons:
        return None
    every = {python for other in tables.lines.values() for python in other.pythons}
    if padded := _unpadded(value, every):
        return (
            f"there is no Python {_quoted(value)} here. "
            f'Nearest: "{padded}", in quotes, since YAML reads an unquoted {padded} as {value}'
        )
    if value not in every:
        return _unknown(value, "Python", line.pythons)
    older = minor(value) < minor(line.first_python)
    bound = f"{line.first_python} is the first" if older else f"{line.last_python} is the last"
    nearest = line.first_python if older else line.last_python
    others = [name for name, other in tables.lines.items() if value in other.pythons]
    other = max(others, key=minor) if older else min(others, key=minor)
    return (
        f"torch {line.name} has no wheels for Python {value} on every platform: {bound}. "
        f"Nearest: Python {nearest}, or torch {other} with Python {value}"
    )


def _strategy(tables: Tables, key: str, known: Known) -> str | None:
    value, line = known[key], _line(tables, known)
    if value not in VALUES[key]:
        return _unknown(value, "strategy", VALUES[key])
    policy = policy_of(tables)
    if not policy.rules or line is None:
        return None
    if value == "pypi":
        rule = policy.rule("platforms")
        return _pypi_outside(
            tables, line, known.get("platforms", rule.allow if rule else PLATFORMS)
        )
    allowed = [b for b in line.backends() if policy.allows("backends", b)]
    if value in ("extras", "groups") and len(allowed) < 2:
        return (
            f"the strategy {value} chooses between two or more backends, and of torch {line.name} "
            f"the organization's policy allows {_listing(allowed)} alone. Nearest: index"
        )
    return None


def _pypi_outside(tables: Tables, line: Line, chosen: Iterable[str]) -> str | None:
    """Why the builds that PyPI has are outside the organization's policy."""
    for platform in chosen:
        build = line.pypi.get(platform, "cpu")
        reason = build != "cpu" and policy_of(tables).why_not("backends", build)
        if reason:
            why, nearest = parted(reason)
            return (
                f"PyPI's torch {line.name} for {PLATFORMS[platform].label} is {build}, and {why}. "
                f"Nearest: the strategy index with {nearest}"
            )
    return None


def _no_backend(tables: Tables, line: Line, backend: str) -> str | None:
    """Why a line does not offer a backend."""
    if backend in line.indexes:
        return None
    nearest = nearest_backend(line.backends(), backend)
    if reason := tables.not_offered.get(backend):
        return f"{backend} is not offered: {reason}. Nearest: {nearest} with torch {line.name}"
    lines = tables.lines_with(backend)
    if not lines:
        meant = {"cu": "cuda", "nv": "cuda", "gp": "cuda", "ro": "rocm", "am": "rocm"}
        fit = line.backends(meant.get(backend[:2].lower(), "none"))
        return _unknown(backend, "backend", line.backends(), fit[-1] if fit else None)
    newest, oldest = lines[0], lines[-1]
    if minor(line.name) > minor(newest):
        when, other = f"its last line is {newest}", newest
    elif minor(line.name) < minor(oldest):
        when, other = f"its first line is {oldest}", oldest
    else:
        other = min(lines, key=lambda name: abs(minor(name)[1] - minor(line.name)[1]))
        when = f"it was left out of this line, {other} has it"
    return (
        f"{backend} has no wheels of torch {line.name}: {when}. "
        f"Nearest: {nearest} with torch {line.name}, or {backend} with torch {other}"
    )


def _backend(tables: Tables, key: str, known: Known) -> str | None:
    value, line = known[key], _line(tables, known)
    if line is None or (value == AUTO and known.get("strategy") == "pip"):
        return None
    if value == AUTO:
        return "auto is for the strategy pip: a lock names its builds. Nearest: cpu"
    return _no_backend(tables, line, value)


def _backend_on(platform: str, words: str) -> Check:
    def check(tables: Tables, key: str, known: Known) -> str | None:
        value, line = known[key], _line(tables, known)
        if line is None:
            return None
        if reason := _backend(tables, key, known):
            return reason
        if platform in line.indexes[value] or platform not in known.get("platforms", PLATFORMS):
            return None
        fit = [b for b in line.backends(kind(value)) if platform in line.indexes[b]]
        return (
            f"{value} has no wheels for {words} with torch {line.name}. "
            f"Nearest: {fit[-1] if fit else 'cpu'}"
        )

    return check


def _backends(tables: Tables, key: str, known: Known) -> str | None:
    chosen, line = known[key], _line(tables, known)
    if line is None:
        return None
    for text in chosen:
        one = item(text)
        if reason := _unfit_name(text, one) or _backend(tables, key, {**known, key: one.backend}):
            return reason
    if reason := _same_twice(items(known)):
        return reason
    if len(chosen) < 2:
        given = _listing(chosen) or "none"
        has_cpu = any(one.backend == "cpu" for one in items(known))
        other = (line.backends("cuda") or line.backends())[-1] if has_cpu else "cpu"
        instead = f", or the strategy index with {item(chosen[0]).backend} alone" if chosen else ""
        both = _listing(dict.fromkeys([*chosen, other, *([] if chosen else ["cpu"])]))
        return (
            f"the strategy {known.get('strategy')} chooses between two or more backends, "
            f"and {given} was given. Nearest: [{both}]{instead}"
        )
    return None


def _unfit_name(text: str, one: Item) -> str | None:
    """Why an item cannot name an extra or group: https://peps.python.org/pep-0685/."""
    if "=" not in text:
        return None
    name = text.partition("=")[0].strip()
    fit = "-".join(names.ascii_words(name))[: names.LONGEST_NAME].strip("-") or "gpu"
    nearest = (
        f"Nearest: {'gpu' if fit == 'dev' else fit}={one.backend if kind(one.backend) else 'cpu'}"
    )
    if not one.backend:
        return f"{_quoted(text)} names no backend, as in gpu=cu128. {nearest}"
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name):
        return (
            f"{_quoted(name)} cannot name an extra or group: ASCII letters, digits and . _ - are "
            f"allowed, and a letter or digit at both ends. {nearest}"
        )
    if len(name) > names.LONGEST_NAME:
        return f"that name is longer than {names.LONGEST_NAME} characters. {nearest}"
    if one.name == "dev":
        return f"the name dev is that of the tools. {nearest}"
    return None


def _same_twice(chosen: list[Item]) -> str | None:
    """Why two items cannot be told apart."""
    for i, one in enumerate(chosen):
        for other in chosen[:i]:
            both = f"{other.text} and {one.text}"
            if one.backend == other.backend:
                return f"{both} have one backend. Nearest: {other.text} alone"
            if one.name == other.name or slug(one.backend) == other.name:
                return f"{both} have one name. Nearest: {other.backend} and {one.text}"
            if one.name == slug(other.backend):
                return f"{both} have one name. Nearest: {other.text} and {one.backend}"
    return None


def _default_backend(tables: Tables, key: str, known: Known) -> str | None:
    value, chosen = known[key], items(known)
    if not chosen:
        return _backend(tables, key, known)
    if any(value == one.backend for one in chosen):
        return None
    return (
        f"{_quoted(value)} is not among the backends ({_listing(known['backends'])}). "
        f"Nearest: {chosen[0].backend}, or add it to the backends"
    )


def _packages(tables: Tables, key: str, known: Known) -> str | None:
    line = _line(tables, known)
    offered = {name for other in tables.lines.values() for name in other.companions}
    for package in known[key]:
        if package not in offered:
            return _unknown(package, "package", sorted(offered, reverse=True))
        if line is None:
            continue
        companion = line.companions.get(package)
        if companion is None:
            return f"{package} has no release for torch {line.name}. Nearest: leave it out"
        last, python = companion.last_python, known.get("python_version")
        if last and python in line.pythons and minor(python) > minor(last):
            return (
                f"{package} {companion.version} has no wheels for Python {python}: "
                f"{last} is the last. Nearest: Python {last}, or leave {package} out"
            )
        for backend in targets(known):
            if backend in companion.absent:
                return _absent(line, package, backend)
    if line is not None and known.get("strategy") == "pypi":
        return _pypi_companions(line, known.get("platforms", PLATFORMS), known)
    return _without_wheel(line, known) if line is not None and "platforms" in known else None


def has_companions(line: Line, known: Known) -> bool:
    """Whether every companion has a wheel for what the platforms of the answers get."""
    if known.get("strategy") == "pypi":
        return _pypi_companions(line, known["platforms"], known) is None
    return _without_wheel(line, known) is None


def _without_wheel(line: Line, known: Known) -> str | None:
    """Why a companion has nothing beside the build that a platform gets."""
    asked_for = targets(known)
    pairs = [(b, p) for b, on in asked_for.items() for p in on if p in PLATFORMS]
    for package in known.get("packages", ()):
        companion = line.companions.get(package)
        for backend, platform in pairs if companion else []:
            torch = backend if platform in line.indexes.get(backend, ()) else "cpu"
            found = companion.beside(torch, platform)
            where = f"{package} {companion.version} has no wheel for {PLATFORMS[platform].label}"
            if found is None:
                rest = [p for p in known.get("platforms", PLATFORMS) if p != platform]
                others = f", or the platforms [{_listing(rest)}]" if rest else ""
                return f"{where} that goes with {torch}. Nearest: leave {package} out{others}"
            if found != torch and known.get("strategy") == "pip":
                # One index serves every package of a command.
                return (
                    f"{where} on the index {torch}, and the strategy pip has no other. "
                    f"Nearest: leave {package} out, or the strategy index"
                )
    return None


def _absent(line: Line, package: str, backend: str) -> str:
    companion = line.companions[package]
    fit = [b for b in line.backends(kind(backend)) if b not in companion.absent]
    nearest = nearest_backend(line.backends(), backend) if not fit else fit[-1]
    return (
        f"{package} has no build for {label(backend)}: {companion.version} is its last release, "
        f"and {backend} came later. Nearest: {nearest}, or leave {package} out"
    )


def _platforms(tables: Tables, key: str, known: Known) -> str | None:
    chosen, line = known[key], _line(tables, known)
    for platform in chosen:
        if platform in NOT_SUPPORTED:
            reason, nearest = NOT_SUPPORTED[platform]
            return f"{reason}. Nearest: {nearest}"
        if platform not in PLATFORMS:
            return _unknown(platform, "platform", PLATFORMS)
    if not chosen:
        return f"no platform is chosen. Nearest: [{_listing(PLATFORMS)}]"
    if line is None:
        return None
    strategy = known.get("strategy")
    if strategy in ("index", "markers") and set(chosen) == {MACOS}:
        return (
            f"the strategy {strategy} has no use on macOS alone, whose wheels are on PyPI. "
            "Nearest: the strategy pypi, or another platform beside it"
        )
    if strategy == "pypi":
        return _pypi_companions(line, chosen, known) or _pypi_outside(tables, line, chosen)
    for backend, wanted in targets(known).items():
        served = line.indexes.get(backend, {})
        if not set(wanted) & set(served) and not (backend == "cpu" and MACOS in chosen):
            return _not_served(line, backend, chosen, served)
    return _without_wheel(line, known)


def _pypi_companions(line: Line, chosen: Collection[str], known: Known) -> str | None:
    """PyPI may have no build of a companion that goes with torch's, or not for every platform."""
    for package in known.get("packages", ()):
        companion = line.companions.get(package)
        builds = {p: line.pypi[p] for p in chosen if companion and p in line.pypi}
        clash = [p for p, build in builds.items() if companion.on_pypi(build, p) is None]
        if clash and line.pypi[clash[0]] not in companion.absent:
            rest = [p for p in chosen if p not in clash]
            others = f", or the platforms [{_listing(rest)}]" if rest else ""
            return (
                f"PyPI has no {package} {companion.version} for {PLATFORMS[clash[0]].label} that "
                f"goes with torch {line.name}. Nearest: leave {package} out{others}"
            )
        if clash:
            return (
                f"PyPI's torch {line.name} is built for {label(line.pypi[clash[0]])} on Linux, and "
                f"{package} {companion.version} refuses to be imported with it. "
                f"Nearest: leave {package} out, or the strategy index with another backend"
            )
    return None


def _not_served(line: Line, backend: str, chosen: Collection[str], served: Mapping) -> str:
    where = _listing(PLATFORMS[p].label for p in served)
    fit = [b for b in line.backends(kind(backend)) if set(line.indexes[b]) & set(chosen)]
    instead = fit[-1] if fit else "cpu"
    return (
        f"{backend} with torch {line.name} has wheels for {where} alone, and the project claims "
        f"{_listing(PLATFORMS[p].label for p in chosen)}. "
        f"Nearest: add {next(iter(served), LINUX[0])}, or take {instead} instead of {backend}"
    )


def _index_url(tables: Tables, key: str, known: Known) -> str | None:
    every = frozenset(tables.backends() | set(tables.not_offered))
    if reason := names.index_url_refusal(known[key], every):
        return reason
    if known.get("backend") == AUTO and names.base_url(known[key]) != PYTORCH_URL:
        return (
            "auto finds PyTorch's own host alone, never a mirror. "
            f"Nearest: name a backend, or {PYTORCH_URL}"
        )
    return None


def _place(tables: Tables, key: str, known: Known) -> str | None:
    if known[key] not in VALUES[key]:
        return _unknown(known[key], "place", VALUES[key])
    if known[key] == "member" and known.get("strategy") == "provided":
        return (
            "what a project excludes, uv reads at the root of a workspace alone. "
            "Nearest: folder, or another strategy"
        )
    if known[key] == "member" and known.get("strategy") == "pip":
        return (
            "uv keeps what it does not manage out of a workspace, and with pip that is so. "
            "Nearest: folder, or another strategy"
        )
    return None


def _below_the_top(known: Known) -> bool:
    """Whether services and hooks do not look at the project, but at a folder above it."""
    return known.get("place", "repository") != "repository"


def _ci(tables: Tables, key: str, known: Known) -> str | None:
    if known[key] not in VALUES[key]:
        return _unknown(known[key], "CI", VALUES[key])
    if known[key] != "none" and _below_the_top(known):
        return (
            "CI is what stands at the top of a repository, and this project is in a folder below. "
            "Nearest: none, or repository for place"
        )
    if known[key] == "gitlab" and not _on_linux(known):
        return (
            "GitLab's jobs run on Linux, which the project does not claim. "
            f"Nearest: add {LINUX[0]} to the platforms, or take github"
        )
    return None


def _containers(tables: Tables, key: str, known: Known) -> str | None:
    for container in known[key]:
        if container not in VALUES[key]:
            return _unknown(container, "container", VALUES[key])
    if "docker" in known[key] and known.get("place") == "member":
        return (
            "an image is built from uv.lock, which stands at the root of the workspace. "
            "Nearest: leave docker out, or render a project at that root"
        )
    if known[key] and not _on_linux(known):
        return (
            "containers run Linux, which the project does not claim. "
            f"Nearest: add {LINUX[0]} to the platforms, or take none: []"
        )
    return None


def _launcher(tables: Tables, key: str, known: Known) -> str | None:
    value = known[key]
    if value not in VALUES[key]:
        return _unknown(value, "launcher", VALUES[key])
    if value == "none":
        return None
    if not _on_linux(known):
        return (
            "clusters run Linux, which the project does not claim. "
            f"Nearest: add {LINUX[0]} to the platforms, or take none"
        )
    if value == "kubernetes" and "docker" not in known.get("containers", ["docker"]):
        return (
            "Kubernetes runs the project's image, and there is no Dockerfile for it. "
            "Nearest: add docker to the containers, or take none"
        )
    if value == "skypilot" and known.get("strategy") == "provided":
        return (
            "SkyPilot rents machines without torch, and the project expects it to be there. "
            "Nearest: slurm, or the strategy groups"
        )
    linux = [backend for backend, on in targets(known).items() if not {*LINUX}.isdisjoint(on)]
    if value == "skypilot" and linux and all(kind(backend) == "xpu" for backend in linux):
        return (
            "SkyPilot rents no Intel GPUs, and the project has no other build for Linux. "
            "Nearest: slurm, or another backend"
        )
    return None


def _template_updates(tables: Tables, key: str, known: Known) -> str | None:
    if known[key] not in VALUES[key]:
        return _unknown(known[key], "way of updates", VALUES[key])
    if known[key] != "none" and _below_the_top(known):
        return (
            "workflows and Renovate look at the top of a repository, and this project is in a "
            "folder below. Nearest: none, or repository for place"
        )
    if known[key] == "workflow" and known.get("ci", "github") != "github":
        return "the workflow is one of GitHub's. Nearest: renovate, or take github for ci"
    return None


def _on_linux(known: Known) -> bool:
    return not {*LINUX}.isdisjoint(known.get("platforms", PLATFORMS))


_CHECKS: dict[str, Check] = {
    "project_name": _text(names.project_name_refusal),
    "package_name": _text(names.package_name_refusal),
    "project_description": _text(names.text_refusal),
    "user_name": _text(names.text_refusal),
    "user_email": _text(names.email_refusal),
    "license": _one_of("license"),
    "torch_version": _torch_version,
    "python_version": _python_version,
    "strategy": _strategy,
    "backend": _backend,
    "linux_backend": _backend,
    "aarch64_backend": _backend_on(AARCH64, PLATFORMS[AARCH64].label),
    "windows_backend": _backend_on(WINDOWS, "Windows"),
    "backends": _backends,
    "default_backend": _default_backend,
    "packages": _packages,
    "platforms": _platforms,
    "index_url": _index_url,
    "place": _place,
    "example": _one_of("example"),
    "ci": _ci,
    "containers": _containers,
    "launcher": _launcher,
    "base_image": _text(names.image_refusal),
    "type_checker": _one_of("type checker"),
    "pypi_url": _text(names.pypi_url_refusal),
    "authenticate": _one_of("authentication"),
    "template_updates": _template_updates,
}
