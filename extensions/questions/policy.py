"""What an organization allows: `policy.yml`, which a fork fills and upstream leaves empty."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from ..tables.backends import AUTO, nearest_backend
from ..tables.platforms import PLATFORMS
from ..tables.releases import Tables
from . import names
from .contract import BACKEND_KEYS, KEYS, LISTS, VALUES, item

_FIXED: Mapping[str, Collection[str]] = {**VALUES, "platforms": PLATFORMS}
_TEXTS: Mapping[str, Callable[[str], str | None]] = {
    "index_url": lambda url: names.index_url_refusal(url, ()),
    "pypi_url": names.pypi_url_refusal,
    "base_image": names.image_refusal,
    "user_email": lambda domain: (
        None if domain.startswith("@") else f"a domain begins with @. Nearest: @{domain}"
    ),
}


@dataclass(frozen=True)
class Rule:
    """What may be answered to a question, the favourite first, and why nothing else."""

    allow: tuple[str, ...]
    because: str = ""


@dataclass(frozen=True)
class Policy:
    """A rule per question that an organization restricts. Without rules everything is allowed."""

    rules: Mapping[str, Rule] = field(default_factory=dict)

    def rule(self, key: str) -> Rule | None:
        """The rule of a question; every question about a backend has that of `backends`."""
        return self.rules.get("backends" if key in BACKEND_KEYS else key)

    def allows(self, key: str, value: Any) -> bool:
        """Whether an answer is inside the policy; of a list, every one of its values."""
        return not self._outside(key, value)

    def why_not(self, key: str, value: Any) -> str | None:
        """Why an answer is outside the policy; None if it is not."""
        outside = self._outside(key, value)
        rule = self.rule(key)
        if rule is None or not outside:
            return None
        because = f": {rule.because}" if rule.because else ""
        return (
            f"{outside[0]} is outside the organization's policy{because}. "
            f"Nearest: {_nearest(key, outside[0], rule.allow)}"
        )

    def restrict(self, tables: Tables) -> Offered:
        """The tables without the lines and backends that are outside the policy.

        `cpu` stays: CI, macOS and platforms without wheels of a backend get it whatever is
        answered. Raises ValueError, with a reason for people, for a rule without effect.
        """
        self._check(tables)
        lines = {
            name: replace(
                line,
                indexes={
                    backend: on
                    for backend, on in line.indexes.items()
                    if backend == "cpu" or self.allows("backends", backend)
                },
            )
            for name, line in tables.lines.items()
            if self.allows("torch_version", name)
            and any(self.allows("backends", backend) for backend in line.indexes)
        }
        if not lines:
            raise ValueError("torch_version and backends: no line that is allowed has them")
        return Offered(**{**vars(tables), "lines": lines}, policy=self)

    def _check(self, tables: Tables) -> None:
        # An upstream that drops a line or a backend must not break the policies that name it.
        every = tables.lines.values()
        passing = {
            "torch_version": set(tables.lines),
            "backends": tables.backends() | {AUTO},
            "python_version": {python for line in every for python in line.pythons},
            "packages": {name for line in every for name in line.companions},
        }
        for key, rule in self.rules.items():
            known = passing.get(key, _FIXED.get(key))
            if known is None or not rule.allow:
                continue
            unknown = [value for value in rule.allow if value not in known]
            if len(unknown) == len(rule.allow) or (unknown and key in _FIXED):
                (nearest,) = difflib.get_close_matches(unknown[0], sorted(known), 1, 0)
                given = ", ".join(unknown)
                raise ValueError(f"{key}: there is none of {given}. Nearest: {nearest}")

    def _outside(self, key: str, value: Any) -> list[str]:
        rule = self.rule(key)
        if rule is None:
            return []
        values = value if isinstance(value, (list, tuple)) else [value]
        if key == "user_email":
            domains = tuple(domain.lower() for domain in rule.allow)
            return [v for v in values if v and not v.lower().endswith(domains)]
        if key in names.URL_KEYS:
            urls = {names.base_url(url) for url in rule.allow}
            return [v for v in values if names.base_url(v) not in urls]
        if key == "backends":
            # An extra's name is its project's business.
            values = [item(v).backend for v in values]
        return [v for v in values if v not in rule.allow]


@dataclass(frozen=True)
class Offered(Tables):
    """The tables inside a policy, out of which questions are answered."""

    policy: Policy


def policy_of(tables: Tables) -> Policy:
    """The policy inside which tables are; for plain ones one that allows everything."""
    return tables.policy if isinstance(tables, Offered) else Policy()


def _nearest(key: str, value: str, allowed: Collection[str]) -> str:
    if key in BACKEND_KEYS:
        fit = nearest_backend(allowed, value)
        return fit if fit in allowed else next(iter(allowed))
    if key == "user_email":
        return f"name{next(iter(allowed))}"
    close = difflib.get_close_matches(value, allowed, 1)
    return close[0] if close else next(iter(allowed), "leave it out")


def load(file: Path) -> Policy:
    """Read a policy; a file that is missing or empty restricts nothing.

    Raises ValueError, with a reason for people, for a file that is no policy.
    """
    if not file.exists():
        return Policy()
    try:
        text = file.read_text(encoding="utf-8")
        content = yaml.safe_load(text) or {}
        node = yaml.compose(text)
    except yaml.YAMLError as error:
        raise ValueError(f"it is no YAML ({str(error).splitlines()[0]})") from None
    if not isinstance(content, dict):
        raise ValueError("it is no mapping of questions to rules")
    keys = [key.value for key, _ in node.value] if node else []
    for key in content:
        if keys.count(key) > 1:
            raise ValueError(f"{key}: it has two rules, and YAML would take the last alone")
    return Policy({key: _rule(key, rule) for key, rule in content.items()})


def _rule(key: str, rule: Any) -> Rule:
    questions = [k for k in KEYS if k not in BACKEND_KEYS or k == "backends"]
    if key not in questions:
        close = difflib.get_close_matches(str(key), questions, 1, 0)
        raise ValueError(f"there is no question {key!r}. Nearest: {close[0]}")
    if not isinstance(rule, dict) or not set(rule) <= {"allow", "because"} or "allow" not in rule:
        raise ValueError(f"{key}: a rule has `allow`, and may have `because`")
    allow = rule["allow"]
    if not isinstance(allow, list) or not all(isinstance(value, str) for value in allow):
        raise ValueError(f'{key}: `allow` is a list of texts; quote numbers: ["2.10"]')
    if not allow and key not in LISTS:
        raise ValueError(f"{key}: `allow` is empty, and nothing could be answered")
    for value in allow:
        if reason := _TEXTS[key](value) if key in _TEXTS else None:
            raise ValueError(f"{key}: {reason}")
    return Rule(tuple(allow), str(rule.get("because") or ""))
