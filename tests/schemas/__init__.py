"""The schemas of CI, bots and containers: those that check-jsonschema has, and devcontainers'."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import check_jsonschema
import jsonschema
from ruamel.yaml import YAML

VENDORED = Path(check_jsonschema.__file__).parent / "builtin_schemas" / "vendor"
HERE = Path(__file__).parent
SCHEMAS = {
    ".github/workflows/ci.yml": VENDORED / "github-workflows.json",
    ".github/workflows/gpu.yml": VENDORED / "github-workflows.json",
    ".github/workflows/template.yml": VENDORED / "github-workflows.json",
    ".github/dependabot.yml": VENDORED / "dependabot.json",
    ".gitlab-ci.yml": VENDORED / "gitlab-ci.json",
    "renovate.json": VENDORED / "renovate.json",
    ".devcontainer/devcontainer.json": HERE / "devcontainer.json",
}


def check_file(folder: Path, name: str) -> None:
    """Raises jsonschema.ValidationError for a file that does not fit its schema."""
    _check(name, (folder / name).read_text(encoding="utf-8"))


@cache
def _check(name: str, text: str) -> None:
    """Many renders share a file: each text is checked once."""
    # YAML 1.2, as GitHub reads it: PyYAML takes the key `on` for true.
    content = json.loads(text) if name.endswith(".json") else YAML(typ="safe").load(text)
    _validator(SCHEMAS[name]).validate(content)


@cache
def _validator(file: Path) -> Any:
    schema = json.loads(file.read_text(encoding="utf-8"))
    return jsonschema.validators.validator_for(schema)(schema)
