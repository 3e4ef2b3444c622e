"""How fast the page is, and how it looks: `uv run -m tests.benchmarks.site [FOLDER]`.

Seconds until the table can be read and until Python has answered, milliseconds from a choice to its
result, each the median of some. Into the folder go pictures in light, dark and on a phone, and
`page.png`, the picture of README.md.
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
from pathlib import Path

from tests.conftest import ROOT, copy_template
from tests.support.browser import Visit, browser, served
from tests.support.git import committed, git

sys.path.insert(0, str(ROOT / "site"))

from build import build  # noqa: E402

STARTS = 3
# From a click to the result; the page counts its answers.
CLICK = """
async (id) => {
  const begun = performance.now();
  document.getElementById(id).click();
  await new Promise((done) => {
    new MutationObserver((_, observer) => {
      observer.disconnect();
      done();
    }).observe(document.body, { attributes: true, attributeFilter: ["data-answers"] });
  });
  return performance.now() - begun;
}
"""
READABLE = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd / 1000"
CHOICES = (
    *("o-strategy-index", "o-backend-cu126", "o-torch_version-2.13", "o-backend-cu132"),
    *("o-containers-docker", "o-example-training", "o-launcher-slurm", "o-ci-gitlab"),
    *("o-strategy-markers", "o-linux_backend-rocm7.2", "o-strategy-extras", "o-backends-cu126"),
    *("o-strategy-provided", "o-strategy-pip", "o-strategy-pypi", "o-strategy-groups"),
)
SHOWN = "strategy=groups&backends=cpu,cu130&gpu=9.0&driver=580.65.06"


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as made, browser() as opened:
        dist = Path(made, "dist")
        build(released(Path(made, "template")), dist)
        readable, ready, clicks = [], [], []
        with served(dist) as address:
            for _ in range(STARTS):
                # A context of its own has nothing in its cache.
                context = opened.new_context(viewport={"width": 1280, "height": 800})
                visit = Visit(context.new_page(), address)
                visit.open()
                readable.append(visit.page.evaluate(READABLE))
                ready.append(visit.page.evaluate("performance.now() / 1000"))
                clicks += [visit.page.evaluate(CLICK, choice) for choice in CHOICES]
                if folder and len(ready) == STARTS:
                    pictures(visit, folder)
                context.close()
        print(f"table readable      {statistics.median(readable):.2f} s")
        print(f"Python has answered {statistics.median(ready):.2f} s")
        print(
            f"choice to result    {statistics.median(clicks):.0f} ms, longest {max(clicks):.0f} ms"
        )


def released(folder: Path) -> Path:
    """The template as its next release: between releases the command names a commit as well."""
    committed(copy_template(folder))
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    git(folder, "tag", re.findall(r"^## (v[\d.]+)", changes, re.MULTILINE)[0])
    return folder


def pictures(visit: Visit, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    visit.follow(SHOWN)
    for scheme in ("light", "dark"):
        visit.page.emulate_media(color_scheme=scheme)
        for name, width, height in (("wide", 1280, 800), ("phone", 390, 844)):
            visit.page.set_viewport_size({"width": width, "height": height})
            file = folder / f"{name}-{scheme}.png"
            visit.page.screenshot(path=file, full_page=name == "phone")
    visit.page.emulate_media(color_scheme="light")
    visit.page.set_viewport_size({"width": 1000, "height": 620})
    visit.page.screenshot(path=folder / "page.png")


if __name__ == "__main__":
    main()
