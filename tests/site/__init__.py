"""The page: its Python, its tables, and all of it in a browser."""

import sys

from tests.conftest import ROOT

# Python has a module `site` of its own, so that these are found by themselves, as in the browser.
if str(ROOT / "site") not in sys.path:
    sys.path.insert(0, str(ROOT / "site"))
