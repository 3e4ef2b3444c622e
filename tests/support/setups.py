"""Set-ups of PyTorch as people have them before they adopt the template, and what each says.

A set-up is the text of a `pyproject.toml`; `answers` are those that keep its builds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PROJECT = '[project]\nname = "lab"\nversion = "1.2.0"\nrequires-python = ">=3.11"\n'
WHL = "https://download.pytorch.org/whl"


def index(name: str, url: str = "", more: str = "explicit = true") -> str:
    """One of PyTorch's indexes; `name` ends with its backend where no URL is given."""
    url = url or f"{WHL}/{name.removeprefix('pytorch-')}"
    return f'\n[[tool.uv.index]]\nname = "{name}"\nurl = "{url}"\n{more}\n'


@dataclass(frozen=True)
class Setup:
    """`open` names some of the questions that it leaves open; `exact` says that every build stays
    what it was, so that a lock before and after can be compared."""

    text: str
    answers: dict[str, Any]
    open: tuple[str, ...] = ()
    exact: bool = True
    said: tuple[str, ...] = field(default=())


def _with(body: str, *indexes: str) -> str:
    return f"{PROJECT}{body}{''.join(indexes)}"


LINUX, WINDOWS = "sys_platform == 'linux'", "sys_platform == 'win32'"
X86_64, ON_ARM = "platform_machine == 'x86_64'", "platform_machine == 'aarch64'"
BY_EXTRA = """dependencies = ["einops"]
[project.optional-dependencies]
gpu = ["torch==2.8.0", "torchvision"]
cpu = ["torch==2.8.0", "torchvision"]
[tool.uv]
conflicts = [[{ extra = "gpu" }, { extra = "cpu" }]]
[tool.uv.sources]
torch = [{ index = "pt", extra = "gpu" }, { index = "pc", extra = "cpu" }]
torchvision = [{ index = "pt", extra = "gpu" }, { index = "pc", extra = "cpu" }]
""".replace('"einops"', '"numpy"')
BY_GROUP = """dependencies = ["numpy"]
[dependency-groups]
dev = ["pytest"]
gpu = ["torch>=2.7,<2.15"]
cpu = ["torch>=2.7,<2.15"]
[tool.uv]
default-groups = ["dev", "gpu"]
conflicts = [[{ group = "gpu" }, { group = "cpu" }]]
[tool.uv.sources]
torch = [{ index = "pytorch-cu126", group = "gpu" }, { index = "pytorch-cpu", group = "cpu" }]
"""

SETUPS: dict[str, Setup] = {
    "plain": Setup(
        _with('dependencies = ["torch>=2.7,<2.14", "torchvision"]\n'),
        {"strategy": "pypi", "torch_version": "2.13", "packages": ["torchvision"]},
    ),
    "cap": Setup(
        _with('dependencies = ["torch>=2.6,<2.8"]\n'), {"strategy": "pypi", "torch_version": "2.7"}
    ),
    "pin": Setup(
        _with('dependencies = ["torch==2.9.1"]\n'), {"strategy": "pypi", "torch_version": "2.9"}
    ),
    "compatible": Setup(
        _with('dependencies = ["torch~=2.9.0"]\n'), {"strategy": "pypi", "torch_version": "2.9"}
    ),
    "series": Setup(
        _with('dependencies = ["torch==2.10.*"]\n'), {"strategy": "pypi", "torch_version": "2.10"}
    ),
    "one-index": Setup(
        _with(
            'dependencies = ["torch>=2.7.1"]\n[tool.uv.sources]\n'
            'torch = { index = "pytorch-cu128" }\n',
            index("pytorch-cu128"),
        ),
        {"strategy": "index", "backend": "cu128", "torch_version": "2.11"},
    ),
    "cpu-index": Setup(
        _with(
            'dependencies = ["torch>=2.7,<2.14"]\n[tool.uv.sources]\n'
            'torch = [{ index = "pytorch-cpu", marker = "sys_platform != \'darwin\'" }]\n',
            index("pytorch-cpu"),
        ),
        {"strategy": "index", "backend": "cpu", "torch_version": "2.13"},
    ),
    "local-pin": Setup(
        _with(
            'dependencies = ["torch==2.6.0+cu124"]\n[tool.uv.sources]\n'
            'torch = { index = "pytorch-cu124" }\n',
            index("pytorch-cu124"),
        ),
        {"strategy": "index", "backend": "cu124", "torch_version": "2.6"},
        # On aarch64 this build has no local version: it was no match there, and is installed now.
        exact=False,
    ),
    "linux-or-windows": Setup(
        _with(
            'dependencies = ["torch>=2.7,<2.12"]\n[tool.uv.sources]\n'
            f'torch = [{{ index = "pytorch-cu128", marker = "{LINUX} or {WINDOWS}" }}]\n',
            index("pytorch-cu128"),
        ),
        {"strategy": "index", "backend": "cu128", "torch_version": "2.11"},
    ),
    "markers": Setup(
        _with(
            'dependencies = ["torch>=2.7,<2.12", "torchvision"]\n[tool.uv.sources]\n'
            f'torch = [{{ index = "pytorch-cu128", marker = "{LINUX}" }}, '
            f'{{ index = "pytorch-cpu", marker = "{WINDOWS}" }}]\n'
            f'torchvision = [{{ index = "pytorch-cu128", marker = "{LINUX}" }}, '
            f'{{ index = "pytorch-cpu", marker = "{WINDOWS}" }}]\n',
            index("pytorch-cu128"),
            index("pytorch-cpu"),
        ),
        {
            "strategy": "markers",
            "linux_backend": "cu128",
            "windows_backend": "cpu",
            "packages": ["torchvision"],
        },
    ),
    "platform-system": Setup(
        _with(
            'dependencies = ["torch>=2.7,<2.14"]\n[tool.uv.sources]\n'
            'torch = { index = "pytorch-cu126", marker = "platform_system == \'Linux\'" }\n',
            index("pytorch-cu126"),
        ),
        # Windows had PyPI's CPU build, and has that of the CPU index.
        {"strategy": "markers", "linux_backend": "cu126", "windows_backend": "cpu"},
        exact=False,
    ),
    "backend-per-machine": Setup(
        _with(
            'dependencies = ["torch>=2.13,<2.14"]\n[tool.uv.sources]\n'
            f'torch = [{{ index = "pytorch-cu126", marker = "{LINUX} and {X86_64}" }}, '
            f'{{ index = "pytorch-cu130", marker = "{LINUX} and {ON_ARM}" }}, '
            f'{{ index = "pytorch-cpu", marker = "{WINDOWS}" }}]\n',
            index("pytorch-cu126"),
            index("pytorch-cu130"),
            index("pytorch-cpu"),
        ),
        {
            "strategy": "markers",
            "linux_backend": "cu126",
            "aarch64_backend": "cu130",
            "windows_backend": "cpu",
        },
    ),
    "excluded": Setup(
        _with(
            'dependencies = ["torch>=2.9,<2.10", "lightning"]\n[tool.uv]\n'
            'exclude-dependencies = ["torch", "opencv-python"]\n',
        ),
        {"strategy": "provided", "torch_version": "2.9", "packages": []},
        said=("nothing installs any, neither before nor after",),
        exact=False,
    ),
    "overridden-away": Setup(
        _with(
            'dependencies = ["lightning"]\n[tool.uv]\n'
            'override-dependencies = ["torch ; sys_platform == \'never\'", "Triton; '
            "python_version < '3'\"]\n",
        ),
        {"strategy": "provided", "packages": []},
        open=("torch_version",),
        exact=False,
    ),
    "one-machine": Setup(
        _with(
            'dependencies = ["torch>=2.7"]\n[tool.uv.sources]\n'
            'torch = [{ index = "pytorch-cu128", '
            f"marker = \"{LINUX} and platform_machine == 'x86_64'\" }}]\n",
            index("pytorch-cu128"),
        ),
        {"strategy": "markers", "linux_backend": "cu128", "windows_backend": "cpu"},
        exact=False,
    ),
    "extras": Setup(
        _with(BY_EXTRA, index("pt", f"{WHL}/cu128"), index("pc", f"{WHL}/cpu/")),
        {
            "strategy": "extras",
            "backends": ["gpu=cu128", "cpu"],
            "torch_version": "2.8",
            "packages": ["torchvision"],
        },
    ),
    "extra-beside-plain": Setup(
        _with(
            'dependencies = ["torch>=2.7,<2.12"]\n[project.optional-dependencies]\n'
            'gpu = ["torch"]\n[tool.uv.sources]\n'
            'torch = [{ index = "pytorch-cu128", extra = "gpu" }]\n',
            index("pytorch-cu128"),
        ),
        {"strategy": "extras", "backends": ["cpu", "gpu=cu128"], "torch_version": "2.11"},
        # uv cannot lock it: torch comes from PyPI and from the index at once.
        exact=False,
    ),
    "extra-alone": Setup(
        _with(
            'dependencies = ["numpy"]\n[project.optional-dependencies]\n'
            'GPU = ["Torch==2.8.0", "torch_vision"]\n[tool.uv.sources]\n'
            'torch = [{ index = "pytorch-cu128", extra = "GPU" }]\n'
            'Torch_Vision = [{ index = "pytorch-cu128", extra = "GPU" }]\n',
            index("pytorch-cu128"),
        )
        .replace("torch_vision", "torchvision")
        .replace("Torch_Vision", "torchvision"),
        {
            "strategy": "extras",
            "backends": ["cpu", "gpu=cu128"],
            "torch_version": "2.8",
            "packages": ["torchvision"],
        },
    ),
    "extra-of-all": Setup(
        _with(
            '[project.optional-dependencies]\ncpu = ["torch==2.9.1"]\ncu128 = ["torch==2.9.1"]\n'
            'all = ["lab[cu128]", "tqdm"]\n[tool.uv]\n'
            'conflicts = [[{ extra = "cpu" }, { extra = "cu128" }], '
            '[{ extra = "cpu" }, { extra = "all" }]]\n[tool.uv.sources]\n'
            'torch = [{ index = "pytorch-cu128", extra = "cu128" }, '
            '{ index = "pytorch-cpu", extra = "cpu" }]\n',
            index("pytorch-cu128"),
            index("pytorch-cpu"),
        ),
        {"strategy": "extras", "backends": ["cpu", "cu128"], "torch_version": "2.9"},
    ),
    "two-pins": Setup(
        _with(
            '[project.optional-dependencies]\ncpu = ["torch==2.9.1"]\ncu126 = ["torch==2.8.0"]\n'
            '[tool.uv]\nconflicts = [[{ extra = "cpu" }, { extra = "cu126" }]]\n'
            '[tool.uv.sources]\ntorch = [{ index = "pytorch-cu126", extra = "cu126" }, '
            '{ index = "pytorch-cpu", extra = "cpu" }]\n',
            index("pytorch-cu126"),
            index("pytorch-cpu"),
        ),
        {"strategy": "extras", "backends": ["cpu", "cu126"], "torch_version": "2.9"},
        exact=False,
        said=("the bound 'torch==2.8.0' is not kept: torch is 2.9.1 now",),
    ),
    "groups": Setup(
        _with(BY_GROUP, index("pytorch-cu126"), index("pytorch-cpu")),
        {
            "strategy": "groups",
            "backends": ["gpu=cu126", "cpu"],
            "default_backend": "cu126",
            "torch_version": "2.14",
        },
        exact=True,
    ),
    "groups-without-default": Setup(
        _with(
            BY_GROUP.replace('default-groups = ["dev", "gpu"]\n', ""),
            index("pytorch-cu126"),
            index("pytorch-cpu"),
        ),
        {"strategy": "groups", "backends": ["gpu=cu126", "cpu"], "default_backend": "cpu"},
        open=("default_backend",),
        exact=False,
        said=("a plain `uv sync` installs torch now, which it did not",),
    ),
    "in-one-extra": Setup(
        _with(
            'dependencies = ["numpy"]\n[project.optional-dependencies]\ngpu = ["torch==2.8.0"]\n'
        ),
        {"strategy": "pypi", "torch_version": "2.8"},
        exact=False,
        said=("a plain `uv sync` installs torch now, which it did not",),
    ),
    "open-index": Setup(
        _with('dependencies = ["torch"]\n', index("pytorch-cu128", more="")),
        {"strategy": "index", "backend": "cu128", "torch_version": "2.11"},
        exact=False,
    ),
    "extra-index-url": Setup(
        _with(
            f'dependencies = ["torch>=2.6,<2.14"]\n[tool.uv]\nextra-index-url = ["{WHL}/cu126"]\n'
        ),
        {"strategy": "index", "backend": "cu126", "torch_version": "2.13"},
        exact=False,
    ),
    "rocm": Setup(
        _with(
            f'dependencies = ["torch==2.8.0", "pytorch-triton-rocm==3.4.0; {LINUX}"]\n'
            "[tool.uv.sources]\n"
            f'torch = {{ index = "rocm", marker = "{LINUX}" }}\n'
            f'pytorch-triton-rocm = {{ index = "rocm", marker = "{LINUX}" }}\n',
            index("rocm", f"{WHL}/rocm6.4"),
        ),
        {"strategy": "index", "backend": "rocm6.4"},
        exact=False,
    ),
    "no-windows": Setup(
        _with(
            'dependencies = ["torch"]\n[tool.uv.sources]\ntorch = { index = "pytorch-cu129" }\n',
            index("pytorch-cu129"),
        ),
        {"strategy": "index", "backend": "cu129", "torch_version": "2.13"},
    ),
    "find-links": Setup(
        _with(
            'dependencies = ["torch==2.6.0+cu124"]\n'
            f'[tool.uv]\nfind-links = ["{WHL}/torch_stable.html"]\n'
        ),
        {"strategy": "index", "backend": "cu124", "torch_version": "2.6"},
        exact=False,
    ),
    "unmanaged": Setup(
        _with(
            'dependencies = ["torch==2.6.0"]\n[tool.uv]\nmanaged = false\n'
            '[tool.uv.pip]\ntorch-backend = "auto"\n'
        ),
        {"strategy": "pip", "backend": "auto", "torch_version": "2.6"},
        exact=False,
    ),
    "index-of-pip": Setup(
        _with(
            f'dependencies = ["torch==2.6.0"]\n[tool.uv.pip]\nextra-index-url = ["{WHL}/cu124"]\n'
        ),
        {"strategy": "pip", "backend": "cu124", "torch_version": "2.6"},
        exact=False,
    ),
    "git": Setup(
        _with(
            'dependencies = ["torch"]\n[tool.uv.sources]\n'
            'torch = { git = "https://github.com/pytorch/pytorch" }\n'
        ),
        {"strategy": "pypi"},
        open=("strategy", "torch_version", "backend"),
        exact=False,
        said=("git https://github.com/pytorch/pytorch",),
    ),
    "wheel": Setup(
        _with(
            f'dependencies = ["torch @ {WHL}/cu126/torch-2.7.1%2Bcu126-cp311-cp311-'
            'manylinux_2_28_x86_64.whl"]\n'
        ),
        {"strategy": "index", "backend": "cu126", "torch_version": "2.7"},
        exact=False,
        said=("torch does not come from",),
    ),
    "nightly": Setup(
        _with(
            'dependencies = ["torch"]\n[tool.uv.sources]\ntorch = { index = "nightly" }\n',
            index("nightly", f"{WHL}/nightly/cu130"),
        ),
        {"strategy": "index", "backend": "cu130", "torch_version": "2.14"},
        exact=False,
        said=("/nightly/cu130 any more",),
    ),
    "too-old": Setup(
        _with(
            'dependencies = ["torch==2.0.1"]\n[tool.uv.sources]\ntorch = { index = "old" }\n',
            index("old", f"{WHL}/cu117"),
        ),
        {"strategy": "index", "backend": "cu118", "torch_version": "2.5"},
        exact=False,
        said=("the bound 'torch==2.0.1' is not kept",),
    ),
    "no-torch": Setup(
        _with('dependencies = ["numpy"]\n'),
        {"strategy": "pypi"},
        open=("strategy", "torch_version", "backends"),
        exact=False,
        said=("a plain `uv sync` installs torch now, which it did not",),
    ),
    "vision-alone": Setup(
        _with('dependencies = ["torchvision==0.22.*"]\n'),
        {"strategy": "pypi", "torch_version": "2.7", "packages": ["torchvision"]},
        exact=False,
    ),
    "artifactory": Setup(
        _with(
            'dependencies = ["torch>=2.7,<2.14"]\n[tool.uv.sources]\ntorch = { index = "a" }\n',
            index("a", "https://host.example.org/artifactory/api/pypi/pytorch-cu126/simple/"),
        ),
        {
            "strategy": "index",
            "backend": "cu126",
            "index_url": "https://host.example.org/artifactory/api/pypi/pytorch-{backend}/simple",
        },
        exact=False,
    ),
    "names-that-others-use": Setup(
        _with(
            'dependencies = ["torch>=2.7,<2.14", "numpy", "tqdm"]\n[tool.uv.sources]\n'
            'torch = { index = "t" }\ntqdm = { index = "own" }\n'
            'numpy = [{ index = "t", marker = "sys_platform == \'none\'" }]\n',
            index("t", f"{WHL}/cu126"),
            index("own", "https://pypi.example.org/simple", "default = true"),
        ),
        {"strategy": "index", "backend": "cu126", "pypi_url": "https://pypi.example.org/simple"},
        exact=False,
    ),
    "linux-alone": Setup(
        _with(f'dependencies = ["torch==2.9.1"]\n[tool.uv]\nenvironments = ["{LINUX}"]\n'),
        {"strategy": "pypi", "platforms": ["linux-x86_64", "linux-aarch64"]},
    ),
    "python-of-one-series": Setup(
        _with('dependencies = ["torch==2.9.1"]\n').replace(">=3.11", "~=3.12.0"),
        {"strategy": "pypi", "python_version": "3.12", "torch_version": "2.9"},
        exact=False,
    ),
    "python-too-new-for-the-pin": Setup(
        _with('dependencies = ["torch==2.8.0"]\n').replace(">=3.11", ">=3.14"),
        {"strategy": "pypi", "python_version": "3.14", "torch_version": "2.9"},
        exact=False,
        said=("the bound 'torch==2.8.0' is not kept",),
    ),
    "without-python": Setup(
        _with('dependencies = ["torch==2.9.1"]\n').replace('requires-python = ">=3.11"\n', ""),
        {"strategy": "pypi", "python_version": "3.13", "torch_version": "2.9"},
        open=("python_version",),
        exact=False,
    ),
}
# Ways to write one and the same set-up: by index on Linux and Windows, with CUDA 12.6.
SPELLINGS: dict[str, str] = {
    "inline": 'dependencies = ["torch"]\n'
    'tool = { uv = { sources = { torch = { index = "p" } }, '
    f'index = [{{ name = "p", url = "{WHL}/cu126", explicit = true }}] }} }}\n',
    "dotted": 'dependencies = ["torch"]\n[tool]\nuv.sources.torch.index = "p"\n'
    f'uv.index = [{{ name = "p", url = "{WHL}/cu126", explicit = true }}]\n',
    "single-quotes": "dependencies = ['torch']\n[tool.uv.sources]\ntorch = [{ index = 'p' }]\n"
    f"[[tool.uv.index]]\nexplicit = true\nurl = '{WHL}/cu126/'\nname = 'p'\n",
    "names": 'dependencies = [\n  "Torch [opt-einsum] >= 2.7", # ours\n]\n[tool.uv.sources]\n'
    f'TORCH = {{ index = "p" }}\n[[tool.uv.index]]\nname = "p"\nurl = "{WHL}/CU126"\n'
    "explicit = true\n",
    "windows": 'dependencies = ["torch"]\r\n\r\n[tool.uv.sources]\r\ntorch = { index = "p" }\r\n'
    f'[[tool.uv.index]]\r\nname = "p"\r\nurl = "{WHL}/cu126"\r\nexplicit = true\r\n',
    "one-line-array": 'dependencies = ["numpy", "torch>=2.7", "tqdm",]\n[tool.uv]\n'
    f'index = [{{ name = "p", url = "{WHL}/cu126", explicit = true }}]\n'
    'sources = { torch = { index = "p" } }\n',
    "out-of-order": 'dependencies = ["torch"]\n[[tool.uv.index]]\nname = "p"\n'
    f'url = "{WHL}/cu126"\nexplicit = true\n[tool.ruff]\nline-length = 99\n'
    '[tool.uv.sources]\ntorch = { index = "p" }\n',
}
# The same in front of [project], whose table then stands last.
FIRST = (
    '[tool.uv.sources]\ntorch = { index = "p" }\n'
    f'[[tool.uv.index]]\nname = "p"\nurl = "{WHL}/cu126"\nexplicit = true\n'
)
