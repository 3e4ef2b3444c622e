"""Time the rendered smoke test without torch, beside `import torch` of another Python.

uv run python tests/benchmarks/smoke_test.py [PYTHON_WITH_TORCH]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from copier import run_copy

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 0.3


def seconds(*command: str, code: int = 0) -> float:
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return time.perf_counter() - start


def main() -> int:
    python = sys.argv[1] if len(sys.argv) > 1 else ""
    with tempfile.TemporaryDirectory() as name:
        sys.path.insert(0, str(ROOT))
        from tests.conftest import copy_template

        template = copy_template(Path(name) / "template")
        project = Path(name) / "project"
        run_copy(str(template), project, defaults=True, unsafe=True, quiet=True)
        script = str(project / "scripts" / "smoke_test.py")
        rounds = range(9)
        own = statistics.median(seconds(sys.executable, "-S", script, code=1) for _ in rounds)
        print(f"without torch   {own:.3f} s (at most {LIMIT})")
        if python:
            torch = statistics.median(seconds(python, "-c", "import torch") for _ in rounds)
            print(f"import torch    {torch:.3f} s, ratio {own / torch:.2f}")
    return 0 if own <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
