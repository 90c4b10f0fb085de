"""An erasure over all stores: nothing that belongs to the subject is left in any file, and all others' is there."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from zirkel.app.erasing import (
    DrainedFinder,
    ErasedAnswers,
    ErasedExperiments,
    ErasedSpool,
    ErasedTelemetry,
    RewrittenMetadata,
)
from zirkel.app.judge_answers import JudgeAnswers
from zirkel.core import (
    Batch,
    Errored,
    ExperimentRecord,
    ExperimentState,
    Json,
    LogRecord,
    ManualClock,
    Overloaded,
    Principal,
    Role,
    Score,
    Scored,
    ScoreKind,
    ScoreOrigin,
    ScoreRecord,
    Span,
    TrialRecord,
    TrialState,
    Unscored,
    decode_batch,
    encode_batch,
    judging_trace_id,
    score_to_json,
)
from zirkel.core.erasure import ERASED_TEXT, Findings, PlaceReport
from zirkel.core.labels import Label, LabelTask
from zirkel.evaluate.tools_cache import KeptAnswer
from zirkel.gateway.cache import BoundedMap
from zirkel.govern.erasure import Erasure, ErasureReport
from zirkel.govern.privacy_ports import ErasurePlace
from zirkel.observe.masking import ProjectMaskers
from zirkel.store.blobs import Blobs
from zirkel.store.metadata import Metadata
from zirkel.store.replaced_blobs import ReplacedBlobs
from zirkel.store.shared import LmdbState
from zirkel.store.spool import SpoolReader, SpoolWriter
from zirkel.store.telemetry import TelemetryStore
from zirkel.store.telemetry.subject_queries import SubjectQueries
from zirkel.version.files import DATASET_FILE

SECRET, OTHER = "whisper-4711", "others-1234"
USER, SESSION = "user-0815", "session-0815"
PROJECT = "p"
NOW_NS = 1_790_000_000_000_000_000
ADMIN = Principal(PROJECT, "k1", "ann", frozenset({Role.ADMIN}))
THEIRS, EXPERIMENT, OTHERS = "1" * 32, "2" * 32, "3" * 32


def span(trace_id: str, text: str, **changes: str) -> Span:
    made = Span(
        project_id=PROJECT,
        trace_id=trace_id,
        span_id=hashlib.sha256(repr((trace_id, text, changes)).encode()).hexdigest()[:16],
        name="chat",
        source="otlp",
        start_ns=NOW_NS,
        end_ns=NOW_NS + 1,
        input=json.dumps(text),
    )
    return replace(made, **changes)


def telemetry_of(trace_id: str, text: str, user: str, session: str) -> Batch:
    log = LogRecord(
        project_id=PROJECT,
        log_id=trace_id,
        trace_id=trace_id,
        time_ns=NOW_NS,
        body=json.dumps(text),
        user_id=user,
        session_id=session,
    )
    alone = replace(log, log_id=trace_id[::-1][:31] + "f", trace_id="")
    score = ScoreRecord(
        project_id=PROJECT,
        score_id=trace_id,
        name="thumb",
        kind=ScoreKind.TEXT,
        label=text,
        session_id=session,
        origin=ScoreOrigin.END_USER,
        comment=text,
        user_id=user,
        time_ns=NOW_NS,
    )
    # The child says neither whose it is nor in which session.
    spans = [span(trace_id, text, user_id=user, session_id=session), span(trace_id, f"{text} child")]
    return Batch(spans, [log, alone], [], [score])


def judgements(text: str) -> dict[str, dict[str, Json]]:
    """What judges said who quote what they judged."""
    quoting: list[Score] = [Scored(0.5, "bad", text, {"claims": [text]}, Decimal("0.1")), Unscored(text), Errored(text)]
    return {name: score_to_json(score) for name, score in zip("abc", quoting, strict=True)}


@pytest.fixture(scope="module")
def telemetry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TelemetryStore]:
    opened = TelemetryStore.open(path=tmp_path_factory.mktemp("data") / "telemetry")
    yield opened
    opened.close()


class Installation:
    """All stores of a data directory, with something of two people in each."""

    def __init__(self, folder: Path, telemetry: TelemetryStore, clock: ManualClock) -> None:
        self.folder, self.telemetry, self.clock = folder, telemetry, clock
        self.metadata = Metadata.open(f"sqlite:///{folder}/metadata.sqlite", clock)
        self.blobs = Blobs.open(f"file://{folder}/blobs")
        self.spool_in = SpoolWriter(folder / "spool", "core")
        self.spool_out = SpoolReader(folder / "spool")
        self.queries = SubjectQueries(telemetry.engine)
        self.judge_answers = JudgeAnswers(folder / "judge-answers", clock, ProjectMaskers(self.metadata))
        self.dataset = self._push_dataset()
        self._fill()

    def close(self) -> None:
        self.judge_answers.close()
        self.spool_in.close()
        self.spool_out.close()
        self.metadata.close()

    def erasure(self, *, fail_before: str = "") -> Erasure:
        erasable = self.telemetry
        places: dict[str, ErasurePlace] = {
            "experiments": ErasedExperiments(self.metadata, self.blobs, erasable, self.clock),
            "spool": ErasedSpool(self.folder / "spool", self.folder / "set-aside"),
            "answers": ErasedAnswers(self.folder / "answers"),
            "judges": self.judge_answers,
            "telemetry": ErasedTelemetry(erasable, self.queries),
            "metadata": RewrittenMetadata(self.metadata),
        }
        chosen = [Broken() if name == fail_before else place for name, place in places.items()]
        return Erasure(self.metadata, DrainedFinder(self._drain, self.queries), chosen, b"pepper", self.clock)

    def files_with(self, text: str) -> list[str]:
        """Every file of the data directory, that of the telemetry store included, whose bytes hold a text."""
        store = self.telemetry.engine._folder
        assert store is not None
        # Parts are compressed: what they hold is asked for below.
        found = [path for root in (self.folder, store) for path in root.rglob("*") if path.is_file()]
        return [str(path) for path in found if text.encode() in path.read_bytes()]

    def rows_with(self, text: str) -> int:
        """How many rows of the telemetry hold a text."""
        query = (
            "SELECT (SELECT count() FROM spans WHERE position(input, {text:String}) > 0) "
            "+ (SELECT count() FROM logs WHERE position(body, {text:String}) > 0) "
            "+ (SELECT count() FROM scores WHERE position(comment, {text:String}) > 0) AS value"
        )
        return self.telemetry.engine.rows(query, {"text": text}, Counted)[0].value

    def _drain(self) -> None:
        while (found := self.spool_out.next_batch(100, 1 << 20)) is not None:
            for record in found.records:
                batch = decode_batch(record)
                self.telemetry.insert(batch.spans, received_ns=1)
                self.telemetry.insert_logs(batch.logs, received_ns=1)
                self.telemetry.insert_scores(batch.scores, received_ns=1)
            self.spool_out.commit(found)

    def _push_dataset(self) -> str:
        provenance: Json = {"provenance": {"trace_id": THEIRS}}
        items: list[Json] = [
            {"id": "t-1", "input": {"text": SECRET}, "metadata": provenance},
            {"id": "t-2", "input": {"text": OTHER}, "metadata": {"provenance": {"trace_id": OTHERS}}},
        ]
        file = self.blobs.put("\n".join(map(json.dumps, items)).encode())
        with self.metadata.transaction() as tx:
            tx.artefacts.add(PROJECT, "dataset", "s", "d" * 64, json.dumps({DATASET_FILE: file}), 1)
        return file

    def _fill(self) -> None:
        for trace, text, user, session in ((THEIRS, SECRET, USER, SESSION), (OTHERS, OTHER, "u2", "s2")):
            self.spool_in.append_durable(encode_batch(telemetry_of(trace, text, user, session)))
        call = span(EXPERIMENT, SECRET, experiment_id="e1", item_id="t-1")
        judged = [span(judging_trace_id(trace), SECRET, experiment_id="e1") for trace in (EXPERIMENT, THEIRS)]
        self.spool_in.append_durable(encode_batch(Batch([call, *judged])))
        self.judge_answers.put(PROJECT, "k1", KeptAnswer(f"It says {SECRET}", None, ""))
        with self.metadata.transaction() as tx:
            plan = ("s", "r", "d" * 64, "v", 1, 2, ExperimentState.FINISHED, 1)
            tx.experiments.add(ExperimentRecord(PROJECT, "e1", *plan))
            rows = [("t-1", EXPERIMENT, f"{SECRET} answered"), ("t-2", "4" * 32, f"{OTHER} answered")]
            tx.experiments.claim(
                TrialRecord(
                    PROJECT, "e1", item, 0, TrialState.CLAIMED, 1, trace, output=output, scores=judgements(output)
                )
                for item, trace, output in rows
            )
            for item, _, output in rows:
                task = LabelTask(PROJECT, item, "e1", "a", item, 0, "d" * 64, "q" * 64, 0.5, 0.0, 1)
                tx.labels.put_tasks([task])
                tx.labels.add(Label(PROJECT, item, "r1", 1, "ann", 1.0, "", comment=f"as in: {output}"))
        (self.folder / "set-aside").mkdir()
        (self.folder / "set-aside" / "1.record").write_bytes(encode_batch(Batch([span(THEIRS, SECRET)])))
        with closing(LmdbState(self.folder / "answers")) as state, BoundedMap(state, max_bytes=1 << 24).edit(1) as edit:
            edit.put(b"a1", SECRET.encode() * 20, 2**62)


class Counted(msgspec.Struct, frozen=True):
    value: int


class Broken:
    """A place that cannot be emptied now."""

    def erase(self, findings: Findings, /, *, dry_run: bool) -> PlaceReport:
        raise Overloaded("not now")


@pytest.fixture
def installation(tmp_path: Path, telemetry: TelemetryStore) -> Iterator[Installation]:
    clock = ManualClock(NOW_NS)
    for table in ("spans", "logs", "scores"):
        telemetry.engine.execute(f"TRUNCATE TABLE {table}")
    opened = Installation(tmp_path, telemetry, clock)
    yield opened
    opened.close()


def removed(report: ErasureReport) -> dict[str, dict[str, int]]:
    return {place.place: dict(place.removed) for place in report.places}


@pytest.mark.parametrize(("kind", "subject_id"), [("user", USER), ("session", SESSION)])
def test_nothing_of_a_subject_is_left_and_everything_of_others_is_there(
    installation: Installation, kind: str, subject_id: str
) -> None:
    assert len(installation.files_with(SECRET)) >= 4
    report = installation.erasure().erase(ADMIN, "user" if kind == "user" else "session", subject_id)
    assert (installation.files_with(SECRET), installation.rows_with(SECRET)) == ([], 0)
    assert installation.rows_with(OTHER) == 5
    assert report.traces == 1
    counts = removed(report)
    assert counts["experiments"] == {"data_sets": 1, "items": 1, "answers": 1, "label_comments": 1, "spans": 3}
    assert counts["telemetry"] == {"spans": 2, "logs": 2, "scores": 1}
    assert counts["kept_answers"] == {"entries": 1}
    assert counts["judges_answers"] == {"entries": 1}
    assert counts["spool"]["files_deleted"] == 1
    assert all(place.left == () for place in report.places)

    items = ReplacedBlobs(installation.blobs, installation.metadata).get(installation.dataset)
    assert [json.loads(line)["id"] for line in items.split(b"\n")] == ["t-2"]
    with installation.metadata.transaction() as tx:
        theirs, others = tx.experiments.trials(PROJECT, "e1")
        said = [label for task_id in ("t-1", "t-2") for label in tx.labels.of_task(PROJECT, task_id)]
    assert [(label.value, label.comment) for label in said] == [(1.0, ERASED_TEXT), (1.0, f"as in: {OTHER} answered")]
    assert (theirs.output, others.output) == (ERASED_TEXT, f"{OTHER} answered")
    assert theirs.scores == {
        "a": {"state": "scored", "value": 0.5, "label": "bad", "cost_usd": "0.1"},
        "b": {"state": "unscored", "reason": ERASED_TEXT},
        "c": {"state": "errored", "error": ERASED_TEXT},
    }
    assert others.scores == judgements(f"{OTHER} answered")


def test_a_dry_run_counts_the_same_and_removes_nothing(installation: Installation) -> None:
    before = installation.files_with(SECRET)
    dry = removed(installation.erasure().erase(ADMIN, "user", USER, dry_run=True))
    assert set(before) <= set(installation.files_with(SECRET))
    assert installation.rows_with(SECRET) == 8
    done = removed(installation.erasure().erase(ADMIN, "user", USER))
    dry["experiments"]["spans"], dry["spool"]["bytes_overwritten"] = 3, done["spool"]["bytes_overwritten"]
    assert dry == done
    with installation.metadata.transaction() as tx:
        assert len(tx.erasures.list(PROJECT, 10)) == 1


@pytest.mark.parametrize("place", ["spool", "answers", "judges", "telemetry", "metadata"])
def test_an_erasure_that_was_cut_off_is_finished_by_asking_again(installation: Installation, place: str) -> None:
    with pytest.raises(Overloaded):
        installation.erasure(fail_before=place).erase(ADMIN, "user", USER)
    installation.erasure().erase(ADMIN, "user", USER)
    assert (installation.files_with(SECRET), installation.rows_with(SECRET)) == ([], 0)
    assert installation.rows_with(OTHER) == 5


def test_a_data_set_that_another_project_uses_too_stays_and_is_named(installation: Installation) -> None:
    with installation.metadata.transaction() as tx:
        content = json.dumps({DATASET_FILE: installation.dataset})
        tx.artefacts.add("q", "dataset", "s", "d" * 64, content, 1)
    report = installation.erasure().erase(ADMIN, "user", USER)
    (left,) = [line for place in report.places for line in place.left]
    assert installation.dataset[:12] in left
    assert SECRET.encode() in installation.blobs.get(installation.dataset)


def test_the_ledger_and_the_record_name_nobody(installation: Installation) -> None:
    report = installation.erasure().erase(ADMIN, "user", USER)
    with installation.metadata.transaction() as tx:
        (record,) = tx.erasures.list(PROJECT, 10)
        (entry,) = [entry for entry in tx.ledger.entries(PROJECT) if entry.action == "privacy.erased"]
    assert report.subject_hash == record.subject_hash
    assert report.subject_hash in entry.payload
    assert installation.files_with(USER) == []
    finder = DrainedFinder(installation._drain, installation.queries)
    foreign = Erasure(installation.metadata, finder, (), b"another", installation.clock)
    assert foreign.erase(ADMIN, "user", USER, dry_run=True).subject_hash != report.subject_hash


def test_the_subjects_of_one_project_are_not_those_of_another(installation: Installation) -> None:
    elsewhere = Principal("q", "k", "bob", frozenset({Role.ADMIN}))
    report = installation.erasure().erase(elsewhere, "user", USER)
    assert report.traces == 0
    assert installation.rows_with(SECRET) == 8
