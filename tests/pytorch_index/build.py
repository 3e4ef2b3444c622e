"""Builds the recorded data: `python -m tests.pytorch_index.build FACTS_DIR`.

Reads `pytorch-wheels.csv` (wheels seen in public lock files) and `pytorch-releases.yml` (which
release exists on which index, platform and Python). Seen wheels keep their names and hashes; a
cell of the table without a seen wheel gets the name that the convention of that release gives it.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from .recorded import CODECS, DATA, PYPI, TRITONS, Wheel, platform_of, read_yaml

DATE = "2026-11-23"
FIRST = (2, 5)
# Not in the table's reach: rocm7.14 needs an sdist, the others were never seen on a stable index.
LEFT_OUT = ("rocm7.14", "rocm10.0", "cu134")
PLATFORMS = {
    "linux_x86_64": "linux-x86_64",
    "linux_aarch64": "linux-aarch64",
    "win_amd64": "windows-amd64",
    "macos_arm64": "macos-arm64",
}
# Null in the table (nobody saw these indexes for 2.15.0): the platforms of 2.14.1.
ASSUMED_PLATFORMS = {
    ("2.15.0", index): ("linux-x86_64", "linux-aarch64", "windows-amd64")
    for index in ("cu130", "cu132")
}
# What the table leaves open: 2.6.0 had this wheel (Linux only) at the root of the indexes, and
# 2.15.0 follows the plain triton's 3.9.
XPU_TRITON = {"2.6.0": "pytorch-triton-xpu==3.2.0", "2.15.0": "triton-xpu==3.9.0"}
ON_LINUX = "platform_system == 'Linux'"
ON_X86_64 = f"{ON_LINUX} and platform_machine == 'x86_64'"


def version_of(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def pythons_of(tags: list[str]) -> list[str]:
    """CPython 3.10 and newer, without the free-threaded builds."""
    return [tag for tag in tags if re.fullmatch(r"cp3\d\d", tag)]


def requirement(text: str) -> str:
    """`triton-rocm ~=3.8.0` and `triton-xpu 3.8.0` of the table, as a requirement.

    Raises ValueError for anything else.
    """
    match = re.fullmatch(r"([a-z-]+?)\s*([=~]=)?\s*([\d.]+)", text)
    if match is None:
        raise ValueError(f"not a requirement: {text!r}")
    name, operator, version = match.groups()
    return f"{name}{operator or '=='}{version}"


def tritons_of(entry: dict[str, Any]) -> dict[str, str]:
    """The triton requirement of each kind of build, with its markers."""
    version, table = entry["torch"], entry["triton"]
    stated = entry["pypi"]["triton_markers"]
    cuda = ON_X86_64 if "x86_64" in stated else ON_LINUX
    if below := re.search(r"python<([\d.]+)", stated):
        cuda += f" and python_version < '{below[1]}'"
    found = {
        "cuda": f"{requirement(table['cuda']['requirement'])}; {cuda}",
        "rocm": f"{requirement(table['rocm']['requirement'])}; {ON_X86_64}",
    }
    if "xpu" in table:
        xpu = XPU_TRITON.get(version) or requirement(table["xpu"]["requirement"])
        windows = "" if version == "2.6.0" else " or platform_system == 'Windows'"
        found["xpu"] = f"{xpu}; {ON_X86_64}{windows}"
    return found


def reduced(entry: dict[str, Any]) -> dict[str, Any]:
    """One release of the table, cut down to what the recorded index needs."""
    version, companions = entry["torch"], entry["companions"]
    indexes: dict[str, dict[str, str]] = {}
    assumed: list[str] = []
    no_cp315: list[str] = []
    no_torchaudio: list[str] = []
    for index, cell in entry["indexes"].items():
        if index in LEFT_OUT:
            continue
        platforms = {
            PLATFORMS[name]: pythons_of(there["python"])
            for name, there in (cell["platforms"] or {}).items()
            if name in PLATFORMS
        }
        for platform in ASSUMED_PLATFORMS.get((version, index), ()):
            platforms[platform] = pythons_of(entry["pypi"]["platforms"]["manylinux_2_28_x86_64"])
        if not platforms:
            continue
        indexes[index] = {name: " ".join(tags) for name, tags in platforms.items()}
        if cell["confidence"] == "guess":
            assumed.append(index)
        assumed += [
            f"{index} {PLATFORMS[name]}"
            for name, there in (cell["platforms"] or {}).items()
            if str(there.get("confidence", "")).startswith("assumed")
        ]
        if "not for cp315" in cell["torchvision"]:
            no_cp315.append(index)
        if cell["torchaudio"].lower().startswith("no "):
            no_torchaudio.append(index)
    # Before 2.11 the machine stands in the marker: PyPI's aarch64 wheels were CPU builds.
    nvidia = ON_X86_64 if version_of(version) < (2, 11) else ON_LINUX
    torchvision = companions["torchvision_requires_torch"]
    torchaudio = companions["torchaudio_requires_torch"]
    return {
        "torch": version,
        "requires_python": entry["requires_python"],
        "torchvision": companions["torchvision"],
        "torchvision_requires": f"torch{torchvision}",
        "torchvision_not_cp315": no_cp315,
        "torchaudio": companions["torchaudio"],
        "torchaudio_requires": "" if torchaudio == "none declared" else f"torch{torchaudio}",
        "torchaudio_not_on": no_torchaudio,
        "triton": tritons_of(entry),
        "nvidia_marker": nvidia,
        "pypi_pins": [f"{k}=={v}" for k, v in entry["pypi"]["pins_linux_x86_64"].items()],
        "pypi": {
            tag: " ".join(pythons)
            for tag, tags in entry["pypi"]["platforms"].items()
            if (pythons := pythons_of(tags))
        },
        "indexes": indexes,
        "assumed": assumed,
    }


def local_of(package: str, torch: tuple[int, ...], index: str, platform: str) -> str:
    """The local part, by the table's `local_version`.

    Linux aarch64 got one with torch 2.6.0, torchvision 0.25.0 and torchaudio 2.10.0 (the last two
    belong to torch 2.10.0); macOS and PyPI never have one.
    """
    if index == PYPI or platform == "macos-arm64":
        return ""
    if platform == "linux-aarch64" and torch < ((2, 6) if package == "torch" else (2, 10)):
        return ""
    return f"+{index}"


def tag_of(package: str, torch: tuple[int, ...], index: str, platform: str) -> str:
    """The platform tag on a PyTorch index, by the table's `platform_tags` and the seen wheels."""
    if platform == "windows-amd64":
        return "win_amd64"
    if platform == "macos-arm64":
        if package == "torchaudio" or torch < (2, 12):
            return "macosx_11_0_arm64"
        return "macosx_14_0_arm64"
    machine = platform.removeprefix("linux-")
    plain, modern = f"linux_{machine}", f"manylinux_2_28_{machine}"
    if package != "torch":
        return plain if torch < (2, 7) else modern
    if machine == "aarch64":
        if index == "cpu":
            old = "manylinux_2_17_aarch64.manylinux2014_aarch64"
            return old if torch < (2, 6) else modern
        return plain if torch < (2, 7) else modern
    if index == "xpu":
        return plain if torch < (2, 13) else modern
    if index in ("cpu", "cu118", "cu124"):
        return plain if torch < (2, 7) else modern
    return plain if torch < (2, 6) else modern


def torch_macos(release: dict[str, Any], python: str) -> tuple[str, str]:
    """ABI and platform tag of torch for macOS: those of the PyPI wheel, which is the same build.

    The ABI tag was `none` until 2.10.0, but for cp314.
    """
    torch = version_of(release["torch"])
    tags = [t for t, pythons in release["pypi"].items() if t.startswith("macosx")]
    tag = next((t for t in tags if python in release["pypi"][t].split()), tags[-1])
    return ("none" if torch < (2, 11) and python < "cp314" else python), tag


def cells(release: dict[str, Any]) -> Iterator[tuple[str, str, str, list[str], str]]:
    """(index, platform, PyPI's own platform tag, Pythons, evidence) of every cell of a release."""
    for tag, pythons in release["pypi"].items():
        yield PYPI, str(platform_of(tag)), tag, pythons.split(), "table"
    for index, platforms in release["indexes"].items():
        for platform, pythons in platforms.items():
            unsure = {index, f"{index} {platform}"} & set(release["assumed"])
            yield index, platform, "", pythons.split(), "assumed" if unsure else "table"


def family_wheels(release: dict[str, Any]) -> Iterator[Wheel]:
    """The names of torch, torchvision and torchaudio in every cell of a release."""
    torch = version_of(release["torch"])
    for index, platform, pypi_tag, pythons, evidence in cells(release):
        for package in ("torch", "torchvision", "torchaudio"):
            version = release[package] + local_of(package, torch, index, platform)
            tag = pypi_tag or tag_of(package, torch, index, platform)
            if platform == "macos-arm64" and package != "torch":
                tag = tag_of(package, torch, index, platform)
            if package == "torchaudio" and index in release["torchaudio_not_on"]:
                continue
            if package == "torchvision" and version_of(release[package]) >= (0, 29, 2):
                yield Wheel(f"{package}-{version}-py3-none-{tag}.whl", index, "", evidence)
                continue
            for python in pythons:
                abi = python
                if package == "torch" and platform == "macos-arm64":
                    abi, tag = torch_macos(release, python)
                if python == "cp315" and (
                    package == "torchaudio"
                    or (package == "torchvision" and index in release["torchvision_not_cp315"])
                ):
                    continue
                yield Wheel(f"{package}-{version}-{python}-{abi}-{tag}.whl", index, "", evidence)


def codec_wheels(release: dict[str, Any]) -> Iterator[Wheel]:
    """The names of a release of torchcodec on PyPI and on every index; macOS's are CPU builds."""
    number = version_of(release["release"])
    indexes = {PYPI: release["pypi"], **release["indexes"]}
    indexes["cpu"] = [*indexes["cpu"], "macos-arm64"]
    for index, platforms in indexes.items():
        local = "" if index == PYPI or (index == "cpu" and number < (0, 11)) else f"+{index}"
        for platform in platforms:
            if platform == "windows-amd64":
                tag = "win_amd64"
            elif platform == "macos-arm64":
                tag, local = release["macos"], ""
            else:
                tag = release["linux"].replace("{}", platform.removeprefix("linux-"))
            for python in release["pythons"].split():
                if f"{python} {platform}" in release.get("no_wheel", ()):
                    continue
                # Python 3.13 was the first to be built for macOS 12.
                old = tag == "macosx_11_0_arm64" and python == "cp313" and number >= (0, 8)
                name = f"torchcodec-{release['release']}{local}-{python}-{python}"
                yield Wheel(f"{name}-{'macosx_12_0_arm64' if old else tag}.whl", index, "", "table")


def triton_wheels(release: dict[str, Any]) -> Iterator[Wheel]:
    """The names of the tritons that a release needs, on every index on which it needs them."""
    for index, platform, _, pythons, evidence in cells(release):
        kind = "xpu" if index == "xpu" else "rocm" if index.startswith("rocm") else "cuda"
        if index == "cpu" or kind not in release["triton"]:
            continue
        requires, _, markers = release["triton"][kind].partition("; ")
        package, version = re.split("[=~]=", requires)
        below = re.search(r"python_version < '3\.(\d+)'", markers)
        number = version_of(version)
        tags = {"linux-x86_64": "manylinux_2_27_x86_64.manylinux_2_28_x86_64"}
        if kind == "rocm" or (kind == "xpu" and version == "3.2.0"):
            tags["linux-x86_64"] = "linux_x86_64"
        elif kind == "cuda" and number < (3, 3):
            tags["linux-x86_64"] = "manylinux_2_17_x86_64.manylinux2014_x86_64"
        if kind == "cuda" and number >= (3, 5):  # PyPI has aarch64 from 3.5.0
            tags["linux-aarch64"] = "manylinux_2_27_aarch64.manylinux_2_28_aarch64"
        if kind == "xpu" and version != "3.2.0":
            tags["windows-amd64"] = "win_amd64"
        for python in pythons if platform in tags else ():
            if below and int(python.removeprefix("cp3")) >= int(below[1]):
                continue
            stem = f"{package.replace('-', '_')}-{version}-{python}-{python}"
            yield Wheel(f"{stem}-{tags[platform]}.whl", index, "", evidence)


def seen_wheels(rows: list[dict[str, str]]) -> Iterator[Wheel]:
    """The wheels of pytorch-wheels.csv with a recorded package, platform and Python.

    The tritons lie at the root of the indexes, so a hash seen on one index holds on all.
    """
    names = {}
    for row in rows:
        stem = row["package"].replace("-", "_") + "-" + row["version"]
        local = f"+{row['local']}" if row["local"] else ""
        name = f"{stem}{local}-{row['python_tag']}-{row['abi_tag']}-{row['platform_tag']}.whl"
        names[id(row)] = name
    triton_hashes = {
        names[id(row)]: row["sha256"] for row in rows if row["package"] in TRITONS and row["sha256"]
    }
    for row in rows:
        name, package = names[id(row)], row["package"]
        if package not in ("torch", "torchvision", "torchaudio", "torchcodec", *TRITONS):
            continue
        plain = pythons_of([row["python_tag"]]) and not row["abi_tag"].endswith("t")
        if platform_of(row["platform_tag"]) is None or not plain:
            continue
        hash_ = triton_hashes.get(name, "") if package in TRITONS else row["sha256"]
        yield Wheel(name, row["backend"], hash_, row["evidence"])


def recorded(releases: list[dict[str, Any]], rows: list[dict[str, str]]) -> list[Wheel]:
    """Seen wheels of the recorded releases and indexes, and the names that complete the cells."""
    named = [w for r in releases for make in (family_wheels, triton_wheels) for w in make(r)]
    named += [w for r in read_yaml(CODECS) for w in codec_wheels(r)]
    versions = {(w.package, w.release) for w in named}
    indexes = {w.index for w in named}
    seen = [
        w for w in seen_wheels(rows) if (w.package, w.release) in versions and w.index in indexes
    ]
    hashes = {w.filename: w.sha256 for w in seen_wheels(rows) if w.package in TRITONS}
    have = {cell_of(w) for w in seen}
    found = {(w.filename, w.index): w for w in seen}
    for wheel in named:
        if cell_of(wheel) not in have:
            # PyPI's triton is uploaded apart from the index's, and its hash was not seen.
            known = "" if wheel.index == PYPI else hashes.get(wheel.filename, "")
            filled = Wheel(wheel.filename, wheel.index, known, wheel.evidence)
            found.setdefault((wheel.filename, wheel.index), filled)
    return sorted(found.values(), key=order)


def cell_of(wheel: Wheel) -> tuple[str, ...]:
    platform = str(platform_of(wheel.platform_tag))
    return wheel.package, wheel.release, wheel.index, platform, wheel.python_tag


def order(wheel: Wheel) -> tuple[Any, ...]:
    return wheel.package, version_of(wheel.release), wheel.index, wheel.filename


def main(facts: Path) -> None:
    """Write `data/releases.yml` and `data/wheels.csv`.

    Raises FileNotFoundError if one of the two sources is not in `facts`.
    """
    table = read_yaml(facts / "pytorch-releases.yml")
    with (facts / "pytorch-wheels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    releases = [reduced(e) for e in table["releases"] if version_of(e["torch"]) >= FIRST]
    said = (
        f"# Recorded {DATE} from pytorch-wheels.csv and pytorch-releases.yml by build.py;"
        " see README.md here.\n"
    )
    DATA.mkdir(exist_ok=True)
    body = yaml.safe_dump(releases, sort_keys=False, width=1000, default_flow_style=None)
    (DATA / "releases.yml").write_text(said + body, encoding="utf-8")
    with (DATA / "wheels.csv").open("w", encoding="utf-8", newline="") as file:
        file.write(said)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["package", "version", "filename", "index", "sha256", "evidence"])
        for wheel in recorded(releases, rows):
            writer.writerow(
                [
                    wheel.package,
                    wheel.version,
                    wheel.filename,
                    wheel.index,
                    wheel.sha256,
                    wheel.evidence,
                ]
            )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.pytorch_index.build FACTS_DIR")
    main(Path(sys.argv[1]))
