"""Clients are instrumented by the packages that are installed for them."""

import sys
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import TracerProvider as AnyProvider

from zirkel.client.instrumentation import GROUP, instrument_clients
from zirkel.core import Invalid


@dataclass
class Made:
    """What became of the instrumentors of a test."""

    providers: list[AnyProvider] = field(default_factory=list)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    found = Made()

    class OpenAIInstrumentor:
        is_instrumented_by_opentelemetry = False

        def instrument(self, *, tracer_provider: AnyProvider) -> None:
            found.providers.append(tracer_provider)
            OpenAIInstrumentor.is_instrumented_by_opentelemetry = True

    module = ModuleType("zirkel_test_instrumentation")
    module.__dict__["OpenAIInstrumentor"] = OpenAIInstrumentor
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return found


OPENAI = EntryPoint("openai", "zirkel_test_instrumentation:OpenAIInstrumentor", GROUP)


def test_a_client_is_instrumented_once_and_for_the_programs_provider(made: Made) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    for _ in range(2):
        instrument_clients(["openai"], provider, [OPENAI, EntryPoint("anthropic", "nothing:There", GROUP)])
    assert made.providers == [provider]


def test_a_client_without_a_package_is_an_error_that_names_one(made: Made) -> None:
    with pytest.raises(Invalid, match="pip install opentelemetry-instrumentation-genai-anthropic"):
        instrument_clients(["openai", "anthropic"], TracerProvider(shutdown_on_exit=False), [OPENAI])
    assert made.providers == []
    with pytest.raises(Invalid, match="pip install opentelemetry-instrumentation-cohere"):
        instrument_clients(["cohere"], TracerProvider(shutdown_on_exit=False), [])
