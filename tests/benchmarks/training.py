"""Time the training program: its steps, its saves and its start.

    uv run python tests/benchmarks/training.py PYTHON [PACKAGE]

PYTHON is that of an environment with a rendered project, `example=training`, and PACKAGE the name
of its package. What is compared takes turns, since the machine's speed drifts. Where there is a
GPU, it says samples/s and MFU there: plain, compiled, and sharded over one process.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROUNDS, STEPS = 5, 1000


def main() -> int:
    python, package = sys.argv[1], (*sys.argv[2:], "my_project")[0]

    def run(mode: str, *arguments: object, rank: int | None = None) -> subprocess.Popen[str]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        if rank is not None:
            environment |= {"RANK": str(rank), "LOCAL_RANK": str(rank), **group}
        command = [python, __file__, "--inside", mode, package, *map(str, arguments)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    def result(process: subprocess.Popen[str]) -> Any:
        out, _ = process.communicate(timeout=600)
        assert process.returncode == 0
        return json.loads(out.splitlines()[-1])

    def imports(code: str) -> float:
        start = time.perf_counter()
        subprocess.run([python, "-c", code], check=True)
        return time.perf_counter() - start

    bare, trainer, alone, ddp, own, torch = ([] for _ in range(6))
    for _ in range(ROUNDS):
        bare.append(result(run("bare")))
        trainer.append(result(run("trainer")))
        # Each on a core of its own, in both cases.
        alone.append(min(map(result, [run("trainer", core) for core in (0, 1)])))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        ddp.append(min(map(result, [run("trainer", core, rank=core) for core in (0, 1)])))
        own.append(imports(f"import {package}.training"))
        torch.append(imports("import torch"))
    rows = {
        "bare loop, steps/s": bare,
        "trainer, steps/s": trainer,
        "two processes that do not talk, steps/s each": alone,
        "two processes with DDP, steps/s": ddp,
        f"import {package}.training, s": own,
        "import torch, s": torch,
    }
    for name, found in rows.items():
        print(f"{name:<46} {statistics.median(found):8.3g} ({min(found):.3g} to {max(found):.3g})")
    for name, one, other in (("trainer / bare", trainer, bare), ("DDP / apart", ddp, alone)):
        ratio = statistics.median(a / b for a, b in zip(one, other, strict=True))
        print(f"{name:<46} {ratio:8.3g}")
    for hidden, blocked, whole, size in result(run("save")):
        print(f"a save, hidden {hidden}: {size:.3g} MB, blocks {blocked:.3g} s of {whole:.3g} s")
    for name, row in result(run("gpu")).items():
        print(f"GPU, {name}: {row}")
    return 0


def inside(mode: str, package: str, *arguments: str) -> Any:
    """One measurement, in an environment with torch."""
    import torch

    if arguments:
        os.sched_setaffinity(0, [int(arguments[0])])
    torch.set_num_threads(1)
    training = importlib.import_module(f"{package}.training")
    data, model = (importlib.import_module(f"{package}.training.{x}") for x in ("data", "model"))
    cpu = torch.device("cpu")
    with tempfile.TemporaryDirectory() as name:
        if mode == "gpu":
            return on_gpu(training, package, Path(name)) if torch.cuda.is_available() else {}
        if mode == "save":
            return [saved(training, hidden, Path(name), cpu) for hidden in (64, 2048)]
        if mode == "bare":
            points, _ = data.spirals(0)
            net = model.build_model(64)
            optimizer = torch.optim.AdamW(net.parameters())
            batches = torch.utils.data.DataLoader(
                points,
                batch_sampler=data.batches(len(points), 128, 0, range(STEPS + 50), (0, 1)),
            )
            for step, (inputs, labels) in enumerate(batches):
                if step == 50:
                    start = time.perf_counter()
                torch.nn.functional.cross_entropy(net(inputs), labels).backward()
                optimizer.step()
                optimizer.zero_grad()
            return STEPS / (time.perf_counter() - start)
        if "RANK" in os.environ:
            importlib.import_module(f"{package}.training.processes").join(cpu, 60)
        # Twice the batch for two processes: as much work for each.
        size = 128 * int(os.environ.get("WORLD_SIZE", 1))
        folder = Path(name if "RANK" not in os.environ else tempfile.gettempdir()) / "none"
        config = training.Config(folder=folder, steps=STEPS + 50, batch_size=size)
        trainer = training.Trainer(config, cpu)
        for step, (inputs, labels) in enumerate(trainer.batches()):
            if step == 50:
                start = time.perf_counter()
            trainer.take_step(inputs, labels)
        return STEPS / (time.perf_counter() - start)


def saved(training: Any, hidden: int, folder: Path, device: Any) -> tuple[int, float, float, float]:
    """For how long a save blocks the training, and when it is done, in s; its size in MB."""
    trainer = training.Trainer(training.Config(folder=folder / str(hidden), hidden=hidden), device)
    trainer.take_step(*next(iter(trainer.batches())))
    times = []
    for _ in range(ROUNDS):
        trainer.step += 1
        start = time.perf_counter()
        trainer.save()
        blocked = time.perf_counter() - start
        trainer.checkpoints.finish()
        times.append((blocked, time.perf_counter() - start))
    blocked, whole = map(statistics.median, zip(*times, strict=True))
    files = [file for file in trainer.checkpoints.path.rglob("*") if file.is_file()]
    return hidden, blocked, whole, sum(file.stat().st_size for file in files) / 1e6


def on_gpu(training: Any, package: str, folder: Path) -> dict[str, Any]:
    """The last metrics of short runs of a wide model."""
    import torch

    found = {}
    usual = ["--hidden=8192", "--batch-size=16384", "--steps=60", "--device=cuda"]
    main = importlib.import_module(f"{package}.training.__main__").main
    metrics = importlib.import_module(f"{package}.training.metrics")
    for name, more in {"plain": [], "compiled": ["--compile"], "fsdp": ["--parallel=fsdp"]}.items():
        if name == "fsdp":
            alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_PORT": "29511"}
            os.environ |= {**alone, "MASTER_ADDR": "127.0.0.1"}
        main([*usual, *more, f"--folder={folder / name}"])
        found[name] = metrics.read(folder / name / "metrics.csv")[-2]
    return {**found, "device": torch.cuda.get_device_name()}


if __name__ == "__main__":
    if sys.argv[1] == "--inside":
        print(json.dumps(inside(*sys.argv[2:])))
    else:
        sys.exit(main())
