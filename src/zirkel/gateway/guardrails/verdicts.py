"""What guardrails say: for the record, and to the caller."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from zirkel.core import Clock
from zirkel.core.guardrails import GuardrailStage

VerdictAction = Literal["pass", "flag", "mask", "refuse", "repair"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one guardrail did at one stage of a call. It never has any of the text."""

    guardrail: str
    kind: str
    stage: GuardrailStage
    action: VerdictAction
    """What was done: ``pass`` if nothing was found."""
    found: Mapping[str, int]
    """How often what was found: by entity, by form of secret, by place in the list of patterns or words, …"""
    duration_ns: int
    error: str = ""
    """Why a check that asks somebody got no answer, as one word; ``action`` is then what ``on_error`` says."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A guardrail's no."""

    guardrail: str
    kind: str
    stage: GuardrailStage
    message: str
    """For the caller. It says which guardrail, and for a hook its reason, but nothing of the text."""


class RefusalFound(Exception):
    """Ends a check with a refusal; it does not leave this package."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


@dataclass(slots=True)
class Tally:
    """Counts what one guardrail finds at one stage, until its verdict is due."""

    guardrail: str
    kind: str
    stage: GuardrailStage
    action: VerdictAction = "pass"
    found: Counter[str] = field(default_factory=Counter)
    length_chars: int = 0
    """Of the texts so far, for guardrails that measure them."""
    duration_ns: int = 0
    error: str = ""

    def note(self, what: str, action: VerdictAction) -> None:
        """Count one finding and what is done about it."""
        self.found[what] += 1
        self.action = action

    def refuse(self, reason: str = "") -> RefusalFound:
        """Note the refusal and return it, to be raised."""
        self.action = "refuse"
        place = "the input" if self.stage == "input" else "the answer"
        message = f"guardrail {self.guardrail!r} ({self.kind}) refuses {place}"
        return RefusalFound(
            Refusal(self.guardrail, self.kind, self.stage, f"{message}: {reason}" if reason else message)
        )

    def verdict(self) -> Verdict:
        """Return what there is to record."""
        found = dict(sorted(self.found.items()))
        return Verdict(self.guardrail, self.kind, self.stage, self.action, found, self.duration_ns, self.error)


class Stopwatch:
    """Adds the time of a block to a tally."""

    def __init__(self, tally: Tally, clock: Clock) -> None:
        self._tally = tally
        self._clock = clock
        self._start_ns = 0

    def __enter__(self) -> None:
        self._start_ns = self._clock.now_ns()

    def __exit__(self, *_: object) -> None:
        # The clock is the machine's and may be set back meanwhile.
        self._tally.duration_ns += max(0, self._clock.now_ns() - self._start_ns)
