"""The templates of projects that drift.py may run: which are trusted, and their clones."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import sys
import tempfile
from hashlib import sha256
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from .recorded import CannotCompare
from .workers import Program

# Git and curl find more in an address than a person sees (`?`, `#`, `@`, `..`, `%2e`), so these
# allow a host and folders below it, and nothing else.
PART = r"(?!\.\.?(?:/|$))[\w.~-]+"
PATH = rf"{PART}(?:/{PART})*/?"
HOST = r"\w[\w.-]*"
URL = re.compile(rf"(https|ssh)://(?:(\w+)@)?({HOST}(?::\d+)?)/({PATH})", re.ASCII)
SCP = re.compile(rf"(\w+)@({HOST}):({PATH})", re.ASCII)
# Seconds.
LIMIT = 120
# What a hook of git sets, so that git finds the repository that the hook is of.
OF_ANOTHER_REPOSITORY = re.compile(
    "GIT_(DIR|WORK_TREE|INDEX_FILE|PREFIX|COMMON_DIR|NAMESPACE|.*OBJECT_DIRECTOR(Y|IES))"
)


class Git(Program):
    """A command of git that asks nobody for anything. Raises CannotCompare for all that fails."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        self.arguments = arguments
        try:
            super().__init__(
                ["git", *arguments], cwd, {**os.environ, "GIT_TERMINAL_PROMPT": "0"}, LIMIT
            )
        except OSError as error:
            raise CannotCompare(f"git cannot be run: {error.strerror}; is it on PATH?") from None

    def output(self) -> str | None:
        """What it printed, or None as long as it runs."""
        try:
            if (code := self.code()) is None:
                return None
        except TimeoutError as error:
            raise CannotCompare(f"git {self.arguments[0]}: {error}") from None
        output, errors = self.texts()
        if code:
            raise CannotCompare(
                f"git {self.arguments[0]}: {(errors.splitlines() or ['failed'])[0]}"
            )
        return output.strip()


def forget_other_repositories() -> None:
    """Let git find repositories by their folders, here and in Copier."""
    for name in filter(OF_ANOTHER_REPOSITORY.fullmatch, list(os.environ)):
        del os.environ[name]


def git(*arguments: str, cwd: Path) -> str:
    command = Git(*arguments, cwd=cwd)
    # The next line tells that it is late.
    with contextlib.suppress(TimeoutError):
        command.wait()
    return command.output() or ""


def place(source: str) -> str:
    """Host and path of a repository, alike by https and ssh; empty for any other source."""
    if url := URL.fullmatch(source):
        scheme, user, host, path = url.groups(default="")
    elif scp := SCP.fullmatch(source):
        scheme, (user, host, path) = "ssh", scp.groups()
    else:
        return ""
    # Another port is another server, and a path of ssh may be one in the home of its user.
    service = f"{scheme}:" if ":" in host else ""
    home = "" if scheme == "https" or user == "git" else f"{user}@"
    return f"{service}{home}{host}/{path.removesuffix('/').removesuffix('.git')}"


def covers(trusted: str, source: str) -> bool:
    """Whether an address is a trusted one, or below it if that ends with `/`."""
    known, asked, all_below = place(trusted), place(source), trusted.endswith("/")
    if source == trusted or (known and asked == known):
        return True
    if known and all_below and asked.startswith(f"{known}/"):
        return True
    rest = source.removeprefix(trusted)
    return all_below and rest != source and bool(re.fullmatch(PATH, rest, re.ASCII))


class Templates:
    """Clones of trusted templates, each made once, beside the comparison of projects."""

    def __init__(self, folder: Path, trusted: list[str]) -> None:
        self.folder = folder
        self.trusted = trusted
        self.clones: dict[str, Git | CannotCompare] = {}

    def trusts(self, source: str) -> bool:
        """Whether code from there may run: an address in full, or below one that ends with `/`."""
        return any(covers(trusted, source) for trusted in self.trusted)

    def clone(self, source: str) -> Path | CannotCompare | None:
        """The clone or what is wrong with it; None as long as it is made."""
        try:
            if not self.trusts(source):
                option = f"--trust {shlex.quote(source)}"
                raise CannotCompare(f"its template {source} is not trusted; {option} does that")
            target = self.folder / _slug(source)
            if source not in self.clones:
                command = ("clone", "--quiet", "--bare", "--", source, str(target))
                self.clones[source] = Git(*command, cwd=self.folder)
            made = self.clones[source]
            if isinstance(made, Git):
                return None if made.output() is None else target
            return made
        except CannotCompare as problem:
            self.clones[source] = problem
            return problem

    def end(self) -> None:
        for made in self.clones.values():
            if isinstance(made, Git):
                made.kill()


def checkout(clone: Path, version: str) -> Path:
    """A version of a template as a plain folder: so it is rendered without another clone."""
    target = clone.with_name(f"{clone.name}-{_slug(version)}")
    if not target.exists():
        described = re.search(r"-\d+-g([0-9a-f]+)$", version)
        commit = described[1] if described else version
        # Others may be at it, too: each has its own, as `git worktree add` fails beside another
        # of its kind, and the first that is complete gets the name.
        own = Path(tempfile.mkdtemp(dir=clone.parent))
        git("clone", "--quiet", "--shared", "--no-checkout", str(clone), str(own), cwd=clone)
        git("switch", "--quiet", "--detach", commit, cwd=own)
        shutil.rmtree(own / ".git")
        with contextlib.suppress(OSError):
            own.rename(target)
    return target


def module(template: Path, name: str) -> ModuleType | None:
    """A module of that version's extensions, beside those of other versions; None if it has none.

    The package has the name under which the version's own extension imports it for a render.
    """
    folder = (template / "extensions").resolve()
    if not folder.joinpath(*name.split(".")).with_suffix(".py").exists():
        return None
    package = f"torch_uv_template_{sha256(str(folder).encode()).hexdigest()[:12]}"
    if package not in sys.modules:
        spec = spec_from_file_location(
            package, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        assert spec and spec.loader
        sys.modules[package] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[package])
    return import_module(f"{package}.{name}")


def behind(clone: Path, version: str) -> int | None:
    """The number of releases after a version."""
    tags = git("tag", "--sort=-v:refname", cwd=clone).splitlines()
    return tags.index(version) if version in tags else None


def _slug(text: str) -> str:
    """A name for a folder, of which no two texts have the same."""
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{re.sub('[^a-z0-9]+', '-', text.lower())}-{digest[:8]}"
