"""Time the comparison of a fleet, and see how it grows.

    uv run python tests/benchmarks/drift.py [PROJECTS]

Renders that many projects, then runs extensions/drift.py over a fifth of them and over all.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from copier import run_copy

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
LIMIT = 300 / 500

ANSWERS = [
    {"strategy": "groups"},
    {"strategy": "index", "backend": "cu130", "example": "training"},
    {"strategy": "extras", "backends": ["cpu", "rocm7.2"], "containers": ["docker"]},
    {"strategy": "pip", "backend": "cpu", "ci": "gitlab"},
    {"strategy": "pypi", "type_checker": "mypy"},
]


def seconds(projects: list[Path], template: Path) -> float:
    script = ROOT / "extensions" / "drift.py"
    start = time.perf_counter()
    command = [sys.executable, script, "--trust", template, *projects]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> int:
    from tests.support.git import tagged_template

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    os.environ["TORCH_TEMPLATE_MACHINE"] = "none"
    with tempfile.TemporaryDirectory() as name:
        template = tagged_template(Path(name) / "template")
        projects = [Path(name) / f"project-{number}" for number in range(count)]
        for number, project in enumerate(projects):
            answers = ANSWERS[number % len(ANSWERS)]
            run_copy(str(template), project, answers, defaults=True, unsafe=True, quiet=True)
        for some in (projects[: count // 5], projects):
            spent = seconds(some, template)
            print(f"{len(some):>4} projects {spent:6.1f} s, {spent / len(some):.3f} s each")
    return 0 if spent / count <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
