# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "cachecontrol[filecache]>=0.14.3",
#     "mousebender>=2025.1",
#     "packaging>=25",
#     "pyyaml>=6",
#     "remotezip>=0.12.6",
#     "requests>=2.32",
#     "ruamel-yaml>=0.18",
# ]
# ///
"""Hold the tables of releases against PyTorch's indexes and PyPI.

    uv run --script extensions/refresh.py [--write | --check] [--line LINE]

Without an option it says what the tables should say, cell by cell. What an index shows becomes
`high`. What no index shows (architectures, drivers, the default Python) is taken from the nearest
line or build, marked `low` where it is new, and listed as to be done by a person.

An answer of 403 means "not there". Any other failure ends the run, and nothing is written. Of a
release of torch that the tables saw, and of which an index shows nothing any more, the cells stay.

`--index-url` reads a mirror of PyTorch's indexes; without it that of `policy.yml`, if there is one.
Of a mirror it says which of the template's builds it has, and which not: what a mirror shows
changes the tables, and what it lacks does not. A mirror that lists its indexes at its base, as
PyTorch's host does, counts as PyTorch's. `--pypi-only` looks at PyPI alone.

Exit codes: 0 done; 1 with --check, if the tables state what the indexes contradict, or a mirror
lacks what the policy allows; 2 could not look.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import date
from pathlib import Path

# Run as a script it belongs to no package, and finds the other modules of this one by their folder.
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from extensions.refreshing.refresh import Options, refresh  # noqa: E402


def cache_folder() -> Path:
    """Where pages are kept that need not be read again."""
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".cache") / "torch-uv-template" / "refresh"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    does = parser.add_mutually_exclusive_group()
    does.add_argument("--write", action="store_true", help="change the tables")
    does.add_argument("--check", action="store_true", help="exit with 1 if they are contradicted")
    parser.add_argument("--line", action="append", metavar="LINE", help="this line alone: 2.15")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--index-url", metavar="URL", help="a mirror, or a pattern with {backend}")
    where.add_argument("--pypi-only", action="store_true", help="look at PyPI alone")
    parser.add_argument("--pypi-url", metavar="URL", help="a mirror of PyPI's simple API")
    parser.add_argument("--summary", type=Path, metavar="FILE", help="write it as Markdown, too")
    parser.add_argument("--no-cache", action="store_true", help="keep no pages for the next run")
    options = parser.parse_args(arguments)
    asked = Options(
        folder=ROOT / "extensions",
        policy=ROOT / "policy.yml",
        today=date.today(),
        write=options.write,
        check=options.check,
        lines=frozenset(options.line or ()),
        index_url=options.index_url,
        pypi_only=options.pypi_only,
        pypi_url=options.pypi_url,
        summary=options.summary,
        cache=None if options.no_cache else cache_folder(),
    )
    try:
        return refresh(asked)
    except Exception as error:  # else Python would end with 1, which has a meaning
        print(f"refresh.py: {type(error).__name__}: {error}.", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
