"""Items of a data set before they are one: read from JSON lines, given ids, joined with those that are there. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import msgspec

from zirkel.core import DatasetItem, Invalid, Json, JsonObject, canonical_json, sha256_hex

LONGEST_ID = 256
"""Characters."""
MOST_ITEMS = 200_000


class DraftItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """An item that may lack an id; else as ``DatasetItem``."""

    id: str = ""
    input: JsonObject
    expected: str | None = None
    contexts: list[str] = []
    cluster: str = ""
    split: str = ""
    tags: list[str] = []
    metadata: JsonObject = {}


@dataclass(frozen=True, slots=True)
class Drafts:
    """Items as they came."""

    items: Sequence[DraftItem]
    places: Sequence[str]
    """Where each stood, for messages: ``line 3``, ``row 3`` (the header is row 1), ``item 3``."""


@dataclass(frozen=True, slots=True)
class PlacedItems:
    """Whole items, and where each stood."""

    items: Sequence[DatasetItem]
    places: Sequence[str]


@dataclass(frozen=True, slots=True)
class Merged:
    """Items that were there, with others put to them."""

    items: Sequence[DatasetItem]
    duplicates: int
    """Of those that came: their input was there already, under whatever id."""


_decode_draft = msgspec.json.Decoder(DraftItem).decode


def read_lines(data: bytes) -> Drafts:
    """Return the items of JSON lines; empty lines are skipped.

    Raises:
        Invalid: With the line and the field that is wrong.
    """
    items, places = [], []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if line.strip():
            items.append(_read_line(line, number))
            places.append(f"line {number}")
    return Drafts(items, places)


def write_lines(items: Iterable[DatasetItem | DraftItem]) -> bytes:
    """Return items as JSON lines; a field at its default is left out, but for the id and the input."""
    return b"".join(_encode_line(item) + b"\n" for item in items)


def whole_items(drafts: Drafts) -> PlacedItems:
    """Return items with an id each: one that has none gets it from its input.

    Raises:
        Invalid: With the place of an item that has the id of another one, or one that cannot be an id or a tag; or if
            there are no items, or too many.
    """
    if not 1 <= len(drafts.items) <= MOST_ITEMS:
        raise Invalid(f"there are {len(drafts.items)} items; a data set has 1 to {MOST_ITEMS}")
    first: dict[str, str] = {}
    items = []
    for draft, place in zip(drafts.items, drafts.places, strict=True):
        item_id = draft.id or derived_id(draft.input)
        fault = _fault(draft, item_id)
        if not fault and item_id in first:
            same = "has the id" if draft.id else "has no id, and its input is that"
            fault = f"{same} of {first[item_id]}: {item_id!r}"
        if fault:
            raise Invalid(f"{place}: {fault}", path="id")
        first[item_id] = place
        items.append(DatasetItem(**{**msgspec.structs.asdict(draft), "id": item_id}))
    return PlacedItems(items, drafts.places)


def merge_items(present: Sequence[DatasetItem], coming: Sequence[DatasetItem]) -> Merged:
    """Return ``present`` with ``coming`` put to it: an item with a known id takes that one's place, others the end."""
    known = {input_key(item.input) for item in present}
    merged = {item.id: item for item in present} | {item.id: item for item in coming}
    return Merged(list(merged.values()), sum(1 for item in coming if input_key(item.input) in known))


def item_digest(item: DatasetItem) -> str:
    """Return what tells two contents of an item apart, 64 hex digits."""
    return sha256_hex(canonical_json(cast(Json, msgspec.to_builtins(item))))


def input_key(item_input: JsonObject) -> str:
    """Return what tells two inputs apart: the digest of their canonical JSON."""
    return sha256_hex(canonical_json(cast(Json, item_input)))


def derived_id(item_input: JsonObject) -> str:
    """Return the id of an item that came without: the same input gives the same one."""
    return f"i-{input_key(item_input)[:16]}"


def _read_line(line: bytes, number: int) -> DraftItem:
    try:
        return _decode_draft(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"line {number}: {error}", path=f"line {number}") from None


def _encode_line(item: DatasetItem | DraftItem) -> bytes:
    fields = msgspec.structs.asdict(item)
    # An expected output may be an empty text, which is not the same as none.
    kept = {name: value for name, value in fields.items() if value or name in ("id", "input", "expected")}
    if item.expected is None:
        del kept["expected"]
    return msgspec.json.encode(kept)


def _fault(draft: DraftItem, item_id: str) -> str:
    if len(item_id) > LONGEST_ID or item_id != item_id.strip() or not item_id.isprintable():
        return f"the id {item_id[:60]!r} must be up to {LONGEST_ID} printable characters without space around them"
    if any(not tag or tag != tag.strip() or not tag.isprintable() for tag in draft.tags):
        return f"the tags {draft.tags} must be printable texts without space around them"
    return ""
