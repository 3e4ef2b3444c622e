"""What the owner of a project does to it between two updates: each edit fits any render."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.support.project import Project

Edit = Callable[[Project], None]

JOB = """
  docs:
    runs-on: ubuntu-24.04
    steps:
      - run: make docs
"""


def _add(project: Project, *arguments: str) -> None:
    """`uv add`, without a lock: it writes the same lines with one."""
    if project.answers["strategy"] != "pip":
        project.uv("add", "--frozen", *arguments)
        return
    # uv keeps its hands off such a project: its owner writes at the end of the list.
    packages = [argument for argument in arguments if not argument.startswith("--")]
    text, (_, end) = project.text("pyproject.toml"), _list(project, "--dev" in arguments)
    lines = "".join(f'\n    "{package}",' for package in packages)
    _write(project, "pyproject.toml", text[:end] + lines + text[end:])


def _remove(project: Project, *arguments: str) -> None:
    """`uv remove`, likewise."""
    if project.answers["strategy"] != "pip":
        project.uv("remove", "--frozen", *arguments)
        return
    text, (start, end) = project.text("pyproject.toml"), _list(project, "--dev" in arguments)
    kept = text[start:end]
    for package in (argument for argument in arguments if not argument.startswith("--")):
        kept = re.sub(rf'\n    "{package}>=[^"]*",', "", kept)
    _write(project, "pyproject.toml", text[:start] + kept + text[end:])


def _list(project: Project, dev: bool) -> tuple[int, int]:
    """Where a list of requirements stands in pyproject.toml."""
    text = project.text("pyproject.toml")
    start = text.index("\ndev = [" if dev else "\ndependencies = [")
    return start, text.index("\n]", start)


def _write(project: Project, name: str, text: str) -> None:
    path = project.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def _replace(project: Project, name: str, old: str, new: str) -> None:
    text = project.text(name)
    assert text.count(old) == 1, (name, old)
    _write(project, name, text.replace(old, new))


def five_packages(project: Project) -> None:
    _add(project, "zarr>=3", "einops>=0.8", "torchmetrics>=1", "accelerate>=1", "httpx>=0.28")


def dev_packages(project: Project) -> None:
    _add(project, "--dev", "ipython>=9", "pytest-cov>=7", "zizmor>=1")


def fewer_packages(project: Project) -> None:
    names = ["numpy", *(["tensorboard"] if project.answers["example"] == "training" else [])]
    _remove(project, *names)
    _remove(project, "--dev", "pre-commit", "ruff")


def beside_torch(project: Project) -> None:
    """A package that needs torch, in the first extra or group of builds."""
    kind = {"extras": "--optional", "groups": "--group"}.get(project.answers["strategy"])
    if kind:
        _add(project, kind, project.answers["backends"][0], "lightning>=2.5")


def own_sections(project: Project) -> None:
    text = project.text("README.md").replace(
        "\n## Work on it\n", "\n## Data\n\nAsk Ada for the data.\n\n## Work on it\n"
    )
    _write(project, "README.md", f"{text}\n## Results\n\nThe loss is 0.1.\n")


def own_modules(project: Project) -> None:
    package = project.answers["package_name"]
    _write(project, f"src/{package}/model.py", '"""The model."""\n')
    _write(project, "tests/test_model.py", f'"""Tests of {package}.model."""\n')


def own_job(project: Project) -> None:
    name = {"github": ".github/workflows/ci.yml", "gitlab": ".gitlab-ci.yml"}.get(
        project.answers["ci"]
    )
    if name:
        _write(project, name, project.text(name) + JOB)


def own_rule(project: Project) -> None:
    _replace(project, "pyproject.toml", '"B"]', '"B", "N"]')


def deleted_files(project: Project) -> None:
    for name in (".editorconfig", ".vscode/extensions.json"):
        (project.path / name).unlink()


def own_index(project: Project) -> None:
    if project.answers["strategy"] == "pip":
        return
    _add(project, "--index", "corp=https://pypi.example.org/simple", "corp-tools")


def own_table(project: Project) -> None:
    text = project.text("pyproject.toml")
    _write(project, "pyproject.toml", f"{text}\n[tool.coverage.run]\nbranch = true\n")


def own_ignores(project: Project) -> None:
    _write(project, ".gitignore", project.text(".gitignore") + "/data/\n")


def own_extra(project: Project) -> None:
    if project.answers["strategy"] == "pip":
        head = "[project.optional-dependencies]\n"
        _replace(project, "pyproject.toml", head, f'{head}viz = ["plotly>=6"]\n')
    else:
        _add(project, "--optional", "viz", "plotly>=6")


def own_group(project: Project) -> None:
    if project.answers["strategy"] == "pip":
        text = project.text("pyproject.toml")
        _write(project, "pyproject.toml", f'{text}\n[dependency-groups]\ndocs = ["sphinx>=8"]\n')
    else:
        _add(project, "--group", "docs", "sphinx>=8")


def own_conflicts(project: Project) -> None:
    """Two extras that exclude each other, as in the documentation of uv."""
    if project.answers["strategy"] == "pip":
        return
    _add(project, "--optional", "old", "tqdm>=4,<4.67")
    _add(project, "--optional", "new", "tqdm>=4.67")
    text, entry = project.text("pyproject.toml"), '[{ extra = "old" }, { extra = "new" }],'
    if "\nconflicts = [\n" in text:
        _replace(project, "pyproject.toml", "\nconflicts = [\n", f"\nconflicts = [\n    {entry}\n")
    else:
        _replace(
            project, "pyproject.toml", "[tool.uv]\n", f"[tool.uv]\nconflicts = [\n    {entry}\n]\n"
        )


def own_source(project: Project) -> None:
    if project.answers["strategy"] == "pip":
        return
    source = 'corp-lib = { git = "https://git.example.org/lib", tag = "v1" }\n'
    text, head = project.text("pyproject.toml"), "[tool.uv.sources]\n"
    if head in text:
        _replace(project, "pyproject.toml", head, f"{head}# Not on PyPI yet.\n{source}")
    else:
        _write(project, "pyproject.toml", f"{text}\n{head}{source}")


def own_comments(project: Project) -> None:
    text = project.text("pyproject.toml")
    lines = [
        f"{line}# Why {number}.\n" if line.endswith((",\n", "]\n")) else line
        for number, line in enumerate(text.splitlines(keepends=True))
    ]
    _write(project, "pyproject.toml", "# Ours.\n" + "".join(lines))


def own_formatting(project: Project) -> None:
    """Lists on one line, and spaces as somebody likes them."""
    text = project.text("pyproject.toml")
    start, end = _list(project, dev=False)
    items = re.findall(r'"[^"]*"', text[start:end])
    text = f"{text[:start]}\ndependencies   = [ {', '.join(items)} {text[end + 1 :]}"
    _write(project, "pyproject.toml", text.replace('name = "', 'name    = "', 1))


def own_description(project: Project) -> None:
    text = project.text("pyproject.toml")
    text = re.sub(r"(?m)^version = .*", 'version = "7.1.0"\nkeywords = ["spirals"]', text, count=1)
    _write(project, "pyproject.toml", text)


EDITS: tuple[Edit, ...] = (
    five_packages,
    dev_packages,
    fewer_packages,
    beside_torch,
    own_sections,
    own_modules,
    own_job,
    own_rule,
    deleted_files,
    own_index,
    own_table,
    own_ignores,
    own_extra,
    own_group,
    own_conflicts,
    own_source,
    own_description,
    own_comments,
    own_formatting,
)
