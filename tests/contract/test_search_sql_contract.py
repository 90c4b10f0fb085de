"""Read-only SQL: what a reader can ask, and that nothing else can be reached."""

from collections.abc import Iterator

import msgspec
import pytest

from tests.contract.search_world import MIDNIGHT_NS, Arrival, opened_store, score, span
from zirkel.core import Invalid, LogRecord, MetricPoint, new_trace_id
from zirkel.core.search import SqlLimits, Table
from zirkel.observe.search_ports import SearchReader
from zirkel.store.telemetry import TelemetryStore
from zirkel.store.telemetry.search import TelemetrySearch

SECRET = "the-secret-of-another-project"
FEW = SqlLimits(seconds=5, memory_bytes=128 << 20, rows=5, result_bytes=1 << 20)


@pytest.fixture(scope="module", params=["embedded", "server"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TelemetryStore]:
    with opened_store(request.param, tmp_path_factory.mktemp("sql")) as opened:
        yield opened


@pytest.fixture(scope="module")
def search(store: TelemetryStore) -> SearchReader:
    return TelemetrySearch(store.engine)


@pytest.fixture(scope="module")
def project(store: TelemetryStore) -> str:
    """A project with three spans, beside one whose every row has the secret."""
    other, own = Arrival(store, new_trace_id()), Arrival(store, new_trace_id())
    hidden = span(name=SECRET, input=f'"{SECRET}"', service=SECRET, user_id=SECRET, status_message=SECRET)
    other.spans(hidden)
    other.scores(score(trace_id=hidden.trace_id, comment=SECRET, name=SECRET))
    log = LogRecord(project_id=other.project_id, log_id="1", body=f'"{SECRET}"', time_ns=MIDNIGHT_NS)
    store.insert_logs([log], received_ns=1)
    point = MetricPoint(project_id=other.project_id, point_id="1", name=SECRET, kind="sum", time_ns=MIDNIGHT_NS)
    store.insert_points([point], received_ns=1)
    spans = [span(name=f"own {number}", start_ns=MIDNIGHT_NS + number) for number in range(3)]
    own.spans(*spans)
    own.spans(msgspec.structs.replace(spans[0], name="own 0, again"))
    own.scores(first := score(trace_id=spans[0].trace_id, value=0.1), gone := score(trace_id=spans[1].trace_id))
    own.scores(msgspec.structs.replace(first, value=0.9), msgspec.structs.replace(gone, is_withdrawn=True))
    return own.project_id


def values(table: Table) -> list[list[object]]:
    return [[msgspec.json.decode(value) for value in row] for row in table.rows]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT count(), uniqExact(trace_id) FROM spans", [[3, 3]]),
        ("SELECT name FROM spans ORDER BY start_ns DESC LIMIT 2", [["own 2"], ["own 1"]]),
        ("SELECT name FROM spans WHERE start_ns = (SELECT min(start_ns) FROM spans) -- why", [["own 0, again"]]),
        ("SELECT value FROM scores", [[0.9]]),
        ("SELECT count() FROM logs", [[0]]),
        ("SELECT count() FROM points", [[0]]),
        ("SELECT count() FROM spans JOIN scores USING (trace_id)", [[1]]),
        ("SELECT count() FROM spans a CROSS JOIN spans b", [[9]]),
        ("WITH t AS (SELECT service, count() AS n FROM spans GROUP BY service) SELECT n FROM t;", [[3]]),
        ("SELECT count() FROM spans WHERE trace_id IN (SELECT trace_id FROM scores)", [[1]]),
        ("SELECT 'it''s', '{a:String}', 'a\\\\b', '\t'", [["it's", "{a:String}", "a\\b", "\t"]]),
        ("SELECT 1 UNION ALL SELECT 1", [[1], [1]]),
        ("SELECT quantile(0.5)((end_ns - start_ns) / 1e9) FROM spans WHERE day > '2020-01-01'", [[0.999999999]]),
        ("SELECT CASE WHEN 1 = 1 THEN 'a' ELSE 'b' END, 2 BETWEEN 1 AND 3, [1, 2][1], (1, 2).2", [["a", 1, 1, 2]]),
        (
            "SELECT row_number() OVER (PARTITION BY service ORDER BY start_ns) AS n FROM spans ORDER BY n",
            [[1], [2], [3]],
        ),
        ("SELECT arrayMap(x -> x + 1, [1]), toDate('2026-01-01') + INTERVAL 1 DAY", [[[2], "2026-01-02"]]),
        ("SELECT count() FROM spans WHERE name LIKE '%again' OR name ILIKE 'OWN\\_%'", [[1]]),
        ('SELECT "name" AS "format" FROM `spans` ORDER BY `format` LIMIT 1', [["own 0, again"]]),
        ("SELECT sum(cost_usd), countIf(status = 'error') FROM spans", [[None, 0]]),
    ],
)
def test_a_reader_gets_what_is_in_the_project(
    search: SearchReader, project: str, sql: str, expected: list[list[object]]
) -> None:
    assert values(search.run_sql(project, sql, FEW)) == expected


def test_columns_have_names_and_types(search: SearchReader, project: str) -> None:
    table = search.run_sql(project, "SELECT name, start_ns AS at, usage.input_tokens FROM spans", FEW)
    assert table.columns == ["name", "at", "usage.input_tokens"]
    assert table.types[1:] == ["Int64", "Nullable(Int64)"]
    assert "project_id" not in search.run_sql(project, "SELECT * FROM spans", FEW).columns


HOSTILE = [
    *(
        f"SELECT * FROM {table}"
        for table in ("default.spans", "`default`.`spans`", '"default"."spans"', "`default.spans`")
    ),
    *(
        f"SELECT * FROM system.{table}"
        for table in ("tables", "one", "processes", "query_log", "settings", "functions")
    ),
    *("SELECT * FROM information_schema.tables", "SELECT * FROM INFORMATION_SCHEMA.COLUMNS", "SHOW TABLES"),
    *("SELECT * FROM selected", "SELECT * FROM schema_version", "WITH schema_version AS (SELECT 1) SELECT 1"),
    *("SELECT 1 WHERE 'x' IN selected", "SELECT 1 WHERE 'x' IN system.databases", "SELECT 1 WHERE 1 IN spans"),
    *("SELECT 1 WHERE in('x', spans)", "SELECT 1 WHERE notIn('x', scores)", "SELECT 1 WHERE globalIn('x', spans)"),
    *(
        "SELECT * FROM merge('default', '.*')",
        "SELECT * FROM merge('spans')",
        "SELECT * FROM merge(currentDatabase(), 's')",
    ),
    *("SELECT * FROM remote('127.0.0.1', 'default', 'spans')", "SELECT * FROM cluster('default', 'default', 'spans')"),
    *(
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT file('/etc/passwd')",
        "SELECT * FROM url('http://x')",
    ),
    *(
        "SELECT * FROM numbers(10)",
        "SELECT * FROM view(SELECT * FROM spans)",
        "SELECT * FROM mergeTreeIndex('default', 'spans')",
    ),
    *(
        "SELECT * FROM dictionary('d')",
        "SELECT dictGet('d', 'a', 1)",
        "SELECT * FROM executable('x', 'TSV', 'a String')",
    ),
    *(
        "SELECT * FROM s3('x')",
        "SELECT * FROM sqlite('x', 'y')",
        "SELECT * FROM python('x')",
        "SELECT * FROM values('a Int8', 1)",
    ),
    *(
        "SELECT * FROM loop(spans)",
        "SELECT * FROM format('TSV', 'x')",
        "SELECT * FROM viewIfPermitted(SELECT 1 ELSE null('x Int8'))",
    ),
    *("SELECT 1; DROP TABLE spans", "DROP TABLE spans", "INSERT INTO spans SELECT * FROM spans", "SELECT 1;SELECT 2"),
    *(
        "SELECT 1 /* */; SELECT 2",
        "SELECT 1 -- \n; SELECT 2",
        "/*/ SELECT 1 */ DROP TABLE spans",
    ),
    *(
        "ALTER TABLE spans DELETE WHERE 1",
        "TRUNCATE TABLE spans",
        "OPTIMIZE TABLE spans",
        "SET readonly = 0",
        "SYSTEM FLUSH LOGS",
    ),
    *(
        "ATTACH TABLE x",
        "CREATE TABLE x (a Int8) ENGINE = Memory",
        "KILL QUERY WHERE 1",
        "EXPLAIN SELECT 1",
        "DESCRIBE spans",
    ),
    *(
        "SELECT * FROM (EXPLAIN SELECT * FROM spans)",
        "SELECT * FROM (SHOW TABLES)",
        "SELECT * FROM (DESCRIBE TABLE spans)",
    ),
    *(
        "SELECT * FROM spans SETTINGS additional_table_filters = {}",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 FORMAT JSON",
    ),
    *("SELECT * FROM (SELECT * FROM spans SETTINGS max_execution_time = 0)", "SELECT 1 INTO OUTFILE '/tmp/x'"),
    *(
        "SELECT {project_id:String}",
        "SELECT * FROM {project_id:Identifier}",
        "SELECT $1",
        "SELECT $$x$$",
        "SELECT @@version",
    ),
    *(
        "SELECT sleep(3)",
        "SELECT throwIf(1)",
        "SELECT getSetting('max_threads')",
        "SELECT currentUser()",
        "SELECT hostName()",
    ),
    *("SELECT initializeAggregation('aggThrow', 1)", "SELECT arrayReduce('sum', [1])", "SELECT joinGet('t', 'c', 1)"),
    *(
        "SELECT version()",
        "SELECT getMacro('x')",
        "SELECT hasColumnInTable('default', 'spans', 'name')",
        "SELECT currentDatabase()",
    ),
    *(
        "SELECT project_id FROM spans",
        "SELECT _table FROM spans",
        "SELECT _database FROM spans",
        "SELECT _part FROM spans",
    ),
    *(
        "SELECT COLUMNS('.*') FROM spans",
        "SELECT * APPLY(toString) FROM spans",
        "SELECT * REPLACE(1 AS name) FROM spans",
    ),
    *("SELECT * FROM spans SAMPLE 0.1", "SELECT * FROM spans FINAL", "SELECT * FROM spans PREWHERE 1"),
    *("WITH RECURSIVE t AS (SELECT 1) SELECT * FROM t", "FROM spans SELECT *", "(SELECT 1)", "VALUES (1)", ""),
    *("SELECT 1 WINDOW w AS ()", "SELECT 'a\\{b:String\\}'", "SELECT * FROM spans WHERE", "SELECT nothing FROM spans"),
    *(
        "SELECT * FROM \x00spans",
        "SELECT * FROM spans\u200b",
        "SELECT ‘a’",
        "SELECT * FROM ｓpans",
        "SELECT 1 AS `a``b`",
    ),
    *("SELECT * FROM spans) UNION ALL (SELECT * FROM default.spans", "SELECT 1) SETTINGS readonly=0 --", "SELECT (1"),
    *("SELECT 1) FROM (SELECT 2", "SELECT * FROM spans AS s, s.tags", "SELECT * FROM spans ARRAY JOIN system.tables"),
]


@pytest.mark.parametrize("sql", HOSTILE)
def test_what_is_not_a_question_to_the_project_is_refused(search: SearchReader, project: str, sql: str) -> None:
    with pytest.raises(Invalid):
        search.run_sql(project, sql, FEW)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM spans",
        "SELECT * FROM scores",
        "SELECT * FROM logs",
        "SELECT * FROM points",
        "SELECT * FROM spans UNION ALL SELECT * FROM spans",
        "WITH spans AS (SELECT * FROM spans) SELECT * FROM spans",
        "WITH scores AS (SELECT name FROM spans) SELECT * FROM scores",
        "SELECT * FROM (WITH logs AS (SELECT 1) SELECT * FROM logs), logs",
        "SELECT (SELECT groupArray(name) FROM spans), (SELECT groupArray(comment) FROM scores)",
        "SELECT a.name, b.name FROM spans a FULL OUTER JOIN spans b ON a.trace_id != b.trace_id",
        "SELECT groupArray(name) FROM spans WHERE 1 OR name != '' OR NOT 0",
        "SELECT name FROM spans WHERE trace_id NOT IN (SELECT trace_id FROM scores)",
        "SELECT max(name) FROM spans GROUP BY () HAVING 1",
    ],
)
def test_no_row_of_another_project_comes_out(search: SearchReader, project: str, sql: str) -> None:
    try:
        answer = repr(values(search.run_sql(project, sql, FEW)))
    except Invalid as error:
        answer = str(error)
    assert SECRET not in answer


def test_the_store_is_as_it_was(store: TelemetryStore, search: SearchReader, project: str) -> None:
    assert store.count_spans(project) == 3


def test_rows_beyond_the_limit_are_cut_off_and_it_is_said(search: SearchReader, project: str) -> None:
    table = search.run_sql(project, "SELECT arrayJoin([1, 2, 3, 4, 5, 6]) AS n", FEW)
    assert [row[0] for row in values(table)] == [1, 2, 3, 4, 5]
    assert table.is_cut
    assert not search.run_sql(project, "SELECT arrayJoin([1, 2, 3, 4, 5])", FEW).is_cut


LONG = "arrayStringConcat(arrayMap(x -> 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', {}))".format
THOUSAND = "splitByChar(',', '" + "," * 999 + "')"


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            f"SELECT sum(cityHash64(a, b, c)) FROM (SELECT arrayJoin({THOUSAND}) AS a) AS x "
            f"CROSS JOIN (SELECT arrayJoin({THOUSAND}) AS b) AS y CROSS JOIN (SELECT arrayJoin({THOUSAND}) AS c) AS z",
            "took longer than",
        ),
        (
            f"SELECT length(groupArray(concat(a, b, t))) FROM (SELECT {LONG(THOUSAND)} AS t, "
            f"arrayJoin({THOUSAND}) AS a, arrayJoin({THOUSAND}) AS b)",
            "memory",
        ),
        (f"SELECT left({LONG(THOUSAND)}, 4000) AS t, arrayJoin({THOUSAND}) AS a", "larger than"),
    ],
)
def test_a_query_over_a_limit_is_stopped_and_it_is_said_which(
    search: SearchReader, project: str, sql: str, said: str
) -> None:
    with pytest.raises(Invalid, match=said):
        search.run_sql(project, sql, SqlLimits(seconds=1, memory_bytes=64 << 20, rows=1000, result_bytes=1 << 20))


def test_an_answer_has_nothing_of_a_query_that_failed_before_it(search: SearchReader, project: str) -> None:
    rows = f"SELECT {LONG(THOUSAND)} AS t, arrayJoin({THOUSAND}) AS a"
    little = msgspec.structs.replace(FEW, rows=1000, memory_bytes=32 << 20)
    for _ in range(6):
        with pytest.raises(Invalid, match="memory"):
            search.run_sql(project, f"SELECT length(groupArray(concat(t, a))) FROM ({rows})", little)
        assert values(search.run_sql(project, "SELECT 1", FEW)) == [[1]]
