"""Data sets as files: what is written is read back the same, and a fault is told by line or row and column."""

import io
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zirkel.core import DatasetItem, Invalid, JsonObject, VariableType
from zirkel.version.dataset_cells import guess_type
from zirkel.version.dataset_items import Drafts, derived_id, item_digest, read_lines, whole_items, write_lines
from zirkel.version.dataset_schema import DatasetSchema, DatasetVariable, infer_schema
from zirkel.version.dataset_tables import DatasetForm, read_items, write_items

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
TRICKY = st.sampled_from(
    ["", " ", "null", "1", "true", "[]", '"', "a,b\r\n;c", "\ufeff", "id", "[1] Smith says", "é\u2028"]
)
WORDS = TEXTS | TRICKY
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
VALUES: dict[VariableType, st.SearchStrategy[object]] = {
    "string": WORDS,
    "number": NUMBERS,
    "boolean": st.booleans(),
    "json": JSON,
}
NAMES = st.sampled_from(["review", "id", "tags", "metadata", "input", "input.x", "metadata.x", "a,b", " ", "ü"]) | TEXTS
TAGS = st.lists(st.text("abc ü", min_size=1, max_size=5).filter(lambda tag: tag == tag.strip()), max_size=3)


@st.composite
def datasets(draw: st.DrawFn) -> tuple[list[DatasetItem], DatasetSchema]:
    """Items with the same variables, some of them optional, and their schema."""
    types = draw(st.dictionaries(NAMES, st.sampled_from(list(VALUES)), max_size=4))
    optional = draw(st.sets(st.sampled_from(sorted(types)))) if types else set()
    items = []
    for number in range(draw(st.integers(1, 4))):
        present = [name for name in types if name not in optional or draw(st.booleans())]
        items.append(
            DatasetItem(
                id=f"{number}",
                input={name: draw(VALUES[types[name]]) for name in present},
                expected=draw(st.none() | WORDS),
                contexts=draw(st.lists(WORDS, max_size=2)),
                cluster=draw(WORDS),
                split=draw(WORDS),
                tags=draw(TAGS),
                metadata=draw(st.dictionaries(WORDS, JSON, max_size=2)),
            )
        )
    variables = {name: DatasetVariable(kind, name not in optional) for name, kind in types.items()}
    return items, DatasetSchema(variables)


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
@settings(deadline=None)
@given(made=datasets())
def test_what_is_written_is_read_back_the_same(
    form: DatasetForm, made: tuple[list[DatasetItem], DatasetSchema]
) -> None:
    items, schema = made
    read = whole_items(read_items(form, write_items(form, items, schema), schema)).items
    assert [item_digest(item) for item in read] == [item_digest(item) for item in items]


@settings(deadline=None)
@given(made=datasets())
def test_a_parquet_file_says_its_types_itself(made: tuple[list[DatasetItem], DatasetSchema]) -> None:
    items, schema = made
    read = whole_items(read_items("parquet", write_items("parquet", items, schema))).items
    assert [item_digest(item) for item in read] == [item_digest(item) for item in items]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
@settings(deadline=None)
@given(data=st.binary(max_size=60))
def test_garbage_is_refused_and_never_raises_anything_else(form: DatasetForm, data: bytes) -> None:
    with suppress(Invalid):
        assert whole_items(read_items(form, data)).items


@pytest.mark.parametrize(
    ("form", "data", "said"),
    [
        ("jsonl", b'{"input": {}}\n\n{"input": {}, "expcted": "x"}', "line 3: .*expcted"),
        ("jsonl", b'{"input": {"a": 1}}\n{"input": 7}', r"line 2: .*\$\.input"),
        ("jsonl", b'\xff{"input": {}}', "line 1: "),
        ("jsonl", b'{"id": "a", "input": {}}\n{"id": "a", "input": {"b": 1}}', "line 2: has the id of line 1: 'a'"),
        ("jsonl", b'{"input": {}}\n{"input": {}}', "line 2: has no id, and its input is that of line 1"),
        ("jsonl", b'{"id": " a", "input": {}}', "line 1: the id ' a' must be"),
        ("jsonl", b'{"input": {}, "tags": [""]}', "line 1: the tags"),
        ("jsonl", b"\n", "0 items"),
        ("csv", b"id,score\na,1\nb,one\n", "row 3, column score: 'one' is not a number"),
        ("csv", b"id,flag\na,yes\n", "row 2, column flag: 'yes' is not true or false"),
        ("csv", b'id,doc\na,"{""x"": }"\n', "row 2, column doc: .*is not JSON"),
        ("csv", b"id,score\na,1,2\n", "Row #2: Expected 2 columns, got 3"),
        ("csv", b"id,id,score\na,a,1\n", "row 1: the column 'id' is there twice"),
        ("csv", b"id,score,input.score\na,1,1\n", "row 1: the column 'input.score' is there twice"),
        ("csv", b"id,\na,1\n", "row 1: column 2 has no name"),
        ("csv", b"id,metadata\na,1\n", "metadata.NAME"),
        ("csv", b"id;score\na;1\n", "separated by semicolons"),
        ("csv", b"", "cannot be read"),
        ("parquet", b"PAR1", "cannot be read"),
    ],
)
def test_a_fault_is_told_where_it_is(form: DatasetForm, data: bytes, said: str) -> None:
    types: dict[str, VariableType] = {"score": "number", "flag": "boolean", "doc": "json"}
    schema = DatasetSchema({name: DatasetVariable(kind) for name, kind in types.items()})
    with pytest.raises(Invalid, match=said):
        whole_items(read_items(form, data, schema))


def only(drafts: Drafts) -> DatasetItem:
    (item,) = whole_items(drafts).items
    return item


def test_columns_of_a_csv_file_are_an_items_fields_and_variables() -> None:
    data = (
        b"id,expected,cluster,split,tags,contexts,review,input.id,stars,fresh,extra,metadata.source,metadata.year\r\n"
        b'7,good,shop-1,test,"a; b;",one text,"Fine, ""really""",x,4.5,TRUE,"[1, 2]",web,2024\r\n'
    )
    assert only(read_items("csv", data)) == DatasetItem(
        id="7", expected="good", cluster="shop-1", split="test", tags=["a", "b"], contexts=["one text"],
        input={"review": 'Fine, "really"', "id": "x", "stars": 4.5, "fresh": True, "extra": [1, 2]},
        metadata={"source": "web", "year": 2024},
    )  # fmt: skip


def test_an_empty_cell_is_nothing_and_a_quoted_one_an_empty_text() -> None:
    drafts = read_items("csv", b'id,expected,review\na,,""\nb,"",\n').items
    assert [(draft.expected, draft.input) for draft in drafts] == [(None, {"review": ""}), ("", {})]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2.5", None, "-1e3"], "number"),
        (["007"], "string"),
        (["1234567890123456"], "string"),
        (["1", "x"], "string"),
        (["true", "False"], "boolean"),
        (["true", "1"], "string"),
        (['{"a": 1}', "[]"], "json"),
        (["[1"], "string"),
        ([None, None], "string"),
        (["NaN"], "string"),
    ],
)
def test_types_of_a_csv_file_are_guessed_from_all_cells(cells: list[str | None], kind: str) -> None:
    assert guess_type(cells) == kind


def parquet(**columns: object) -> bytes:
    target = io.BytesIO()
    pa_parquet.write_table(pa.table(columns), target)
    return target.getvalue()


def test_a_parquet_file_from_elsewhere_keeps_its_own_types() -> None:
    data = parquet(
        id=pa.array([1], pa.int64()),
        expected=pa.array([True]),
        tags=pa.array([["a"]], pa.list_(pa.string())),
        count=pa.array([3], pa.int32()),
        label=pa.array(["x"]).dictionary_encode(),
        parts=pa.array([[{"a": 1}]]),
        day=pa.array([0], pa.date32()),
        price=pa.array(["1.50"]).cast(pa.decimal128(10, 2)),
        nothing=pa.array([None], pa.string()),
    )
    item = only(read_items("parquet", data))
    assert (item.id, item.expected, item.tags) == ("1", "true", ["a"])
    assert item.input == {"count": 3, "label": "x", "parts": [{"a": 1}], "day": "1970-01-01", "price": 1.5}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes"])
def test_a_value_that_is_none_of_json_is_refused_by_row_and_column(value: object) -> None:
    with pytest.raises(Invalid, match="row 2, column odd: "):
        read_items("parquet", parquet(id=["a"], odd=[value]))


def test_a_tag_that_csv_cannot_hold_is_refused_and_not_split() -> None:
    items = [DatasetItem(id="a", input={}, tags=["a;b"])]
    with pytest.raises(Invalid, match="'a;b'"):
        write_items("csv", items, infer_schema(items))
    assert only(read_items("parquet", write_items("parquet", items, infer_schema(items)))).tags == ["a;b"]


def test_an_id_that_is_missing_comes_from_the_input_alone() -> None:
    inputs: list[JsonObject] = [{"a": 1, "b": "x"}, {"b": "x", "a": 1}]
    assert derived_id(inputs[0]) == derived_id(inputs[1])
    drafts = read_lines(b'{"input": {"a": 1, "b": "x"}, "expected": "y", "tags": ["t"]}')
    assert only(drafts).id == derived_id(inputs[0])


def test_a_byte_order_mark_before_json_lines_is_no_fault() -> None:
    assert only(read_lines(b"\xef\xbb\xbf" + write_lines([DatasetItem(id="a", input={})]))).id == "a"
