"""What the tables say and was not recorded: releases that came later, by the form of the last ones.

A new block in releases.yml is enough for the tests that lock its projects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .metadata import TORCH_REQUIRES, nvidia
from .recorded import PYPI, Wheel, platform_of, stand_in_hash

Block = Mapping[str, Any]
TAGS = {
    "linux-x86_64": "manylinux_2_28_x86_64",
    "linux-aarch64": "manylinux_2_28_aarch64",
    "windows-amd64": "win_amd64",
    "macos-arm64": "macosx_14_0_arm64",
}
ON_LINUX = "platform_system == 'Linux'"


def later(blocks: list[Block], there: set[Wheel]) -> Iterator[tuple[Wheel, bytes]]:
    """The wheels that blocks speak of and that are not `there`, with their METADATA."""
    known = {(w.package, w.release, w.index, platform_of(w.platform_tag)) for w in there}
    for block in blocks:
        for package, version, index, platform, needs in _cells(block):
            if (package, version, index, platform) in known:
                continue
            known.add((package, version, index, platform))
            local = "" if _is_plain(block, package, index, platform) else f"+{index}"
            lines = [f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}{local}"]
            text = "\n".join([*lines, *(f"Requires-Dist: {need}" for need in needs), "", ""])
            stem = f"{package.replace('-', '_')}-{version}{local}"
            for python in _pythons(block, package):
                name = f"{stem}-{python}-{python}-{TAGS[platform]}.whl"
                yield Wheel(name, index, stand_in_hash(name, index), "later"), text.encode()


def _cells(block: Block) -> Iterator[tuple[str, str, str, str, list[str]]]:
    """Package, version, index, platform and requirements of every build of a block."""
    on_macos = {"cpu": ["macos-arm64"]}
    torch = {b: [*on, *on_macos.get(b, [])] for b, on in block["indexes"].items()}
    for backend, platforms in torch.items():
        kind = "rocm" if backend.startswith("rocm") else backend
        triton = block.get("triton", {}).get(kind)
        for platform in platforms:
            needs = [*TORCH_REQUIRES, *_accelerator(backend, triton, platform)]
            yield "torch", block["torch"], backend, platform, needs
            if triton and "version" in triton and platform in triton.get("platforms", platforms):
                yield triton["name"], triton["version"], backend, platform, []
    for platform, build in block["pypi"].items():
        needs = [*TORCH_REQUIRES, *_accelerator(build, None, platform)]
        yield "torch", block["torch"], PYPI, platform, needs
    for name, companion in block.get("companions", {}).items():
        requires = [] if name in ("torchaudio", "torchcodec") else [f"torch>={block['line']}"]
        own = companion.get("indexes", block["indexes"])
        for backend, on in own.items():
            if backend not in companion.get("absent", ()):
                for platform in (*on, *on_macos.get(backend, ())):
                    yield name, companion["version"], backend, platform, requires
        for platform in companion.get("pypi", block["pypi"]):
            yield name, companion["version"], PYPI, platform, requires


def _accelerator(build: str, triton: Block | None, platform: str) -> list[str]:
    if build.startswith("cu"):
        return [*(f"{name}; {ON_LINUX}" for name in nvidia(build)), f"triton; {ON_LINUX}"]
    if triton and "version" in triton and platform in triton.get("platforms", [platform]):
        return [f"{triton['name']}=={triton['version']}"]
    return []


def _is_plain(block: Block, package: str, index: str, platform: str) -> bool:
    """Whether its wheel carries no local version."""
    own = block.get("companions", {}).get(package, {}).get("no_local", ())
    names = block.get("no_local", {}).get(platform, ())
    return index in (PYPI, *own) or "triton" in package or package in names or "macos" in platform


def _pythons(block: Block, package: str) -> list[str]:
    last = block.get("companions", {}).get(package, {}).get("last_python")
    ends = (block["python"]["first"], last or block["python"]["last"])
    first, last_minor = (int(text.removeprefix("3.")) for text in ends)
    return [f"cp3{minor}" for minor in range(first, last_minor + 1)]
