"""Making versions of data sets: masked, checked, kept, and noted in the ledger."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from zirkel.core import Clock, Conflict, DatasetItem, Invalid, Json, Principal, Role, canonical_json
from zirkel.core.datasets import DatasetFacts, DatasetSource, DatasetVersionRecord
from zirkel.version.dataset_changes import compare_items
from zirkel.version.dataset_items import (
    Drafts,
    PlacedItems,
    item_digest,
    merge_items,
    read_lines,
    whole_items,
    write_lines,
)
from zirkel.version.dataset_ports import DatasetMetadata, DatasetTransaction
from zirkel.version.dataset_reading import DatasetReader, OpenDataset, check_name
from zirkel.version.dataset_schema import DatasetSchema, check_items, encode_schema, infer_schema
from zirkel.version.files import DATASET_FILE, MAX_FILE_BYTES
from zirkel.version.masking import mask_items
from zirkel.version.ports import Blobs, ItemMaskers
from zirkel.version.release import Artefact


@dataclass(frozen=True, slots=True)
class PushOrder:
    """How items become a version."""

    append: bool = False
    """Put them to the newest version's: one with a known id takes that one's place. Else they are all there is."""
    schema: DatasetSchema | None = None
    """What the items look like from now on; else what the newest version says."""
    infer_schema: bool = False
    """Forget the schema there is, and take the one that the items fit."""
    source: DatasetSource = "file"


REPLACE = PushOrder()


@dataclass(frozen=True, slots=True)
class PushedDataset:
    """What a push did."""

    name: str
    version: int
    digest: str
    is_new: bool
    """False if there is such a version already: nothing was changed."""
    items: int
    added: int
    changed: int
    removed: int
    duplicates: int
    """Items that came and whose input was there already, under whatever id; only counted with ``append``."""
    schema: DatasetSchema


class DatasetWriter:
    """Makes versions of data sets."""

    def __init__(
        self, metadata: DatasetMetadata, blobs: Blobs, clock: Clock, maskers: ItemMaskers | None = None
    ) -> None:
        self._metadata = metadata
        self._blobs = blobs
        self._clock = clock
        self._maskers = maskers
        self._reader = DatasetReader(metadata, blobs)

    def base(self, actor: Principal, name: str) -> OpenDataset | None:
        """Return the newest version, which a push starts from; ``None`` if there is none.

        Raises:
            Forbidden: If the actor is no admin.
            Invalid: If a data set may not be called so.
        """
        actor.require(Role.ADMIN)
        check_name(name)
        head = self._reader.head(actor.project_id, name)
        return self._reader.open(head) if head else None

    def masked(self, project_id: str, drafts: Drafts) -> Drafts:
        """Return items without what the project's rules mask in data sets."""
        rules = self._maskers.dataset_masker(project_id) if self._maskers else None
        if rules is None or not drafts.items:
            return drafts
        masked = read_lines(mask_items(write_lines(drafts.items), rules.mask_json))
        return Drafts(masked.items, drafts.places)

    def push(
        self, actor: Principal, name: str, base: OpenDataset | None, drafts: Drafts, order: PushOrder
    ) -> PushedDataset:
        """Make a version of items, masked here. The same items and schema again change nothing.

        Args:
            actor: Who pushes; was checked by ``base``.
            name: The data set.
            base: What ``base`` returned.
            drafts: The items that came.
            order: What becomes of them.

        Raises:
            Invalid: With the place of what is wrong; nothing is kept then.
            Conflict: If somebody else pushed a version since ``base``.
        """
        coming = whole_items(self.masked(actor.project_id, drafts))
        present = base.items if base and order.append else []
        merged = merge_items(present, coming.items)
        schema = _schema(base, merged.items, coming, order)
        record, is_new = self._keep(actor, name, base, merged.items, schema, order.source)
        changes = Counter(change.change for change in compare_items(base.items if base else [], merged.items))
        return PushedDataset(
            name=name,
            version=record.version,
            digest=record.digest,
            is_new=is_new,
            items=len(merged.items),
            added=changes["added"],
            changed=changes["changed"],
            removed=changes["removed"],
            duplicates=merged.duplicates,
            schema=schema,
        )

    def _keep(
        self,
        actor: Principal,
        name: str,
        base: OpenDataset | None,
        items: Sequence[DatasetItem],
        schema: DatasetSchema,
        source: DatasetSource,
    ) -> tuple[DatasetVersionRecord, bool]:
        if base and base.schema == schema and _digests(base.items) == _digests(items):
            return base.record, False
        facts = DatasetFacts(encode_schema(schema), len(items), source, actor.label)
        data = write_lines(items)
        if len(data) > MAX_FILE_BYTES:
            raise Invalid(f"the data set would be larger than {MAX_FILE_BYTES // 2**20} MiB")
        artefact = Artefact("dataset", name, {DATASET_FILE: self._blobs.put(data)})
        now_ns = self._clock.now_ns()
        with self._metadata.transaction() as tx:
            _require_head(tx, actor.project_id, name, base)
            content = canonical_json(artefact.content).decode()
            added = tx.artefacts.add(actor.project_id, "dataset", name, artefact.digest, content, now_ns)
            tx.datasets.describe(actor.project_id, artefact.digest, facts)
            payload: dict[str, Json] = {"dataset": name, "version": added.version, "digest": artefact.digest}
            if added.is_new:
                payload |= {"items": len(items), "source": source}
                tx.ledger.append(actor.project_id, actor.label, "dataset.pushed", payload)
            else:
                tx.ledger.append(actor.project_id, actor.label, "dataset.schema", payload)
        record = DatasetVersionRecord(actor.project_id, name, added.version, artefact.digest, now_ns, facts)
        return record, added.is_new


def _require_head(tx: DatasetTransaction, project_id: str, name: str, base: OpenDataset | None) -> None:
    head = next(iter(tx.datasets.versions(project_id, name)), None)
    if (head.digest if head else "") != (base.record.digest if base else ""):
        version = head.version if head else 0
        raise Conflict(f"version {version} of {name!r} was pushed meanwhile; look at it and push again")


def _digests(items: Sequence[DatasetItem]) -> list[str]:
    # Equal in Python is not equal in JSON: 1, 1.0 and true.
    return [item_digest(item) for item in items]


def _schema(
    base: OpenDataset | None, items: Sequence[DatasetItem], coming: PlacedItems, order: PushOrder
) -> DatasetSchema:
    """Return the schema that a new version has, having checked its items."""
    if order.schema and order.infer_schema:
        raise Invalid("a schema is either given or inferred from the items, not both", path="schema")
    schema = order.schema or (base.schema if base and not order.infer_schema else infer_schema(items))
    check_items(coming.items, coming.places, schema)
    came = {item.id for item in coming.items}
    present = [item for item in items if item.id not in came]
    check_items(present, [f"item {item.id!r}, which is there already" for item in present], schema)
    return schema
