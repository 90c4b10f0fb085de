"""Items of a data set as the columns of a table, and back. Pure.

The columns ``id``, ``expected``, ``cluster``, ``split``, ``tags`` and ``contexts`` are an item's own;
``metadata.NAME`` is of its metadata, ``input.NAME`` a variable, and so is any other name.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Literal, cast

import msgspec

from zirkel.core import DatasetItem, Invalid, JsonObject, VariableType
from zirkel.version.dataset_items import DraftItem
from zirkel.version.dataset_schema import DatasetSchema

ColumnField = Literal["id", "expected", "cluster", "split", "tags", "contexts", "metadata", "input"]
CellType = Literal["string", "number", "boolean", "json", "texts"]
TAG_SEPARATOR = ";"
_OWN: tuple[ColumnField, ...] = ("id", "expected", "cluster", "split", "tags", "contexts")
_INPUT, _METADATA = "input.", "metadata."
_LONGEST_NUMBER = 15
"""Digits: longer ones are ids of something, and a float could not hold them."""


@dataclass(frozen=True, slots=True)
class Column:
    """What a column of a table holds."""

    header: str
    field: ColumnField
    name: str = ""
    """Of the variable or the member of the metadata."""


@dataclass(frozen=True, slots=True)
class FilledColumn:
    """A column of a table to be written; ``None`` is an empty cell."""

    header: str
    type: CellType
    values: Sequence[object]


def read_header(headers: Sequence[str]) -> list[Column]:
    """Return what columns hold.

    Raises:
        Invalid: If a name is empty or stands twice, or is ``metadata`` alone.
    """
    columns = [_column(header) for header in headers]
    seen: set[tuple[str, str]] = set()
    for number, column in enumerate(columns, start=1):
        if not column.header.strip():
            raise Invalid(f"row 1: column {number} has no name; name it or leave it out", path="row 1")
        if column.header == "metadata":
            raise Invalid("row 1: name columns of metadata metadata.NAME", path="metadata")
        if (column.field, column.name) in seen:
            raise Invalid(f"row 1: the column {column.header!r} is there twice", path=column.header)
        seen.add((column.field, column.name))
    if len(headers) == 1 and ";" in headers[0]:
        raise Invalid("row 1: the columns are separated by semicolons; write commas", path="row 1")
    return columns


def read_row(
    columns: Sequence[Column], cells: Sequence[object], types: Mapping[str, VariableType], place: str
) -> DraftItem:
    """Return the item of a row.

    Args:
        columns: What each cell is.
        cells: ``None`` where there is nothing; texts, or the values of a typed table.
        types: Of variables, by name; a cell of another one stays what it is.
        place: The row, for messages.

    Raises:
        Invalid: With the row and the column of a cell that is not what it should be.
    """
    fields: dict[str, object] = {}
    inputs: JsonObject = {}
    metadata: JsonObject = {}
    for column, cell in zip(columns, cells, strict=True):
        if cell is None:
            continue
        try:
            if column.field == "input":
                inputs[column.name] = read_value(cell, types.get(column.name))
            elif column.field == "metadata":
                metadata[column.name] = _loose(cell)
            else:
                fields[column.field] = _READERS[column.field](cell)
        except ValueError as error:
            raise Invalid(f"{place}, column {column.header}: {error}", path=column.header) from None
    return msgspec.convert({**fields, "input": inputs, "metadata": metadata}, DraftItem)


def guess_type(cells: Sequence[str | None]) -> VariableType:
    """Return the type that all texts of a column fit; a number with leading zeros or many digits is a text."""
    texts = [cell for cell in cells if cell is not None]
    kinds: tuple[tuple[VariableType, Callable[[str], bool]], ...] = (
        ("boolean", lambda text: text.lower() in ("true", "false")),
        ("number", _is_plain_number),
        ("json", lambda text: text[:1] in ("{", "[") and _is_json(text)),
    )
    return next((kind for kind, fits in kinds if texts and all(map(fits, texts))), "string")


def read_value(cell: object, wanted: VariableType | None) -> object:
    """Return the value of a variable from a cell.

    Raises:
        ValueError: If it is no value of the type.
    """
    if isinstance(cell, str):
        return _read_text(cell, wanted)
    value = _plain(cell)
    return _as_text(value) if wanted == "string" and isinstance(cell, date | time) else value


def fill_columns(items: Sequence[DatasetItem], schema: DatasetSchema) -> list[FilledColumn]:
    """Return the table of items: the columns that hold something, variables in the order of the schema."""
    found = [FilledColumn("id", "string", [item.id for item in items])]
    found += [
        FilledColumn(name, "string", [getattr(item, name) or None for item in items]) for name in ("cluster", "split")
    ]
    found.insert(1, FilledColumn("expected", "string", [item.expected for item in items]))
    found += [
        FilledColumn(name, "texts", [getattr(item, name) or None for item in items]) for name in ("tags", "contexts")
    ]
    for name, variable in schema.variables.items():
        values = [_encoded(item.input, name, variable.type) for item in items]
        found.append(FilledColumn(_header(name), variable.type, values))
    for name in sorted({name for item in items for name in item.metadata}):
        notes = [_tight(item.metadata[name]) if name in item.metadata else None for item in items]
        found.append(FilledColumn(f"{_METADATA}{name}", "string", notes))
    kept = {_header(name) for name in schema.variables} | {"id"}
    return [column for column in found if column.header in kept or any(value is not None for value in column.values)]


def cell_text(value: object, kind: CellType, header: str) -> str | None:
    """Return a cell as text; see ``read_row`` for what is read back.

    Raises:
        Invalid: If a tag holds a semicolon.
    """
    if value is None or isinstance(value, str):
        return value
    if kind != "texts" or header != "tags":
        return msgspec.json.encode(value).decode()
    tags = cast("list[str]", value)
    for tag in tags:
        if TAG_SEPARATOR in tag or tag != tag.strip() or not tag:
            raise Invalid(f"the tag {tag!r} cannot be written as CSV, where ; separates tags; take jsonl or parquet")
    return TAG_SEPARATOR.join(tags)


def _column(header: str) -> Column:
    for field in _OWN:
        if header == field:
            return Column(header, field)
    if header.startswith(_METADATA):
        return Column(header, "metadata", header.removeprefix(_METADATA))
    return Column(header, "input", header.removeprefix(_INPUT))


def _header(variable: str) -> str:
    is_clear = _column(variable) == Column(variable, "input", variable) and variable.strip() and variable != "metadata"
    return variable if is_clear else f"{_INPUT}{variable}"


def _encoded(found: JsonObject, name: str, kind: VariableType) -> object:
    if name not in found:
        return None
    return msgspec.json.encode(found[name]).decode() if kind == "json" else found[name]


def _tight(value: object) -> str:
    """Return a value as text that ``_loose`` reads as the same: a text as it is, unless it could be something else."""
    return value if isinstance(value, str) and not _is_json(value) else msgspec.json.encode(value).decode()


def _loose(cell: object) -> object:
    if not isinstance(cell, str):
        return _plain(cell)
    return msgspec.json.decode(cell) if _is_json(cell) else cell


def _read_text(cell: str, wanted: VariableType | None) -> object:
    if wanted == "boolean":
        if cell.strip().lower() not in ("true", "false"):
            raise ValueError(f"{cell[:80]!r} is not true or false")
        return cell.strip().lower() == "true"
    if wanted == "number":
        try:
            return msgspec.json.decode(cell.strip(), type=int | float)
        except (msgspec.DecodeError, UnicodeEncodeError):
            raise ValueError(f"{cell[:80]!r} is not a number such as 1, -2.5 or 1e6") from None
    if wanted == "json":
        try:
            return cast(object, msgspec.json.decode(cell))
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
            raise ValueError(f"{cell[:80]!r} is not JSON: {error}") from None
    return cell


def _plain(cell: object) -> object:
    """Return a value of a typed table as a JSON value."""
    match cell:
        case float() if not math.isfinite(cell):
            raise ValueError(f"{cell} is not a finite number; leave the cell empty for none")
        case Decimal():
            return int(cell) if cell == cell.to_integral_value() else float(cell)
        case datetime() | date() | time():
            return cell.isoformat()
        case list() | tuple():
            return [_plain(part) for part in cell]
        case dict():
            return {str(name): _plain(part) for name, part in cell.items()}
        case None | bool() | int() | float() | str():
            return cell
        case _:
            raise ValueError(f"a value of type {type(cell).__name__} is none of JSON")


def _as_text(cell: object) -> str:
    plain = _plain(cell)
    return plain if isinstance(plain, str) else msgspec.json.encode(plain).decode()


def _as_tags(cell: object) -> list[str]:
    if isinstance(cell, str):
        return [tag.strip() for tag in cell.split(TAG_SEPARATOR) if tag.strip()]
    return _as_texts(cell)


def _as_texts(cell: object) -> list[str]:
    if isinstance(cell, str):
        try:
            return msgspec.json.decode(cell, type=list[str])
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return [cell]
    if isinstance(cell, list) and all(isinstance(part, str) for part in cell):
        return cell
    raise ValueError("must be a list of texts")


def _is_plain_number(text: str) -> bool:
    if len(text) > _LONGEST_NUMBER:
        return False
    try:
        msgspec.json.decode(text, type=int | float)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return False
    return text == text.strip()


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False
    return True


_READERS: Mapping[str, Callable[[object], object]] = {
    "id": _as_text,
    "expected": _as_text,
    "cluster": _as_text,
    "split": _as_text,
    "tags": _as_tags,
    "contexts": _as_texts,
}
