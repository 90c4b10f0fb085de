"""What is known of a call so far: filled in step by step, and read for the answer's headers and the record."""

from dataclasses import dataclass, field
from decimal import Decimal

from zirkel.gateway.admission import Wishes
from zirkel.gateway.completion import Completion
from zirkel.gateway.pricing import format_usd, price_usage
from zirkel.gateway.snapshot import ModelPrice
from zirkel.gateway.trace import TraceContext

_DETAIL_CHARACTERS = 1000
_NEVER_SENT = frozenset({"connect", "not_configured", "not_supported", "credential"})


@dataclass(slots=True)
class Attempt:
    """One try at one target. It has failed if ``error_type`` is set."""

    number: int
    upstream: str
    model: str
    """As sent to the upstream."""
    span_id: str
    start_ns: int
    price: ModelPrice | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    tools: str = ""
    credential: str = field(default="", repr=False)
    end_ns: int = 0
    first_token_ns: int | None = None
    completion: Completion = field(default_factory=Completion)
    cost_usd: Decimal | None = None
    error_type: str = ""
    status_message: str = ""

    def end(self, completion: Completion, now_ns: int) -> None:
        """Note the answer, or as much of it as came."""
        self.completion = completion
        self.cost_usd = price_usage(self.price, completion.usage)
        self.end_ns = now_ns

    def fail(self, error_type: str, message: str, now_ns: int) -> None:
        """Note why there is no (whole) answer. What no upstream ever received has cost nothing; the rest is unknown."""
        self.error_type = error_type
        if error_type in _NEVER_SENT:
            self.cost_usd = Decimal(0)
        self.status_message = self.redact(message)[:_DETAIL_CHARACTERS]
        self.end_ns = now_ns

    def redact(self, text: str) -> str:
        """Return ``text`` without the upstream's credential, should the upstream have echoed it."""
        return text.replace(self.credential, "[credential]") if self.credential else text


@dataclass(slots=True)
class CallFacts:
    """One call. It has failed if ``error_type`` is set."""

    project_id: str
    key_id: str
    trace: TraceContext
    span_id: str
    start_ns: int
    wishes: Wishes
    name: str = "chat"
    service: str = ""
    environment: str = ""
    release: str = ""
    arm: str = ""
    arm_probability: float | None = None
    prompt_name: str = ""
    prompt_version: str = ""
    unit: str = ""
    user_id: str = ""
    is_stream: bool = False
    input: str = ""
    rendered: str = ""
    """The messages that go to the upstream, as JSON text."""
    attempts: list[Attempt] = field(default_factory=list)
    answered: Attempt | None = None
    """The attempt whose answer, good or bad, the caller gets."""
    error_type: str = ""
    status_message: str = ""

    def fail(self, error_type: str, message: str) -> None:
        """Note why the caller gets no (whole) answer."""
        self.error_type = error_type
        self.status_message = message[:_DETAIL_CHARACTERS]

    def headers(self) -> dict[str, str]:
        """Return the answer headers that are known by now."""
        found = {"x-zirkel-trace-id": self.trace.trace_id}
        if self.release:
            found["x-zirkel-release"] = self.release
            found["x-zirkel-arm"] = self.arm
        attempt = self.answered
        if attempt is not None:
            found["x-zirkel-model"] = f"{attempt.upstream}/{attempt.model}"
            found["x-zirkel-fallback"] = str(attempt.number)
            if attempt.end_ns and not attempt.error_type:
                found["x-zirkel-cost-usd"] = format_usd(attempt.cost_usd)
        return found
