"""What evaluators judge: one answer to one item, with what the system did on the way to it."""

from dataclasses import dataclass
from decimal import Decimal

from zirkel.core import DatasetItem, SpanKind


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool that an answer asks for."""

    name: str
    arguments: str
    """JSON text, as the model wrote it; it need not be valid."""
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """Something the system did on the way to its answer: a span of its trace."""

    kind: SpanKind
    name: str
    """Of the tool, model or retriever."""
    input: str
    output: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """One answer to be judged."""

    item: DatasetItem
    output: str
    tool_calls: tuple[ToolCall, ...] = ()
    """Calls that the answer asks for, in order."""
    steps: tuple[Step, ...] = ()
    """What the system did, in order of time; empty where only the answer is known."""
    contexts: tuple[str, ...] = ()
    """Texts that the system retrieved for this answer. The item's own contexts are the right ones."""
    cost_usd: Decimal | None = None
    """``None`` if unknown."""
    duration_ms: float | None = None
    other_output: str | None = None
    """The baseline's answer to the same item and trial, for judges that compare; ``None`` if there is none."""
    project_id: str = ""
    experiment_id: str = ""
    trial: int = 0
    trace_id: str = ""
