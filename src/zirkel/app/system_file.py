"""``system.toml``: a system under test that is not behind the gateway."""

from pathlib import Path
from typing import Literal

import msgspec

from zirkel.app.config import read_variable
from zirkel.core import Invalid, JsonObject, SystemClock
from zirkel.evaluate import SystemUnderTest
from zirkel.evaluate.systems import FunctionSystem, HttpSystem, OpenAiSystem, load_function


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    pass


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message; in the content ``{{ name }}`` stands for a variable of the input."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str


class OpenAiSpec(_Strict, frozen=True, kw_only=True, tag="openai"):
    """An endpoint that speaks OpenAI's chat completions."""

    url: str
    """Up to and with ``/v1``."""
    model: str
    messages: list[Message]
    key_variable: str = ""
    """Environment variable with the API key; none is sent if empty."""
    parameters: JsonObject = {}
    timeout_s: float = 300.0


class HttpSpec(_Strict, frozen=True, kw_only=True, tag="http"):
    """An endpoint that takes and gives JSON."""

    url: str
    request: JsonObject
    """What is posted; in its texts ``{{ name }}`` stands for a variable of the input."""
    answer: str = ""
    """JSON pointer to the answer, e.g. ``/data/0/text``; the whole body if empty."""
    contexts: str = ""
    """JSON pointer to a list of the texts that were retrieved."""
    headers: dict[str, str] = {}
    header_variables: dict[str, str] = {}
    """Headers whose values are in environment variables, by header."""
    timeout_s: float = 300.0


class PythonSpec(_Strict, frozen=True, kw_only=True, tag="python"):
    """A function of this Python."""

    function: str
    """``package.module:function``: takes an item's input and returns the answer."""


def open_system(file: Path, *, threads: int) -> SystemUnderTest:
    """Return the system that a file describes.

    Raises:
        Invalid: With the field that is wrong, or the variable that is not set.
    """
    try:
        spec = msgspec.toml.decode(file.read_bytes(), type=OpenAiSpec | HttpSpec | PythonSpec)
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}", path=str(file)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"{file}: {error}", path=str(file)) from error
    clock = SystemClock()
    if isinstance(spec, PythonSpec):
        return FunctionSystem(load_function(spec.function), clock, threads=threads)
    if isinstance(spec, HttpSpec):
        headers = {**spec.headers, **{name: _variable(file, value) for name, value in spec.header_variables.items()}}
        return HttpSystem(
            spec.url,
            spec.request,
            clock,
            answer=spec.answer,
            contexts=spec.contexts,
            headers=headers,
            timeout_s=spec.timeout_s,
        )
    messages = [{"role": message.role, "content": message.content} for message in spec.messages]
    key = _variable(file, spec.key_variable) if spec.key_variable else ""
    return OpenAiSystem(
        spec.url, spec.model, messages, clock, api_key=key, parameters=spec.parameters, timeout_s=spec.timeout_s
    )


def _variable(file: Path, name: str) -> str:
    value = read_variable(name)
    if not value:
        raise Invalid(f"{file} names the variable {name}, which is not set", path=name)
    return value
