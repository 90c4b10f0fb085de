"""Masking what was observed before it reaches a disk, by the rules of its project."""

import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import msgspec

from zirkel.core import Batch, LogRecord, MetricPoint, ScoreKind, ScoreRecord, Span, SpanEvent
from zirkel.core.privacy import MaskedField, PrivacyConfig, PrivacyRecord
from zirkel.lib.recognisers import Masker, TextMasker, compile_masker

_ENVIRONMENT_ATTRIBUTES = ("deployment.environment.name", "deployment.environment")


class PrivacyReader(Protocol):
    """Projects' documents."""

    def current(self, project_id: str) -> PrivacyRecord | None:
        """Return the document in force, None if there is none."""
        ...


class MaskingTransaction(Protocol):
    """What one transaction of reading rules reaches."""

    @property
    def privacy(self) -> PrivacyReader: ...


class MaskingMetadata(Protocol):
    """Transactions over the metadata store."""

    def transaction(self) -> AbstractContextManager[MaskingTransaction]:
        """Open a transaction."""
        ...


@dataclass(frozen=True, slots=True)
class _Rules:
    masker: Masker | None
    datasets: bool


class ProjectMaskers:
    """The masking rules of all projects, compiled once. Thread safe; a ``MaskerSource``."""

    def __init__(self, metadata: MaskingMetadata) -> None:
        self._metadata = metadata
        self._lock = threading.Lock()
        self._known: dict[str, _Rules] = {}

    def masker(self, project_id: str) -> Masker | None:
        """Return a project's rules as they are in force, ``None`` if it has none.

        Raises:
            RuleFault: If a stored rule cannot be used; nothing may be kept then.
        """
        return self._rules(project_id).masker

    def mask(self, project_id: str, batch: Batch) -> Batch:
        """Return a batch as its project's rules want it kept; see ``mask_batch``.

        Raises:
            RuleFault: As ``masker``.
        """
        masker = self.masker(project_id)
        return mask_batch(batch, masker) if masker else batch

    def dataset_masker(self, project_id: str) -> TextMasker | None:
        """Return the rules for data sets, ``None`` if the project does not mask them.

        Raises:
            RuleFault: As ``masker``.
        """
        rules = self._rules(project_id)
        return rules.masker.at("datasets") if rules.datasets and rules.masker else None

    def forget(self, project_id: str) -> None:
        """Read a project's rules anew when they are next asked for: they have changed."""
        with self._lock:
            self._known.pop(project_id, None)

    def _rules(self, project_id: str) -> _Rules:
        # Read under the lock: what was read before a change cannot be put in place after it.
        with self._lock:
            if project_id not in self._known:
                self._known[project_id] = self._load(project_id)
            return self._known[project_id]

    def _load(self, project_id: str) -> _Rules:
        with self._metadata.transaction() as tx:
            record = tx.privacy.current(project_id)
        config = record.decode() if record else PrivacyConfig()
        return _Rules(compile_masker(config.mask) if config.mask else None, config.datasets)


def mask_batch(batch: Batch, masker: Masker) -> Batch:
    """Return a batch without what the rules mask: in texts, JSON, attributes and comments.

    Ids stay, those of users and sessions too: what belongs to somebody must be found to be erased. So do measures,
    names of models and of attributes, categories of scores, and who gave them.
    """
    return Batch(
        spans=[_span(span, masker) for span in batch.spans],
        logs=[_log(record, masker) for record in batch.logs],
        points=[_point(point, masker) for point in batch.points],
        scores=[_score(score, masker) for score in batch.scores],
    )


class _Place:
    """The rules for one record."""

    __slots__ = ("_environment", "_masker", "_service")

    def __init__(self, masker: Masker, service: str, environment: str) -> None:
        self._masker = masker
        self._service = service
        self._environment = environment

    def text(self, field: MaskedField, text: str) -> str:
        rules = self._masker.at(field, self._service, self._environment) if text else None
        return rules.mask_text(text) if rules else text

    def json(self, field: MaskedField, text: str) -> str:
        rules = self._masker.at(field, self._service, self._environment) if text else None
        return rules.mask_json(text) if rules else text

    def values(self, field: MaskedField, values: Mapping[str, str]) -> dict[str, str]:
        rules = self._masker.at(field, self._service, self._environment) if values else None
        return dict(rules.mask_values(values) if rules else values)


def _span(span: Span, masker: Masker) -> Span:
    place = _Place(masker, span.service, span.environment or _environment(span.resource))
    return msgspec.structs.replace(
        span,
        name=place.text("name", span.name),
        tags=[place.text("name", tag) for tag in span.tags],
        input=place.json("input", span.input),
        output=place.json("output", span.output),
        tools=place.json("tools", span.tools),
        status_message=place.json("status_message", span.status_message),
        parameters=place.values("parameters", span.parameters),
        attributes=place.values("attributes", span.attributes),
        resource=place.values("resource", span.resource),
        events=[
            SpanEvent(event.name, event.time_ns, place.values("events", event.attributes)) for event in span.events
        ],
    )


def _log(record: LogRecord, masker: Masker) -> LogRecord:
    place = _Place(masker, "", _environment(record.resource))
    return msgspec.structs.replace(
        record,
        body=place.json("logs", record.body),
        attributes=place.values("attributes", record.attributes),
        resource=place.values("resource", record.resource),
    )


def _point(point: MetricPoint, masker: Masker) -> MetricPoint:
    place = _Place(masker, "", _environment(point.resource))
    return msgspec.structs.replace(
        point,
        attributes=place.values("attributes", point.attributes),
        resource=place.values("resource", point.resource),
    )


def _score(score: ScoreRecord, masker: Masker) -> ScoreRecord:
    place = _Place(masker, "", "")
    return msgspec.structs.replace(
        score,
        # A category is one of a few words of the team's own.
        label=place.text("scores", score.label) if score.kind is ScoreKind.TEXT else score.label,
        comment=place.text("scores", score.comment),
        metadata=place.values("scores", score.metadata),
    )


def _environment(resource: Mapping[str, str]) -> str:
    """Return the environment that a resource names, empty if it names none."""
    for name in _ENVIRONMENT_ATTRIBUTES:
        try:
            found: object = msgspec.json.decode(resource.get(name, '""'))
        except msgspec.DecodeError:
            continue
        if isinstance(found, str) and found:
            return found
    return ""
