"""What the metadata store promises of data sets, on SQLite and on PostgreSQL alike; and that they are erased."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from zirkel.app.erasing import ErasedExperiments, RewrittenMetadata
from zirkel.core import (
    ExperimentRecord,
    ExperimentState,
    Json,
    ManualClock,
    Principal,
    Refused,
    Role,
    TrialRecord,
    TrialState,
    new_id,
)
from zirkel.core.datasets import DatasetFacts, DatasetLabelRecord, DatasetVersionRecord, ItemOutcome
from zirkel.core.erasure import Findings, Subject
from zirkel.store.blobs import Blobs
from zirkel.store.metadata import Metadata
from zirkel.store.replaced_blobs import ReplacedBlobs
from zirkel.store.telemetry import RowCounts
from zirkel.version.dataset_items import DraftItem
from zirkel.version.dataset_writing import PushOrder
from zirkel.version.datasets import Datasets

CLOCK = ManualClock()
FACTS = DatasetFacts('{"variables":{"ü":{"type":"json"}}}', 7, "traces", "ann")
SCORE: Mapping[str, Mapping[str, Json]] = {"match": {"state": "scored", "value": 1.0}}


@pytest.fixture(scope="module")
def store(database_url: str) -> Iterator[Metadata]:
    opened = Metadata.open(database_url, CLOCK)
    yield opened
    opened.close()


@pytest.fixture
def project() -> str:
    """A project of its own for each test: they share one database."""
    return new_id(CLOCK)


def add(store: Metadata, project: str, kind: str, name: str, *digests: str) -> None:
    with store.transaction() as tx:
        for number, digest in enumerate(digests, start=1):
            tx.artefacts.add(project, kind, name, digest, "{}", number)


def test_versions_are_listed_with_what_was_noted_of_them(store: Metadata, project: str) -> None:
    add(store, project, "dataset", "a", "1" * 64, "2" * 64)
    add(store, project, "dataset", "b", "3" * 64)
    add(store, project, "prompt", "a", "4" * 64)
    add(store, f"{project}-2", "dataset", "a", "5" * 64)
    with store.transaction() as tx:
        tx.datasets.describe(project, "2" * 64, FACTS)
        # The same digest elsewhere is another version.
        tx.datasets.describe(f"{project}-2", "1" * 64, FACTS)
    first = DatasetVersionRecord(project, "a", 1, "1" * 64, 1, None)
    second = DatasetVersionRecord(project, "a", 2, "2" * 64, 2, FACTS)
    with store.transaction() as tx:
        assert list(tx.datasets.versions(project, "a")) == [second, first]
        assert list(tx.datasets.versions(project, "c")) == []
        assert [(found.name, found.version) for found in tx.datasets.newest(project)] == [("a", 2), ("b", 1)]
        assert list(tx.datasets.newest("nobody")) == []


def test_only_the_schema_of_a_version_that_is_known_changes(store: Metadata, project: str) -> None:
    add(store, project, "dataset", "a", "1" * 64)
    with store.transaction() as tx:
        tx.datasets.describe(project, "1" * 64, FACTS)
        tx.datasets.describe(project, "1" * 64, DatasetFacts("{}", 1, "file", "bob"))
        (found,) = tx.datasets.versions(project, "a")
    assert found.facts == replace(FACTS, schema="{}")


def test_labels_move_and_are_removed(store: Metadata, project: str) -> None:
    golden = DatasetLabelRecord(project, "a", "golden", "1" * 64, 2**62, "ann")
    moved = replace(golden, digest="2" * 64, moved_ns=3, moved_by="bob")
    other = replace(golden, name="b")
    with store.transaction() as tx:
        for record in (golden, moved, other, replace(golden, project_id=f"{project}-2")):
            tx.datasets.set_label(record)
    with store.transaction() as tx:
        assert list(tx.datasets.labels(project)) == [moved, other]
        assert list(tx.datasets.labels(project, "b")) == [other]
        assert tx.datasets.remove_label(project, "a", "golden")
        assert not tx.datasets.remove_label(project, "a", "golden")
        assert list(tx.datasets.labels(project)) == [other]


def run(store: Metadata, project: str, number: int, dataset: str) -> None:
    """An experiment over two items, of which one was answered."""
    with store.transaction() as tx:
        plan = ("s", f"r{number}", dataset, "e", 1, 2, ExperimentState.FINISHED, number)
        tx.experiments.add(ExperimentRecord(project, f"e{number}", *plan))
        claimed = [
            TrialRecord(project, f"e{number}", item, 0, TrialState.CLAIMED, 1, "a" * 32) for item in ("i1", "i2")
        ]
        tx.experiments.claim(claimed)
        tx.experiments.answer(replace(claimed[0], state=TrialState.ANSWERED, output="text", scores=SCORE))


def test_outcomes_are_those_of_answers_in_the_newest_experiments(store: Metadata, project: str) -> None:
    for number, dataset in enumerate(("d1", "d2", "d1", "d3"), start=1):
        run(store, project, number, dataset)
    with store.transaction() as tx:
        found = list(tx.datasets.outcomes(project, ["d1", "d2", "d9"], experiments_at_most=2))
        assert found == [ItemOutcome("r3", "d1", "i1", SCORE), ItemOutcome("r2", "d2", "i1", SCORE)]
        digests = [f"{number:064x}" for number in range(1200)]
        assert len(list(tx.datasets.outcomes(project, ["d1", *digests], experiments_at_most=9))) == 2
        assert list(tx.datasets.outcomes("nobody", ["d1"], experiments_at_most=9)) == []


SECRET, OTHER, TRACE = "whisper-4711", "others-1234", "1" * 32
ADMIN = Principal("p", "k", "ann", frozenset({Role.ADMIN}))


class NoTelemetry:
    """Has nothing to erase."""

    def delete_where_user(self, project_id: str, user_id: str) -> RowCounts:
        return RowCounts()

    delete_where_session = delete_where_user

    def delete_traces(self, project_id: str, trace_ids: object) -> RowCounts:
        return RowCounts()


def files_with(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def from_trace(text: str, trace_id: str) -> DraftItem:
    return DraftItem(
        input={"text": text}, expected=text, contexts=[text], metadata={"provenance": {"trace_id": trace_id}}
    )


@pytest.mark.parametrize("subject", ["user", "session"])
def test_nothing_of_a_subject_is_left_in_any_version_of_a_named_data_set(tmp_path: Path, subject: str) -> None:
    metadata = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", CLOCK)
    blobs = Blobs.open(f"file://{tmp_path}/blobs")
    datasets = Datasets(metadata, ReplacedBlobs(blobs, metadata), CLOCK)
    theirs, others = from_trace(SECRET, TRACE), from_trace(OTHER, "2" * 32)
    datasets.push_items(ADMIN, "calls", [theirs, others])
    datasets.push_items(ADMIN, "calls", [from_trace(f"{OTHER} again", "3" * 32)], PushOrder(append=True))
    table = f"text,cluster\n{SECRET},session-1\n{OTHER},session-2\n".encode()
    datasets.push_file(ADMIN, "table", "csv", table)
    datasets.set_label(ADMIN, "calls", "golden", "1")
    assert len(files_with(tmp_path, SECRET)) == 3

    is_user = subject == "user"
    about = Subject("p", "user" if is_user else "session", "user-1" if is_user else "session-1")
    findings = Findings(about, frozenset({TRACE}), frozenset({"session-1"}))
    erased = ErasedExperiments(metadata, blobs, NoTelemetry(), CLOCK)
    tried = erased.erase(findings, dry_run=True)
    assert len(files_with(tmp_path, SECRET)) == 3
    report = erased.erase(findings, dry_run=False)
    RewrittenMetadata(metadata).erase(findings, dry_run=False)
    assert report.removed == tried.removed
    # The same input in two data sets has the same derived id, and counts once.
    assert (report.removed["data_sets"], report.removed["items"]) == (3, 1)
    assert files_with(tmp_path, SECRET) == []

    texts = [
        [item.input["text"] for item in datasets.items(ADMIN, "calls", version)] for version in ("golden", "latest")
    ]
    assert texts == [[OTHER], [OTHER, f"{OTHER} again"]]
    assert [item.input["text"] for item in datasets.items(ADMIN, "table")] == [OTHER]
    # History and differences are read from the files, so that they know no more than those.
    assert [(counts.items, counts.removed) for counts in datasets.history(ADMIN, "calls")] == [(1, 0), (2, 0)]
    with pytest.raises(Refused, match="were erased"):
        datasets.push_items(ADMIN, "calls", [theirs, others])
    metadata.close()


def test_facts_and_labels_hold_nothing_of_an_item(store: Metadata, tmp_path: Path) -> None:
    blobs = Blobs.open(f"memory://{tmp_path}")
    Datasets(store, blobs, CLOCK).push_items(ADMIN, "facts", [from_trace(SECRET, TRACE)])
    with store.transaction() as tx:
        (found,) = tx.datasets.versions("p", "facts")
        entries = [entry.payload for entry in tx.ledger.entries("p")]
    assert found.facts is not None
    assert json.loads(found.facts.schema) == {"variables": {"text": {"type": "string", "required": True}}}
    assert all(SECRET not in text and TRACE not in text for text in [found.facts.schema, *entries])
