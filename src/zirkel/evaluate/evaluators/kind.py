"""What a kind of evaluator is. Each kind is one file; packages bring more by the entry point ``zirkel.evaluators``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from zirkel.core import JsonObject, Score
from zirkel.evaluate.chat import ChatAnswer, ChatRequest
from zirkel.evaluate.subject import Subject

Options = TypeVar("Options", bound=msgspec.Struct)


class Tools(Protocol):
    """What evaluators may use beside the answer itself."""

    def chat(self, request: ChatRequest) -> ChatAnswer:
        """Ask a model through the gateway: priced, traced, limited, and answered from the cache where it can be.

        Raises:
            TransientFailure: If the model could not be reached or was overloaded, after retries.
            Invalid: If the request can never succeed.
        """
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector for each text, shape ``(texts, dimensions)``, by a local model.

        Raises:
            Unsupported: If the local model is not installed.
        """
        ...


@dataclass(frozen=True, slots=True)
class EvaluatorKind(Generic[Options]):
    """A kind of evaluator: what ``evaluators.toml`` says of one, and how it judges."""

    name: str
    """As ``kind`` in ``evaluators.toml``."""
    summary: str
    """One line, for the list of kinds."""
    options: type[Options]
    """A frozen struct that forbids unknown fields: ``name`` and ``kind`` are not in it."""
    score: Callable[[Options, Subject, Tools], Score]
    """Judges one answer. What is raised is recorded as ``Errored``."""
    revision: int = 1
    """Counts changes of what it says of the same answer: scores of different revisions are not the same measure."""
    check: Callable[[Options], str] = lambda _: ""
    """Says what is wrong with options that have the right types; empty if nothing is."""
    unit: str = "share"
    """What the score is: ``share`` (0 to 1), ``usd``, ``ms``, or ``number`` without bounds."""
    is_higher_better: bool = True
    uses_model: bool = False
    """True if it asks a model, so that its scores cost money and have to be calibrated."""


class OptionsError(ValueError):
    """Options of an evaluator are wrong; ``str()`` says which."""


def parse_options(kind: EvaluatorKind[Options], options: JsonObject) -> Options:
    """Return options as the kind's struct.

    Raises:
        OptionsError: If they are not what the kind wants.
    """
    try:
        parsed = msgspec.convert(options, kind.options)
    except msgspec.ValidationError as error:
        raise OptionsError(str(error)) from error
    problem = kind.check(parsed)
    if problem:
        raise OptionsError(problem)
    return parsed
