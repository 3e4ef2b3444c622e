"""What must hold in every render, whatever the answers: one function per rule."""

from __future__ import annotations

import ast
import itertools
import json
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from validate_pyproject import api, plugins

from extensions.plan.parts import parts_of
from extensions.plan.plan import UV_FLOOR
from extensions.plan.planner import make_plan
from extensions.questions.contract import PYPI_URL, PYTORCH_URL, Answers
from extensions.questions.names import index_of
from extensions.tables.backends import index_name, kind
from extensions.tables.platforms import AARCH64, PLATFORMS, WINDOWS
from extensions.tables.releases import Companion, Line, next_minor
from tests.schemas import SCHEMAS, check_file
from tests.support.cells import TABLES
from tests.support.project import Project

FAMILY = ("torch", "torchvision", "torchaudio", "torchcodec")


def check_everything(project: Project) -> None:
    for rule in RULES:
        rule(project)


def requirements(project: Project) -> Iterator[tuple[str, Requirement]]:
    """Every requirement with the extra or group that it stands in ("" for the project's own)."""
    metadata = project.pyproject["project"]
    for text in metadata["dependencies"]:
        yield "", Requirement(text)
    tables = (
        metadata.get("optional-dependencies", {}),
        project.pyproject.get("dependency-groups", {}),
    )
    for table in tables:
        for name, texts in table.items():
            for text in texts:
                yield name, Requirement(text)


def family(project: Project) -> list[tuple[str, Requirement]]:
    return [(name, r) for name, r in requirements(project) if re.match(r"torch|.*triton", r.name)]


def backends(project: Project) -> list[str]:
    answers = project.answers
    prefixes = ("", "linux_", "aarch64_", "windows_")
    chosen = [answers.get(f"{prefix}backend") for prefix in prefixes]
    return [*answers.get("backends", []), *(b for b in chosen if b)]


# The files


def every_file_parses_and_looks_hand_made(project: Project) -> None:
    # It may be the person's own text.
    braces = "{" in str(list(project.answers.values()))
    for path in project.files:
        _file_is_sound(str(path.relative_to(project.path)), path.read_text("utf-8"), braces)


@cache
def _file_is_sound(name: str, text: str, braces: bool) -> None:
    """Many renders share a file: each text is checked once."""
    suffix = Path(name).suffix
    assert not re.search(r"[<>:\"\\|?*]", name), name
    assert len(name) < 100, name
    match suffix:
        case ".toml":
            tomllib.loads(text)
        case ".yml" | ".yaml":
            yaml.safe_load(text)
        case ".json":
            json.loads(text)
        case ".py":
            ast.parse(text, feature_version=(3, 10))
    if not braces:
        assert not re.search(r"(?<!\$)\{\{|\{%|\{#", text), f"{name} has template debris"
    if suffix not in ("", ".typed"):
        assert text.endswith("\n") and not text.endswith("\n\n"), name
        assert not text.startswith("\n"), name
        blank = "\n\n\n\n" if suffix == ".py" else "\n\n\n"
        assert blank not in text, f"{name} has blank-line debris"
        assert not re.search(r"[ \t]+$", text, re.MULTILINE), f"{name} has trailing spaces"


def automation_fits_its_schemas(project: Project) -> None:
    for name in SCHEMAS:
        if (project.path / name).exists():
            check_file(project.path, name)


def pyproject_fits_the_schemas(project: Project) -> None:
    """PEP 621, and uv's, ruff's and pytest's own schemas: a misspelt key of uv is silent."""
    _validator()(project.pyproject)


@cache
def _validator() -> Any:
    return api.Validator([*plugins.list_from_entry_points()])


# The requirements


def the_family_is_required_directly_and_capped(project: Project) -> None:
    line = TABLES.lines[project.answers["torch_version"]]
    wanted = ["torch", *project.answers["packages"]]
    places = {name for name, r in family(project) if r.name == "torch"}
    choices = {b.replace(".", "-") for b in project.answers.get("backends", ())}
    # The groups of a member have it to themselves.
    alone = project.is_member and project.answers["strategy"] == "groups"
    without = alone or project.answers["strategy"] in ("extras", "provided")
    with_the_project = set() if without else {""}
    assert places == choices | with_the_project
    for place in places:
        here = [r.name for name, r in family(project) if name == place]
        assert sorted(name for name in here if name in FAMILY) == sorted(wanted)
    for _, requirement in family(project):
        bounds = {s.operator: s.version for s in requirement.specifier}
        name = requirement.name
        if name in wanted:
            assert bounds == {">=": first_release(line, name), "<": TABLES.cap(line, name)}
        elif bounds:
            (triton,) = {t for t in line.triton.values() if t.name == name and t.version}
            first = ".".join(triton.version.split(".")[:2])
            assert bounds == {">=": first, "<": next_minor(triton.version)}
    assert "constraint-dependencies" not in project.uv_settings


def first_release(line: Line, package: str) -> str:
    """The first release that goes with a line, as short as it can be written."""
    if package == "torch":
        return line.name
    own = line.companions[package]
    # torchvision 0.29.2 is the first for torch 2.15, and one torchcodec goes with several lines.
    codec = {"2.7": "0.3", "2.8": "0.6", "2.9": "0.8"}
    codec |= dict.fromkeys(("2.12", "2.13", "2.14", "2.15"), "0.12")
    others = {("torchcodec", name): first for name, first in codec.items()}
    return {("torchvision", "2.15"): "0.29.2", **others}.get(
        (package, line.name), ".".join(own.version.split(".")[:2])
    )


def parts_are_the_plan_s(project: Project) -> None:
    """The file as it is read, against what an update would write there."""
    complete = Answers.complete(project.answers)
    plan = make_plan(TABLES, complete)
    parts = parts_of(plan)
    metadata, settings = project.pyproject["project"], project.uv_settings
    assert metadata["requires-python"] == parts.requires_python
    others = [str(requirement) for requirement in plan.others]
    assert metadata["dependencies"] == sorted([*parts.dependencies, *others])
    tables = {
        "extra": dict(metadata.get("optional-dependencies", {})),
        "group": dict(project.pyproject.get("dependency-groups", {})),
    }
    tables["group" if parts.managed else "extra"].pop("dev")
    choices = {name: list(texts) for name, texts in parts.choices.items()}
    assert tables == {"extra": {}, "group": {}, **({parts.kind: choices} if choices else {})}
    expected = {
        "required-version": None if project.is_member else f">={UV_FLOOR}",
        "managed": None if parts.managed else False,
        "default-groups": ["dev", parts.default] if parts.default else None,
        "conflicts": [parts.conflicts] if parts.conflicts else None,
        "exclude-dependencies": list(parts.excluded) or None,
        "environments": list(parts.environments) or None,
        "sources": dict(parts.sources) or None,
        "index": list(parts.indexes) or None,
    }
    found = {key: value for key, value in settings.items() if key != "build-backend"}
    assert found == {key: value for key, value in expected.items() if value is not None}


def no_requirement_names_a_local_version(project: Project) -> None:
    assert not [str(r) for _, r in requirements(project) if "+" in str(r.specifier)]


def pythons_are_bounded_and_supported(project: Project) -> None:
    bounds = SpecifierSet(project.pyproject["project"]["requires-python"])
    assert {s.operator for s in bounds} == {">=", "<"}
    line = TABLES.lines[project.answers["torch_version"]]
    lasts = [line.companions[name].last_python for name in project.answers["packages"]]
    for minor in range(8, 20):
        supported = f"3.{minor}" in line.pythons and all(
            last is None or Version(f"3.{minor}") <= Version(last) for last in lasts
        )
        wanted = supported and Version(f"3.{minor}") >= Version(project.answers["python_version"])
        assert bounds.contains(f"3.{minor}.0") == wanted
    if project.answers["strategy"] == "provided":
        assert not (project.path / ".python-version").exists(), "the Python is that which has torch"
    else:
        assert bounds.contains(project.text(".python-version").strip())


def extras_leave_the_base_without_torch(project: Project) -> None:
    if project.answers["strategy"] == "extras":
        assert not [r for name, r in family(project) if not name]


def what_others_install_comes_from_any_index(project: Project) -> None:
    """A wheel says what `dependencies` say: with groups nothing that only a group's index has."""
    if project.answers["strategy"] == "groups":
        assert not [r for name, r in family(project) if not name and "triton" in r.name]


def what_is_there_already_is_named_and_not_required(project: Project) -> None:
    excluded = set(project.uv_settings.get("exclude-dependencies", ()))
    provided = project.answers["strategy"] == "provided"
    assert (excluded >= {*FAMILY, "triton", "nvidia-cublas", "nvidia-nccl-cu13"}) == provided
    assert not (provided and family(project))


def rocm_and_xpu_bring_their_triton(project: Project) -> None:
    sources = project.uv_settings.get("sources", {})
    tritons = {name for name in sources if "triton" in name}
    assert {r.name for _, r in family(project) if "triton" in r.name} == tritons
    for name in tritons:
        listed = {source["index"] for source in sources[name]}
        assert all(re.match(r"pytorch-(rocm|xpu)", index) for index in listed)
    if project.answers["strategy"] != "pip":
        assert tritons == set(_tritons(project))


def _tritons(project: Project) -> Iterator[str]:
    """What the chosen backends need on a claimed platform, straight from the table."""
    line = TABLES.lines[project.answers["torch_version"]]
    for backend, platform in _served(project):
        triton = line.triton.get(kind(backend))
        if triton and platform in (triton.platforms or PLATFORMS):
            yield triton.name


def _served(project: Project) -> Iterator[tuple[str, str]]:
    """Each backend that is asked for on a claimed platform and has wheels there."""
    answers = project.answers
    line = TABLES.lines[answers["torch_version"]]
    for backend, platform in itertools.product(set(backends(project)), answers["platforms"]):
        named = {WINDOWS: "windows_backend", AARCH64: "aarch64_backend"}
        system = named.get(platform, "linux_backend")
        asked_for = answers["strategy"] != "markers" or answers[system] == backend
        if asked_for and platform in line.indexes.get(backend, ()):
            yield backend, platform


# [tool.uv]


def sources_are_the_same_for_the_family(project: Project) -> None:
    sources = project.uv_settings.get("sources", {})
    if project.answers["strategy"] in ("pypi", "pip", "provided"):
        assert not sources
        return
    companions = TABLES.lines[project.answers["torch_version"]].companions
    for name in project.answers["packages"]:
        if companions[name].indexes is None:
            assert sources[name] == sources["torch"], name
        else:
            _has_its_own_builds(project, companions[name])
    for entries in sources.values():
        for entry in entries:
            _check_source(project, entry)


def _has_its_own_builds(project: Project, companion: Companion) -> None:
    """On each claimed platform it comes from the index that its table says beside torch's."""
    sources, line = project.uv_settings["sources"], TABLES.lines[project.answers["torch_version"]]
    backends = {index_name(backend): backend for backend in line.backends()}
    for platform in project.answers["platforms"]:
        for choice, index in _indexes(sources["torch"], platform).items():
            beside = companion.beside(backends[index], platform)
            found = _indexes(sources.get(companion.name, []), platform)
            assert found.get(choice) == (index_name(beside) if beside else None), platform


def _indexes(entries: list[dict[str, str]], platform: str) -> dict[str, str]:
    """Extra or group ("" without a choice) to the index of the source for a platform."""
    environment = {
        "sys_platform": PLATFORMS[platform].sys_platform,
        "platform_machine": PLATFORMS[platform].machine,
    }
    return {
        entry.get("extra", entry.get("group", "")): entry["index"]
        for entry in entries
        if Marker(entry["marker"]).evaluate(environment)
    }


def _check_source(project: Project, entry: dict[str, str]) -> None:
    """On a claimed platform it is true only where its index has wheels, and never on macOS."""
    line = TABLES.lines[project.answers["torch_version"]]
    names = {f"pytorch-{b.replace('.', '-')}": b for b in line.indexes}
    for name in project.answers["platforms"]:
        platform = PLATFORMS[name]
        environment = {
            "sys_platform": platform.sys_platform,
            "platform_machine": platform.machine,
        }
        if Marker(entry["marker"]).evaluate(environment):
            assert name in line.indexes[names[entry["index"]]], entry


def indexes_are_named_explicit_and_used(project: Project) -> None:
    indexes = project.uv_settings.get("index", [])
    used = {s["index"] for entries in project.uv_settings.get("sources", {}).values()
            for s in entries}  # fmt: skip
    explicit = [index for index in indexes if "default" not in index]
    defaults = [index["name"] for index in indexes if index.get("default")]
    mirrored = project.answers["pypi_url"].rstrip("/") != PYPI_URL
    # The root of a workspace says for all of its members where PyPI is.
    assert defaults == (["pypi"] if mirrored and not project.is_member else [])
    assert {index["name"] for index in explicit} == used
    line, base = project.answers["torch_version"], project.answers["index_url"].rstrip("/")
    urls = {index_name(b): index_of(base, b) for b in TABLES.lines[line].backends()}
    for index in explicit:
        assert index["explicit"] is True
        assert index["url"] == urls[index["name"]]
    assert "index-strategy" not in project.uv_settings
    assert "extra-index-url" not in project.uv_settings
    assert "torch-backend" not in project.text("pyproject.toml")


def accelerators_conflict_in_one_set(project: Project) -> None:
    strategy, settings = project.answers["strategy"], project.uv_settings
    if strategy not in ("extras", "groups"):
        assert "conflicts" not in settings and "default-groups" not in settings
        return
    names = [b.replace(".", "-") for b in project.answers["backends"]]
    assert settings["conflicts"] == [[{strategy.removesuffix("s"): name} for name in names]]
    metadata = project.pyproject["project"]
    if strategy == "extras":
        assert list(metadata["optional-dependencies"]) == names
        assert "default-groups" not in settings
    else:
        assert list(project.pyproject["dependency-groups"]) == ["dev", *names]
        default = project.answers["default_backend"].replace(".", "-")
        assert settings["default-groups"] == ["dev", default]


def environments_are_the_claimed_platforms(project: Project) -> None:
    settings = project.uv_settings
    if project.is_member:
        # uv reads them at the root of the workspace alone.
        assert not {"required-version", "environments", "required-environments"} & set(settings)
        assert not [i for i in settings.get("index", ()) if "default" in i]
        return
    assert settings["required-version"] == f">={UV_FLOOR}"
    if project.answers["strategy"] == "pip":
        assert settings["managed"] is False
        return
    wanted = [PLATFORMS[name].marker for name in project.answers["platforms"]]
    assert settings["environments"] == wanted
    # It would refuse every package that is for Linux alone.
    assert "required-environments" not in settings


def a_mirror_replaces_every_url(project: Project) -> None:
    everything = "\n".join(
        path.read_text(encoding="utf-8")
        for path in project.files
        if path.name != ".copier-answers.yml"
    )
    if not _is_mirror(project):
        assert "ignore-error-codes" not in everything
        return
    assert "download.pytorch.org" not in everything
    for index in project.uv_settings.get("index", []):
        if "default" in index:
            assert index["url"] == project.answers["pypi_url"].rstrip("/")
        else:
            assert index["ignore-error-codes"] == [403]
            assert set(index["cache-control"]) == {"api", "files"}


def a_login_is_asked_of_mirrors_alone_and_named_exactly(project: Project) -> None:
    """uv reads UV_INDEX_<NAME>_PASSWORD; docs/pytorch.md lists it, and CI sets it from a secret."""
    wanted = project.answers.get("authenticate") == "always"
    for index in project.uv_settings.get("index", []):
        mirrored = not index["url"].startswith((PYTORCH_URL, PYPI_URL))
        assert index.get("authenticate") == ("always" if wanted and mirrored else None)
        variable = f"UV_INDEX_{index['name'].upper().replace('-', '_')}_PASSWORD"
        for name in ("docs/pytorch.md", ".github/workflows/ci.yml", ".gitlab-ci.yml"):
            if (project.path / name).exists():
                assert (variable in project.text(name)) == (wanted and mirrored), (name, variable)
    for file in project.files:
        text = file.read_text(encoding="utf-8")
        assert wanted or not re.search(r"netrc|MIRROR_|UV_INDEX_\w+_PASSWORD", text), file


# The commands


def commands_keep_the_choice(project: Project) -> None:
    """Each `uv sync`, `run`, `add` or `export` in any file names its extra, or keeps hands off."""
    everything = "\n".join(path.read_text(encoding="utf-8") for path in project.files)
    for banned in ("--all-extras", "--all-groups", "unsafe-best-match", "--index-strategy"):
        assert banned not in everything
    strategy, answers = project.answers["strategy"], project.answers
    names = "|".join(b.replace(".", "-") for b in answers.get("backends", []))
    # A script has an environment of its own.
    pattern = r"\buv (?:sync|run(?! --script)|add|export)\b[^`\n]*"
    found = re.findall(pattern, _without_prose(project))
    for command in found:
        if strategy == "extras":
            chosen = rf'--extra ({names}|"\$PYTORCH")(?![\w.-])|--no-sync'
            assert re.search(chosen, command), command
        if strategy == "pip":
            # With `managed = false`, that one leaves the environment as it is.
            assert command.startswith("uv run"), command
        if command.endswith('--no-default-groups --group "$PYTORCH"'):
            continue  # in the Dockerfile, which wants no tools either
        if strategy == "groups" and re.match(r"uv sync --all-packages --group [\w-]+$", command):
            continue  # at the root of a workspace, where no default group of a member counts
        if strategy == "groups" and re.match("uv export .* --format pylock.toml", command):
            default = answers["default_backend"].replace(".", "-")
            assert f" --no-default-groups --group {default} " in command, command
            continue  # nor does a deployment
        if strategy == "groups" and "--group" in command:
            default = answers["default_backend"].replace(".", "-")
            assert f"--no-group {default} --group" in command, command
        assert "--no-default-groups" not in command
    if strategy == "extras":
        assert "torch" not in _base_names(project)
    if strategy == "groups":
        default = answers["default_backend"].replace(".", "-")
        for name in answers["backends"]:
            switch = f"uv sync --no-group {default} --group {name.replace('.', '-')}"
            assert (switch in everything) == (name != answers["default_backend"])


def _without_prose(project: Project) -> str:
    """All files, but without sentences that warn of the very commands."""
    texts = [path.read_text(encoding="utf-8") for path in project.files if path.suffix != ".jinja"]
    kept = "\n".join(texts)
    for sentence in (
        "Name an extra in every `uv sync` and `uv run`",
        "brings it into a plain `uv sync`",
        "`uv sync` and `uv lock` know nothing of these switches",
    ):
        kept = kept.replace(sentence, "")
    return kept


def _base_names(project: Project) -> set[str]:
    return {r.name for name, r in requirements(project) if name in ("", "dev")}


def the_readme_never_ages(project: Project) -> None:
    """No update touches it: what an answer changes stands in docs/pytorch.md."""
    readme = project.text("README.md")
    assert "(docs/pytorch.md)" in readme
    told = readme.split("\n## Set up\n", 1)[1].replace(project.answers["package_name"], "")
    line = TABLES.lines[project.answers["torch_version"]]
    names = {b for b in backends(project) if b not in ("auto", "cpu")}
    for word in (*names, *(name.replace(".", "-") for name in names), line.torch):
        assert word not in told, word
    for platform in PLATFORMS.values():
        assert platform.label not in told
    assert not re.search(r"\d+\.\d+|--extra|--group|torch-backend|index-url", told)


def the_docs_say_what_they_must(project: Project) -> None:
    readme, answers = project.text("docs/pytorch.md"), project.answers
    line = TABLES.lines[answers["torch_version"]]
    for platform in answers["platforms"]:
        assert PLATFORMS[platform].label in readme
    if answers["strategy"] == "provided":
        assert "exclude-dependencies" in readme and "| torch |" not in readme
        return
    assert "Intel Macs" in readme and "musl" in readme
    for backend, platform in _served(project):
        note = rf"{re.escape(backend)} of torch {re.escape(line.name)} is not verified for .*"
        found = re.search(note, readme)
        mentioned = bool(found and PLATFORMS[platform].label in found[0])
        assert mentioned == (not line.verified(backend, platform)), (backend, platform)
    if answers["strategy"] not in ("pypi", "pip") and not _is_mirror(project):
        assert "download-r2.pytorch.org" in readme
    if answers["strategy"] not in ("pip",):
        assert "uv lock --upgrade-package torch" in readme
    for backend in {b for b in backends(project) if b.startswith("cu1")}:
        if any(f"+{backend}" in cell for row in project.build_table.values()
               for cell in row.values()):  # fmt: skip
            floor = TABLES.driver_floor(backend, "linux")
            windows = TABLES.driver_floor(backend, "windows")
            assert floor in readme or windows in readme


def _is_mirror(project: Project) -> bool:
    return project.answers["index_url"].rstrip("/") != PYTORCH_URL


def the_smoke_test_expects_what_the_table_says(project: Project) -> None:
    expected = smoke_constants(project)["EXPECTED"]
    assert list(expected) == project.answers["platforms"]
    if project.answers["strategy"] == "provided":
        assert not any(expected.values())
        return
    if project.answers["strategy"] == "pypi" or "auto" in backends(project):
        return
    rows = project.build_table
    for platform, builds in expected.items():
        label = PLATFORMS[platform].label
        cells = [row[label] for row in rows.values() if label in row]
        locals_ = {cell.partition("+")[2] for cell in cells} - {""}
        assert locals_ <= set(builds)
        for build, command in builds.items():
            flags = next(flag for flag in rows if command.endswith(flag))
            assert rows[flags][label].partition("+")[2] in (build, ""), (platform, command)


def the_smoke_test_fits_on_a_few_pages(project: Project) -> None:
    text = project.text("scripts/smoke_test.py")
    # The tables before that grow with the project's builds.
    assert text.partition("# What can be wrong")[2].count("\n") <= 1120
    lines = text.splitlines()
    assert not [line for line in lines if len(line) > 88 and "noqa: E501" not in line]


def smoke_constants(project: Project) -> dict[str, Any]:
    """The tables that were rendered into the smoke test, at its head."""
    head = project.text("scripts/smoke_test.py").partition("# What can be wrong")[0]
    return {
        node.target.id: ast.literal_eval(node.value)
        for node in ast.parse(head).body
        if isinstance(node, ast.AnnAssign) and node.value and isinstance(node.target, ast.Name)
    }


RULES = [
    every_file_parses_and_looks_hand_made,
    pyproject_fits_the_schemas,
    automation_fits_its_schemas,
    the_family_is_required_directly_and_capped,
    parts_are_the_plan_s,
    no_requirement_names_a_local_version,
    pythons_are_bounded_and_supported,
    extras_leave_the_base_without_torch,
    what_others_install_comes_from_any_index,
    what_is_there_already_is_named_and_not_required,
    rocm_and_xpu_bring_their_triton,
    sources_are_the_same_for_the_family,
    indexes_are_named_explicit_and_used,
    accelerators_conflict_in_one_set,
    environments_are_the_claimed_platforms,
    a_mirror_replaces_every_url,
    a_login_is_asked_of_mirrors_alone_and_named_exactly,
    commands_keep_the_choice,
    the_readme_never_ages,
    the_docs_say_what_they_must,
    the_smoke_test_expects_what_the_table_says,
    the_smoke_test_fits_on_a_few_pages,
]
