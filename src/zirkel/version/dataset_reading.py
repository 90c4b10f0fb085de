"""Finding versions of data sets and opening them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from zirkel.core import Conflict, DatasetItem, Invalid, NotFound
from zirkel.core.datasets import DatasetLabelRecord, DatasetVersionRecord
from zirkel.version.dataset_ports import DatasetMetadata
from zirkel.version.dataset_schema import DatasetSchema, decode_schema, infer_schema
from zirkel.version.files import parse_dataset
from zirkel.version.ports import Blobs
from zirkel.version.release import Artefact, artefact_files

LATEST = "latest"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LABEL = re.compile(r"[a-z][a-z0-9._-]{0,63}")
_SHORTEST_PREFIX = 6


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """One version of a data set."""

    name: str
    version: int
    digest: str
    created_ns: int
    items: int | None
    """As pushed; ``None`` if it was not noted. Items that were erased since are counted."""
    source: str
    """How it came; empty if it was not noted."""
    pushed_by: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenDataset:
    """A version with its items."""

    record: DatasetVersionRecord
    items: Sequence[DatasetItem]
    schema: DatasetSchema


class DatasetReader:
    """Versions of data sets: found by reference, read from their files."""

    def __init__(self, metadata: DatasetMetadata, blobs: Blobs) -> None:
        self._metadata = metadata
        self._blobs = blobs

    def newest(self, project_id: str) -> list[DatasetVersion]:
        """Return the newest version of each data set, by name."""
        with self._metadata.transaction() as tx:
            found, labels = tx.datasets.newest(project_id), tx.datasets.labels(project_id)
        return [view_version(record, labels) for record in found]

    def head(self, project_id: str, name: str) -> DatasetVersionRecord | None:
        """Return the newest version, ``None`` if there is no such data set."""
        with self._metadata.transaction() as tx:
            return next(iter(tx.datasets.versions(project_id, name)), None)

    def versions(self, project_id: str, name: str) -> list[DatasetVersion]:
        """Return the versions of a data set, newest first.

        Raises:
            NotFound: If there is no such data set.
        """
        records, labels = self._known(project_id, name)
        return [view_version(record, labels) for record in records]

    def find(self, project_id: str, name: str, reference: str = LATEST) -> DatasetVersionRecord:
        """Return the version that ``reference`` names: ``latest``, a number, a label, or the start of a digest.

        Raises:
            NotFound: If nothing matches.
            Conflict: If the start of a digest matches several versions.
        """
        records, labels = self._known(project_id, name)
        if reference in ("", LATEST):
            return records[0]
        labelled = {found.label: found.digest for found in labels}
        digest = labelled.get(reference, reference)
        found = [record for record in records if reference == str(record.version)] or [
            record for record in records if len(digest) >= _SHORTEST_PREFIX and record.digest.startswith(digest)
        ]
        if not found:
            raise NotFound(f"data set {name!r} has no version {reference!r}; see: zirkel dataset show {name}")
        if len(found) > 1:
            raise Conflict(f"{reference!r} names {len(found)} versions of {name!r}; give more digits")
        return found[0]

    def open(self, record: DatasetVersionRecord) -> OpenDataset:
        """Return a version with its items.

        Raises:
            Corrupt: If the stored file is not what its digest says.
        """
        items = self.items(record)
        schema = decode_schema(record.facts.schema) if record.facts else infer_schema(items)
        return OpenDataset(record, items, schema)

    def items(self, record: DatasetVersionRecord) -> list[DatasetItem]:
        """Return the items of a version.

        Raises:
            Corrupt: As ``open``.
        """
        with self._metadata.transaction() as tx:
            content = msgspec.json.decode(tx.artefacts.content(record.project_id, record.digest))
        ((_, file),) = artefact_files(Artefact("dataset", record.name, content)).items()
        return parse_dataset(self._blobs.get(file).decode(), f"{record.name} version {record.version}")

    def all_versions(
        self, project_id: str, name: str, *, until: DatasetVersionRecord | None = None, at_most: int
    ) -> Iterator[tuple[DatasetVersionRecord, list[DatasetItem]]]:
        """Yield the newest ``at_most`` versions up to ``until`` with their items, the oldest first, read as asked for.

        Raises:
            NotFound: If there is no such data set.
        """
        records, _ = self._known(project_id, name)
        last = until.version if until else records[0].version
        for record in reversed([record for record in records if record.version <= last][:at_most]):
            yield record, self.items(record)

    def _known(self, project_id: str, name: str) -> tuple[Sequence[DatasetVersionRecord], Sequence[DatasetLabelRecord]]:
        with self._metadata.transaction() as tx:
            records, labels = tx.datasets.versions(project_id, name), tx.datasets.labels(project_id, name)
        if not records:
            raise NotFound(f"data set {name!r} does not exist; make it with: zirkel dataset push {name} FILE")
        return records, labels


def split_reference(text: str) -> tuple[str, str]:
    """Return the name and the version's reference of ``NAME`` or ``NAME@REFERENCE``."""
    name, _, reference = text.partition("@")
    return name, reference or LATEST


def check_name(name: str) -> None:
    """Return if a data set may be called so.

    Raises:
        Invalid: If not.
    """
    if not _NAME.fullmatch(name):
        raise Invalid(f"the name {name[:200]!r} must be up to 128 letters, digits and '.', '_' or '-'", path="name")


def check_label(label: str) -> None:
    """Return if a label may be called so.

    Raises:
        Invalid: If not.
    """
    if not _LABEL.fullmatch(label) or label == LATEST:
        raise Invalid(
            f"the label {label[:100]!r} must be up to 64 of a-z, 0-9, '.', '_' and '-', begin with a letter, and not "
            f"be {LATEST!r}, which is always the newest version",
            path="label",
        )


def view_version(record: DatasetVersionRecord, labels: Sequence[DatasetLabelRecord]) -> DatasetVersion:
    """Return a version as it is shown."""
    facts = record.facts
    return DatasetVersion(
        name=record.name,
        version=record.version,
        digest=record.digest,
        created_ns=record.created_ns,
        items=facts.items if facts else None,
        source=facts.source if facts else "",
        pushed_by=facts.pushed_by if facts else "",
        labels=tuple(found.label for found in labels if found.digest == record.digest),
    )
