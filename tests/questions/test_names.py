"""Names, texts and URLs: what is refused, what is suggested instead, and how text is escaped."""

from __future__ import annotations

import json
import re
import tomllib

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from extensions.questions.names import (
    LONGEST_NAME,
    PYPI_URL,
    PYTORCH_URL,
    ascii_words,
    base_url,
    distribution_name,
    email_refusal,
    human_name,
    import_name,
    index_url_refusal,
    markdown_text,
    normal_url,
    package_name_refusal,
    project_name_refusal,
    pypi_url_refusal,
    recorded,
    text_refusal,
    toml_string,
)
from tests.support.cells import TABLES
from tests.support.project import Project

BACKENDS = frozenset(TABLES.backends() | set(TABLES.not_offered))
# What JSON, TOML and Jinja can hold: any character but a lone surrogate.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
# Arbitrary text seldom has words; folders and projects have hardly anything else.
WORDS = st.text(alphabet="aconstrhx 019_-./'\"{é名ß\n", max_size=90)
NAMES = st.one_of(TEXT, WORDS)
# A busy machine must not fail a test.
unhurried = settings(deadline=None)


def nearest(refusal: str | None) -> str:
    """The suggestion at the end of a refusal."""
    assert refusal is not None
    assert "\n" not in refusal
    return refusal.split("Nearest: ", 1)[1]


def url_refusal(url: str) -> str | None:
    return index_url_refusal(url, BACKENDS)


# The project's name


@pytest.mark.parametrize(
    "name",
    [
        *("my-project", "My Project", "a", "7", "3D Vision", "R&D (2026), v1.0+x_y", "Größe 2"),
        *("名前 2", "torch-zoo", "pytorch", "Café", "class", "tests", "x" * LONGEST_NAME),
    ],
)
def test_a_project_name_is_accepted(name):
    assert project_name_refusal(name) is None


@pytest.mark.parametrize(
    ("name", "reason", "instead"),
    [
        ('a"b', "only letters", "a-b"),
        ("a'b", "only letters", "a-b"),
        ("a`b", "only letters", "a-b"),
        ("a\\b", "only letters", "a-b"),
        ("a\nb", "only letters", "a-b"),
        ("a\x00b", "only letters", "a-b"),
        ("a\tb", "only letters", "a-b"),
        ("a\n", "only letters", "a"),
        ("a ", "only letters", "a"),
        (" a", "only letters", "a"),
        ("_a", "only letters", "a"),
        ("-a", "only letters", "a"),
        (".a", "only letters", "a"),
        ("../evil", "only letters", "evil"),
        ("C:\\evil", "only letters", "c-evil"),
        ("a/b", "only letters", "a-b"),
        ("{{ a }}", "only letters", "a"),
        ("{% a %}", "only letters", "a"),
        ("<b>a</b>", "only letters", "b-a-b"),
        ("🔥", "only letters", "my-project"),
        ("fire 🔥", "only letters", "fire"),
        ("'torch'", "only letters", "torch-project"),
        ("名前", "ASCII", "my-project"),
        ("x" * (LONGEST_NAME + 1), "longer than 60", "x" * 30),
        ("x" * 29 + "-" + "y" * LONGEST_NAME, "longer than 60", "x" * 29),
        ("torch" + "-" * LONGEST_NAME, "longer than 60", "torch-project"),
        ("名" * (LONGEST_NAME + 1), "longer than 60", "my-project"),
        ("torch", "installs", "torch-project"),
        ("Torch", "installs", "torch-project"),
        ("TorchVision", "installs", "torchvision-project"),
        ("triton_rocm", "installs", "triton-rocm-project"),
        ("typing extensions", "installs", "typing-extensions-project"),
        ("NumPy", "installs", "numpy-project"),
    ],
)
def test_a_project_name_is_refused_with_the_nearest_that_fits(name, reason, instead):
    refusal = project_name_refusal(name)
    assert reason in refusal and nearest(refusal) == instead
    assert project_name_refusal(instead) is None


@pytest.mark.parametrize("refusal", [project_name_refusal, package_name_refusal])
@pytest.mark.parametrize("name", ["", " ", "\t\n", "\u3000"])
def test_an_empty_name_is_refused_with_an_example(refusal, name):
    reason = refusal(name)
    assert "is empty" in reason
    assert refusal(nearest(reason)) is None


@unhurried
@given(NAMES)
def test_what_is_suggested_for_a_project_name_is_accepted(name):
    if reason := project_name_refusal(name):
        assert project_name_refusal(nearest(reason)) is None


@unhurried
@given(NAMES)
def test_an_accepted_project_name_gives_a_distribution_name(name):
    if project_name_refusal(name) is None:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", distribution_name(name))
        assert name == name.strip() and name.isprintable() and len(name) <= LONGEST_NAME


@unhurried
@given(NAMES)
def test_any_folder_gives_a_project_name(folder):
    assert project_name_refusal(human_name(folder)) is None


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("my-project", "my-project"),
        ("My Project", "My Project"),
        ("größe", "größe"),
        ("torch", "torch-project"),
        (".hidden", "hidden"),
        ("it's", "it s"),
        ("🔥", "my-project"),
        ("名前", "名前-project"),
        ("", "my-project"),
        ("x" * 99, "x" * LONGEST_NAME),
    ],
)
def test_a_folder_s_name_is_kept_where_it_fits(folder, name):
    assert human_name(folder) == name


# The package's name


@pytest.mark.parametrize(
    "name",
    [
        *("my_package", "a", "Net2", "match", "my_torch", "torch_", "test_x", "console", "com10"),
        *("x" * LONGEST_NAME, "_".join("abc")),
    ],
)
def test_a_package_name_is_accepted(name):
    assert package_name_refusal(name) is None


@pytest.mark.parametrize(
    ("name", "reason", "instead"),
    [
        ("class", "keyword", "class_project"),
        ("None", "keyword", "none_project"),
        ("none", None, None),
        ("import", "keyword", "import_project"),
        ("Class", "keyword", "class_project"),
        ("json", "standard library", "json_project"),
        ("JSON", "standard library", "json_project"),
        ("types", "standard library", "types_project"),
        ("this", "standard library", "this_project"),
        ("torch", "installs", "torch_project"),
        ("Torch", "installs", "torch_project"),
        ("TORCH", "installs", "torch_project"),
        ("typing_extensions", "installs", "typing_extensions_project"),
        ("PIL", "installs", "pil_project"),
        ("src", "folder", "src_project"),
        ("tests", "folder", "tests_project"),
        ("Scripts", "folder", "scripts_project"),
        ("con", "Windows", "con_project"),
        ("AUX", "Windows", "aux_project"),
        ("com1", "Windows", "com1_project"),
        ("lpt9", "Windows", "lpt9_project"),
        ("2fast", "begins with a letter", "project_2fast"),
        ("_private", "begins with a letter", "private"),
        ("my-package", "ASCII letters", "my_package"),
        ("my package", "ASCII letters", "my_package"),
        ("my.package", "ASCII letters", "my_package"),
        ("a\n", "ASCII letters", "a"),
        ("größe", "ASCII letters", "grosse"),
        ("名前", "ASCII letters", "my_package"),
        ("🔥", "ASCII letters", "my_package"),
        ("torch🔥", "ASCII letters", "torch_project"),
        ('a"b', "ASCII letters", "a_b"),
        ("a'b", "ASCII letters", "a_b"),
        ("{{ a }}", "ASCII letters", "a"),
        ("../evil", "ASCII letters", "evil"),
        ("../json", "ASCII letters", "json_project"),
        ("x" * (LONGEST_NAME + 1), "longer than 60", "x" * 30),
    ],
)
def test_a_package_name_is_refused_with_the_nearest_that_fits(name, reason, instead):
    refusal = package_name_refusal(name)
    if reason is None:
        assert refusal is None
    else:
        assert reason in refusal and nearest(refusal) == instead
        assert package_name_refusal(instead) is None


@unhurried
@given(NAMES)
def test_what_is_suggested_for_a_package_name_is_accepted(name):
    if reason := package_name_refusal(name):
        assert package_name_refusal(nearest(reason)) is None


# The project may run on any Python from 3.10 on, whatever Python asks the questions.
@pytest.mark.parametrize(
    "name",
    [
        *("test", "compression", "annotationlib", "profiling", "tomllib"),
        *("asynchat", "asyncore", "distutils", "imp", "smtpd", "lib2to3"),
        # PEP 594
        *("aifc", "audioop", "cgi", "cgitb", "chunk", "crypt", "imghdr", "mailcap", "msilib"),
        *("nis", "nntplib", "ossaudiodev", "pipes", "sndhdr", "spwd", "sunau", "telnetlib"),
        *("uu", "xdrlib"),
    ],
)
def test_a_module_of_any_supported_python_s_standard_library_is_refused(name):
    for written in (name, name.upper(), name.capitalize()):
        refusal = package_name_refusal(written)
        assert "standard library" in refusal and nearest(refusal) == f"{name}_project"
    assert import_name(name) == f"{name}_project"


@unhurried
@given(NAMES)
def test_any_project_name_gives_a_package_name(name):
    found = import_name(name)
    assert package_name_refusal(found) is None and found.isidentifier()


@pytest.mark.parametrize(
    ("project", "name"),
    [
        ("My Project", "my_project"),
        ("3D Vision", "project_3d_vision"),
        ("Größe 2", "grosse_2"),
        ("torch", "torch_project"),
        ("class", "class_project"),
        ("tests", "tests_project"),
        ("con", "con_project"),
        ("名前", "my_package"),
        ("", "my_package"),
        ("x" * 99, "x" * LONGEST_NAME),
        ("9" * 99, f"project_{'9' * (LONGEST_NAME - 8)}"),
    ],
)
def test_a_project_name_becomes_an_import_name(project, name):
    assert import_name(project) == name


def test_words_are_folded_to_ascii():
    assert ascii_words("Größe 2, Café_ﬁ") == ["grosse", "2", "cafe", "fi"]
    assert ascii_words("名前 🔥") == []
    assert distribution_name("My  Project__2.0") == "my-project-2-0"


# Texts and addresses


@pytest.mark.parametrize("text", ["", "A sentence.", "Größe 名前 🔥", "{{ a }} \"' \\", "x" * 500])
def test_a_text_is_accepted(text):
    assert text_refusal(text) is None


@pytest.mark.parametrize(
    "text",
    [
        *("a\nb", "a\r", "a\tb", "\x00", "\x1b[0m", "\x7f", "\x85", "a\u2028b", "a\u2029b"),
        *("\ud800", "x" * 501),
    ],
)
def test_a_text_that_does_not_fit_on_a_line_is_refused(text):
    assert text_refusal(nearest(text_refusal(text))) is None


@unhurried
@given(st.text())
def test_an_accepted_text_is_one_line(text):
    if text_refusal(text) is None:
        assert len(text.splitlines()) <= 1
        assert text.encode().decode() == text


@pytest.mark.parametrize("email", ["", "me@example.org", "a.b+c@sub.example.org", "ü@exämple.org"])
def test_an_address_is_accepted(email):
    assert email_refusal(email) is None


@pytest.mark.parametrize(
    "email",
    [
        *("nobody", "@", "a@", "@b", "a@b@c", "a b@c.org", "me@example.org\n", " me@example.org"),
        *('"a"@b.org', "a'@b.org", "<a@b.org>", "Me <a@b.org>", "a@b.org, c@d.org", "{{a}}@b.org"),
        "a\\@b.org",
    ],
)
def test_what_is_no_address_is_refused(email):
    suggested, otherwise = nearest(email_refusal(email)).split(", or ")
    assert email_refusal(suggested) is None
    assert otherwise == "leave it empty" and email_refusal("") is None


@pytest.mark.parametrize("email", ["a\x00@b.org", f"{'x' * 500}@b.org"])
def test_an_address_is_held_to_the_rules_for_texts(email):
    assert email_refusal(email) == text_refusal(email) is not None


# URLs


@pytest.mark.parametrize(
    "url",
    [
        "https://download.pytorch.org/whl",
        "https://download.pytorch.org/whl/",
        "https://mirror.example.org",
        "https://mirror.example.org:8443/a/b-c_d~e",
        "https://mirror.example.org/whl/cpu/more",
        "https://mirror.example.org/cpu.d",
        "https://cpu.example.org/",
        "https://mirror.example.org/a%20b",
        "https://[2001:db8::1]/whl",
        "https://192.0.2.1/whl",
        "http://127.0.0.1:8000",
        "http://127.1.2.3/whl",
        "http://localhost:8000/whl",
        "http://LOCALHOST/whl",
        "http://[::1]:8000/whl",
        "HTTPS://mirror.example.org/whl",
        "https://mypytorch.org/whl",
        # Words that only look like a vendor's, and patterns, which say where the indexes are.
        "https://famd.example.org/amdahl/intelligence/cu1",
        "https://nvidia.example.org/rocm/{backend}",
        "https://download.pytorch.org:443/x/../whl",
        "https://mirror.example.org/a/../pytorch-{backend}/simple",
        "https://xn--mller-kva.example.org/whl",
        "https://mirror_1.example.org./whl",
        "https://pkgs.example.org/feed@view",
    ],
)
def test_a_url_is_accepted(url):
    assert url_refusal(url) is None


MIRROR = "https://mirror.example.org/whl"
EXAMPLE = "https://mirror.example.org/pytorch/whl"
PLAIN = "no spaces, quotes or characters of a shell"
UNFIT = " \t\r\n\x00\x7f\"'`\\{}|<>^$;&()*!"


@pytest.mark.parametrize(
    ("url", "reason", "instead"),
    [
        ("https://me:secret@mirror.example.org/whl", "credentials", MIRROR),
        ("https://token@mirror.example.org/whl", "UV_INDEX_", MIRROR),
        ("https://@mirror.example.org/whl", "credentials", MIRROR),
        ("https://a@b@mirror.example.org/whl", "credentials", MIRROR),
        ("https://me:secret@mirror.example.org/whl?a=1#b", "credentials", MIRROR),
        ("http://me@localhost:8000/whl", "credentials", "http://localhost:8000/whl"),
        (f"{MIRROR}?token=1", "query", MIRROR),
        (f"{MIRROR}?", "query", MIRROR),
        (f"{MIRROR}#sha256=1", "fragment", MIRROR),
        (f"{MIRROR}#", "fragment", MIRROR),
        ("http://mirror.example.org/whl", "plain http", MIRROR),
        ("HTTP://mirror.example.org/whl", "plain http", MIRROR),
        ("http://128.0.0.1/whl", "plain http", "https://128.0.0.1/whl"),
        ("http://[2001:db8::1]/whl", "plain http", "https://[2001:db8::1]/whl"),
        ("http://localhost.example.org/", "plain http", "https://localhost.example.org"),
        (f"{MIRROR}/cpu", "without a backend", MIRROR),
        (f"{MIRROR}/cu130/", "without a backend", MIRROR),
        (f"{MIRROR}/rocm7.2", "without a backend", MIRROR),
        (f"{MIRROR}/rocm7.14", "without a backend", MIRROR),
        ("https://mirror.example.org/xpu", "without a backend", "https://mirror.example.org"),
        ("http://127.0.0.1:8000/cpu", "without a backend", "http://127.0.0.1:8000"),
        # Repaired in every respect at once
        ("http://me:secret@mirror.example.org/whl/cu130/?a=1#b", "credentials", MIRROR),
        ("http://mirror.example.org/whl/cpu/?a=1", "query", MIRROR),
        ("http://mirror.example.org/whl/cpu/", "plain http", MIRROR),
        ("http://me@[::1]:8000/cpu/#b", "credentials", "http://[::1]:8000"),
        (f"{MIRROR}/cpu/cu130", "without a backend", MIRROR),
        ("https://me@mirror.example.org:8443/whl/", "credentials", f"{MIRROR[:26]}:8443/whl"),
        ("", PLAIN, EXAMPLE),
        ("mirror.example.org/whl", "https://", EXAMPLE),
        ("//mirror.example.org/whl", "https://", EXAMPLE),
        ("/srv/whl", "https://", EXAMPLE),
        ("file:///srv/whl", "https://", EXAMPLE),
        ("ftp://mirror.example.org/whl", "https://", EXAMPLE),
        ("https:///whl", "name a host", EXAMPLE),
        ("https://:8443/whl", "name a host", EXAMPLE),
        ("https://mirror.example.org:99999/whl", "no URL", EXAMPLE),
        ("https://mirror.example.org:port/whl", "no URL", EXAMPLE),
        ("https://[::1/whl", "no URL", EXAMPLE),
        ("https://[nonsense]/whl", "no URL", EXAMPLE),
        # As browsers and uv read addresses: what ends in a number is IPv4, and may be no such.
        *(
            (f"https://{host}/whl", "no URL", EXAMPLE)
            for host in (
                *("256.1.1.1", "foo.1", "foo.0x", "1.2.3", "0x7f.1", "1.2.3.4.", "01.2.3.4"),
                *("4294967296", "xn--a", "xn--", "xn--zz.org", "a..b", ".a", "."),
            )
        ),
        (f"{MIRROR}/a:b/@", "no URL", EXAMPLE),
        ("https://pypi.org/simple", "PyPI", PYTORCH_URL),
        ("https://PyPI.org./simple/", "PyPI", PYTORCH_URL),
        ("https://test.pypi.org/simple", "PyPI", PYTORCH_URL),
        ("https://files.pythonhosted.org/packages", "PyPI", PYTORCH_URL),
        ("https://download.pytorch.org/whl/nightly", "own host", PYTORCH_URL),
        ("https://download.pytorch.org/whl/{backend}", "own host", PYTORCH_URL),
        (f"{MIRROR}/{{backend}}/../x", "undone", EXAMPLE),
        # Another vendor's index, whatever its host: below it is none per backend.
        *(
            (url, f"speaks of {word}", f"{url.rstrip('/')}/{{backend}}")
            for url, word in (
                ("https://repo.radeon.com/rocm/manylinux/rocm-rel-7.2/", "radeon"),
                ("https://rocm.nightlies.amd.com/v2/gfx94X-dcgpu", "rocm"),
                ("https://mirror.example.org/gfx110X-all/", "gfx110x"),
                ("https://pypi.nvidia.com", "nvidia"),
                ("https://pytorch-extension.intel.com/release-whl/stable/xpu/us", "intel"),
                ("https://pypi.jetson-ai-lab.io/jp6/cu129/simple", "jetson"),
                ("https://wheels.example.org/CU128/simple", "cu128"),
            )
        ),
        (f"{MIRROR}/./cpu/x/%2E%2e", "without a backend", MIRROR),
        ("https://mirror example.org/whl", PLAIN, EXAMPLE),
        (f" {MIRROR}", PLAIN, EXAMPLE),
        *((f"{MIRROR}{character}", PLAIN, EXAMPLE) for character in UNFIT),
        *((f"{MIRROR}/a{character}b", PLAIN, EXAMPLE) for character in UNFIT),
        (f"{MIRROR}/{{{{ a }}}}", PLAIN, EXAMPLE),
        (f"{MIRROR}/`id`", PLAIN, EXAMPLE),
        (f"{MIRROR}/$(id)", PLAIN, EXAMPLE),
        ("https://me:$ecret@mirror.example.org/whl", PLAIN, EXAMPLE),
        ("https://exämple.org/whl", PLAIN, EXAMPLE),
        (f"{MIRROR}/名", PLAIN, EXAMPLE),
    ],
)
def test_a_url_is_refused_with_the_nearest_that_fits(url, reason, instead):
    refusal = url_refusal(url)
    assert reason in refusal and nearest(refusal) == instead
    assert url_refusal(instead) is None


@pytest.mark.parametrize("password", ["secret", "$ecret", "s e c r e t"])
def test_a_refused_url_s_password_is_not_shown(password):
    refusal = url_refusal(f"https://me:{password}@mirror.example.org/whl?key={password}")
    assert password not in refusal


URLS = st.one_of(
    st.text(),
    st.text("/:@?#[]1.$;&()*!~,=+%' ").map(lambda rest: f"https://{rest}"),
    st.builds(
        "".join,
        st.tuples(
            st.sampled_from(["https://", "http://", "HTTP://"]),
            st.sampled_from(["", "me@", "me:secret@", "@"]),
            st.sampled_from(["mirror.example.org", "127.0.0.1:8000", "[::1]", "localhost"]),
            st.sampled_from(["", "/whl", "/a/b%20c", "/cpu.d", "/rocm-rel-7.2", "/AMD/gfx94X"]),
            st.sampled_from(["", "/cpu", "/cu130", "/cu130/cpu", "/rocm7.14"]),
            st.sampled_from(["", "/"]),
            st.sampled_from(["", "?", "?a=1"]),
            st.sampled_from(["", "#", "#b"]),
        ),
    ),
)


@unhurried
@given(URLS)
def test_an_accepted_url_has_nothing_to_escape(url):
    if url_refusal(url) is None:
        assert re.fullmatch(r"(?i)https?://[!-~]+", url)
        assert toml_string(url) == json.dumps(url) == f'"{url}"'
        assert not set(url) & set("?#$;&()*!'` ")
        assert "@" not in url.split("/", 3)[2]


@unhurried
@given(URLS)
def test_what_is_suggested_for_a_url_is_accepted(url):
    # An empty part of a path, as in //cpu, may hide a backend.
    reason = url_refusal(url)
    if reason and "//" not in url.split("://", 1)[-1]:
        assert url_refusal(nearest(reason)) is None
        assert not nearest(reason).endswith("/")


@pytest.mark.parametrize(
    ("url", "nearest_url"),
    [
        ("https://256.1.1.1/x", "https://mirror.example.org/pypi/simple"),
        ("https://mirror.example.org/{backend}", "https://mirror.example.org/pypi/simple"),
        ("https://test.pypi.org/simple", PYPI_URL),
        ("https://pypi.org./simple", PYPI_URL),
        ("https://download.pytorch.org/whl", PYPI_URL),
    ],
)
def test_what_cannot_stand_for_pypi(url, nearest_url):
    assert nearest(pypi_url_refusal(url)) == nearest_url
    assert pypi_url_refusal(nearest_url) is None


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("HTTP://LOCALHOST:8765/whl", "http://localhost:8765/whl"),
        ("https://Mirror.Example.org:443/WHL/", "https://mirror.example.org/WHL/"),
        ("https://h:/./a/x/../%2E/b//c/.", "https://h/a/b//c/"),
        ("https://h/{backend}/./simple", "https://h/{backend}/simple"),
        ("https://h", "https://h/"),
        # No addresses of an index, and left as they are
        *((u, u) for u in ("https://Me@H/x", "HTTPS://h/a?b", "FTP://h/x", "https://1.2.3/", "")),
    ],
)
def test_an_address_is_recorded_as_uv_writes_it(url, normal):
    assert normal_url(url) == normal
    answers = {"index_url": url, "pypi_url": url, "_src_path": "gh:a/b"}
    assert recorded(answers) | {"_src_path": ""} == {
        "index_url": normal,
        "pypi_url": normal,
        "_src_path": "",
    }


# Addresses that may be fit, and near them some that are not.
HOSTS = st.one_of(
    st.sampled_from(["mirror.example.org", "MIRROR.Example.ORG.", "127.0.0.1", "[::1]", "h_1"]),
    st.text("aZ09x-_.", min_size=1, max_size=9),
    st.builds("xn--{}.org".format, st.text("aeb0149-", max_size=8)),
    st.text(st.characters(categories=["Ll", "Lo", "Nd"]), min_size=1, max_size=4).map(
        lambda text: "xn--" + text.encode("punycode").decode("ascii")
    ),
    st.ip_addresses().map(lambda ip: f"[{ip}]" if ip.version == 6 else str(ip)),
    st.ip_addresses(v=6).map(lambda ip: f"[{ip.exploded.upper()}]"),
)
PORTS = st.sampled_from(["", ":", ":443", ":0443", ":80", ":0", ":8443", ":65535", ":65536"])
SEGMENTS = st.one_of(
    st.sampled_from(["", ".", "..", "%2e", "%2E.", "...", "whl", "A%7eb", "%2f"]),
    st.text("aZ09._~:@]+,=-", max_size=5),
)
ADDRESSES = st.builds(
    "{}://{}{}/{}".format,
    st.sampled_from(["https", "https", "HTTPS", "http"]),
    HOSTS,
    PORTS,
    st.lists(SEGMENTS, max_size=5).map("/".join),
)


@settings(
    deadline=None,
    max_examples=6,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(ADDRESSES, min_size=60, max_size=60))
def test_uv_reads_what_is_accepted_as_it_is_recorded(tmp_path, urls):
    """The addresses that uv would ask, of many indexes at once; without a network it says which."""
    accepted = [url for url in dict.fromkeys(urls) if not url_refusal(url)]
    names = [f"package{number}" for number in range(len(accepted))]
    lines = ['[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.11"']
    lines += [f"dependencies = {json.dumps(names)}", "[tool.uv.sources]"]
    lines += [f'{name} = {{ index = "{name}" }}' for name in names]
    for name, url in zip(names, accepted, strict=True):
        # Some schemes and hosts in capitals uv would not even ask: it is given what is recorded.
        url = recorded({"index_url": url})["index_url"]
        lines += [f'[[tool.uv.index]]\nname = "{name}"\nurl = "{url}"\nexplicit = true']
    (tmp_path / "pyproject.toml").write_text("\n".join(lines), "utf-8")
    project = Project(tmp_path, {"UV_NO_CONFIG": "false", "UV_NO_CACHE": "1"})
    done = project.uv("lock", "--offline", "--verbose", check=False)
    assert "Failed to parse" not in done.stderr, done.stderr
    asked = re.findall(r"request for: (\S+)/(package\d+)/", done.stderr)
    found = {name: url.rstrip("/") for url, name in asked}
    assert found == {name: base_url(url) for name, url in zip(names, accepted, strict=True)}


# Escapes


@unhurried
@given(TEXT)
def test_a_toml_string_is_read_as_it_was(text):
    written = toml_string(text)
    assert tomllib.loads(f"key = {written}\n") == {"key": text}
    assert "\n" not in written and "\r" not in written and "\x7f" not in written


@pytest.mark.parametrize("text", ["", '"', "\\", "\\u0041", "\x00\x1f\x7f", "\r\n\t", "'''", "🔥"])
def test_a_toml_string_keeps_what_toml_reads_itself(text):
    assert tomllib.loads(f"key = {toml_string(text)}") == {"key": text}


def shown(markdown: str) -> str:
    """What a reader sees: a backslash before ASCII punctuation is not shown (CommonMark 2.4)."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown)


@unhurried
@given(st.one_of(TEXT, st.text("\\`*[]<>|&;#+-.)=~_1aé ")))
def test_markdown_shows_a_text_as_it_is(text):
    written = markdown_text(text)
    assert shown(written) == text.strip()
    assert len(written.splitlines()) == len(text.strip().splitlines())
    bare = re.sub(r"\\.", " ", written)
    assert not set(bare) & set("`*[]<>|&~")
    # A single underscore that is left stands inside a word.
    assert not re.search(r"(?<![\w\\])_(?!_)", re.sub(r"\\[^_]|__+", "", written))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("A sentence, 50 % of it.", "A sentence, 50 % of it."),
        ("a *b* `c`", r"a \*b\* \`c\`"),
        ("[a](b) ![c](d)", r"\[a\](b) !\[c\](d)"),
        ("<script>", r"\<script\>"),
        ("a | b", r"a \| b"),
        ("a\\*b", r"a\\\*b"),
        ("# a", r"\# a"),
        ("- a", r"\- a"),
        ("+ a", r"\+ a"),
        ("> a", r"\> a"),
        ("1. a", r"1\. a"),
        ("12) a", r"12\) a"),
        ("---", r"\---"),
        ("===", r"\==="),
        ("~~~", r"\~\~\~"),
        ("~~a~~", r"\~\~a\~\~"),
        ("a &amp; b &lt;", r"a \&amp; b \&lt;"),
        ("R&D", r"R\&D"),
        ("_a_ b", r"\_a\_ b"),
        ("a _b_", r"a \_b\_"),
        ("(_a_), _é_", r"(\_a\_), \_é\_"),
        ("a_(b)_c", r"a\_(b)\_c"),
        ("_ _ _", r"\_ \_ \_"),
        ("a_b_c, é_名", "a_b_c, é_名"),
        ("  a\t", "a"),
        ("    # a", r"\# a"),
        ("", ""),
        (" ", ""),
        ("a - b # c 1. d", "a - b # c 1. d"),
    ],
)
def test_markdown_is_escaped_where_it_would_be_read(text, written):
    assert markdown_text(text) == written
