"""What names of wheels say, and what a page of an index is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import parse_wheel_filename

from extensions.refreshing.fetch import CannotLook, Page
from extensions.refreshing.pages import backends, wheels
from extensions.refreshing.wheels import PYTHONS, Wheel

URL = "https://download.pytorch.org/whl/cu130/torch/"


def wheel(filename: str) -> Wheel:
    _, version, _, tags = parse_wheel_filename(filename)
    return Wheel(filename, URL + filename, version, tags)


def test_a_page_with_an_address_that_is_none_is_named() -> None:
    file = {"filename": "torch-2.14.1+cu130-cp312-cp312-linux_x86_64.whl", "url": "https://[x/y"}
    page = Page(URL, "", json.dumps({"meta": {"api-version": "1.0"}, "files": [file]}))
    with pytest.raises(CannotLook, match=URL):
        wheels(page, "torch")


@pytest.mark.parametrize(
    ("filename", "platforms", "pythons", "glibc", "macos"),
    [
        ("torch-2.5.1-cp312-cp312-manylinux1_x86_64.whl", ["linux-x86_64"], [12], (2, 5), None),
        (
            "torch-2.5.1-cp312-cp312-manylinux_2_17_aarch64.manylinux2014_aarch64.whl",
            ["linux-aarch64"],
            [12],
            (2, 17),
            None,
        ),
        ("torch-2.5.1+cu124-cp311-cp311-linux_x86_64.whl", ["linux-x86_64"], [11], None, None),
        (
            "torchcodec-0.16.0-cp313-cp313-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
            ["linux-x86_64"],
            [13],
            (2, 27),
            None,
        ),
        ("torch-2.9.1-cp313-none-macosx_11_0_arm64.whl", ["macos-arm64"], [13], None, (11, 0)),
        ("torch-2.2.2-cp312-none-macosx_10_9_x86_64.whl", [], [], None, (10, 9)),
        ("torch-2.14.1-cp314-cp314t-win_amd64.whl", [], [], None, None),
        ("torch-2.13.0-cp313-cp313-win_arm64.whl", [], [], None, None),
        ("torch-2.13.0-cp313-cp313-linux_s390x.whl", [], [], None, None),
        ("torchvision-0.29.2-py3-none-win_amd64.whl", ["windows-amd64"], PYTHONS, None, None),
        (
            "torchvision-0.30.0-cp312-abi3-win_amd64.whl",
            ["windows-amd64"],
            range(12, PYTHONS.stop),
            None,
            None,
        ),
        ("torchaudio-2.1.0-cp27-cp27mu-manylinux1_x86_64.whl", [], [], (2, 5), None),
    ],
)
def test_a_name_says_where_a_wheel_installs(filename, platforms, pythons, glibc, macos) -> None:
    found = wheel(filename)
    assert found.cells == {(platform, python) for platform in platforms for python in pythons}
    assert (found.glibc, found.macos) == (glibc, macos)


def page(body: str, content_type: str = "text/html") -> Page:
    return Page(URL, content_type, f"<!DOCTYPE html>\n<html>\n  <body>\n{body}  </body>\n</html>\n")


def test_hosts_and_old_relative_addresses_are_followed() -> None:
    name = "torch-2.14.1%2Bcu130-cp313-cp313-win_amd64.whl"
    hrefs = (
        f"https://download-r2.pytorch.org/whl/cu130/{name}",
        f"/whl/cu130/{name}",
        f"../{name}",
    )
    body = "".join(f'    <a href="{href}#sha256=0">x</a><br/>\n' for href in hrefs)
    assert [w.url for w in wheels(page(body), "torch")] == [
        f"https://download-r2.pytorch.org/whl/cu130/{name}",
        *[f"https://download.pytorch.org/whl/cu130/{name}"] * 2,
    ]


def test_what_is_no_wheel_of_a_release_is_passed_over() -> None:
    names = (
        "torch-2.15.0.tar.gz",
        "torch-2.15.0rc2-cp313-cp313-win_amd64.whl",
        "torch-2.15.0.dev20261101-cp313-cp313-win_amd64.whl",
        "torch-0.1-cp27-none-linux.whl.asc",
        "torch_tensorrt-2.15.0-cp313-cp313-win_amd64.whl",
    )
    body = "".join(f'    <a href="{name}">{name}</a><br/>\n' for name in names)
    body += '    <a href="torch-2.14.0-cp313-cp313-win_amd64.whl" data-yanked="broken">x</a><br/>\n'
    body += '    <a href="torch-2.14.1-cp313-cp313-win_amd64.whl">x</a><br/>\n'
    assert [w.release for w in wheels(page(body), "torch")] == ["2.14.1"]


def test_folders_of_backends_alone_are_taken() -> None:
    names = ("cpu/", "cu130/", "rocm7.2/", "xpu/", "nightly/", "test/", "rocm/", "cu13x/", "../")
    body = "".join(f'    <a href="{name}">{name}</a><br/>\n' for name in names)
    assert backends(page(body)) == {"cpu", "cu130", "rocm7.2", "xpu"}


WHOLE = page('    <a href="torch-2.14.1-cp313-cp313-win_amd64.whl">x</a><br/>\n').text


@given(st.integers(0, len(WHOLE) - 2))
def test_a_page_that_was_cut_off_anywhere_is_none(length: int) -> None:
    assert len(wheels(Page(URL, "text/html", WHOLE), "torch")) == 1
    # The line break behind the last tag is none of it.
    with pytest.raises(CannotLook):
        wheels(Page(URL, "text/html", WHOLE[:length]), "torch")


@given(st.text() | st.binary().map(lambda b: b.decode("latin-1")))
def test_any_text_is_a_page_or_refused(text: str) -> None:
    for body in (text, "{" + text, f"<!DOCTYPE html>{text}</html>", '{"meta": ' + text):
        with pytest.raises(CannotLook):
            wheels(Page(URL, "text/html", body), "torch")


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=5) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["meta", "files", "filename", "url", "api-version", "yanked"]),
                inner,
            )
        ),
    )
)
def test_any_json_is_a_page_or_refused(content: object) -> None:

    try:
        wheels(
            Page(URL, "application/json", json.dumps({"meta": content, "files": content})), "torch"
        )
    except CannotLook:
        return
    raise AssertionError("it lists no wheel of torch")
