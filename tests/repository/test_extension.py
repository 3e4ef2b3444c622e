"""The Jinja environment that the extension prepares."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError
from jinja2.sandbox import SandboxedEnvironment

from extensions.torch_index import TorchIndex


@pytest.fixture
def environment() -> SandboxedEnvironment:
    return SandboxedEnvironment(extensions=[TorchIndex])


@pytest.mark.parametrize(
    ("source", "text"),
    [("plain: text", "plain: text"), ("{{ 1 + 1 }}", "2"), ("{% if x %}y{% endif %}", "y"),
     ("{# c #}z", "z"), ("{x}", "{x}"), ("", "")],
)  # fmt: skip
def test_text_renders_as_ever(environment: SandboxedEnvironment, source: str, text: str) -> None:
    for _ in range(2):
        assert environment.from_string(source).render({"x": True}) == text
    assert environment.from_string(source) is environment.from_string(source)


@pytest.mark.parametrize("value", [True, 3, None, ["a"], {"a": 1}])
def test_what_is_no_text_is_no_template(environment: SandboxedEnvironment, value: object) -> None:
    """Copier takes the TypeError as a sign to use the value as it is."""
    with pytest.raises(TypeError):
        environment.from_string(value)


def test_a_misspelt_variable_is_an_error(environment: SandboxedEnvironment) -> None:
    with pytest.raises(UndefinedError):
        environment.from_string("{{ projet_name }}").render()
