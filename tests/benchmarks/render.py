"""Compare renders and updates: of this template, and of one of a single file without an extension.

    uv run python tests/benchmarks/render.py [PAIRS]

All run as whole processes, `copier copy --defaults` and `copier update --defaults`, one after the
other: their ratio holds even where the machine's speed drifts. The libraries are compiled first, as
they are on any second run; a few cold renders compile them, as the first run does. A third template
has the files that this one renders as plain files, and its questions with plain defaults: what it
takes is Copier's own, for as much content. Then it says where the rest of a render's time goes.
"""

from __future__ import annotations

import compileall
import cProfile
import os
import pstats
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.support.git import committed, git  # noqa: E402

LIMIT = 1.3
COLD = 5
COPIER = (sys.executable, "-m", "copier")
OPTIONS = ("--trust", "--defaults", "--quiet")

# What a share of the time is spent on: function names of the profile, by module.
SHARES = {
    "compiling Jinja templates": ("environment.py", "compile"),
    "asking the questions": ("_main.py", "_ask"),
    "rendering the files": ("_main.py", "_render_template"),
    "reading copier.yml": ("_template.py", "load_template_config"),
    "loading the tables": ("tables.py", "load"),
    "loading the extension": ("loader.py", "_import_template_module"),
}


def plain_template(folder: Path) -> Path:
    (folder / "template").mkdir(parents=True)
    (folder / "copier.yml").write_text(
        "_subdirectory: template\nproject_name:\n  type: str\n  default: demo\n", "utf-8"
    )
    (folder / "template" / "README.md.jinja").write_text("# {{ project_name }}\n", "utf-8")
    # Without it there is no update.
    answers = folder / "template" / "{{ _copier_conf.answers_file }}.jinja"
    answers.write_text("{{ _copier_answers | to_nice_yaml }}", "utf-8")
    return folder


def this_template(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("copier.yml", "policy.yml"):
        shutil.copy(ROOT / name, folder)
    for name in ("template", "extensions"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def still_template(folder: Path, rendered: Path) -> Path:
    """A project that was rendered, as a template in which nothing is left to decide."""
    shutil.copytree(rendered, folder / "template")
    file = folder / "template" / ".copier-answers.yml"
    answers = yaml.safe_load(file.read_text("utf-8"))
    file.with_name("{{ _copier_conf.answers_file }}.jinja").write_text(
        "{{ _copier_answers | to_nice_yaml }}", "utf-8"
    )
    file.unlink()
    content = yaml.safe_load((ROOT / "copier.yml").read_text("utf-8"))
    keys = [key for key in content if not key.startswith("_")]
    questions = {
        key: {"type": "yaml" if content[key].get("multiselect") else "str",
              "help": content[key]["help"].partition("{")[0], "default": answers.get(key, "")}
        for key in keys
    }  # fmt: skip
    (folder / "copier.yml").write_text(yaml.safe_dump({"_subdirectory": "template", **questions}))
    return folder


def seconds(template: Path, destination: Path, **environment: str) -> float:
    spent = timed(*COPIER, "copy", *OPTIONS, str(template), str(destination), **environment)
    shutil.rmtree(destination)
    return spent


def seconds_of_update(start: Path, project: Path) -> float:
    shutil.copytree(start, project)
    spent = timed(*COPIER, "update", *OPTIONS, str(project))
    shutil.rmtree(project)
    return spent


def timed(*command: str, **environment: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment})
    return time.perf_counter() - start


def behind(template: Path, project: Path) -> Path:
    """A project of a template's first release, where there is a second one."""
    released(template, "v1.0.0")
    subprocess.run([*COPIER, "copy", *OPTIONS, template, project], check=True, capture_output=True)
    committed(project)
    (readme,) = (template / "template").glob("README.md*")
    with readme.open("a", encoding="utf-8") as file:
        file.write("\nMore.\n")
    released(template, "v2.0.0")
    return project


def released(template: Path, version: str) -> None:
    git(committed(template, version), "tag", version)


def shares(template: Path, destination: Path) -> dict[str, float]:
    """Seconds per share inside one process; they overlap, as compiling is part of rendering."""
    from copier import run_copy

    profile = cProfile.Profile()
    profile.runcall(run_copy, str(template), destination, defaults=True, unsafe=True, quiet=True)
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    return {
        share: sum(
            cumulative
            for (path, _, name), (_, _, _, cumulative, _) in stats.items()
            if name == function and path.endswith(module)
        )
        for share, (module, function) in SHARES.items()
    }


def main() -> int:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    os.environ["TORCH_TEMPLATE_MACHINE"] = "none"
    compileall.compile_dir(sysconfig.get_path("purelib"), quiet=2, workers=0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours, plain = this_template(folder / "ours"), plain_template(folder / "plain")
        project, destination = folder / "rendered", folder / "project"
        subprocess.run([*COPIER, "copy", *OPTIONS, ours, project], check=True)
        templates = (ours, still_template(folder / "still", project), plain)
        for template in templates:
            seconds(template, destination)
        times = [[seconds(t, destination) for t in templates] for _ in range(pairs)]
        ratios = [told("renders", times)]
        # Python looks for bytecode there alone, and finds none.
        nowhere = {"PYTHONPYCACHEPREFIX": str(folder / "none"), "PYTHONDONTWRITEBYTECODE": "1"}
        told(
            "cold renders",
            [[seconds(t, destination, **nowhere) for t in templates] for _ in range(COLD)],
        )
        starts = [behind(t, folder / f"{t.name}-project") for t in templates]
        updates = [[seconds_of_update(s, destination) for s in starts] for _ in range(pairs)]
        ratios.append(told("updates", updates))
        print(f"The limit of the ratio is {LIMIT}, with compiled libraries.")
        print("where the rest goes (under a profiler, shares overlap):")
        spent = shares(ours, folder / "profiled")
        for share, cost in sorted(spent.items(), key=lambda item: -item[1]):
            print(f"  {share:<26} {cost:.3f} s")
    return 0 if max(ratios) <= LIMIT else 1


def told(what: str, times: list[list[float]]) -> float:
    """Print the medians, in seconds, and their ratios to the last; that of this template."""
    names = ("this template", "its files and questions", "one file, no code")
    print(f"{len(times)} {what}, medians, and their ratios to the last:")
    for name, column in zip(names, zip(*times, strict=True), strict=True):
        ratio = statistics.median(a / row[-1] for a, row in zip(column, times, strict=True))
        print(f"  {name:<24} {statistics.median(column):.3f} s  {ratio:.2f}")
    return statistics.median(row[0] / row[-1] for row in times)


if __name__ == "__main__":
    sys.exit(main())
