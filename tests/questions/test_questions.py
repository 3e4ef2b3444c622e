"""Defaults and choices: they fit the answers that are known, earlier and later ones."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from extensions.questions.choices import NOT_VERIFIED, choices, default, successor
from extensions.questions.contract import KEYS, LISTS, PYTORCH_URL, VALUES, asked, native, read
from extensions.questions.machine import Machine
from extensions.questions.names import index_of
from extensions.questions.refusals import why_not
from extensions.tables.platforms import MACOS, PLATFORMS, WINDOWS
from tests.support.cells import LINES, TABLES

NONE = Machine()
H100 = Machine("cuda", driver=(580, 65, 6), capabilities=((9, 0),))
V100 = Machine("cuda", driver=(580, 65, 6), capabilities=((7, 0),))
MI300 = Machine("rocm", architectures=("gfx942",))
GH200 = Machine("cuda", "linux", "aarch64", (580, 65, 6), ((9, 0),))
WINDOWS_H100 = Machine("cuda", "windows", driver=(551, 61), capabilities=((9, 0),))
RYZEN = Machine("rocm", architectures=("gfx1036", "gfx1100"))
MACHINES = {
    "none": NONE,
    "H100": H100,
    "V100": V100,
    "MI300": MI300,
    "Arc": Machine("xpu"),
    "GH200": GH200,
    "H100 on Windows": WINDOWS_H100,
    "Ryzen and Radeon": RYZEN,
    "Radeon on Windows": Machine("rocm", "windows", architectures=("gfx1100",)),
}
FIXED = ("license", "strategy", "torch_version", "python_version", "platforms", "packages")


def default_of(key: str, machine: Machine = NONE, folder: str = "folder", **known: Any) -> Any:
    return default(key, TABLES, known, folder, lambda: machine)


def values(key: str, **known: Any) -> list[str]:
    return list(choices(key, TABLES, known).values())


def labels(key: str, **known: Any) -> dict[str, str]:
    """Value to label."""
    return {value: label for label, value in choices(key, TABLES, known).items()}


# Defaults


def test_the_mirror_of_an_earlier_version_stays_where_it_is() -> None:
    """A base that speaks of a vendor goes on as the pattern that means the same."""
    base = "https://mirror.example.org/nvidia/whl"
    assert why_not("index_url", TABLES, {"index_url": base})
    pattern = successor("index_url", TABLES, {}, base)
    assert why_not("index_url", TABLES, {"index_url": pattern}) is None
    assert index_of(pattern, "cu130") == index_of(base, "cu130")


@pytest.mark.parametrize(
    ("key", "known", "value"),
    [
        ("project_name", {}, "folder"),
        ("package_name", {"project_name": "My Project"}, "my_project"),
        ("package_name", {}, "my_package"),
        ("user_name", {}, ""),
        ("user_email", {}, ""),
        ("license", {}, "MIT"),
        ("torch_version", {}, "2.14"),
        ("python_version", {}, "3.13"),
        ("python_version", {"torch_version": "2.7"}, "3.12"),
        ("strategy", {}, "groups"),
        ("linux_backend", {"strategy": "markers"}, "cu130"),
        ("windows_backend", {"strategy": "markers"}, "cpu"),
        ("aarch64_backend", {"strategy": "markers", "linux_backend": "cu130"}, "cu130"),
        (
            "aarch64_backend",
            {"torch_version": "2.14", "strategy": "markers", "linux_backend": "rocm7.2"},
            "cpu",
        ),
        ("python_version", {"strategy": "provided"}, "3.10"),
        ("strategy", {"aarch64_backend": "cu130"}, "markers"),
        ("strategy", {"base_image": "nvcr.io/nvidia/pytorch:26.09-py3"}, "provided"),
        ("packages", {}, ["torchvision"]),
        ("platforms", {}, list(PLATFORMS)),
        ("index_url", {}, PYTORCH_URL),
    ],
)
def test_a_question_has_a_default(key, known, value):
    assert default_of(key, **known) == value


def test_a_folder_s_name_is_made_fit():
    assert default_of("project_name", folder="torch") == "torch-project"


@pytest.mark.parametrize("strategy", ["extras", "groups"])
@pytest.mark.parametrize(
    ("line", "known", "cuda"),
    [
        ("2.14", {}, "cu130"),
        # cu132 was observed on x86-64 alone.
        ("2.14", {"platforms": ["linux-x86_64"]}, "cu132"),
        ("2.14", {"platforms": ["linux-x86_64", WINDOWS, MACOS]}, "cu132"),
        ("2.14", {"platforms": ["linux-aarch64"]}, "cu130"),
        ("2.13", {}, "cu132"),
        ("2.10", {}, "cu130"),
        ("2.5", {}, "cu124"),
        # torchaudio has no build for CUDA 13.2.
        ("2.13", {"packages": ["torchaudio"]}, "cu130"),
        ("2.14", {"platforms": ["linux-x86_64"], "packages": ["torchaudio"]}, "cu130"),
        ("2.15", {"packages": ["torchaudio"]}, "cu130"),
        # Nothing of this line was observed.
        ("2.15", {}, "cu132"),
    ],
)
def test_backends_are_cpu_and_the_newest_cuda_that_was_observed(strategy, line, known, cuda):
    known = {"strategy": strategy, "torch_version": line, **known}
    assert default_of("backends", **known) == ["cpu", cuda]


def test_backends_include_a_default_backend_that_was_given_in_advance():
    known = {"torch_version": "2.14", "default_backend": "cu126"}
    assert default_of("backends", strategy="groups", **known) == ["cpu", "cu126"]
    # Extras have no default, so there it does not matter.
    assert default_of("backends", strategy="extras", **known) == ["cpu", "cu130"]


def test_the_defaults_for_backends_serve_a_platform_that_is_claimed():
    known = {"strategy": "groups", "torch_version": "2.13", "platforms": [WINDOWS]}
    assert default_of("backends", **known) == ["cpu", "cu132"]
    known = {"strategy": "groups", "torch_version": "2.6", "platforms": ["linux-aarch64"]}
    assert default_of("backends", **known) == ["cpu", "cu126"]
    assert default_of("linux_backend", **{**known, "strategy": "markers"}) == "cu126"


@pytest.mark.parametrize(
    ("machine", "backends", "value"),
    [
        (H100, ["cpu", "cu130"], "cu130"),
        (H100, ["cu126", "cu130", "cpu"], "cu130"),
        (V100, ["cpu", "cu126", "cu130"], "cu126"),
        (V100, ["cpu", "cu130"], "cpu"),
        (NONE, ["cpu", "cu130"], "cpu"),
        (NONE, ["cu130", "cpu"], "cpu"),
        (NONE, ["cu130", "cu126"], "cu130"),
        (MI300, ["cpu", "rocm7.2"], "rocm7.2"),
        (MI300, ["cpu", "cu130"], "cpu"),
        (H100, ["cpu", "rocm7.2"], "cpu"),
        (Machine("xpu"), ["cpu", "xpu"], "xpu"),
        # The best that was chosen, not the best of the line
        (H100, ["cpu", "cu126"], "cu126"),
        (H100, ["cpu", "cu126", "cu132"], "cu132"),
        (GH200, ["cpu", "cu126", "cu130", "cu132"], "cu130"),
        (GH200, ["cpu", "cu132"], "cu132"),
        (WINDOWS_H100, ["cpu", "cu126", "cu130"], "cu126"),
        (WINDOWS_H100, ["cpu", "cu130"], "cpu"),
        (RYZEN, ["cpu", "rocm7.2"], "rocm7.2"),
        (NONE, [], "cpu"),
    ],
)
def test_the_default_backend_suits_the_machine(machine, backends, value):
    known = {"strategy": "groups", "torch_version": "2.14", "backends": backends}
    assert default_of("default_backend", machine, **known) == value


@pytest.mark.parametrize("strategy", ["index", "pip"])
@pytest.mark.parametrize(
    ("machine", "line", "value"),
    [
        (NONE, "2.14", "cpu"),
        (H100, "2.14", "cu132"),
        (V100, "2.14", "cu126"),
        (V100, "2.15", "cpu"),
        (MI300, "2.14", "rocm7.2"),
        (MI300, "2.15", "cpu"),
        (RYZEN, "2.14", "rocm7.2"),
        (GH200, "2.14", "cu130"),
        (GH200, "2.13", "cu132"),
        (WINDOWS_H100, "2.14", "cu126"),
        (WINDOWS_H100, "2.13", "cu126"),
        (WINDOWS_H100, "2.15", "cpu"),
    ],
)
def test_the_backend_suits_the_machine(strategy, machine, line, value):
    assert default_of("backend", machine, strategy=strategy, torch_version=line) == value


@pytest.mark.parametrize("strategy", ["index", "pip"])
@pytest.mark.parametrize(
    ("machine", "line", "known", "value"),
    [
        # torchaudio has no build for CUDA 13.2.
        (H100, "2.14", {"packages": ["torchaudio"]}, "cu130"),
        (H100, "2.13", {"packages": ["torchvision", "torchaudio"]}, "cu130"),
        (H100, "2.15", {"packages": ["torchaudio"]}, "cu130"),
        (V100, "2.14", {"packages": ["torchaudio"]}, "cu126"),
        (H100, "2.13", {"platforms": [WINDOWS]}, "cu132"),
        (MI300, "2.14", {"platforms": [WINDOWS]}, "cpu"),
        # cu129 has no wheels for Windows.
        (
            Machine("cuda", driver=(551,), capabilities=((9, 0),)),
            "2.13",
            {"platforms": [WINDOWS]},
            "cu126",
        ),
    ],
)
def test_the_backend_is_the_next_best_where_a_known_answer_forbids_the_best(
    strategy, machine, line, known, value
):
    known = {"strategy": strategy, "torch_version": line, **known}
    assert default_of("backend", machine, **known) == value


def test_the_machine_is_looked_at_only_where_a_default_depends_on_it():
    def look() -> Machine:
        raise AssertionError("looked at")

    depends = ("backend", "linux_backend", "windows_backend", "backends", "default_backend")
    for key in KEYS:
        if key not in depends:
            default(key, TABLES, {"strategy": "groups"}, "folder", look)
    for key in depends:
        with pytest.raises(AssertionError, match="looked at"):
            default(key, TABLES, {"strategy": "groups"}, "folder", look)


@pytest.mark.parametrize(
    ("known", "line"),
    [
        ({"strategy": "index", "backend": "cu128"}, "2.11"),
        ({"strategy": "pip", "backend": "cu118"}, "2.7"),
        ({"strategy": "pip", "backend": "auto"}, "2.14"),
        ({"strategy": "index", "backend": "cu126"}, "2.14"),
        ({"strategy": "markers", "linux_backend": "cu129"}, "2.13"),
        ({"strategy": "markers", "windows_backend": "cu129"}, "2.8"),
        ({"strategy": "extras", "backends": ["cpu", "cu121"]}, "2.5"),
        ({"strategy": "groups", "backends": ["cu124", "cu126"]}, "2.6"),
        # Without a strategy, the one that will be the default is looked at.
        ({"backends": ["cpu", "cu128"]}, "2.11"),
        ({"backends": ["cpu", "cu121"]}, "2.5"),
        ({"backends": ["cpu", "cu126"]}, "2.14"),
        ({"backends": ["cpu", "cu128"], "platforms": ["linux-x86_64"]}, "2.11"),
        ({"backends": ["cpu", "cu128"], "platforms": [MACOS]}, "2.14"),
        ({"backend": "cu128"}, "2.11"),
        ({"windows_backend": "cu129"}, "2.8"),
        ({"backends": ["cpu", "cu128"], "python_version": "3.15"}, "2.14"),
        ({"python_version": "3.15"}, "2.15"),
        ({"python_version": "3.10"}, "2.14"),
        # Without a line that fits, the default stands and the later answer is refused.
        ({"strategy": "index", "backend": "cu999"}, "2.14"),
        ({"strategy": "groups", "backend": "cu128"}, "2.14"),
    ],
)
def test_the_release_line_is_the_newest_that_has_what_was_given_in_advance(known, line):
    assert default_of("torch_version", **known) == line


@pytest.mark.parametrize(
    ("platforms", "strategy"),
    [
        ([MACOS], "pypi"),
        ([MACOS, "linux-x86_64"], "groups"),
        (["linux-x86_64"], "groups"),
        (list(PLATFORMS), "groups"),
    ],
)
def test_macos_alone_needs_nothing_but_pypi(platforms, strategy):
    assert default_of("strategy", platforms=platforms) == strategy


def test_an_earlier_default_heeds_later_answers():
    assert default_of("python_version", torch_version="2.15", packages=["torchaudio"]) == "3.13"
    assert default_of("packages", strategy="pypi", torch_version="2.15") == ["torchvision"]


STARTS = [
    {},
    {"platforms": ["linux-x86_64"]},
    {"platforms": ["linux-aarch64", MACOS]},
    {"platforms": [WINDOWS]},
    {"packages": ["torchvision", "torchaudio"]},
    {"packages": ["torchaudio"], "platforms": ["linux-x86_64", WINDOWS]},
]


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("machine", MACHINES)
def test_the_defaults_of_all_questions_are_accepted_together(line, machine):
    for strategy, start in product(VALUES["strategy"], STARTS):
        if line == "2.15" and strategy == "pypi" and "packages" in start:
            continue  # PyPI's torch 2.15 and torchaudio do not go together, so nothing fits.
        known: dict[str, Any] = {**start, "torch_version": line, "strategy": strategy}
        for key in KEYS:
            if key not in known and asked(key, known):
                known[key] = default_of(key, MACHINES[machine], **known)
        refused = {key: why_not(key, TABLES, known) for key in KEYS if key in known}
        assert not any(refused.values()), (strategy, start, refused)


# Choices


def test_fixed_choices_are_all_offered():
    assert values("license") == list(VALUES["license"])
    assert values("strategy") == list(VALUES["strategy"])
    assert values("torch_version") == LINES
    assert values("platforms") == list(PLATFORMS)
    assert values("packages", torch_version="2.14") == [
        "torchvision",
        "torchaudio",
        "torchcodec",
    ]
    assert labels("packages", torch_version="2.13")["torchvision"] == "torchvision 0.28.0"


@pytest.mark.parametrize("line", LINES)
def test_choices_follow_the_release_line(line):
    release = TABLES.lines[line]
    assert values("python_version", torch_version=line) == list(release.pythons)
    for key in ("backend", "linux_backend", "backends"):
        assert values(key, torch_version=line) == release.backends()
    offered = values("windows_backend", torch_version=line)
    assert offered == [b for b in release.backends() if WINDOWS in release.indexes[b]]
    assert "cpu" in offered and not any(b.startswith("rocm") for b in offered)


@pytest.mark.parametrize("key", ["backend", "linux_backend", "windows_backend", "backends"])
@pytest.mark.parametrize("platforms", [list(PLATFORMS), [MACOS], ["linux-x86_64"], [WINDOWS]])
def test_what_is_not_refused_is_offered(key, platforms):
    """An answer given in advance that no question offers would end in a traceback."""
    backends = {backend for line in TABLES.lines.values() for backend in line.indexes}
    for line, backend in product(LINES, backends):
        known = {"torch_version": line, "strategy": "markers", "platforms": platforms}
        value = [backend, "cpu" if backend != "cpu" else TABLES.lines[line].backends()[-1]]
        known[key] = value if key in LISTS else backend
        if why_not(key, TABLES, known) is None:
            given = known[key] if key in LISTS else [backend]
            assert set(given) <= set(values(key, **known)), known


def test_choices_without_a_release_line_are_those_of_the_default():
    for known in ({}, {"torch_version": "9.9"}):
        assert values("backend", **known) == TABLES.lines["2.14"].backends()


def test_auto_is_offered_to_pip_alone():
    assert values("backend", strategy="pip")[-1] == "auto"
    assert "auto" not in values("backend", strategy="index")
    assert "auto" not in values("backends", strategy="pip")


def test_the_default_backend_is_one_of_the_backends():
    chosen = ["cu126", "cpu", "cu130"]
    assert values("default_backend", torch_version="2.14", backends=chosen) == chosen
    assert values("default_backend", torch_version="2.14", backends=["cpu", "cu121"]) == ["cpu"]
    assert values("default_backend") == []


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize(
    "key", [*FIXED, "backend", "linux_backend", "windows_backend", "backends", "default_backend"]
)
def test_no_two_choices_share_a_label(line, key):
    backends = TABLES.lines[line].backends()
    known = {"torch_version": line, "strategy": "pip", "backends": backends}
    found = choices(key, TABLES, known)
    assert found and len(set(found.values())) == len(found)
    assert all("\n" not in label and "{" not in label for label in found)


@pytest.mark.parametrize("line", LINES)
def test_what_nobody_observed_is_offered_as_not_verified(line):
    release = TABLES.lines[line]
    for backend, label in labels("backend", torch_version=line).items():
        assert (NOT_VERIFIED in label) == (not release.verified(backend)), label
    observed = any(map(release.verified, release.indexes))
    assert (NOT_VERIFIED in labels("torch_version")[line]) == (not observed)


def test_labels_say_what_a_person_wants_to_know():
    lines = labels("torch_version")
    assert lines["2.14"] == "2.14 (2.14.1)"
    assert lines["2.15"] == "2.15 (2.15.0, not verified)"
    backends = labels("backend", torch_version="2.14")
    assert backends["cpu"] == "cpu: computers without a GPU"
    assert backends["cu130"] == "cu130: NVIDIA GPUs (driver 580.65.06 or newer)"
    assert backends["xpu"] == "xpu: Intel GPUs (not verified)"
    newer = labels("backend", torch_version="2.15")["cu130"]
    assert newer == "cu130: NVIDIA GPUs (driver 580.65.06 or newer, not verified)"


# Answers in their native types


@pytest.mark.parametrize("key", sorted(set(KEYS) - LISTS))
@pytest.mark.parametrize("value", [None, [], ["MIT"], ("a",), {}, {"a": 1}, b"a", object()])
def test_what_is_no_text_is_no_answer(key, value):
    with pytest.raises(ValueError, match=r"not a text\. Nearest: "):
        native(key, value)
    assert key not in read({key: value})


@pytest.mark.parametrize(
    ("value", "text"), [("", ""), (" a ", " a "), ("[a]", "[a]"), (2.14, "2.14"), (3, "3")]
)
def test_a_scalar_is_a_text(value, text):
    assert native("torch_version", value) == text
    assert read({"torch_version": value}) == {"torch_version": text}


@pytest.mark.parametrize("key", sorted(LISTS))
@pytest.mark.parametrize(
    "value",
    [
        *(None, {}, {"a": 1}, 1, True, b"a"),
        *([None], [["cpu"]], ["cpu", {}], ["cpu", None], ("cpu", ["cu130"])),
        *(
            "",
            " ",
            "cpu",
            "cpu, cu130",
            "{a: b}",
            "null",
            "1",
            "[cpu",
            "cpu]",
            "[[cpu]]",
            "[~]",
            "[{a: b}]",
        ),
        *("[2026-01-01]", "[a]: b: c", "\x00", "!!python/object:os.system []", "&a [*a]"),
    ],
)
def test_what_is_no_list_of_names_is_no_answer(key, value):
    with pytest.raises(ValueError, match=r"not a list of names\. Nearest: "):
        native(key, value)
    assert key not in read({key: value, "strategy": "groups"})


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ([], []),
        ("[]", []),
        (["cpu", "cu130"], ["cpu", "cu130"]),
        (("cpu", "cu130"), ["cpu", "cu130"]),
        ("[cpu, cu130]", ["cpu", "cu130"]),
        ("- cpu\n- cu130\n", ["cpu", "cu130"]),
        ("[\"cpu\", 'cu130']", ["cpu", "cu130"]),
        (["cpu", "cu130", "cpu"], ["cpu", "cu130"]),
        ([1, 2.5, "1"], ["1", "2.5"]),
    ],
)
def test_a_list_of_names_is_one_without_repeats(value, names):
    assert native("backends", value) == names
    assert read({"backends": value, "strategy": "groups"})["backends"] == names
