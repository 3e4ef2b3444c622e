"""A torch whose build and devices are told by the variable FAKE_TORCH, for the smoke test.

A tensor is one number. A device other than the CPU adds `defect` to it, or fails with `fails`.
"""

import json
import os
import platform
import signal
import sys
import time
import types
import warnings

FACTS = json.loads(os.environ["FAKE_TORCH"])
platform.system = FACTS.get("system", "Linux").strip


def end(how):
    """Do what no except clause can catch; a path is written to."""
    if how == "hang":
        time.sleep(600)
    if how.startswith("/"):
        with open(how, "w") as file:
            file.write("x")
    os.write(2, b"terminate called without an active exception\n")
    os.kill(os.getpid(), signal.SIGABRT)


if "import_ends" in FACTS:
    end(FACTS["import_ends"])
if "exits" in FACTS:
    raise SystemExit(FACTS["exits"])
if FACTS.get("says"):
    print(FACTS["says"])
if "import_error" in FACTS:
    raise (ModuleNotFoundError if "No module" in FACTS["import_error"] else OSError)(
        FACTS["import_error"]
    )
if FACTS.get("stderr"):
    os.write(2, FACTS["stderr"].encode())

__version__ = FACTS["version"]
version = types.SimpleNamespace(cuda=FACTS.get("cuda"), hip=FACTS.get("hip"), xpu=FACTS.get("xpu"))
float32, float16, bfloat16 = "float32", "float16", "bfloat16"


class Tensor:
    def __init__(self, value, device="cpu", dtype=float32):
        self.value, self.device, self.dtype = value, device, dtype

    def to(self, where):
        if where in (float32, float16, bfloat16):
            return Tensor(self.value, self.device, where)
        broken = where if FACTS.get("fails_on", "cpu") == "cpu" else FACTS["fails_on"]
        fails = FACTS.get("fails") and where == broken and (where != "cpu" or "fails_on" in FACTS)
        if fails and self.dtype == FACTS.get("fails_as", self.dtype):
            if "ends" in FACTS:
                end(FACTS["ends"])
            raise RuntimeError(FACTS["fails"] + "\nCUDA kernel errors might be asynchronous")
        return Tensor(self.value, where, self.dtype)

    def cpu(self):
        return Tensor(self.value, "cpu", self.dtype)

    def __matmul__(self, other):
        exact = self.device in ("exact", FACTS.get("sound", ""))
        here = self.device != "cpu" or "defect_on_cpu" in FACTS
        defect = 0 if exact or not here else float(FACTS.get("defect", 0))
        return Tensor(self.value * other.value + defect, self.device, self.dtype)

    def __sub__(self, other):
        return Tensor(self.value - other.value)

    def abs(self):
        return Tensor(abs(self.value), self.device, self.dtype)

    def double(self):
        assert self.device != "mps", "MPS has no float64"
        return Tensor(self.value, "exact")

    def norm(self):
        return abs(self.value)

    def sum(self):
        return 1024 * self.value


class Device:
    def __init__(self, kind):
        self.names = FACTS.get("devices", []) if FACTS.get("kind", "cuda") == kind else []
        for name in ("get_arch_list", "can_device_access_peer"):
            if kind == "xpu":
                setattr(self, name, None)

    def is_available(self):
        if FACTS.get("warning"):
            warnings.warn(FACTS["warning"], UserWarning, stacklevel=2)
        return bool(self.names)

    def is_built(self):
        return FACTS.get("built", True)

    def device_count(self):
        return len(self.names)

    def synchronize(self):
        pass

    def get_device_properties(self, index):
        major, minor = FACTS.get("capabilities", {}).get(
            str(index), FACTS.get("capability", [9, 0])
        )
        return types.SimpleNamespace(
            name=self.names[index],
            total_memory=80 * 2**30,
            major=major,
            minor=minor,
            gcnArchName=FACTS.get("gfx", "gfx942") + ":sramecc+:xnack-",
        )

    def get_arch_list(self):
        return FACTS.get("kernels", ["sm_80", "sm_90"])

    def can_device_access_peer(self, index, other):
        return True


cuda, xpu, mps = Device("cuda"), Device("xpu"), Device("mps")
backends = types.SimpleNamespace(mps=mps)


def manual_seed(seed):
    pass


def randn(*size):
    return Tensor(2.0)


def ones(size):
    return Tensor(1.0)


distributed = types.ModuleType("torch.distributed")


def init_process_group(backend, meeting, rank, world_size):
    """The rank `waits_for_ever` waits for the others, which fail; without `group` all goes well."""
    global ranks
    ranks = world_size
    if rank == FACTS.get("waits_for_ever"):
        end(FACTS.get("waits", "hang"))
    if "group" not in FACTS:
        return
    os.write(2, FACTS.get("before", "").encode())
    os.write(2, f"RuntimeError: {FACTS['group']}\n{FACTS.get('after', '')}".encode())
    os._exit(1)


def all_reduce(total):
    total.value *= FACTS.get("sums", ranks)


distributed.init_process_group = init_process_group
distributed.all_reduce = all_reduce
distributed.destroy_process_group = lambda: None
distributed.is_available = lambda: True
for name in FACTS.get("groups", ["nccl", "xccl", "gloo"]):
    setattr(distributed, f"is_{name}_available", lambda: True)
sys.modules["torch.distributed"] = distributed
cuda.set_device = xpu.set_device = lambda index: None
