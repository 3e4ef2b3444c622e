"""The files of a project, rendered as Copier renders them into a new folder."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import yaml
from jinja2 import FileSystemLoader
from jinja2.sandbox import SandboxedEnvironment

from .answers import Settled

ANSWERS_FILE = ".copier-answers.yml"


class Template:
    """The template in a folder. `source` and `version` are what a project records of it, and
    `executable` the files in it that git has as programs."""

    def __init__(
        self, root: Path, source: str, version: str, executable: tuple[str, ...] = ()
    ) -> None:
        self.root, self.source, self.version = root, source, version
        self.executable = frozenset(executable)

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = yaml.safe_load((self.root / "copier.yml").read_text("utf-8"))
        return found

    @cached_property
    def environment(self) -> SandboxedEnvironment:
        from extensions.torch_index import TorchIndex

        found = SandboxedEnvironment(
            loader=FileSystemLoader(str(self.root)),
            extensions=[TorchIndex],
            **self.settings["_envops"],
        )
        found.filters["to_nice_yaml"] = _to_nice_yaml
        return found

    def render(self, settled: Settled, *only: str) -> dict[str, tuple[bytes, bool]]:
        """Path in the project to content, and whether it is a program; all of them, or those whose
        path begins with one of some texts."""
        context, found = self._context(settled), {}
        for source in self._sources:
            path = self._path(source, context)
            if path and (not only or path.startswith(only)):
                found[path] = (self._content(source, context), source in self.executable)
        return dict(sorted(found.items()))

    def warm(self) -> bool:
        """Compile one more of the templates, for which a later choice need not wait then; whether
        there was one left."""
        for source in self._cold:
            self.environment.get_template(source)
            return True
        return False

    @cached_property
    def _cold(self) -> Iterator[str]:
        suffix = self.settings["_templates_suffix"]
        return iter([source for source in self._sources if source.endswith(suffix)])

    @cached_property
    def _sources(self) -> tuple[str, ...]:
        folder = self.root / self.settings["_subdirectory"]
        files = (file for file in folder.rglob("*") if file.is_file())
        return tuple(sorted(file.relative_to(self.root).as_posix() for file in files))

    def _path(self, source: str, context: Mapping[str, Any]) -> str:
        """Where a file goes; empty where it goes nowhere, since one part of its path is empty."""
        _, *parts = PurePosixPath(source).parts
        parts[-1] = parts[-1].removesuffix(self.settings["_templates_suffix"])
        rendered = []
        for part in parts:
            text = self.environment.from_string(part).render(**context)
            if not text:
                return ""
            rendered.append(text)
        return "/".join(rendered)

    def _content(self, source: str, context: Mapping[str, Any]) -> bytes:
        if not source.endswith(self.settings["_templates_suffix"]):
            return (self.root / source).read_bytes()
        return self.environment.get_template(source).render(**context).encode()

    def _context(self, settled: Settled) -> dict[str, Any]:
        place = Path("/", "new", settled.folder)
        conf = {
            "src_path": self.root,
            "dst_path": place,
            "answers_file": ANSWERS_FILE,
            "data": {},
            "user_defaults": {},
            "settings": SimpleNamespace(defaults={}),
            "quiet": True,
        }
        known = {"_commit": self.version} if self.version else {}
        return {
            **settled.answers,
            "_copier_answers": {**known, "_src_path": self.source, **settled.answers},
            "_copier_conf": conf,
            "_folder_name": settled.folder,
            "_copier_phase": "render",
            "_copier_operation": "copy",
        }


def archive(folder: str, files: Mapping[str, tuple[bytes, bool]], now: tuple[int, ...]) -> bytes:
    """The files in a folder, as a .zip; `now` is year, month, day, hour, minute and second."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as packed:
        for entry, content in _entries(folder, files, now):
            packed.writestr(entry, content)
    return data.getvalue()


def _entries(
    folder: str, files: Mapping[str, tuple[bytes, bool]], now: tuple[int, ...]
) -> Iterator[tuple[zipfile.ZipInfo, bytes]]:
    for path, (content, is_program) in files.items():
        entry = zipfile.ZipInfo(f"{folder}/{path}", now)  # type: ignore[arg-type]
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.create_system = 3  # Unix, whose modes these are
        entry.external_attr = (0o100755 if is_program else 0o100644) << 16
        yield entry, content


def _to_nice_yaml(value: Any) -> str:
    """As the filter of that name which Copier brings along."""
    text: str = yaml.dump(value, indent=4, allow_unicode=True, default_flow_style=False)
    return text
