"""What a kind of evaluator is. Each kind is one file; packages bring more by the entry point ``zirkel.evaluators``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from zirkel.core import JsonObject, Score
from zirkel.evaluate.chat import ChatAnswer, ChatRequest
from zirkel.evaluate.code_runner import CodeAnswer, CodeSpec
from zirkel.evaluate.posting import Post
from zirkel.evaluate.subject import Subject

Options = TypeVar("Options", bound=msgspec.Struct)
Need = Literal["steps", "contexts", "other_output"]
"""Fields of ``Subject`` that take a look at the trace, or at the baseline's answers."""


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

    def run_code(self, spec: CodeSpec, call: bytes) -> CodeAnswer:
        """Return what a user's code says of a call, JSON text in and out, from a process with limits.

        Raises:
            CodeFailed: If it cannot be loaded, raises, breaks a limit or answers no JSON.
        """
        ...

    def post(self, post: Post) -> bytes:
        """Return the body that a web address answers.

        Raises:
            TransientFailure: If it could not be reached or was overloaded, after retries.
            PostFailed: If it refused, or answered too much.
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
    has_limit: Callable[[Options], bool] = lambda _: False
    """Whether options turn a measure into pass or fail: then the score is a share, and higher is better."""
    uses_model: bool = False
    """True if it asks a model, so that its scores cost money and have to be calibrated."""
    needs: frozenset[Need] = frozenset()
    """What of the subject it reads beside item, output, tool calls, cost and duration: only that is looked up."""
    also_needs: Callable[[Options], frozenset[Need]] = lambda _: frozenset()
    """What it reads beside that with these options."""


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
