"""Data sets as CSV and Parquet files.

Source: RFC 4180 (CSV), as pyarrow reads and writes it. An empty cell is nothing, a quoted empty cell an empty text.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Literal

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from zirkel.core import DatasetItem, Invalid, VariableType
from zirkel.version.dataset_cells import (
    Column,
    FilledColumn,
    cell_text,
    fill_columns,
    guess_type,
    read_header,
    read_row,
)
from zirkel.version.dataset_items import MOST_ITEMS, Drafts, read_lines, write_lines
from zirkel.version.dataset_schema import DatasetSchema, decode_schema, encode_schema

DatasetForm = Literal["jsonl", "csv", "parquet"]
MEDIA_TYPES: Mapping[DatasetForm, str] = {
    "jsonl": "application/jsonl",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}
LARGEST_TABLE_BYTES = 512 * 1024 * 1024
"""Of a Parquet file when it is unpacked."""
_SCHEMA_KEY = b"zirkel.schema"
_INT64 = 2**63


def read_items(form: DatasetForm, data: bytes, schema: DatasetSchema | None = None) -> Drafts:
    """Return the items of a file.

    Args:
        form: What kind of file it is.
        data: Its bytes.
        schema: Says how cells of a table are read, as far as it knows their variables; else a CSV file's types are
            guessed from all cells of the column, and a Parquet file's are its own.

    Raises:
        Invalid: With the line, or the row and the column, of what is wrong.
    """
    if form == "jsonl":
        return read_lines(data)
    types = {name: variable.type for name, variable in schema.variables.items()} if schema else {}
    return _read_csv(data, types) if form == "csv" else _read_parquet(data, types)


def write_items(form: DatasetForm, items: Sequence[DatasetItem], schema: DatasetSchema) -> bytes:
    """Return items as a file; ``read_items`` with the same schema gives them back.

    But for this: a table cannot tell a variable that is ``null`` from one that is not there, unless it is ``json``.

    Raises:
        Invalid: If a tag cannot be written as CSV.
    """
    if form == "jsonl":
        return write_lines(items)
    columns = fill_columns(items, schema)
    return _write_csv(columns) if form == "csv" else _write_parquet(columns, schema)


def _read_csv(data: bytes, types: Mapping[str, VariableType]) -> Drafts:
    try:
        reading = pa_csv.ReadOptions(use_threads=False, block_size=len(data) + 1)
        headers = _csv_header(data)
        table = pa_csv.read_csv(
            io.BytesIO(data),
            read_options=reading,
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types={header: pa.string() for header in headers},
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=[""],
            ),
        )
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise Invalid(f"the CSV file cannot be read: {error}") from None
    columns = read_header(table.column_names)
    cells = [column.to_pylist() for column in table.columns]
    guessed = {
        column.name: guess_type(found)
        for column, found in zip(columns, cells, strict=True)
        if column.field == "input" and column.name not in types
    }
    return _drafts(columns, cells, {**types, **guessed})


def _csv_header(data: bytes) -> list[str]:
    """Return the names of the columns; types must be told by name, and a name may hold anything."""
    options = pa_csv.ReadOptions(use_threads=False, block_size=len(data) + 1)
    parsing = pa_csv.ParseOptions(newlines_in_values=True)
    names: list[str] = pa_csv.open_csv(io.BytesIO(data), read_options=options, parse_options=parsing).schema.names
    return names


def _read_parquet(data: bytes, types: Mapping[str, VariableType]) -> Drafts:
    try:
        file = pa_parquet.ParquetFile(io.BytesIO(data))
        unpacked = sum(file.metadata.row_group(group).total_byte_size for group in range(file.metadata.num_row_groups))
        if unpacked > LARGEST_TABLE_BYTES or file.metadata.num_rows > MOST_ITEMS:
            found = f"{file.metadata.num_rows} rows and {unpacked} bytes unpacked"
            raise Invalid(f"the file has {found}; at most {MOST_ITEMS} and {LARGEST_TABLE_BYTES} are taken")
        table = file.read(use_threads=False)
        cells = [column.to_pylist() for column in table.columns]
    except (pa.ArrowException, OSError, ValueError, UnicodeDecodeError) as error:
        raise Invalid(f"the Parquet file cannot be read: {error}") from None
    noted = (table.schema.metadata or {}).get(_SCHEMA_KEY)
    own = {name: found.type for name, found in decode_schema(noted).variables.items()} if noted else {}
    return _drafts(read_header(table.column_names), cells, {**own, **types})


def _drafts(columns: Sequence[Column], cells: Sequence[Sequence[object]], types: Mapping[str, VariableType]) -> Drafts:
    # Row 1 is the header, as a spreadsheet counts.
    rows = list(zip(*cells, strict=True))
    places = [f"row {number}" for number in range(2, len(rows) + 2)]
    return Drafts([read_row(columns, row, types, place) for row, place in zip(rows, places, strict=True)], places)


def _write_csv(columns: Sequence[FilledColumn]) -> bytes:
    arrays = [
        pa.array([cell_text(value, column.type, column.header) for value in column.values], pa.string())
        for column in columns
    ]
    table = pa.Table.from_arrays(arrays, names=[column.header for column in columns])
    target = io.BytesIO()
    pa_csv.write_csv(table, target, pa_csv.WriteOptions(quoting_style="needed"))
    return target.getvalue()


def _write_parquet(columns: Sequence[FilledColumn], schema: DatasetSchema) -> bytes:
    table = pa.Table.from_arrays([_array(column) for column in columns], names=[column.header for column in columns])
    target = io.BytesIO()
    noted = table.replace_schema_metadata({_SCHEMA_KEY: encode_schema(schema).encode()})
    pa_parquet.write_table(noted, target, compression="zstd")
    return target.getvalue()


def _array(column: FilledColumn) -> pa.Array:
    if column.type == "texts":
        return pa.array(column.values, pa.list_(pa.string()))
    if column.type == "boolean":
        return pa.array(column.values, pa.bool_())
    if column.type == "number":
        return _numbers(column)
    return pa.array(column.values, pa.string())


def _numbers(column: FilledColumn) -> pa.Array:
    found = [value for value in column.values if value is not None]
    if all(isinstance(value, int) and -_INT64 <= value < _INT64 for value in found):
        return pa.array(column.values, pa.int64())
    if all(isinstance(value, float) for value in found):
        return pa.array(column.values, pa.float64())
    # Neither column type would give all of them back as they are; the noted schema says that these are numbers.
    return pa.array([cell_text(value, "number", column.header) for value in column.values], pa.string())
