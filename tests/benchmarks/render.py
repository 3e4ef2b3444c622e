"""Compare whole-process renders: this template, and one of a single file without an extension.

    uv run python tests/benchmarks/render.py [PAIRS]

Both run as whole processes, `copier copy --defaults`, in pairs: their ratio holds even where the
machine's speed drifts. Then it says where the rest of the time goes.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 1.5

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
    return folder


def this_template(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("copier.yml", "policy.yml"):
        shutil.copy(ROOT / name, folder)
    for name in ("template", "extensions"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def seconds(template: Path, destination: Path) -> float:
    command = [sys.executable, "-m", "copier", "copy", "--trust", "--defaults", "--quiet"]
    start = time.perf_counter()
    subprocess.run([*command, template, destination], check=True, capture_output=True)
    spent = time.perf_counter() - start
    shutil.rmtree(destination)
    return spent


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
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours, plain = this_template(folder / "ours"), plain_template(folder / "plain")
        destination = folder / "project"
        seconds(ours, destination), seconds(plain, destination)
        times = [(seconds(ours, destination), seconds(plain, destination)) for _ in range(pairs)]
        ratio = statistics.median(a / b for a, b in times)
        print(f"{pairs} pairs, medians:")
        print(f"  this template        {statistics.median(a for a, _ in times):.3f} s")
        print(f"  one file, no code    {statistics.median(b for _, b in times):.3f} s")
        print(f"  ratio                {ratio:.2f} (at most {LIMIT})")
        print("where the rest goes (under a profiler, shares overlap):")
        spent = shares(ours, folder / "profiled")
        for share, cost in sorted(spent.items(), key=lambda item: -item[1]):
            print(f"  {share:<26} {cost:.3f} s")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
