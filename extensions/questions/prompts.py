"""Which questions a person is asked. All others keep their defaults, and remain answers."""

from __future__ import annotations

from collections.abc import Collection

from ..tables.releases import Tables
from .choices import choices
from .contract import BACKEND_KEYS, KEYS, LISTS, MORE, VALUES, Known, asked
from .machine import Machine, fitting_backends
from .names import PYPI_URL, PYTORCH_URL
from .policy import policy_of

# The other architecture has its default, which follows the first.
_BACKENDS = BACKEND_KEYS - {"aarch64_backend"}
_FEW = frozenset({"project_name", "strategy", "example", MORE, *_BACKENDS})
_FEW_AT_UPDATES = frozenset({"torch_version", MORE, *_BACKENDS})
# The folder tells where a project stands, and --data where it does not.
_NEVER = frozenset({"place"})
# Columns of a narrow terminal, less the indent of a line below a prompt.
WIDTH = 76
_OFFERED = frozenset({*VALUES, *BACKEND_KEYS, "torch_version", "python_version"})


def prompts(
    key: str, tables: Tables, known: Known, more: bool, settings: Collection[str], update: bool
) -> bool:
    """Whether a person is asked a question, when nothing was said of it in advance.

    `settings` are the keys that the person's own settings answer. Those are not asked, nor is what
    has but one answer, which may be the organization's.
    """
    wanted = more or key in (_FEW_AT_UPDATES if update else _FEW)
    known_already = key in _NEVER or key in settings or is_fixed(key, tables, known)
    return wanted and not known_already


def is_fixed(key: str, tables: Tables, known: Known) -> bool:
    """Whether only one answer fits the earlier ones and the policy."""
    if key in LISTS or not asked(key, known):
        return False
    if key in _OFFERED:
        return len(choices(key, tables, known)) == 1
    rule = policy_of(tables).rule(key)
    # The rule of an e-mail address is its domain.
    return rule is not None and len(rule.allow) == 1 and key != "user_email"


def this_machine(tables: Tables, known: Known, machine: Machine) -> str:
    """What a prompt says of the machine and the build that runs on it; empty where it has no GPU.

    "This machine: NVIDIA H100 PCIe, driver 580 → cu130". It stands on a line of its own, and a
    long name gives way, since a terminal cuts the end, where the build is.
    """
    line = tables.lines.get(known.get("torch_version", ""))
    if not machine.shown or line is None:
        return ""
    fit = fitting_backends(tables, line, machine)
    begin, end = "This machine: ", f" → {fit[0] if fit else f'no build of {line.name}'}"
    name, comma, driver = machine.shown.rpartition(", driver ")
    if not comma:
        name, driver = driver, ""
    end = comma + driver + end
    room = WIDTH - len(begin) - len(end)
    return begin + (name if len(name) <= room else f"{name[: room - 1].rstrip()}…") + end


def unasked(known: Known, given: Collection[str]) -> list[str]:
    """The answers that nobody was asked for or gave, as `key=value`: what `--data` would say.

    A sentence, and what is empty or names PyTorch's or PyPI's own host, says nothing here.
    """
    usual = {"index_url": PYTORCH_URL, "pypi_url": PYPI_URL}
    found = []
    for key in KEYS:
        value = known.get(key)
        if (
            value
            and key not in {"project_description", *_FEW, *_NEVER, *given}
            and usual.get(key) != value
        ):
            shown = f"[{','.join(value)}]" if key in LISTS else value
            found.append(f"{key}={shown}")
    return found
