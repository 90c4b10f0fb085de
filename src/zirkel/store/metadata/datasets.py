"""Versions of data sets: what is noted of them, their labels, and how their items did in experiments."""

import dataclasses
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, update

from zirkel.core import TrialState
from zirkel.core.datasets import DatasetFacts, DatasetLabelRecord, DatasetVersionRecord, ItemOutcome
from zirkel.store.metadata.locks import lock_name
from zirkel.store.metadata.schema import artefacts, dataset_labels, dataset_versions, experiments, trials

_KIND = "dataset"
_MOST_NAMED = 500
"""Values in one IN; databases bound how many parameters a statement has."""


@dataclass(frozen=True, slots=True)
class _Run:
    experiment_id: str
    release: str
    dataset_digest: str
    created_ns: int


class Datasets:
    """The artefacts of kind ``dataset``, and what belongs to them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def describe(self, project_id: str, digest: str, facts: DatasetFacts) -> None:
        """Note what is known of a version; of one that is known already only the schema changes."""
        lock_name(self._connection, project_id)
        same = (dataset_versions.c.project_id == project_id, dataset_versions.c.digest == digest)
        changed = update(dataset_versions).where(*same).values(schema=facts.schema)
        if not self._connection.execute(changed).rowcount:
            row = {"project_id": project_id, "digest": digest, **dataclasses.asdict(facts)}
            self._connection.execute(insert(dataset_versions).values(**row))

    def newest(self, project_id: str) -> Sequence[DatasetVersionRecord]:
        """Return the newest version of each data set of a project, by name."""
        other = artefacts.alias()
        same = (other.c.project_id == artefacts.c.project_id, other.c.kind == _KIND, other.c.name == artefacts.c.name)
        last = select(func.max(other.c.version)).where(*same).scalar_subquery()
        return self._select(project_id, artefacts.c.version == last)

    def versions(self, project_id: str, name: str) -> Sequence[DatasetVersionRecord]:
        """Return the versions of a data set, newest first; none if there is no such data set."""
        return self._select(project_id, artefacts.c.name == name)

    def set_label(self, record: DatasetLabelRecord) -> None:
        """Have a label point to a version, whatever it pointed to before."""
        lock_name(self._connection, record.project_id)
        values = {"digest": record.digest, "moved_ns": record.moved_ns, "moved_by": record.moved_by}
        key = {"project_id": record.project_id, "name": record.name, "label": record.label}
        same = [dataset_labels.c[column] == value for column, value in key.items()]
        if not self._connection.execute(update(dataset_labels).where(*same).values(**values)).rowcount:
            self._connection.execute(insert(dataset_labels).values(**key, **values))

    def remove_label(self, project_id: str, name: str, label: str) -> bool:
        """Remove a label; False if there is none of that name."""
        of_dataset = (dataset_labels.c.project_id == project_id, dataset_labels.c.name == name)
        statement = delete(dataset_labels).where(*of_dataset, dataset_labels.c.label == label)
        return self._connection.execute(statement).rowcount == 1

    def labels(self, project_id: str, name: str | None = None) -> Sequence[DatasetLabelRecord]:
        """Return the labels of a data set by name; of all data sets if ``name`` is None."""
        query = select(dataset_labels).where(dataset_labels.c.project_id == project_id)
        if name is not None:
            query = query.where(dataset_labels.c.name == name)
        rows = self._connection.execute(query.order_by(dataset_labels.c.name, dataset_labels.c.label))
        return [DatasetLabelRecord(*row) for row in rows]

    def outcomes(self, project_id: str, digests: Collection[str], *, experiments_at_most: int) -> Iterator[ItemOutcome]:
        """Yield the scores of the answers to these versions' items, those of the newest experiments; read as asked for.

        Args:
            project_id: Whose experiments.
            digests: Of versions of data sets.
            experiments_at_most: So many experiments, the newest.
        """
        chosen = [run for part in _parts(digests) for run in self._experiments(project_id, part, experiments_at_most)]
        chosen.sort(key=lambda run: (-run.created_ns, run.experiment_id))
        for run in chosen[:experiments_at_most]:
            query = select(trials.c.item_id, trials.c.scores).where(
                trials.c.project_id == project_id,
                trials.c.experiment_id == run.experiment_id,
                trials.c.state == TrialState.ANSWERED.value,
            )
            for answer in self._connection.execute(query.order_by(trials.c.item_id, trials.c.trial)):
                yield ItemOutcome(run.release, run.dataset_digest, answer.item_id, json.loads(answer.scores))

    def _experiments(self, project_id: str, digests: Sequence[str], limit: int) -> list[_Run]:
        columns = (experiments.c.experiment_id, experiments.c.release, experiments.c.dataset_digest)
        query = select(*columns, experiments.c.created_ns).where(
            experiments.c.project_id == project_id, experiments.c.dataset_digest.in_(digests)
        )
        newest = query.order_by(experiments.c.created_ns.desc(), experiments.c.experiment_id).limit(limit)
        return [_Run(*row) for row in self._connection.execute(newest)]

    def _select(self, project_id: str, condition: ColumnElement[bool]) -> Sequence[DatasetVersionRecord]:
        same = (dataset_versions.c.project_id == artefacts.c.project_id) & (
            dataset_versions.c.digest == artefacts.c.digest
        )
        known = (artefacts.c.name, artefacts.c.version, artefacts.c.digest, artefacts.c.created_ns)
        noted = [dataset_versions.c[name] for name in ("schema", "items", "source", "pushed_by")]
        query = (
            select(*known, *noted)
            .select_from(artefacts.outerjoin(dataset_versions, same))
            .where(artefacts.c.project_id == project_id, artefacts.c.kind == _KIND, condition)
            .order_by(artefacts.c.name, artefacts.c.version.desc())
        )
        return [_version(project_id, row) for row in self._connection.execute(query)]


def _version(project_id: str, row: Row[tuple[object, ...]]) -> DatasetVersionRecord:
    facts = None if row.schema is None else DatasetFacts(row.schema, row.items, row.source, row.pushed_by)
    return DatasetVersionRecord(project_id, row.name, row.version, row.digest, row.created_ns, facts)


def _parts(values: Collection[str]) -> Iterator[Sequence[str]]:
    ordered = sorted(set(values))
    for start in range(0, len(ordered), _MOST_NAMED):
        yield ordered[start : start + _MOST_NAMED]
