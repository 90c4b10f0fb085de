"""The figures a demo sees."""

from dataclasses import asdict, dataclass, field

from zirkel.core import Json


@dataclass(slots=True)
class Facts:
    """Filled step by step, written as ``summary.json``."""

    candidate_release: str = ""
    baseline_release: str = ""
    gate_verdict: str = ""
    gate_reason: str = ""
    answers: int = 0
    answers_recovered: int = 0
    requests_per_arm: dict[str, int] = field(default_factory=dict)
    fallback_answers: int = 0
    rollback_seconds: float = 0.0
    traces_stored: int = 0
    cost_usd: str = ""
    ledger_entries: int = 0
    tampered_entry_named: str = ""
    picture: str = ""
    """Path of the console's picture; empty where there is no browser."""
    seconds: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """Return the figures as a JSON object."""
        return asdict(self)
