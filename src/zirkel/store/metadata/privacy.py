"""What was erased, and the files that were replaced by it."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from zirkel.core import without_texts
from zirkel.core.erasure import ERASED_TEXT, DatasetFile, ErasureRecord, TrialKey
from zirkel.store.metadata.schema import artefacts, erasures, experiments, replaced_files, trials

_MOST_NAMED = 500
"""Values in one IN; databases bound how many parameters a statement has."""
_scores = msgspec.json.Decoder(dict[str, dict[str, Any]])


class Erasures:
    """What was erased, and what an erasure looks at and changes in other tables."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, record: ErasureRecord) -> None:
        """Keep the record of an erasure."""
        self._connection.execute(insert(erasures).values(**dataclasses.asdict(record)))

    def list(self, project_id: str, limit: int) -> Sequence[ErasureRecord]:
        """Return a project's erasures, newest first."""
        query = select(erasures).where(erasures.c.project_id == project_id)
        rows = self._connection.execute(query.order_by(erasures.c.erased_ns.desc()).limit(limit))
        return [ErasureRecord(*row) for row in rows]

    def dataset_files(self, project_id: str) -> Sequence[DatasetFile]:
        """Return the files of a project's data sets, each version's."""
        columns = (artefacts.c.digest, artefacts.c.content)
        query = select(*columns).where(artefacts.c.project_id == project_id, artefacts.c.kind == "dataset")
        found = [(row.digest, msgspec.json.decode(row.content)) for row in self._connection.execute(query)]
        return [DatasetFile(digest, str(path), str(file)) for digest, files in found for path, file in files.items()]

    def is_file_of_others(self, project_id: str, file_digest: str) -> bool:
        """Return whether an artefact of another project names a file."""
        named = artefacts.c.content.contains(file_digest, autoescape=True)
        query = select(artefacts.c.digest).where(artefacts.c.project_id != project_id, named).limit(1)
        return self._connection.execute(query).first() is not None

    def replace_file(self, project_id: str, file_digest: str, replacement: str, replaced_ns: int) -> None:
        """Note that a file's content is gone and what is read in its place, also where it stood in for another."""
        follow = replaced_files.c.replacement == file_digest
        self._connection.execute(update(replaced_files).where(follow).values(replacement=replacement))
        self._connection.execute(delete(replaced_files).where(replaced_files.c.digest == file_digest))
        row = {"digest": file_digest, "replacement": replacement, "project_id": project_id}
        self._connection.execute(insert(replaced_files).values(**row, replaced_ns=replaced_ns))

    def replaced_files(self) -> Mapping[str, str]:
        """Return what is read in the place of each file whose content is gone."""
        query = select(replaced_files.c.digest, replaced_files.c.replacement)
        return {row.digest: row.replacement for row in self._connection.execute(query)}

    def find_trials(
        self, project_id: str, trace_ids: Collection[str], items: Mapping[str, Collection[str]]
    ) -> Sequence[TrialKey]:
        """Return the answers of experiments that were given in these traces, or to these items of data sets.

        Args:
            project_id: Whose experiments.
            trace_ids: Traces.
            items: Items' ids by the digest of their data set's version.
        """
        conditions: list[ColumnElement[bool]] = [trials.c.trace_id.in_(part) for part in _parts(trace_ids)]
        conditions += [
            trials.c.item_id.in_(part) & trials.c.experiment_id.in_(_experiments_over(project_id, dataset))
            for dataset, item_ids in items.items()
            for part in _parts(item_ids)
        ]
        columns = (trials.c.experiment_id, trials.c.item_id, trials.c.trial, trials.c.trace_id)
        found: dict[TrialKey, None] = {}
        for condition in conditions:
            query = select(*columns).where(trials.c.project_id == project_id, condition)
            found |= dict.fromkeys(TrialKey(*row) for row in self._connection.execute(query))
        return list(found)

    def empty_trials(self, project_id: str, keys: Collection[TrialKey]) -> None:
        """Take the texts out of answers, and out of what judges said of them; scores, costs and times stay."""
        for key in keys:
            same = (
                trials.c.project_id == project_id,
                trials.c.experiment_id == key.experiment_id,
                trials.c.item_id == key.item_id,
                trials.c.trial == key.trial,
            )
            stored = self._connection.execute(select(trials.c.scores).where(*same)).scalar() or "{}"
            scores = {name: without_texts(score, ERASED_TEXT) for name, score in _scores.decode(stored).items()}
            # Without its key it is not used again for another experiment.
            emptied = {"output": ERASED_TEXT, "error": "", "tool_calls": "[]", "answer_key": ""}
            changed = update(trials).where(*same).values(**emptied, scores=msgspec.json.encode(scores).decode())
            self._connection.execute(changed)


def _experiments_over(project_id: str, dataset_digest: str) -> ColumnElement[str]:
    same = (experiments.c.project_id == project_id, experiments.c.dataset_digest == dataset_digest)
    return select(experiments.c.experiment_id).where(*same).scalar_subquery()


def _parts(values: Collection[str]) -> Iterator[Sequence[str]]:
    ordered = sorted(set(values))
    for start in range(0, len(ordered), _MOST_NAMED):
        yield ordered[start : start + _MOST_NAMED]
