"""Tables that have not been held against the world for long say so in the questions."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from copier import run_copy
from hypothesis import given
from hypothesis import strategies as st

from extensions.questions.age import VARIABLE, facts, today
from extensions.tables.releases import load
from tests.conftest import ROOT
from tests.questions.test_terminal import entered
from tests.support.cells import TABLES
from tests.support.project import Project


@given(checked=st.dates(date(2020, 1, 1), date(2100, 1, 1)), days=st.integers(-400, 400))
def test_what_is_older_than_sixty_days_says_of_which_day_it_is(checked: date, days: int) -> None:
    said = facts(checked, checked + timedelta(days))
    assert bool(said) == (days > 60)
    assert not said or f"facts of {checked}" in said


def test_the_day_is_one_of_the_tables_own() -> None:
    assert isinstance(TABLES.checked, date)
    assert TABLES.checked == load(ROOT / "extensions").checked


def test_today_is_today_unless_it_is_stated() -> None:
    assert today({}) == date.today()
    assert today({VARIABLE: "2027-02-28"}) == date(2027, 2, 28)
    with pytest.raises(ValueError, match="TORCH_TEMPLATE_TODAY=soon is no date. Nearest: 2026"):
        today({VARIABLE: "soon"})


@pytest.mark.parametrize(("more", "where"), [(False, "chosen?"), (True, "release line")])
def test_a_person_is_told_once(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: bool, where: str
) -> None:
    monkeypatch.setenv(VARIABLE, str(TABLES.checked + timedelta(days=61)))
    screen: list[str] = []
    entered(template, tmp_path / "x", more=more, screen=screen)
    # A prompt is drawn again when it is answered: what counts is beside which it stands.
    told = [p for p in "".join(screen).split("🎤") if f"facts of {TABLES.checked}" in p]
    assert told and all(where in part for part in told)


def test_no_file_depends_on_the_day(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = []
    for day in ("2026-11-24", "2031-01-01"):
        monkeypatch.setenv(VARIABLE, day)
        run_copy(str(template), tmp_path / day / "x", defaults=True, unsafe=True, quiet=True)
        project = Project(tmp_path / day / "x")
        texts.append([(str(f.relative_to(project.path)), f.read_text()) for f in project.files])
    assert texts[0] == texts[1]
