"""What a `uv.lock` installs on a platform, for a selection of extras and groups."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from packaging.markers import InvalidMarker, Marker
from packaging.utils import canonicalize_name

from ..tables.platforms import PLATFORMS
from .setup import Choice, Origin, at, environment

# uv writes a choice of conflicting extras into markers as `extra-<length>-<project>-<name>`.
_CHOSEN = re.compile(r"extra (==|!=) '(extra|group)-(\d+)-([^']+)'")
_TAGS = {
    "linux-x86_64": r"linux.*x86_64",
    "linux-aarch64": r"linux.*aarch64",
    "windows-amd64": r"win_amd64",
    "macos-arm64": r"macosx_.*(arm64|universal2)",
}


@dataclass(frozen=True)
class Locked:
    """A release of a package in a lock; `origin.kind` is `none` if it has no wheel there."""

    version: str
    origin: Origin


class Lock:
    """The graph of a lock. Raises ValueError for a text that is no lock of a project."""

    def __init__(self, text: str, project: str, python: str) -> None:
        content = tomllib.loads(text)
        self.python = python
        self.packages: dict[str, list[Mapping[str, Any]]] = {}
        for package in content.get("package", []):
            self.packages.setdefault(package["name"], []).append(package)
        own = [p for p in self.packages.get(project, ()) if "registry" not in p["source"]]
        if not own:
            raise ValueError("the lock is not that of the project")
        self.root = own[0]

    @property
    def torch(self) -> str:
        """The version of torch on the first platform that has one, without its local part."""
        for platform in PLATFORMS:
            for package in self.packages.get("torch", ()):
                if _wheel(package, platform) and self._here(package, platform, ()):
                    return str(package["version"]).partition("+")[0]
        return ""

    def find(self, name: str, platform: str, selection: Collection[Choice]) -> Locked | None:
        """The release of a package that is installed; None for none."""
        waiting, seen = list(self._wanted(selection)), set()
        while waiting:
            dep = waiting.pop(0)
            if not self._holds(dep.get("marker"), platform, selection):
                continue
            for package in self._packages(dep, platform, selection):
                key = (package["name"], package["version"], *dep.get("extra", ()))
                if package["name"] == name:
                    return _locked(package, platform)
                if key not in seen:
                    seen.add(key)
                    waiting += package.get("dependencies", ())
                    for extra in dep.get("extra", ()):
                        waiting += package.get("optional-dependencies", {}).get(extra, ())
        return None

    def _wanted(self, selection: Collection[Choice]) -> Iterator[Mapping[str, Any]]:
        """What the project itself requires."""
        yield from self.root.get("dependencies", ())
        tables = {"extra": "optional-dependencies", "group": "dev-dependencies"}
        for kind, name in sorted(selection):
            for listed, items in self.root.get(tables[kind], {}).items():
                if canonicalize_name(listed) == name:
                    yield from items

    def _packages(
        self, dep: Mapping[str, Any], platform: str, selection: Collection[Choice]
    ) -> Iterator[Mapping[str, Any]]:
        for package in self.packages.get(dep["name"], ()):
            same = dep.get("version", package.get("version")) == package.get("version")
            source = dep.get("source", package["source"]) == package["source"]
            if same and source and self._here(package, platform, selection):
                yield {"version": "", **package}

    def _here(
        self, package: Mapping[str, Any], platform: str, selection: Collection[Choice]
    ) -> bool:
        markers = package.get("resolution-markers", ())
        return not markers or any(self._holds(m, platform, selection) for m in markers)

    def _holds(self, text: str | None, platform: str, selection: Collection[Choice]) -> bool:
        if not text:
            return True

        def chosen(found: re.Match[str]) -> str:
            sign, kind, length, rest = found.groups()
            here = (kind, rest[int(length) + 1 :]) in selection
            return f"python_version {'>=' if here == (sign == '==') else '<'} '0'"

        try:
            marker = Marker(_CHOSEN.sub(chosen, text))
        except InvalidMarker:
            return True
        return marker.evaluate(environment(platform, self.python))


def _wheel(package: Mapping[str, Any], platform: str) -> bool:
    names = [w.get("url", w.get("path", w.get("filename", ""))) for w in package.get("wheels", ())]
    tags = re.compile(rf"-(any|[^-]*{_TAGS[platform]}[^-]*)\.whl$")
    return "sdist" in package or any(tags.search(name.partition("#")[0]) for name in names)


def _locked(package: Mapping[str, Any], platform: str) -> Locked:
    version, source = str(package["version"]), package["source"]
    if not _wheel(package, platform):
        return Locked(version, Origin("none"))
    if "registry" not in source:
        return Locked(version, Origin("elsewhere", url=next(map(str, source.values()), "")))
    return Locked(version, at(source["registry"]) or Origin("pypi", url=source["registry"]))
