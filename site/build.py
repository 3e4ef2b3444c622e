"""Build the page: `uv run site/build.py` writes it to `site/dist/`, for any server of files.

It needs npm, for Pyodide, in the version and with the hash of `package-lock.json`. All else is in
the repository or in the environment of uv: the page gets Jinja and PyYAML as they are installed
here, without their compiled parts.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import jinja2

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(ROOT))

import facts  # noqa: E402
from chooser import families, links  # noqa: E402

from extensions.questions import policy  # noqa: E402
from extensions.tables import releases  # noqa: E402
from extensions.tables.platforms import MACOS, PLATFORMS  # noqa: E402

# As README.md names it.
SOURCE = "gh:org/torch-uv-template"
# Pure Python is all that runs in the browser: without their compiled parts these two are slower.
PACKAGES = ("jinja2", "markupsafe", "yaml")
DISTRIBUTIONS = ("Jinja2", "MarkupSafe", "PyYAML")
PYODIDE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip")
# What Copier is for the extension: an error that it raises.
COPIER = {
    "copier/__init__.py": '"""Not Copier, but what the extension takes from it."""\n',
    "copier/errors.py": (
        "class UserMessageError(Exception):\n"
        '    """Why a render cannot be, for people."""\n\n'
        "    def __init__(self, message: str) -> None:\n"
        "        super().__init__(message)\n"
        "        self.message = message\n"
    ),
}


def build(root: Path, out: Path, source: str = SOURCE) -> None:
    """Write the page of the template in `root` to a folder, from which an earlier page goes first.

    `source` is the template's address for Copier. Raises SystemExit, with a reason, without npm and
    for a folder that has something else in it.
    """
    # What is made first is there even after a build that was stopped.
    if out.exists() and not (out / "pyodide").is_dir() and (out.is_file() or any(out.iterdir())):
        raise SystemExit(f"{out} is no folder of a page. Nearest: an empty folder")
    modules = node_modules()
    shutil.rmtree(out, ignore_errors=True)
    (out / "pyodide").mkdir(parents=True)
    version = described(root)
    about = {
        "source": source,
        "version": version,
        "ref": "" if is_released(root) else version,
        "executable": [
            file.relative_to(root).as_posix()
            for file in sorted((root / "template").rglob("*"))
            if file.is_file() and os.access(file, os.X_OK)
        ],
    }
    for name in PYODIDE:
        shutil.copyfile(modules / "pyodide" / name, out / "pyodide" / name)
    # No package is loaded by Pyodide itself: its list of them would only have to be read.
    lock = json.loads((modules / "pyodide" / "pyodide-lock.json").read_text("utf-8"))
    kept = {**lock, "packages": {}}
    (out / "pyodide" / "pyodide-lock.json").write_text(json.dumps(kept), "utf-8")
    with zipfile.ZipFile(out / "python.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in archived(root, about):
            # A fixed date: the same commit gives the same file.
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    tables = policy.load(root / "policy.yml").restrict(releases.load(root / "extensions"))
    published = facts.as_json(tables, root / "extensions", version)
    (out / "tables.json").write_text(json.dumps(published, indent=1), "utf-8")
    (out / "licenses.txt").write_text(licenses(), "utf-8")
    page = HERE / "page"
    for file in page.iterdir():
        if file.suffix in (".js", ".css", ".json"):
            shutil.copyfile(file, out / file.name)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(page),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("index.html.jinja").render(
        about=about,
        facts=published,
        matrix=facts.matrix(tables),
        platforms=[p.label for p in PLATFORMS.values() if p.name != MACOS],
        command=f"{links.COPY} {source} myproj",
        policy=bool(tables.policy.rules),
        families=families,
        size=megabytes(out),
    )
    (out / "index.html").write_text(html, "utf-8")


def archived(root: Path, about: dict[str, object]) -> Iterator[tuple[str, bytes]]:
    """What Python has in the browser: name to content."""
    yield "about.json", json.dumps(about).encode()
    for name in ("copier.yml", "policy.yml"):
        if (root / name).exists():
            yield name, (root / name).read_bytes()
    for folder in ("extensions", "template"):
        for file in sorted((root / folder).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield file.relative_to(root).as_posix(), file.read_bytes()
    for file in sorted((HERE / "chooser").glob("*.py")):
        yield f"chooser/{file.name}", file.read_bytes()
    for package in PACKAGES:
        folder = Path(__import__(package).__file__).parent
        for file in sorted(folder.rglob("*.py")):
            yield f"{package}/{file.relative_to(folder).as_posix()}", file.read_bytes()
    for name, text in COPIER.items():
        yield name, text.encode()


def licenses() -> str:
    """The licenses of what is served beside the page and is not its own."""
    texts = [
        "Pyodide (https://github.com/pyodide/pyodide), unchanged: Mozilla Public License 2.0, "
        "https://www.mozilla.org/MPL/2.0/, and Python: https://docs.python.org/3/license.html\n"
    ]
    for name in DISTRIBUTIONS:
        found = metadata.distribution(name)
        for file in found.files or ():
            if file.name.upper().startswith(("LICENSE", "COPYING")) and "dist-info" in str(file):
                texts.append(f"{name} {found.version}\n\n{file.read_text()}\n")
    return f"\n{'-' * 72}\n\n".join(texts)


def node_modules() -> Path:
    """The folder of npm's packages, fetched where it is not what the lock says."""
    modules = HERE / "node_modules"
    wanted = json.loads((HERE / "package-lock.json").read_text("utf-8"))["packages"]
    for name in ("pyodide", "axe-core"):
        file = modules / name / "package.json"
        there = json.loads(file.read_text("utf-8"))["version"] if file.exists() else ""
        if there != wanted[f"node_modules/{name}"]["version"]:
            break
    else:
        return modules
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("The page needs Pyodide from npm, and there is no npm. Install Node.js.")
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"npm ci failed in {HERE}:\n{done.stdout}{done.stderr}")
    return modules


def described(root: Path) -> str:
    """What Copier records as the version of the template."""
    return _git(root, "describe", "--tags", "--always")


def is_released(root: Path) -> bool:
    """Whether this commit has a tag: Copier takes the newest one if nothing else is said."""
    return bool(_git(root, "describe", "--tags", "--exact-match"))


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def megabytes(out: Path) -> str:
    """What a first visit fetches, compressed as servers send it."""
    files = [*(out / "pyodide").iterdir(), out / "python.zip"]
    total = 0
    for file in files:
        data = file.read_bytes()
        total += len(data) if file.suffix == ".zip" else _compressed(data)
    return f"{total / 1e6:.1f}"


def _compressed(data: bytes) -> int:
    import zlib

    return len(zlib.compress(data, 6))


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the page that chooses a build of PyTorch.")
    parser.add_argument("--out", type=Path, default=HERE / "dist", help="the folder to write")
    parser.add_argument("--source", default=SOURCE, help="the template's address for Copier")
    options = parser.parse_args()
    build(ROOT, options.out.resolve(), options.source)
    print(f"The page is in {options.out}: python3 -m http.server --directory {options.out}")


if __name__ == "__main__":
    main()
