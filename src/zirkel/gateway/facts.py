"""What is known of a call so far: filled in step by step, and read for the answer's headers and the record."""

from decimal import Decimal

import msgspec

from zirkel.core import CaptureMode, Usage
from zirkel.gateway.admission import Wishes
from zirkel.gateway.completion import Completion
from zirkel.gateway.guardrails import Verdict
from zirkel.gateway.limits import SoftPassed
from zirkel.gateway.masking import Mask
from zirkel.gateway.pricing import CompiledPrice, format_usd
from zirkel.gateway.surfaces import CHAT, Surface
from zirkel.gateway.trace import TraceContext
from zirkel.lib.recognisers import Masker

_DETAIL_CHARACTERS = 1000
_SHORTEST_SECRET = 4
_FREE = Decimal(0)


class Attempt(msgspec.Struct):
    """One try at one place. It has failed if ``error_type`` is set."""

    link: int
    reason: str
    """``first``, ``retry``, ``pool``, ``fallback``, ``hedge``, ``repair`` or ``guardrail``."""
    upstream: str
    model: str
    """As sent to the upstream."""
    span_id: str
    start_ns: int
    because: str = ""
    """Of a fallback: ``failure``, ``context_window`` or ``content_filter``."""
    price: CompiledPrice | None = None
    parameters: dict[str, str] = {}
    tools: str = ""
    body: bytes = b""
    messages: bytes = b""
    """The messages that are sent, where they are in hub form: recorded, and counted should nobody report tokens."""
    names_media: bool = False
    """The body names more than it says: images, files, earlier answers."""
    credential: str = ""
    max_output_tokens: int | None = None
    """What the request allows, over all choices; ``None`` if it does not say."""
    reserved_usd: Decimal | None = None
    is_sent: bool = False
    """The upstream may have received it."""
    end_ns: int = 0
    first_token_ns: int | None = None
    last_token_ns: int | None = None
    completion: Completion = Completion()
    usage: Usage = Usage()
    cost_usd: Decimal | None = None
    settlement: str = ""
    error_type: str = ""
    status_message: str = ""

    def __repr__(self) -> str:
        """Return where it went, and nothing that nobody may see."""
        return f"Attempt({self.place!r}, {self.reason!r}, span_id={self.span_id!r}, error_type={self.error_type!r})"

    @property
    def place(self) -> str:
        """What may be sick or well."""
        return f"{self.upstream}/{self.model}"

    @property
    def is_over(self) -> bool:
        """It has ended, well or not, and is settled."""
        return self.end_ns != 0

    def secrets(self) -> list[str]:
        """Return the upstream's credential and its parts (as ``ACCESS_KEY:SECRET`` has them), the longest first."""
        parts = {self.credential, *self.credential.split(":")}
        return sorted((part for part in parts if len(part) >= _SHORTEST_SECRET), key=len, reverse=True)

    def redact(self, text: str) -> str:
        """Return ``text`` without the upstream's credential, should the upstream have echoed it."""
        for secret in self.secrets():
            text = text.replace(secret, "[credential]")
        return text

    def note_failure(self, error_type: str, message: str) -> None:
        """Note why there is no (whole) answer."""
        self.error_type = error_type
        self.status_message = self.redact(message)[:_DETAIL_CHARACTERS]


class CallFacts(msgspec.Struct):
    """One call. It has failed if ``error_type`` is set."""

    project_id: str
    key_id: str
    trace: TraceContext
    span_id: str
    start_ns: int
    wishes: Wishes
    surface: Surface = CHAT
    name: str = "chat"
    target_name: str = ""
    """``service:NAME`` or a configured model's name; empty for what only the caller's words name."""
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
    capture: CaptureMode = "on"
    rules: Masker | None = None
    """Takes out of the record what the project wants no disk to have."""
    mask: Mask | None = None
    """Takes out of the record what the release masks."""
    input: str = ""
    rendered: str = ""
    """The messages that go to the upstream, as JSON text."""
    output: str = ""
    """What the caller got, where that is not what the model said."""
    attempts: list[Attempt] = []
    answered: Attempt | None = None
    """The attempt whose answer, good or bad, the caller gets."""
    cache: str = ""
    verdicts: list[Verdict] = []
    soft_passed: list[SoftPassed] = []
    """Budgets whose soft level this call was the first to pass."""
    error_type: str = ""
    status_message: str = ""

    def fail(self, error_type: str, message: str) -> None:
        """Note why the caller gets no (whole) answer."""
        self.error_type = error_type
        self.status_message = message[:_DETAIL_CHARACTERS]

    def cost_usd(self) -> Decimal | None:
        """Return what all attempts cost together; ``None``, unknown, if one is."""
        total = _FREE
        for attempt in self.attempts:
            if attempt.cost_usd is None:
                return None
            total += attempt.cost_usd
        return total

    def headers(self) -> dict[str, str]:
        """Return the answer headers that are known by now."""
        found = {"x-zirkel-trace-id": self.trace.trace_id}
        if self.release:
            found["x-zirkel-release"] = self.release
            found["x-zirkel-arm"] = self.arm
        if self.cache:
            found["x-zirkel-cache"] = self.cache
        if self.soft_passed:
            found["x-zirkel-budget-warning"] = ", ".join(budget_name(passed) for passed in self.soft_passed)
        attempt = self.answered
        if attempt is not None:
            found["x-zirkel-model"] = attempt.place
            found["x-zirkel-fallback"] = str(attempt.link)
            if len(self.attempts) > 1:
                found["x-zirkel-attempts"] = str(len(self.attempts))
        if all(attempt.is_over for attempt in self.attempts):
            found["x-zirkel-cost-usd"] = format_usd(self.cost_usd())
        return found


def budget_name(passed: SoftPassed) -> str:
    """Return which budget it is, e.g. ``key.budget.month``."""
    return f"{passed.scope.kind}.budget.{passed.window}"
