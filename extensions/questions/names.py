"""Which names, texts and URLs are fit for a project, and how text is escaped in its files."""

from __future__ import annotations

import ipaddress
import json
import keyword
import re
import shlex
import sys
import unicodedata
from collections.abc import Collection, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ..tables.releases import companions

LONGEST_NAME = 60
PYTORCH_URL = "https://download.pytorch.org/whl"
PYPI_URL = "https://pypi.org/simple"
_PYPI_HOSTS = ("pypi.org", "pypi.python.org", "pythonhosted.org")
PLACEHOLDER = "{backend}"
URL_KEYS = ("index_url", "pypi_url")

# What may stand in an address: it goes into TOML, Markdown and shell commands, where nothing in it
# may need a quote.
_PLAIN = re.compile(r"([A-Za-z0-9._~:/@\[\]+,=?#-]|%[0-9A-Fa-f]{2}|\{backend\})+")
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+")
_PORTS = {"https": "443", "http": "80"}
# Words of an address that speaks of one vendor's builds: in its path, and in a host only where that
# is the vendor's, since others are called intel.example.org.
_ONE_VENDOR = re.compile(
    r"(?<![a-z])(amd|amdgpu|radeon|rocm|gfx\w*|nvidia|cuda|cu\d\d+|jetson|sbsa"
    r"|intel|oneapi|ipex|xpu)(?![a-z])"
)
_VENDORS_HOST = re.compile(r"([^/]*\.)?((amd|radeon|nvidia|intel)\.com|jetson[\w.-]*)\.?(:\d+)?/")
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    r"(?!-)(?P<name>(?:(?:localhost|[A-Za-z0-9-]+(?:(?:\.[A-Za-z0-9-]+)+|(?=:)))(?::[0-9]{1,5})?/)?"
    rf"{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?P<digest>@sha256:[0-9a-f]{64})?",
    re.ASCII,
)

# What PyTorch releases together, under all its names.
FAMILY = frozenset(
    {
        *("torch", *companions(), "triton", "triton-rocm", "triton-xpu"),
        *("pytorch-triton", "pytorch-triton-rocm", "pytorch-triton-xpu"),
    }
)
# What a rendered project itself installs: a project or package of the same name would shadow it.
PROJECT_PACKAGES = frozenset(
    {
        *FAMILY,
        *("torchgen", "functorch"),
        *("filelock", "typing-extensions", "sympy", "mpmath", "networkx", "jinja2", "markupsafe"),
        *("fsspec", "setuptools", "numpy", "pillow", "pil", "pytest", "ruff", "iniconfig"),
        *("packaging", "pluggy", "pygments", "colorama", "tomli", "exceptiongroup"),
        *("pre-commit", "cfgv", "identify", "nodeenv", "pyyaml", "yaml", "virtualenv", "distlib"),
        *("platformdirs", "python-discovery", "ty", "mypy", "mypyc", "mypy-extensions"),
        *("pathspec", "librt", "ast-serialize", "tqdm", "types-tqdm", "types-requests"),
        *("matplotlib", "mpl-toolkits", "pylab", "contourpy", "cycler", "fonttools", "kiwisolver"),
        *("pyparsing", "python-dateutil", "dateutil", "six", "tensorboard", "absl", "absl-py"),
        *("grpc", "grpcio", "markdown", "protobuf", "google", "werkzeug"),
        *("tensorboard-data-server", "tzdata"),
        *("uv", "uv-build", "cuda", "nvidia", "intel", "pkg-resources"),
    }
)
# Modules of the standard library in some Python from 3.10 on, though not in every one; and `test`,
# which sys.stdlib_module_names leaves out.
OTHER_STDLIB = frozenset(
    {
        *("aifc", "asynchat", "asyncore", "audioop", "binhex", "cgi", "cgitb", "chunk", "crypt"),
        *("distutils", "imghdr", "imp", "lib2to3", "mailcap", "msilib", "nis", "nntplib"),
        *("ossaudiodev", "pipes", "smtpd", "sndhdr", "spwd", "sunau", "telnetlib", "uu", "xdrlib"),
        *("annotationlib", "compression", "profiling", "tomllib", "test"),
        "xxlimited",
    }
)
# What those packages bring under a name that is none of a package: pytest and sympy do.
OTHER_MODULES = frozenset({"py", "isympy"})
# Modules of others that those packages import where they find them, and fail if it is another one.
LOOKED_FOR = frozenset({"dill", "envwrap", "gmpy2", "lzmaffi", "opt_einsum", "pydot", "tensorflow"})
PROJECT_FOLDERS = frozenset({"src", "tests", "scripts"})
# The modules of tests/ and scripts/, and the functions beside the import in test_package.py: a
# package of the same name is not the one that is imported there.
PROJECT_MODULES = frozenset(
    {
        *("check_lock", "conftest", "smoke_test", "test_device", "test_package", "test_training"),
        *("test_package_is_installed", "test_torch_computes"),
    }
)
# Folders that ruff and ty pass over wherever they are, as far as Python can import them:
# https://docs.astral.sh/ruff/settings/#exclude and `src.exclude` of ty.
PASSED_OVER = frozenset({"dist", "node_modules", "venv"})

# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
WINDOWS_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
)


def ascii_words(text: str) -> list[str]:
    """The lower-case ASCII words of a text: `Größe 2` gives `["grosse", "2"]`."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    return re.findall(r"[a-z0-9]+", folded.encode("ascii", "ignore").decode())


def distribution_name(project_name: str) -> str:
    """The normalized distribution name (PEP 503); empty if the text has no ASCII word."""
    return "-".join(ascii_words(project_name))


def import_name(project_name: str) -> str:
    """A package name that is always fit to use, made from a project name."""
    name = "_".join(ascii_words(project_name))[:LONGEST_NAME].strip("_") or "my_package"
    if name[0].isdigit():
        name = f"project_{name}"[:LONGEST_NAME]
    return name if package_name_refusal(name) is None else f"{name[:50]}_project"


def human_name(folder: str) -> str:
    """A project name that is always fit to use, made from a folder's name."""
    name = re.sub(r"[^\w .-]+", " ", folder).strip(" .-_")[:LONGEST_NAME].strip(" .-_")
    if name and project_name_refusal(name) is not None:
        name = f"{name[:50]}-project"
    return name if name and project_name_refusal(name) is None else "my-project"


def project_name_refusal(name: str) -> str | None:
    """Why a text cannot name a project."""
    if not name.strip():
        return "the name is empty. Nearest: my-project"
    fit = human_name_hint(name)
    if not re.fullmatch(r"[^\W_][\w .+&(),-]*", name) or name != name.rstrip():
        return (
            "only letters, digits, spaces and . _ - + & ( ) , are allowed, "
            f"and the first must be a letter or digit. Nearest: {fit}"
        )
    if len(name) > LONGEST_NAME:
        return f"it is longer than {LONGEST_NAME} characters. Nearest: {fit}"
    distribution = distribution_name(name)
    if not distribution:
        return "a distribution name needs an ASCII letter or digit. Nearest: my-project"
    if _is_installed(distribution):
        return f"{distribution} is a package that the project installs. Nearest: {fit}"
    return None


def _is_installed(name: str) -> bool:
    """Whether PyTorch or a tool of the project brings a package of that name."""
    # The libraries of CUDA and oneAPI: nvidia-cudnn-cu13, cuda-toolkit, intel-cmplr-lib-rt …
    family = name.startswith(("nvidia-", "cuda-", "intel-")) and not name.endswith("-project")
    return family or name in PROJECT_PACKAGES


def human_name_hint(name: str) -> str:
    """A fit name that is close to an unfit one."""
    words = ascii_words(name)
    hint = "-".join(words)[:30].strip("-") or "my-project"
    return f"{hint}-project" if _is_installed(hint) else hint


def package_name_refusal(name: str) -> str | None:
    """Why a text cannot be the import name of the project's package."""
    if not name.strip():
        return "the name is empty. Nearest: my_package"
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        return (
            "an import name has ASCII letters, digits and _ alone, and begins with a letter. "
            f"Nearest: {import_name(name)}"
        )
    if len(name) > LONGEST_NAME:
        return f"it is longer than {LONGEST_NAME} characters. Nearest: {name[:30]}"
    # Windows and macOS do not tell Torch.py from torch.py.
    lower = name.lower()
    reason = None
    if keyword.iskeyword(name) or keyword.iskeyword(lower):
        reason = "is a keyword of Python"
    elif lower in OTHER_STDLIB or lower in _stdlib():
        reason = "is a module of the standard library"
    elif _is_installed(lower.replace("_", "-")):
        reason = "is a package that the project installs"
    elif lower in OTHER_MODULES:
        reason = "is a module that the project installs"
    elif lower in LOOKED_FOR:
        reason = "is a module that packages of the project import where they find it"
    elif lower in PROJECT_FOLDERS:
        reason = "is a folder of the project"
    elif lower in PROJECT_MODULES:
        reason = "is a name in the project's tests and scripts"
    elif lower in PASSED_OVER:
        reason = "is a name of folders that linters and type checkers pass over"
    elif lower in WINDOWS_DEVICES:
        reason = "is a device name on Windows"
    return f"{name} {reason}. Nearest: {lower}_project" if reason else None


@cache
def _stdlib() -> frozenset[str]:
    return frozenset(name.lower() for name in sys.stdlib_module_names)


def is_one_line(text: str) -> bool:
    """Whether a text has no line break, no control character and nothing that is no Unicode."""
    return not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text)


def text_refusal(text: str) -> str | None:
    """Why a text does not fit on one line of a file."""
    if not is_one_line(text):
        return "it has a line break or a control character. Nearest: the same text on one line"
    if len(text) > 500:
        return "it is longer than 500 characters. Nearest: one sentence"
    return None


def email_refusal(text: str) -> str | None:
    """Why a text is no e-mail address; empty is allowed."""
    if not text or re.fullmatch(r"[^@\s<>\"'\\{},]+@[^@\s<>\"'\\{},]+", text):
        return text_refusal(text)
    return "that is no e-mail address. Nearest: name@example.org, or leave it empty"


def index_of(index_url: str, backend: str) -> str:
    """The URL of a backend's index, below a base or in the place of `{backend}`."""
    if PLACEHOLDER in index_url:
        return index_url.replace(PLACEHOLDER, backend)
    return f"{index_url.rstrip('/')}/{backend}"


@lru_cache(maxsize=100)
def normal_url(url: str) -> str:
    """A URL as uv writes it into uv.lock.

    Lower-case scheme and host, no default port, no `.` and `..` in the path: the normal form of
    https://url.spec.whatwg.org, as seen with uv 0.13.9. What no index can have stays as it is.
    """
    try:
        parts = urlsplit(url)
        host, port = _host_and_port(parts)
    except ValueError:
        return url
    if not _PLAIN.fullmatch(url) or set("?#") & set(url) or parts.scheme not in _PORTS:
        return url
    path: list[str] = []
    last = ""
    for segment in parts.path.split("/")[1:]:
        last = segment.lower().replace("%2e", ".")
        if last == "..":
            del path[-1:]
        elif last != ".":
            path.append(segment)
    if last in (".", ".."):
        path.append("")
    netloc = f"{host}:{port}" if port and port != _PORTS[parts.scheme] else host
    return f"{parts.scheme}://{netloc}/{'/'.join(path)}"


def base_url(url: str) -> str:
    """The same without slashes at its end, which say nothing."""
    return normal_url(url).rstrip("/")


def _host_and_port(parts: SplitResult) -> tuple[str, str]:
    """Host and port of a URL without a user in normal form; an empty port is that of the scheme.

    Raises ValueError for what uv, or whoever looks the host up, does not read or reads as another.
    """
    netloc = re.fullmatch(rf"({_HOST.pattern})(?::([0-9]*))?", parts.netloc)
    if not netloc:
        raise ValueError("that is no host")
    host, digits = netloc[1].lower(), netloc[2] or ""
    port = digits.lstrip("0") or digits[:1]
    if len(port) > 5 or int(port or 0) > 65535:
        raise ValueError("there is no such port")
    if host.startswith("["):
        return f"[{_normal_ipv6(host[1:-1])}]", port
    labels = host.removesuffix(".").split(".")
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        # Whatever ends in a number is an IPv4 address, and may be a strange way to write one.
        return str(ipaddress.IPv4Address(host)), port
    if not all(labels) or not all(map(_is_readable, labels)):
        raise ValueError("that is no host")
    return host, port


def _normal_ipv6(text: str) -> str:
    address = ipaddress.IPv6Address(text)
    if address.ipv4_mapped is None:
        return address.compressed
    # Python 3.13 and later write the last part of these with dots.
    high, low = divmod(int(address.ipv4_mapped), 1 << 16)
    return f"::ffff:{high:x}:{low:x}"


def _is_readable(label: str) -> bool:
    """Whether a part of a host is no name of another alphabet, or one that uv is sure to read."""
    if not label.startswith("xn--"):
        return True
    try:
        name = label[4:].encode("ascii").decode("punycode")
        again = name.encode("punycode").decode("ascii")
    except ValueError:
        return False
    # Letters that Unicode has long had, read from the left, and in the form that stands for all
    # others. UTS 46 keeps two that case folding replaces, and takes two fillers for nothing.
    old = unicodedata.ucd_3_2_0
    fit = all(
        c == "-" or (old.category(c) in ("Ll", "Lo", "Nd") and old.bidirectional(c) in ("L", "EN"))
        for c in name
    )
    plain = re.sub("[ßς]", "", name)
    normal = unicodedata.normalize("NFKC", plain.casefold()) == plain
    blank = re.search("[\u115f\u1160]", name)
    return fit and normal and not blank and not name.isascii() and again == label[4:]


def index_url_refusal(url: str, backends: Collection[str]) -> str | None:
    """Why a URL cannot be the base or the pattern of the PyTorch indexes."""
    example = "https://mirror.example.org/pytorch/whl"
    before, mark, after = url.partition(PLACEHOLDER)
    if mark and ("/" not in before.partition("://")[2] or PLACEHOLDER in after):
        return f"{PLACEHOLDER} stands once, and behind the host. Nearest: {example}"
    if reason := _url_refusal(url, example, backends):
        return reason
    url = base_url(url)
    if mark and PLACEHOLDER not in url:
        return f"{PLACEHOLDER} is undone by `..`. Nearest: {example}"
    parts = urlsplit(url)
    if parts.path.rpartition("/")[2] in backends:
        nearest = _repaired(parts, backends)
        return f"it is the base of all indexes, without a backend at its end. Nearest: {nearest}"
    if _is_below(parts, *_PYPI_HOSTS):
        return f"PyPI has no index per backend. Nearest: {PYTORCH_URL}"
    if _is_below(parts, "pytorch.org") and url != PYTORCH_URL:
        return f"on PyTorch's own host the indexes are at one place. Nearest: {PYTORCH_URL}"
    if word := _vendor_in(url):
        return (
            f"it speaks of {word}, and below a base there is an index for every backend, cpu "
            f"among them; a pattern says where they are. Nearest: {pattern_of(url)}"
        )
    return None


def _vendor_in(url: str) -> str:
    """The vendor, or a build of one, of which a base speaks; empty for none, and for a pattern."""
    rest = f"{url.lower().partition('://')[2]}/"
    path = rest if _VENDORS_HOST.match(rest) else rest.partition("/")[2]
    found = _ONE_VENDOR.search(path)
    return found[0] if found and PLACEHOLDER not in url else ""


def pattern_of(url: str) -> str:
    """A base as the pattern that means the same."""
    return f"{base_url(url)}/{PLACEHOLDER}"


def pypi_url_refusal(url: str) -> str | None:
    """Why a URL cannot stand for PyPI."""
    example = "https://mirror.example.org/pypi/simple"
    if PLACEHOLDER in url:
        return f"there is one index for all, without {PLACEHOLDER}. Nearest: {example}"
    if reason := _url_refusal(url, example):
        return reason
    parts = urlsplit(base_url(url))
    if _is_below(parts, *_PYPI_HOSTS) and parts.geturl() != PYPI_URL:
        return f"on its own host PyPI is at one place. Nearest: {PYPI_URL}"
    if _is_below(parts, "pytorch.org"):
        return f"PyTorch's own host has PyTorch alone. Nearest: {PYPI_URL}"
    return None


def _is_below(parts: SplitResult, *domains: str) -> bool:
    host = f".{parts.hostname}".removesuffix(".")
    return any(host.endswith(f".{domain}") for domain in domains)


def _url_refusal(url: str, example: str, backends: Collection[str] = ()) -> str | None:
    """Why a text is no plain URL of an index."""
    nearest = f"Nearest: {example}"
    if not _PLAIN.fullmatch(url):
        return f"a plain URL has no spaces, quotes or characters of a shell. {nearest}"
    try:
        parts = urlsplit(url)
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        if parts.scheme not in _PORTS or not bare.hostname:
            return f"it must begin with https:// and name a host. {nearest}"
        host, _ = _host_and_port(bare)
    except ValueError:
        return f"that is no URL that uv is sure to read. {nearest}"
    # The latter uv takes for a password that has a slash.
    if "[" in parts.path or re.search(":.*@", parts.path):
        return f"that is no URL that uv is sure to read. {nearest}"
    nearest = f"Nearest: {_repaired(parts, backends)}"
    if "@" in parts.netloc:
        return (
            "credentials would be written into files that are committed; uv reads them from "
            f"UV_INDEX_<NAME>_USERNAME and UV_INDEX_<NAME>_PASSWORD. {nearest}"
        )
    if "?" in url or "#" in url:
        return f"something is appended to it, so it can have no query or fragment. {nearest}"
    if parts.scheme == "http" and not _is_loopback(host.strip("[]")):
        return f"plain http lets anyone on the way replace a wheel. {nearest}"
    return None


def _repaired(parts: SplitResult, backends: Collection[str]) -> str:
    """The URL without all that is refused."""
    path = normal_url(f"https://host{parts.path}").removeprefix("https://host").rstrip("/")
    while path.rpartition("/")[2] in backends:
        path = path.rpartition("/")[0].rstrip("/")
    scheme = "http" if parts.scheme == "http" and _is_loopback(str(parts.hostname)) else "https"
    netloc = parts.netloc.rpartition("@")[2]
    url = normal_url(f"{scheme}://{netloc}{path}").rstrip("/")
    return pattern_of(url) if backends and _vendor_in(url) else url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def image_refusal(text: str) -> str | None:
    """Why a text names no image of a registry that is the same tomorrow.

    https://github.com/distribution/reference says what a reference is.
    """
    example = "nvcr.io/nvidia/pytorch:26.09-py3"
    if not (found := _IMAGE.fullmatch(text)) or len(text) > 300:
        return f"that is no image, as registry/repository:tag. Nearest: {example}"
    if found["digest"]:
        return None
    if found["tag"] in (None, "latest"):
        said = "has no tag" if found["tag"] is None else "is another one tomorrow"
        name = found["name"].rpartition("/")[2]
        return f"{name}{':latest' if found['tag'] else ''} {said}. Nearest: {example}"
    return None


def toml_string(text: str) -> str:
    """A basic string of TOML 1.0, quotes included."""
    # JSON's escapes are TOML's, but TOML forbids a bare DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def yaml_string(text: str) -> str:
    """A text as a value of YAML: as it is where no reader takes it for more, else in quotes."""
    # An ordinary path or URL, or a command with such.
    plain = r"[A-Za-z/][\w./@~+=-]*([: ][\w./@~+=-]+)*"
    if "/" in text and re.fullmatch(plain, text, re.ASCII):
        return text
    # YAML knows JSON's escapes, and wants all that cannot be printed escaped.
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)


def workflow_string(text: str) -> str:
    """The same in a workflow of GitHub, which looks for expressions in it."""
    return yaml_string(text.replace("${{", "${{ '${{' }}"))


def shell_folder(text: str) -> str:
    """A folder as one word of a command: as it is, or in quotes that every shell knows."""
    if re.fullmatch(r"[\w./][\w./-]*", text, re.ASCII):
        return text
    text = f"./{text}" if text.startswith("-") else text
    return shlex.quote(text) if re.search(r'["$`!]|\\\\|\\$', text) else f'"{text}"'


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is."""
    escaped = re.sub(r"([\\`*\[\]<>|&~])", r"\\\1", text.strip())
    # An underscore between two letters is no emphasis.
    escaped = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", escaped)
    return re.sub(r"^(\d+)?([#+.)=-])", r"\1\\\2", escaped)


def paragraphs(text: str) -> str:
    """A text whose parts were left out or not: one blank line between those that are there."""
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"


def python_string(text: str, column: int, width: int = 88, indent: str = "") -> str:
    """A Python string for an assignment at a column, laid out as `ruff format` lays it out.

    `indent` is that of the line on which it begins.
    """
    if column + len(text) + 2 <= width:
        return json.dumps(text)
    pieces: list[str] = []
    for word in re.findall(r"\S+ ?", text):
        if pieces and len(indent + pieces[-1] + word) + 6 <= width:
            pieces[-1] += word
        else:
            pieces.append(word)
    lines = [f"{indent}    {json.dumps(piece)}" for piece in pieces]
    lines = [f"{line}  # noqa: E501" if len(line) > width else line for line in lines]
    return "\n".join(["(", *lines, f"{indent})"])


def recorded(answers: Mapping[str, Any]) -> dict[str, Any]:
    """The answers for the answers file, with the template's address in full and plain URLs.

    Copier records them as typed: Renovate cannot look up `gh:org/repo`, and nobody finds `.` again
    from another folder.
    """
    source = str(answers.get("_src_path", ""))
    hosts = {"gh": "https://github.com", "gl": "https://gitlab.com"}
    host, _, repository = source.partition(":")
    if host in hosts and repository:
        source = f"{hosts[host]}/{repository.strip('/').removesuffix('.git')}.git"
    else:
        place = Path(source).expanduser()
        # A folder, or a bundle of git.
        if source.startswith(".") or place.exists():
            source = str(place.resolve())
    urls = {key: normal_url(str(answers[key])) for key in URL_KEYS if key in answers}
    return {**answers, **urls, "_src_path": source}
