"""Lists of scores: on the engine in this process, and on a server where one is given to the tests."""

import os
from collections.abc import Iterator
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.unit.observe.score_world import MemoryScores
from zirkel.core import Batch, ScoreKind, ScoreOrigin, ScoreRecord, encode_batch, new_trace_id
from zirkel.observe.score_versions import next_version, withdrawal
from zirkel.store.telemetry import TelemetryStore
from zirkel.store.telemetry.score_queries import LEAST_CANDIDATES, ScoreQueries

START_NS = 1_790_000_000_000_000_000
SERVER_URL = "ZIRKEL_TEST_CLICKHOUSE_URL"


@pytest.fixture(scope="module", params=["embedded", "server"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TelemetryStore]:
    if request.param == "embedded":
        opened = TelemetryStore.open(path=tmp_path_factory.mktemp("telemetry"))
    else:
        url = os.environ.get(SERVER_URL)  # noqa: TID251 (a setting of the tests, not of the program)
        if not url:
            pytest.skip(f"{SERVER_URL} names no ClickHouse server")
        opened = TelemetryStore.open(url=url)
    yield opened
    opened.close()


@pytest.fixture
def queries(store: TelemetryStore) -> ScoreQueries:
    return ScoreQueries(store.engine)


class Writer:
    """Writes versions into the store under test, and into the slow one beside it."""

    def __init__(self, store: TelemetryStore) -> None:
        self.store = store
        self.slow = MemoryScores()
        self.project_id = new_trace_id()
        self.received_ns = START_NS

    def score(self, score_id: str, **changes: object) -> ScoreRecord:
        base = ScoreRecord(
            project_id=self.project_id,
            score_id=score_id,
            name="helpful",
            kind=ScoreKind.NUMERIC,
            value=1.0,
            trace_id="ab" * 16,
            origin=ScoreOrigin.CODE,
            time_ns=START_NS,
        )
        return replace(base, **changes)

    def write(self, *versions: ScoreRecord) -> None:
        self.received_ns += 1000
        self.store.insert_scores(versions, received_ns=self.received_ns)
        self.slow.append_durable(encode_batch(Batch(scores=list(versions))))


@pytest.fixture
def writer(store: TelemetryStore) -> Writer:
    return Writer(store)


def test_every_field_comes_back_as_it_went_in(writer: Writer, queries: ScoreQueries) -> None:
    full = writer.score(
        "a",
        kind=ScoreKind.TEXT,
        value=None,
        label="für 'alle'\n\\ \t \u0000 🙂",
        span_id="cd" * 8,
        origin=ScoreOrigin.JUDGE,
        author="gpt-4o",
        evaluator="tone@3",
        comment='{"not": "json"}',
        user_id="u",
        metadata={"k": '{"deep":[1,null]}', "": '"x"'},
    )
    writer.write(full, writer.score("b", value=0.1 + 0.2))
    assert queries.current_scores(writer.project_id, ["a", "b", "unknown"]) in (
        [full, writer.score("b", value=0.1 + 0.2)],
        [writer.score("b", value=0.1 + 0.2), full],
    )
    assert queries.current_scores(writer.project_id, []) == []
    assert queries.current_scores(new_trace_id(), ["a"]) == []


def test_versions_of_one_insert_are_in_order_and_the_last_one_counts(writer: Writer, queries: ScoreQueries) -> None:
    versions = [writer.score("a", value=float(number), time_ns=START_NS + number) for number in range(5)]
    writer.write(*versions)
    assert queries.list_scores(writer.project_id) == [(START_NS, versions[-1])]
    assert writer.store.score_history(writer.project_id, "a") == versions


def test_each_filter_finds_what_the_slow_way_finds(writer: Writer, queries: ScoreQueries) -> None:
    writer.write(
        writer.score("a", span_id="cd" * 8, time_ns=START_NS + 1),
        writer.score("b", trace_id="", session_id="s' OR 1 --", time_ns=START_NS + 2),
        writer.score("c", trace_id="", experiment_id="e", item_id="1", time_ns=START_NS + 3),
        writer.score("d", name="polite", time_ns=START_NS + 4),
        writer.score("e", time_ns=START_NS + 5),
        writer.score("f", time_ns=START_NS + 5),
    )
    writer.write(
        writer.score("d", name="polite", origin=ScoreOrigin.PERSON, value=0.0, time_ns=START_NS + 40),
        writer.score("e", is_withdrawn=True, time_ns=START_NS + 50),
    )
    filters: tuple[dict[str, object], ...] = (
        {},
        {"trace_id": "ab" * 16},
        {"span_id": "cd" * 8},
        {"session_id": "s' OR 1 --"},
        {"experiment_id": "e"},
        {"name": "polite"},
        {"origin": "person"},
        {"origin": "code"},
        {"since_ns": START_NS + 3},
        {"until_ns": START_NS + 3},
        {"until_ns": 0},
        {"limit": 2},
        {"before": (START_NS + 4, "d")},
        {"before": (START_NS + 5, "z"), "limit": 1},
        {"trace_id": "ab" * 16, "name": "helpful", "since_ns": START_NS + 2},
        {"trace_id": "none"},
    )
    sizes = []
    for wanted in filters:
        found, slow = (
            partial(reader.list_scores, writer.project_id, **wanted)()  # type: ignore[arg-type]
            for reader in (queries, writer.slow)
        )
        assert list(found) == list(slow), wanted
        sizes.append(len(found))
    assert sizes[0] == 5
    assert sizes[-1] == 0


def test_a_page_goes_on_behind_rows_that_are_corrections_or_withdrawn(writer: Writer, queries: ScoreQueries) -> None:
    count = 3 * LEAST_CANDIDATES
    writer.write(*(writer.score(f"s{number:03}", time_ns=START_NS + number) for number in range(count)))
    writer.write(*(writer.score(f"s{number:03}", value=0.0, time_ns=START_NS + 10**6) for number in range(count)))
    later = START_NS + 2 * 10**6
    writer.write(*(writer.score(f"s{number:03}", is_withdrawn=True, time_ns=later) for number in range(2, count)))
    assert queries.list_scores(writer.project_id, limit=1) == [
        (START_NS + 1, writer.score("s001", value=0.0, time_ns=START_NS + 10**6))
    ]
    assert [score.score_id for _, score in queries.list_scores(writer.project_id)] == ["s001", "s000"]


Step = st.tuples(st.sampled_from("abcd"), st.sampled_from(["give", "withdraw"]), st.integers(0, 2), st.integers(1, 9))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(Step, min_size=1, max_size=6), min_size=1, max_size=6), st.integers(1, 3))
def test_pages_between_writes_have_what_the_slow_way_has_and_no_score_twice(
    store: TelemetryStore, batches: list[list[tuple[str, str, int, int]]], size: int
) -> None:
    writer, queries = Writer(store), ScoreQueries(store.engine)
    current: dict[str, ScoreRecord] = {}
    seen: list[str] = []
    before: tuple[int, str] | None = None
    for batch in batches:
        versions = []
        for score_id, action, value, given_ns in batch:
            known = current.get(score_id)
            if action == "withdraw":
                version = withdrawal(known, "ann", START_NS) if known else None
            else:
                wanted = writer.score(score_id, value=float(value), time_ns=given_ns)
                version, _ = next_version(wanted, known, START_NS)
            if version is not None:
                current[score_id] = version
                versions.append(version)
        if versions:
            writer.write(*versions)
        page = queries.list_scores(writer.project_id, before=before, limit=size)
        assert page == list(writer.slow.list_scores(writer.project_id, before=before, limit=size))
        if page:
            before = page[-1][0], page[-1][1].score_id
            seen += [score.score_id for _, score in page]
    assert len(seen) == len(set(seen))
