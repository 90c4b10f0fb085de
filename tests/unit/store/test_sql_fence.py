"""What a reader's SQL may look like, before the engine is asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Invalid
from zirkel.store.telemetry.sql_fence import MAX_LENGTH, check_tables, check_tree, rewrite
from zirkel.store.telemetry.sql_functions import is_allowed

TREE = "SelectWithUnionQuery (children 1)\n ExpressionList (children 1)\n  SelectQuery (children 2)\n"
FROM = "   TablesInSelectQuery (children 1)\n    TablesInSelectQueryElement (children 1)\n     TableExpression\n"


@pytest.mark.parametrize(
    ("sql", "written"),
    [
        ("SELECT 1", "SELECT 1"),
        ("select a -- b ; c\nfrom spans;  ", "select a from spans"),
        ("/* ' */ SELECT /* x; */ 1", "SELECT 1"),
        ("SELECT 'a;--b' , 'it''s', 'it\\'s'", "SELECT 'a;--b' , 'it\\'s' , 'it\\'s'"),
        ("SELECT '{project_id:String}'", "SELECT '\\x7Bproject_id:String\\x7D'"),
        ('SELECT "format" FROM `spans`', "SELECT `format` FROM `spans`"),
        ("WITH t AS (SELECT 1) SELECT * FROM t", "WITH t AS ( SELECT 1 ) SELECT * FROM t"),
        ("SELECT a<=b,a<>b,a::Int64,x->x", "SELECT a <= b , a <> b , a :: Int64 , x -> x"),
    ],
)
def test_a_query_is_written_anew_from_its_tokens(sql: str, written: str) -> None:
    assert rewrite(sql, ["selected"]).sql == written


def test_the_skeleton_has_no_texts() -> None:
    assert rewrite("SELECT 'a' = '\n TableIdentifier x'", []).skeleton == "SELECT '' = ''"


@pytest.mark.parametrize(
    "sql",
    [
        "",
        " -- nothing",
        "INSERT INTO spans SELECT 1",
        "(SELECT 1)",
        "SELECT 1; SELECT 2",
        "SELECT 1;;",
        "SELECT 1; -- and\nDROP TABLE spans",
        "SELECT 1 SETTINGS max_threads = 1",
        "SELECT 1 FORMAT JSON",
        "SELECT 1 INTO OUTFILE 'x'",
        "SELECT {project_id:String}",
        "SELECT $$a$$",
        "SELECT $tag$a$tag$",
        "SELECT @@version",
        "SELECT 1 # comment",
        "SELECT 'open",
        'SELECT "open',
        "SELECT `a`` FROM system.tables`",
        'SELECT "a\\"b"',
        "SELECT 'a\\{b'",
        "SELECT 'a\x00b'",
        "SELECT 1 /* open",
        "SELECT 1 /* a /* b */ */",
        "SELECT 1 WINDOW w AS (ORDER BY 1)",
        "WITH RECURSIVE t AS (SELECT 1) SELECT * FROM t",
        "SELECT * FROM selected",
        "SELECT * FROM `Selected`",
        'SELECT * FROM "default.selected"',
        "WITH selected AS (SELECT 1) SELECT * FROM selected",
        "SELECT “x”",
        "SELECT 1 " + " " * MAX_LENGTH,
        "SELECT 1a",
        "SELECT 0xFF",
    ],
)
def test_what_is_not_one_plain_select_is_refused(sql: str) -> None:
    with pytest.raises(Invalid, match="refused"):
        rewrite(sql, ["selected"])


@given(st.text(max_size=40) | st.text("SELECT '\"`\\;-/*{}$@# \n1x", max_size=40))
def test_what_is_written_can_be_read_again_as_the_same(text: str) -> None:
    try:
        written = rewrite(f"SELECT {text}", ["hidden"]).sql
    except Invalid:
        return
    assert rewrite(written, ["hidden"]).sql == written
    outside = "".join(
        part for number, part in enumerate(written.replace("\\\\", "").replace("\\'", "").split("'")) if number % 2 == 0
    )
    assert not set(outside) & set(";{}$@#\\\n")
    assert "--" not in outside.replace("- -", "")


@pytest.mark.parametrize("name", ["count", "countIf", "quantile", "avgOrNull", "sumIfOrNull", "COUNT", "toStartOfHour"])
def test_pure_functions_and_aggregates_are_allowed(name: str) -> None:
    assert is_allowed(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "file",
            "url",
            "sleep",
            "sleepEachRow",
            "throwIf",
            "aggThrow",
            "dictGet",
            "joinGet",
            "getSetting",
            "hostName",
        ),
        *("currentDatabase", "currentUser", "version", "merge", "remote", "numbers", "initializeAggregation"),
        *("arrayReduce", "getMacro", "catboostEvaluate", "addressToLine", "filesystemAvailable", "globalVariable"),
        *("hasColumnInTable", "evalMLMethod", "toDateIf", "sumState", "finalizeAggregation", "__getScalar"),
    ],
)
def test_other_functions_are_refused(name: str) -> None:
    assert not is_allowed(name)


def test_a_known_tree_passes() -> None:
    check_tree(f"{TREE}   ExpressionList (children 1)\n    Asterisk\n{FROM}      TableIdentifier spans (alias s)\n")


@pytest.mark.parametrize(
    "rest",
    [
        f"{FROM}      TableIdentifier system.tables\n",
        f"{FROM}      Function numbers (children 1)\n",
        f"{FROM}      Function count (children 1)\n",
        "   Set\n",
        "   Function file (alias x) (children 1)\n",
        "   SomethingNew (children 3)\n",
        "   Function in (children 1)\n    ExpressionList (children 2)\n     Identifier a\n     Identifier spans\n",
        "   (what\n",
    ],
)
def test_a_tree_with_anything_else_is_refused(rest: str) -> None:
    with pytest.raises(Invalid, match="refused"):
        check_tree(TREE + rest)
    with pytest.raises(Invalid, match="refused"):
        check_tree("")


def test_a_tree_that_reads_other_tables_is_refused() -> None:
    fine = "QUERY id: 0\n  JOIN TREE\n    TABLE id: 6, alias: __table2, table_name: default.spans\n"
    check_tables(fine, ["default.spans"])
    check_tables("    TABLE id: 6, table_name: default.spans, final: 1\n", ["default.spans"])
    for line in ("TABLE id: 7, table_name: default.spans2", "TABLE id: 7, table_name: system.tables"):
        with pytest.raises(Invalid):
            check_tables(f"{fine}    {line}\n", ["default.spans"])
    with pytest.raises(Invalid):
        check_tables(f"{fine}    TABLE_FUNCTION id: 3, name: numbers\n", ["default.spans"])
