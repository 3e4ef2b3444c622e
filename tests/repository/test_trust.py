"""Settings once per person: trust and defaults, as the README shows them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from copier import load_settings
from copier._settings import is_trusted_repository

from extensions.questions.names import recorded
from tests.conftest import ROOT


@pytest.fixture
def settings(tmp_path: Path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"```yaml\n(trust:.*?)```", readme, re.DOTALL)
    assert block
    file = tmp_path / "settings.yml"
    file.write_text(block[1], encoding="utf-8")
    return load_settings(file)


def test_the_readme_trusts_the_template_as_typed_and_as_recorded(settings) -> None:
    typed = "gh:org/torch-uv-template"
    full = recorded({"_src_path": typed})["_src_path"]
    assert full == "https://github.com/org/torch-uv-template.git"
    for repository in (typed, full):
        assert is_trusted_repository(settings.trust, repository)
    assert not is_trusted_repository(settings.trust, "gh:someone-else/torch-uv-template")
    assert settings.defaults["user_name"]


def test_a_bad_default_in_the_settings_is_refused(template, tmp_path, monkeypatch) -> None:
    from copier import run_copy
    from copier.errors import UserMessageError

    file = tmp_path / "settings.yml"
    file.write_text(yaml.safe_dump({"defaults": {"user_email": "nope"}}), encoding="utf-8")
    monkeypatch.setenv("COPIER_SETTINGS_PATH", str(file))
    with pytest.raises(UserMessageError, match="user_email: that is no e-mail address"):
        run_copy(str(template), tmp_path / "x", {}, defaults=True, unsafe=True, quiet=True)
    run_copy(
        str(template), tmp_path / "x", {"user_email": ""}, defaults=True, unsafe=True, quiet=True
    )
