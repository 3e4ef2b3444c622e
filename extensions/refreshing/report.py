"""What a run found, for a terminal and as Markdown for a pull request."""

from __future__ import annotations

from dataclasses import dataclass

from .compare import Change, Kind
from .mirror import Build

_TITLES = {
    Kind.WRONG: "Contradicted by the index",
    Kind.SURER: "Seen now",
    Kind.NEW: "New",
}


@dataclass(frozen=True)
class Report:
    """`doubts` are contradictions for which nothing is changed, `todo` is for a person; `builds`
    are those of the tables, where a mirror was looked at, and None for PyTorch's own index."""

    changes: tuple[Change, ...]
    doubts: tuple[str, ...]
    todo: tuple[str, ...]
    builds: tuple[Build, ...] | None
    read: str

    @property
    def contradicted(self) -> bool:
        """Whether the tables state what is not so, or offer what a mirror lacks."""
        wrong = any(change.kind is Kind.WRONG for change in self.changes)
        return wrong or bool(self.doubts) or any(b.lacking for b in self.builds or ())

    def sections(self) -> list[tuple[str, list[str]]]:
        """Title and lines; without those that have none."""
        found = [
            (title, [c.words for c in self.changes if c.kind is of_kind])
            for of_kind, title in _TITLES.items()
        ]
        found.append(("Contradicted, and left as it is", list(self.doubts)))
        if self.builds is not None:
            whole = sum(not build.lacking for build in self.builds)
            title = f"The mirror has {whole} of {len(self.builds)} builds, and lacks"
            lacking = [build.words for build in self.builds if build.lacking]
            found.append((title, lacking or ["none"]))
        found.append(("To be done by a person", list(self.todo)))
        return [(title, lines) for title, lines in found if lines]

    def text(self) -> str:
        return self._laid_out("{}:", "  {}", "")

    def markdown(self) -> str:
        return self._laid_out("### {}\n", "- {}", "\n")

    def _laid_out(self, title: str, line: str, end: str) -> str:
        parts = [
            "\n".join([title.format(name), *(line.format(text) for text in lines)])
            for name, lines in self.sections()
        ]
        return "\n\n".join([*parts, self.read]) + end
