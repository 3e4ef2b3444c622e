"""How old the tables are, which is said where it matters."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date, timedelta

# A date that stands for today's, as in tests.
VARIABLE = "TORCH_TEMPLATE_TODAY"
# PyTorch has a new release line every eight weeks.
LIMIT = timedelta(days=60)


def today(environ: Mapping[str, str] = os.environ) -> date:
    """Today's date. Raises ValueError, with a reason for people, if the variable holds no date."""
    if not (stated := environ.get(VARIABLE)):
        return date.today()
    try:
        return date.fromisoformat(stated)
    except ValueError:
        raise ValueError(f"{VARIABLE}={stated} is no date. Nearest: 2026-11-23") from None


def facts(checked: date, now: date) -> str:
    """What a question says of tables of the day `checked`; empty while they are fresh."""
    if now - checked <= LIMIT:
        return ""
    return f"These are facts of {checked}: PyTorch may have newer releases."
