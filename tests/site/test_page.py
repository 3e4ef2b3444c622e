"""The page in a real browser: what visitors choose, and what they get for it."""

from __future__ import annotations

import os
import shlex
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from build import build, node_modules
from copier import run_copy
from plumbum import local

from extensions.questions.contract import VALUES
from extensions.questions.refusals import why_not
from tests.conftest import ROOT
from tests.site.test_pasted import NVIDIA_SMI, ON_WINDOWS, ROCMINFO
from tests.support.browser import Visit, browser, browser_here, served
from tests.support.cells import TABLES
from tests.support.git import tagged_template
from tests.support.project import Project, copied

SOURCE = "gh:org/torch-uv-template"
ADDRESS = b"https://github.com/org/torch-uv-template.git"
AXE = Path("node_modules", "axe-core", "axe.min.js")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not browser_here(), reason="no chromium and no Chrome (see README)"),
]


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as a repository with a release."""
    return tagged_template(tmp_path_factory.mktemp("released") / "template")


@pytest.fixture(scope="module")
def dist(released: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        node_modules()
    except SystemExit as error:
        pytest.skip(str(error))
    out = tmp_path_factory.mktemp("site")
    build(released, out, SOURCE)
    return out


@pytest.fixture(scope="module")
def visit(dist: Path) -> Iterator[Visit]:
    """One page for all tests here: Python starts once."""
    with served(dist) as address, browser() as opened:
        found = Visit(opened.new_page(viewport={"width": 1280, "height": 900}), address)
        found.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        found.open()
        yield found


@pytest.fixture(autouse=True)
def behaves(visit: Visit) -> Iterator[None]:
    """Whatever a test does: no error, and no other host."""
    yield
    assert visit.errors == []
    assert visit.strangers == []


def test_a_first_visit_needs_no_answer(visit: Visit) -> None:
    assert visit.chosen("strategy") == ["groups"]
    assert "cu130" in visit.text("#builds")
    assert visit.text("#command").endswith(f"{SOURCE} myproj")
    assert visit.text("#f-pyproject-toml-text").startswith("[project]")
    assert visit.text("#status") == ""


@pytest.mark.parametrize("strategy", VALUES["strategy"])
def test_every_strategy_can_be_chosen(visit: Visit, strategy: str) -> None:
    visit.follow("strategy=pip" if strategy != "pip" else "strategy=index")
    visit.choose("strategy", strategy)
    assert visit.chosen("strategy") == [strategy]
    assert f"strategy={strategy}" in visit.page.url
    assert f"--data strategy={strategy}" in visit.text("#command")


def test_a_mouse_meets_the_reason_and_the_way_out(visit: Visit) -> None:
    visit.follow("torch_version=2.14&strategy=index&backend=cu130")
    before = visit.page.url
    said = visit.refused("backend", "cu118")
    known = {"torch_version": "2.14", "strategy": "index", "backend": "cu118"}
    reason = why_not("backend", TABLES, known)
    assert reason and said.startswith(f"{reason}.")
    assert visit.chosen("backend") == ["cu130"]
    assert visit.page.url == before
    with visit.answered():
        visit.page.get_by_role("button", name="Take cu118 with torch 2.7").click()
    assert visit.chosen("backend") == ["cu118"]
    assert visit.chosen("torch_version") == ["2.7"]
    assert visit.text("#n-backend") == ""


def test_a_disabled_option_says_why_to_a_screen_reader(visit: Visit) -> None:
    visit.follow("torch_version=2.14&strategy=index&backend=cu130")
    option = visit.option("backend", "cu118")
    assert option.get_attribute("aria-disabled") == "true"
    described = visit.page.locator(f'[id="{option.get_attribute("aria-describedby")}"]')
    assert "its last line is 2.7" in (described.text_content() or "")
    assert visit.page.locator("#n-backend").get_attribute("aria-live") == "polite"


def test_a_keyboard_is_enough(visit: Visit) -> None:
    visit.follow("strategy=groups&backends=cpu,cu130")
    keyboard = visit.page.keyboard
    visit.option("strategy", "groups").focus()
    with visit.answered():
        keyboard.press("ArrowUp")
    assert visit.chosen("strategy") == ["extras"]
    # The focus goes with it, whatever has changed around it.
    assert visit.page.evaluate("document.activeElement.value") == "extras"
    visit.option("backends", "cu126").focus()
    with visit.answered():
        keyboard.press("Space")
    assert visit.chosen("backends") == ["cpu", "cu126", "cu130"]
    visit.option("backends", "cu118").focus()
    keyboard.press("Space")
    assert "its last line is 2.7" in visit.text("#n-backends")
    assert visit.page.evaluate("document.activeElement.value") == "cu118"
    keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.value") == "cu121"
    # The arrows do not take what cannot be chosen.
    visit.follow("torch_version=2.14&strategy=index&backend=cpu")
    visit.option("backend", "cpu").focus()
    keyboard.press("ArrowRight")
    assert visit.chosen("backend") == ["cpu"]
    assert "its last line is 2.7" in visit.text("#n-backend")


@pytest.mark.parametrize(
    ("output", "key", "backend", "seen"),
    [
        (NVIDIA_SMI, "linux_backend", "cu132", "compute capability 9.0"),
        (ON_WINDOWS, "windows_backend", "cu126", "compute capability 8.6"),
        ("470.256.02, 8.0, NVIDIA A100", "linux_backend", "cu118", "compute capability 8.0"),
        (ROCMINFO, "linux_backend", "rocm7.2", "gfx942"),
    ],
    ids=["table", "windows", "old-driver", "rocminfo"],
)
def test_what_a_tool_prints_decides_the_default(
    visit: Visit, output: str, key: str, backend: str, seen: str
) -> None:
    visit.open_anew()
    visit.paste(output)
    assert seen in visit.text("#seen")
    visit.choose("strategy", "markers")
    assert visit.chosen(key) == [backend]


def test_what_no_tool_prints_is_said(visit: Visit) -> None:
    visit.page.locator("#here details").evaluate("one => { one.open = true }")
    visit.page.locator("[name=pasted]").fill("no such tool")
    visit.page.locator("#seen", has_text="Nothing was recognized").wait_for()


def test_a_build_that_the_machine_cannot_run_is_marked(visit: Visit) -> None:
    visit.follow("strategy=index&backend=cu130&gpu=7.0&driver=580.65.06")
    assert "without code for compute capability 7.0" in visit.text("#n-backend")
    visit.choose("backend", "cu126")
    assert visit.text("#n-backend") == ""
    title = visit.option("backend", "rocm7.2").get_attribute("title")
    assert title and "Not for this machine: for GPUs of AMD" in title


def test_a_link_reproduces_a_choice(visit: Visit) -> None:
    visit.follow("strategy=extras&backends=cpu,cu126&example=training&containers=docker")
    wanted = [visit.text("#command"), visit.text("#builds"), visit.page.url]
    visit.page.locator("#share").click()
    link = visit.page.evaluate("navigator.clipboard.readText()")
    assert link == visit.page.url
    visit.follow("strategy=pypi")
    visit.follow(link.partition("#")[2])
    assert [visit.text("#command"), visit.text("#builds"), visit.page.url] == wanted


def test_back_goes_back_to_each_choice(visit: Visit) -> None:
    visit.follow("strategy=index&backend=cpu")
    first = visit.text("#command")
    visit.choose("backend", "cu126")
    second = visit.text("#command")
    visit.choose("strategy", "pypi")
    for wanted in (second, first):
        with visit.answered():
            visit.page.go_back()
        assert visit.text("#command") == wanted
    with visit.answered():
        visit.page.go_forward()
    assert visit.text("#command") == second
    assert visit.chosen("backend") == ["cu126"]


def test_an_old_link_says_what_it_took_instead(visit: Visit) -> None:
    visit.follow("torch_version=2.14&strategy=index&backend=cu128&colour=red")
    assert "cu128 has no wheels of torch 2.14: its last line is 2.11" in visit.text("#said")
    assert "Taken: cu130" in visit.text("#said")
    assert "colour: there is no such question" in visit.text("#said")
    assert visit.chosen("backend") == ["cu130"]
    assert "backend=cu130" in visit.page.url and "colour" not in visit.page.url


def test_each_copy_button_copies_what_it_stands_beside(visit: Visit) -> None:
    visit.follow("strategy=index&backend=cu126&containers=docker")
    for button in visit.page.locator("button[data-copies]").all():
        # Those of files that are folded are not to be seen.
        if not button.is_visible():
            continue
        pre = visit.page.locator(f"#{button.get_attribute('data-copies')}")
        button.click()
        copied = visit.page.evaluate("navigator.clipboard.readText()")
        assert copied == pre.text_content() and copied
        assert visit.text("#live") == "Copied"


def test_what_cannot_be_copied_is_marked(visit: Visit) -> None:
    """Without https a page has no clipboard."""
    visit.follow("strategy=index&backend=cu126")
    refuse = "() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')) }"
    visit.page.evaluate(refuse)
    visit.page.locator("[data-copies=command]").click()
    visit.page.locator("#live", has_text="It is marked").wait_for()
    assert visit.page.evaluate("getSelection().toString()") == visit.text("#command")
    visit.page.evaluate("() => { delete navigator.clipboard.writeText }")


def test_the_last_of_many_quick_choices_counts(visit: Visit) -> None:
    """Whatever is asked of Python meanwhile."""
    visit.follow("strategy=index&backend=cpu")
    script = "ids => ids.forEach(id => document.getElementById(id).click())"
    with visit.page.expect_download() as begun:
        ids = ["o-backend-cu126", "o-torch_version-2.13", "o-containers-docker", "zip"]
        visit.page.evaluate(script, ids)
    begun.value.delete()
    visit.page.locator("#f-Dockerfile").wait_for()
    assert "torch_version=2.13&strategy=index&backend=cu126" in visit.page.url
    assert visit.chosen("containers") == ["docker"]


def test_start_over_forgets_everything(visit: Visit) -> None:
    visit.follow("strategy=index&backend=cu126&gpu=7.0&driver=580.65.06")
    with visit.answered():
        visit.page.get_by_role("link", name="Start over").click()
    assert visit.chosen("strategy") == ["groups"]
    assert visit.page.locator("[name=driver]").input_value() == ""


def test_files_are_shown_where_they_are_asked_for(visit: Visit) -> None:
    visit.follow("ci=none")
    names = visit.page.locator("#files summary").all_inner_texts()
    assert names == ["pyproject.toml", "renovate.json"]
    visit.choose("containers", "docker")
    visit.choose("ci", "gitlab")
    names = visit.page.locator("#files summary").all_inner_texts()
    assert {"Dockerfile", ".gitlab-ci.yml"} <= {*names}


def test_what_is_typed_is_text(visit: Visit) -> None:
    """Nothing that a link or a person says becomes a part of the page."""
    said = '<img src="https://elsewhere.example/x" onerror="alert(1)">'
    visit.follow(
        f"project_description={quote(said)}&{quote(said)}={quote(said)}&backend={quote(said)}"
    )
    assert visit.page.locator("main img").count() == 0
    assert "onerror" in visit.text("#f-pyproject-toml-text")


def test_a_name_that_cannot_be_taken_says_why(visit: Visit) -> None:
    visit.follow("strategy=groups")
    visit.page.locator("#later > summary").click()
    field = visit.page.locator("#t-package_name")
    field.fill("1 2")
    with visit.answered():
        field.press("Enter")
    assert field.get_attribute("aria-invalid") == "true"
    assert "Nearest" in visit.text("#n-package_name")
    assert field.input_value() == "1 2"
    field.fill("fine")
    with visit.answered():
        field.press("Enter")
    assert field.get_attribute("aria-invalid") == "false"
    assert "package_name=fine" in visit.text("#command")


def test_two_lines_are_compared(visit: Visit) -> None:
    section = visit.page.locator("#compare")
    section.locator("[name=from]").select_option("2.11")
    section.locator("[name=to]").select_option("2.12")
    rows = dict(
        zip(*[iter(section.locator("tbody :is(th, td)").all_inner_texts())] * 2, strict=True)
    )
    old, new = (TABLES.lines[name].indexes for name in ("2.11", "2.12"))
    came = {backend for backend in new if {*new[backend]} - {*old.get(backend, ())}}
    went = {backend for backend in old if {*old[backend]} - {*new.get(backend, ())}}
    assert {item.split(" ")[0] for item in rows["Builds that came"].splitlines()} == came
    assert {item.split(" ")[0] for item in rows["Builds that went"].splitlines()} == went
    assert rows["torch"] == f"{TABLES.lines['2.11'].torch} → {TABLES.lines['2.12'].torch}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(visit: Visit, scheme: Any, width: int) -> None:
    """With reasons, a refused name, what was taken instead, and everything unfolded."""
    visit.page.set_viewport_size({"width": width, "height": 900})
    visit.page.emulate_media(color_scheme=scheme)
    visit.follow("torch_version=2.14&strategy=groups&backends=cpu,cu128&package_name=1x&gpu=7.0")
    visit.refused("backends", "cu118")
    visit.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    visit.page.evaluate((ROOT / "site" / AXE).read_text("utf-8"))
    found = visit.page.evaluate("axe.run({resultTypes: ['violations']})")
    assert [(v["id"], [n["html"][:200] for n in v["nodes"][:3]]) for v in found["violations"]] == []
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert visit.page.evaluate(wide) == 0
    visit.page.set_viewport_size({"width": 1280, "height": 900})
    visit.page.emulate_media(color_scheme="light")


def test_on_paper_there_is_the_result_alone(visit: Visit) -> None:
    visit.follow("strategy=index&backend=cu126")
    visit.page.emulate_media(media="print")
    assert not visit.page.locator("#choose").is_visible()
    assert visit.page.locator("#command").is_visible()
    assert visit.page.locator("#matrix").is_visible()
    visit.page.emulate_media(media="screen")


def test_the_table_needs_no_script(visit: Visit) -> None:
    context = visit.page.context.browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(visit.address)
    for name, line in TABLES.lines.items():
        block = page.locator(f'[id="torch-{name}"]')
        rows = block.locator("tbody tr").all_text_contents()
        assert len(rows) == len(line.indexes)
        for row, backend in zip(rows, line.backends(), strict=True):
            assert row.startswith(backend)
            assert all(confidence in row for confidence in line.indexes[backend].values())
    assert page.locator("#chooser").is_hidden()
    assert f"copier copy --trust {SOURCE} myproj" in page.locator("noscript").inner_text()
    context.close()


def test_a_policy_restricts_the_page(visit: Visit, released: Path, tmp_path: Path) -> None:
    """That of a fork: what it leaves out cannot be chosen, by its own reason."""
    fork = tmp_path / "fork"
    shutil.copytree(released, fork)
    rule = "backends:\n  allow: [cu126, cpu]\n  because: our driver is of 2023\n"
    (fork / "policy.yml").write_text(rule, "utf-8")
    build(fork, tmp_path / "dist", SOURCE)
    with served(tmp_path / "dist") as address:
        there = Visit(visit.page.context.browser.new_page(), address)
        there.open("strategy=index&backend=cu130")
        assert "our driver is of 2023" in there.text("#said")
        assert there.chosen("backend") == ["cu126"]
        assert "our driver is of 2023" in there.refused("backend", "cu132")
        rows = there.page.locator("#matrix tbody th").all_text_contents()
        assert {*rows} == {"cpu", "cu126"}
        assert "what the policy of its organization allows" in there.text("header")
        there.page.close()
        assert there.errors == [] and there.strangers == []


def test_a_planner_that_does_not_start_is_said(visit: Visit) -> None:
    """Only the table is left then."""
    context = visit.page.context.browser.new_context()
    page = context.new_page()
    page.route("**/python.zip", lambda route: route.abort())
    page.goto(visit.address)
    page.locator("#status", has_text="does not run in this browser").wait_for()
    assert page.locator("#matrix details[open] table").is_visible()
    context.close()


# Each with an answer that differs from the defaults, so that every file of the template and every
# strategy is among them.
CHOICES = [
    "",
    "strategy=pypi&torch_version=2.13&ci=none",
    "strategy=index&backend=cu126&packages=torchvision,torchaudio",
    "strategy=index&backend=rocm7.2&containers=docker&license=Apache-2.0",
    "strategy=index&backend=xpu&containers=devcontainer&license=BSD-3-Clause",
    "strategy=markers&linux_backend=cu126&aarch64_backend=cu130&windows_backend=cpu",
    "strategy=markers&linux_backend=rocm7.2&ci=gitlab&type_checker=mypy",
    "strategy=extras&backends=cpu,cu126,cu130&default_backend=cpu",
    "strategy=extras&backends=cpu,gpu%3Dcu130&type_checker=none",
    "strategy=groups&backends=cpu,cu130&default_backend=cu130&python_version=3.14",
    "strategy=groups&backends=cpu,rocm7.2&containers=docker,devcontainer",
    "strategy=pip&backend=auto",
    "strategy=pip&backend=cu130&license=proprietary",
    "strategy=provided&containers=docker",
    "strategy=provided&containers=docker,devcontainer&ci=gitlab&example=training",
    "example=training&launcher=slurm",
    "example=training&launcher=kubernetes&containers=docker&strategy=index&backend=cu130",
    "example=training&launcher=skypilot&torch_version=2.11",
    "torch_version=2.5&strategy=index&backend=cu118&packages=",
    "torch_version=2.15&strategy=pypi&packages=",
    "index_url=https://mirror.example.org/whl&pypi_url=https://mirror.example.org/simple"
    "&authenticate=always&containers=docker",
    "license=other&platforms=windows-amd64,macos-arm64",
    "project_name=Two+Words&project_description=Says+%22no%22+to+%24HOME+%26+%C3%A9&user_name=Ada&user_email=ada%40example.org&folder=x-y",
]


def test_the_project_is_what_copier_renders(
    visit: Visit, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file, byte for byte, by the command that the page shows. Here the template is a folder
    without versions, so that its address and version in `.copier-answers.yml` are others."""
    # Whatever GPU there is where the command runs.
    monkeypatch.setenv("TORCH_TEMPLATE_MACHINE", "rocm,gfx942")
    for number, link in enumerate(CHOICES):
        visit.follow(link)
        assert visit.text("#said") == "", link
        folder, files = unpacked(visit.download(tmp_path / f"{number}.zip"))
        answers, source, name = parsed(visit.text("#command"))
        assert (source, name) == (SOURCE, folder)
        rendered = copied(template, tmp_path / str(number) / name, answers)
        (recorded, mode) = files[".copier-answers.yml"]
        recorded = recorded.replace(b"_commit: v1.0.0\n", b"").replace(ADDRESS, bytes(template))
        assert modes_and_texts(rendered) == {**files, ".copier-answers.yml": (recorded, mode)}, link


# Where the files speak of the template, and one where none does.
RELEASED = [
    "strategy=extras&backends=cpu,gpu%3Dcu130&containers=docker",
    "ci=github&template_updates=workflow&platforms=linux-x86_64",
    "template_updates=renovate&license=other&platforms=windows-amd64,macos-arm64",
    "template_updates=renovate&ci=gitlab",
]


def test_and_so_is_what_it_says_of_the_template(
    visit: Visit, released: Path, tmp_path: Path
) -> None:
    """Byte for byte as well, where git fetches the release from the address that the page names."""
    settings = Path(os.environ["GIT_CONFIG_GLOBAL"]).read_text("utf-8")
    instead = f'[url "{released.as_uri()}"]\n\tinsteadOf = {ADDRESS.decode()}\n'
    (tmp_path / "gitconfig").write_text(settings + instead, "utf-8")
    for number, link in enumerate(RELEASED):
        visit.follow(link)
        _, files = unpacked(visit.download(tmp_path / f"{number}.zip"))
        answers, source, name = parsed(visit.text("#command"))
        there = tmp_path / str(number) / name
        with local.env(GIT_CONFIG_GLOBAL=str(tmp_path / "gitconfig")):
            run_copy(source, there, answers, defaults=True, unsafe=True, quiet=True)
        assert modes_and_texts(Project(there)) == files, link
        assert b"_commit: v1.0.0\n" in files[".copier-answers.yml"][0]


def modes_and_texts(project: Project) -> dict[str, tuple[bytes, int]]:
    return {
        file.relative_to(project.path).as_posix(): (file.read_bytes(), file.stat().st_mode & 0o777)
        for file in project.files
    }


def unpacked(file: Path) -> tuple[str, dict[str, tuple[bytes, int]]]:
    """The folder in a .zip, and its files with their modes."""
    with zipfile.ZipFile(file) as archive:
        found = {
            entry.filename: (archive.read(entry), entry.external_attr >> 16 & 0o777)
            for entry in archive.infolist()
        }
    (folder,) = {name.partition("/")[0] for name in found}
    return folder, {name.partition("/")[2]: content for name, content in found.items()}


def parsed(command: str) -> tuple[dict[str, Any], str, str]:
    """The answers, the template and the folder of a `copier copy`, as a shell reads it."""
    *words, source, folder = shlex.split(command)
    answers = dict(
        words[place + 1].split("=", 1) for place, word in enumerate(words) if word == "--data"
    )
    return answers, source, folder
