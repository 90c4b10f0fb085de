"""Data sets: named, versioned, immutable. Every way in is masked by the project's rules."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from zirkel.core import Clock, DatasetItem, Invalid, Json, NotFound, Principal, Role
from zirkel.core.datasets import DatasetLabelRecord, DatasetVersionRecord
from zirkel.version.dataset_changes import (
    HistoryEntry,
    ItemChange,
    VersionCounts,
    compare_items,
    count_changes,
    item_history,
)
from zirkel.version.dataset_items import DraftItem, Drafts, input_key, whole_items
from zirkel.version.dataset_ports import DatasetMetadata, TraceSource, TraceWish
from zirkel.version.dataset_reading import (
    LATEST,
    DatasetReader,
    DatasetVersion,
    OpenDataset,
    check_label,
    split_reference,
    view_version,
)
from zirkel.version.dataset_schema import DatasetSchema
from zirkel.version.dataset_selection import EVERY_ITEM, Selection, sample_items, select_items
from zirkel.version.dataset_tables import DatasetForm, read_items, write_items
from zirkel.version.dataset_writing import REPLACE, DatasetWriter, PushedDataset, PushOrder
from zirkel.version.files import MAX_FILE_BYTES
from zirkel.version.ports import Blobs, ItemMaskers

MOST_VERSIONS = 1000
"""Versions that histories look at, the newest."""


@dataclass(frozen=True, slots=True)
class CollectedDataset:
    """What was made of traces."""

    pushed: PushedDataset | None
    """``None`` if there was nothing new, or it was only tried."""
    items: Sequence[DatasetItem]
    """Those that were chosen, masked."""
    duplicates: int
    """Traces whose input another one had, or the data set has."""
    unusable: Sequence[tuple[str, str]]
    """Traces that no item can be made of: id and reason."""


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """A version, and what is in it."""

    version: DatasetVersion
    schema: DatasetSchema
    items: int
    labelled: int
    """Items with an expected output."""
    clusters: int
    splits: Mapping[str, int] = field(default_factory=dict)
    """Items by split; empty names for none."""
    tags: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DatasetDiff:
    """What differs between two versions."""

    before: DatasetVersion
    after: DatasetVersion
    changes: Sequence[ItemChange]


class Datasets:
    """The data sets of the actor's project.

    Methods raise ``Forbidden`` if the actor may not read, or is no admin where something is changed; ``NotFound`` for a
    data set or version that does not exist. References are ``latest``, a number, a label, or the start of a digest.
    """

    def __init__(
        self,
        metadata: DatasetMetadata,
        blobs: Blobs,
        clock: Clock,
        maskers: ItemMaskers | None = None,
        traces: TraceSource | None = None,
    ) -> None:
        self._metadata = metadata
        self._clock = clock
        self._traces = traces
        self._reader = DatasetReader(metadata, blobs)
        self._writer = DatasetWriter(metadata, blobs, clock, maskers)

    def list(self, actor: Principal) -> list[DatasetVersion]:
        """Return the newest version of each data set, by name."""
        actor.require(Role.READ)
        return self._reader.newest(actor.project_id)

    def versions(self, actor: Principal, name: str) -> Sequence[DatasetVersion]:
        """Return the versions of a data set, newest first."""
        actor.require(Role.READ)
        return self._reader.versions(actor.project_id, name)

    def show(self, actor: Principal, name: str, reference: str = LATEST) -> DatasetSummary:
        """Return a version and what is in it."""
        actor.require(Role.READ)
        record = self._reader.find(actor.project_id, name, reference)
        found = self._reader.open(record)
        return DatasetSummary(
            version=self._view(record),
            schema=found.schema,
            items=len(found.items),
            labelled=sum(1 for item in found.items if item.expected is not None),
            clusters=len({item.cluster for item in found.items if item.cluster}),
            splits=dict(sorted(Counter(item.split for item in found.items).items())),
            tags=dict(sorted(Counter(tag for item in found.items for tag in item.tags).items())),
        )

    def items(
        self, actor: Principal, name: str, reference: str = LATEST, selection: Selection = EVERY_ITEM
    ) -> Sequence[DatasetItem]:
        """Return items of a version, in their order.

        Raises:
            Invalid: If the selection leaves none.
        """
        actor.require(Role.READ)
        return select_items(self._reader.items(self._reader.find(actor.project_id, name, reference)), selection)

    def export(
        self,
        actor: Principal,
        name: str,
        form: DatasetForm,
        reference: str = LATEST,
        selection: Selection = EVERY_ITEM,
    ) -> bytes:
        """Return items of a version as a file.

        Raises:
            Invalid: If the selection leaves none, or the form cannot hold a tag.
        """
        actor.require(Role.READ)
        found = self._reader.open(self._reader.find(actor.project_id, name, reference))
        return write_items(form, select_items(found.items, selection), found.schema)

    def diff(self, actor: Principal, name: str, before: str, after: str = LATEST) -> DatasetDiff:
        """Return what differs between two versions, item by item."""
        actor.require(Role.READ)
        first, second = (self._reader.find(actor.project_id, name, reference) for reference in (before, after))
        changes = compare_items(self._reader.items(first), self._reader.items(second))
        return DatasetDiff(self._view(first), self._view(second), changes)

    def history(self, actor: Principal, name: str) -> Sequence[VersionCounts]:
        """Return what each version did to the items of the one before, the oldest first."""
        actor.require(Role.READ)
        return count_changes(self._reader.all_versions(actor.project_id, name, at_most=MOST_VERSIONS))

    def item_history(self, actor: Principal, name: str, item_id: str) -> Sequence[HistoryEntry]:
        """Return which versions added, changed or removed an item, the oldest first.

        Raises:
            NotFound: If no version has it.
        """
        actor.require(Role.READ)
        entries = item_history(self._reader.all_versions(actor.project_id, name, at_most=MOST_VERSIONS), item_id)
        if not entries:
            raise NotFound(f"no version of {name!r} has an item {item_id!r}")
        return entries

    def resolve(self, project_id: str, reference: str) -> DatasetVersion:
        """Return the version that ``NAME`` or ``NAME@REFERENCE`` names; its digest is that of its artefact."""
        return self._view(self._reader.find(project_id, *split_reference(reference)))

    def open(self, project_id: str, reference: str, selection: Selection = EVERY_ITEM) -> OpenDataset:
        """Return the version that ``NAME`` or ``NAME@REFERENCE`` names, with its items or some of them.

        Raises:
            Invalid: If the selection leaves none.
        """
        found = self._reader.open(self._reader.find(project_id, *split_reference(reference)))
        return OpenDataset(found.record, select_items(found.items, selection), found.schema)

    def push_file(
        self, actor: Principal, name: str, form: DatasetForm, data: bytes, order: PushOrder = REPLACE
    ) -> PushedDataset:
        """Make a version of a file's items. The same items again change nothing.

        Raises:
            Invalid: With the line, or the row and column, of what is wrong; nothing is kept then.
            Conflict: If somebody else pushed a version meanwhile.
        """
        base = self._writer.base(actor, name)
        if len(data) > MAX_FILE_BYTES:
            raise Invalid(f"the file is larger than {MAX_FILE_BYTES // 2**20} MiB")
        known = order.schema or (base.schema if base and not order.infer_schema else None)
        return self._writer.push(actor, name, base, read_items(form, data, known), order)

    def push_items(
        self, actor: Principal, name: str, items: Sequence[DraftItem], order: PushOrder = REPLACE
    ) -> PushedDataset:
        """Make a version of items. Raises as ``push_file``."""
        base = self._writer.base(actor, name)
        drafts = Drafts(items, [f"item {number}" for number in range(1, len(items) + 1)])
        return self._writer.push(actor, name, base, drafts, order)

    def collect(
        self,
        actor: Principal,
        name: str,
        wish: TraceWish,
        *,
        sample: int | None = None,
        seed: int = 0,
        dry_run: bool = False,
    ) -> CollectedDataset:
        """Put items made of traces to the newest version, those whose input is not there yet.

        Args:
            actor: Who asks; must be an admin.
            name: The data set; it is made if there is none.
            wish: Which traces are looked at.
            sample: Take so many of the new ones, each with the same chance; all, if ``None``.
            seed: Of the sample: the same traces and seed give the same one.
            dry_run: Only say what would be taken.

        Raises:
            Invalid: If something about the traces cannot be understood, or an item does not fit the schema.
            Conflict: As ``push_file``.
        """
        base = self._writer.base(actor, name)
        assert self._traces is not None, "a program that collects has given a source of traces"
        found = self._traces.items(actor, wish)
        drafts = [msgspec.structs.replace(_draft(item), id="") for item in found.items]
        masked = self._writer.masked(actor.project_id, Drafts(drafts, [""] * len(drafts)))
        fresh = _without_known(masked.items, base.items if base else [])
        chosen = sample_items(fresh, sample, seed) if sample is not None and fresh else fresh
        pushed = None
        if chosen and not dry_run:
            coming = Drafts([_draft(item) for item in chosen], [f"trace {_trace_id(item)}" for item in chosen])
            pushed = self._writer.push(actor, name, base, coming, PushOrder(append=True, source="traces"))
        return CollectedDataset(pushed, chosen, found.duplicates + len(found.items) - len(fresh), found.unusable)

    def set_label(self, actor: Principal, name: str, label: str, reference: str = LATEST) -> DatasetVersion:
        """Have a label point to a version, and return that.

        Raises:
            Invalid: If it cannot be a label.
        """
        actor.require(Role.ADMIN)
        check_label(label)
        record = self._reader.find(actor.project_id, name, reference)
        now_ns = self._clock.now_ns()
        with self._metadata.transaction() as tx:
            moved = DatasetLabelRecord(actor.project_id, name, label, record.digest, now_ns, actor.label)
            tx.datasets.set_label(moved)
            payload: dict[str, Json] = {
                "dataset": name,
                "label": label,
                "version": record.version,
                "digest": record.digest,
            }
            tx.ledger.append(actor.project_id, actor.label, "dataset.labelled", payload)
        return self._view(record)

    def remove_label(self, actor: Principal, name: str, label: str) -> None:
        """Remove a label; the version stays.

        Raises:
            NotFound: If there is none of that name.
        """
        actor.require(Role.ADMIN)
        with self._metadata.transaction() as tx:
            if not tx.datasets.remove_label(actor.project_id, name, label):
                raise NotFound(f"data set {name!r} has no label {label!r}")
            payload = {"dataset": name, "label": label}
            tx.ledger.append(actor.project_id, actor.label, "dataset.unlabelled", payload)

    def _view(self, record: DatasetVersionRecord) -> DatasetVersion:
        with self._metadata.transaction() as tx:
            return view_version(record, tx.datasets.labels(record.project_id, record.name))


def _draft(item: DatasetItem) -> DraftItem:
    return DraftItem(**msgspec.structs.asdict(item))


def _without_known(drafts: Sequence[DraftItem], present: Sequence[DatasetItem]) -> list[DatasetItem]:
    """Return whole items of those inputs that are not there yet, each once."""
    known = {input_key(item.input) for item in present}
    fresh = {key: draft for draft in drafts if (key := input_key(draft.input)) not in known}
    if not fresh:
        return []
    ids = {item.id for item in present}
    whole = whole_items(Drafts(list(fresh.values()), [""] * len(fresh)))
    # An item whose input was corrected since still has the id of the one it came with.
    return [item for item in whole.items if item.id not in ids]


def _trace_id(item: DatasetItem) -> str:
    provenance = item.metadata.get("provenance")
    return str(provenance.get("trace_id", "")) if isinstance(provenance, dict) else ""
