"""What observing needs of other rooms."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Literal, Protocol

from zirkel.core import EnvironmentRecord, Json, ReleaseRecord, ServiceRecord, VerdictRecord
from zirkel.lib.recognisers import Masker

Measure = Literal["input_length", "output_length", "latency_ms"]
"""Characters of the input, characters of the output, milliseconds of the whole call."""


class ArmUsage(Protocol):
    """What one release did in one arm over a period."""

    @property
    def release(self) -> str: ...
    @property
    def arm(self) -> str: ...
    @property
    def requests(self) -> int: ...
    @property
    def errors(self) -> int: ...
    @property
    def fallback_answers(self) -> int: ...
    @property
    def cost_usd(self) -> Decimal: ...
    @property
    def unknown_costs(self) -> int: ...
    @property
    def input_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...
    @property
    def latency_p50_ms(self) -> float: ...
    @property
    def latency_p95_ms(self) -> float: ...
    @property
    def ttft_p50_ms(self) -> float | None: ...


class TelemetryReader(Protocol):
    """Answers from stored telemetry."""

    def service_usage(
        self, project_id: str, service: str, environment: str, since_ns: int, until_ns: int
    ) -> Sequence[ArmUsage]: ...

    def measure_values(
        self, project_id: str, service: str, since_ns: int, until_ns: int, limit: int, *, environment: str = ""
    ) -> Mapping[Measure, Sequence[float]]: ...


class EnvironmentReader(Protocol):
    """What is live."""

    def list(self, project_id: str | None = None, service: str | None = None) -> Sequence[EnvironmentRecord]: ...


class ReleaseReader(Protocol):
    """Releases and services."""

    def get(self, project_id: str, digest: str) -> ReleaseRecord | None: ...
    def service(self, project_id: str, service: str) -> ServiceRecord | None: ...


class VerdictReader(Protocol):
    """What gates said."""

    def latest(self, project_id: str, release: str, environment: str) -> VerdictRecord | None: ...


class ObserveTransaction(Protocol):
    """What one transaction of observing reaches."""

    @property
    def environments(self) -> EnvironmentReader: ...
    @property
    def releases(self) -> ReleaseReader: ...
    @property
    def verdicts(self) -> VerdictReader: ...


class ObserveMetadata(Protocol):
    """Transactions over the metadata store."""

    def transaction(self) -> AbstractContextManager[ObserveTransaction]:
        """Open a transaction."""
        ...


class QualityReader(Protocol):
    """What experiments found."""

    def quality(self, project_id: str, service: str, release: str) -> Mapping[str, Json] | None:
        """Return a release's newest experiment as ``evaluate.summary_report`` gives it, or None."""
        ...


class DurableSink(Protocol):
    """Takes spans so that they are on disk when the call returns."""

    def append_durable(self, payload: bytes) -> None: ...


class MaskerSource(Protocol):
    """The masking rules of projects."""

    def masker(self, project_id: str) -> Masker | None:
        """Return a project's rules as they are in force, None if it has none."""
        ...
