"""What the metadata store promises of privacy documents and erasures, on SQLite and on PostgreSQL alike."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from zirkel.core import ExperimentRecord, ExperimentState, ManualClock, TrialRecord, TrialState, new_id
from zirkel.core.erasure import ERASED_TEXT, DatasetFile, ErasureRecord
from zirkel.core.privacy import PrivacyRecord
from zirkel.store.metadata import Metadata

CLOCK = ManualClock()


@pytest.fixture(scope="module")
def store(database_url: str) -> Iterator[Metadata]:
    opened = Metadata.open(database_url, CLOCK)
    yield opened
    opened.close()


@pytest.fixture
def project() -> str:
    """A project of its own for each test: they share one database."""
    return new_id(CLOCK)


def document(project: str, version: int) -> PrivacyRecord:
    return PrivacyRecord(project, version, "d" * 64, "# ü\n", '{"datasets":true}', 2**62, "ann")


def trial(project: str, experiment: str, item: str, trace_id: str) -> TrialRecord:
    return TrialRecord(
        project, experiment, item, 0, TrialState.CLAIMED, 1, trace_id, output="secret", scores={"exact": {"value": 1}}
    )


def experiment(project: str, experiment_id: str, dataset: str) -> ExperimentRecord:
    return ExperimentRecord(project, experiment_id, "s", "r", dataset, "e", 1, 2, ExperimentState.FINISHED, 1)


def test_the_newest_document_is_current_and_all_stay(store: Metadata, project: str) -> None:
    with store.transaction() as tx:
        assert tx.privacy.current(project) is None
        for version in (1, 2, 3):
            tx.privacy.lock(project)
            tx.privacy.add(document(project, version))
    with store.transaction() as tx:
        assert tx.privacy.current(project) == document(project, 3)
        assert tx.privacy.get(project, 1) == document(project, 1)
        assert tx.privacy.get(project, 4) is None
        assert [found.version for found in tx.privacy.history(project, 2)] == [3, 2]


def test_all_current_documents_are_one_of_each_project(store: Metadata, project: str) -> None:
    other = f"{project}-2"
    with store.transaction() as tx:
        for record in (document(project, 1), document(project, 2), document(other, 1)):
            tx.privacy.add(record)
    with store.transaction() as tx:
        found = {(r.project_id, r.version) for r in tx.privacy.all_current() if r.project_id.startswith(project)}
    assert found == {(project, 2), (other, 1)}


def test_erasures_are_listed_newest_first(store: Metadata, project: str) -> None:
    first = ErasureRecord(project, new_id(CLOCK), "user", "h" * 64, "{}", 1, "ann")
    second = replace(first, erasure_id=new_id(CLOCK), erased_ns=2)
    with store.transaction() as tx:
        tx.erasures.add(first)
        tx.erasures.add(second)
    with store.transaction() as tx:
        assert list(tx.erasures.list(project, 10)) == [second, first]
        assert list(tx.erasures.list(project, 1)) == [second]
        assert list(tx.erasures.list("nobody", 10)) == []


def test_data_sets_are_found_by_their_files(store: Metadata, project: str) -> None:
    other, file = f"{project}-2", "f" * 60 + project[-4:]
    content = f'{{"datasets/golden.jsonl":"{file}"}}'
    with store.transaction() as tx:
        tx.artefacts.add(project, "dataset", "s", "1" * 64, content, 1)
        tx.artefacts.add(project, "prompt", "s", "2" * 64, '{"chat.toml":"0"}', 1)
        assert list(tx.erasures.dataset_files(project)) == [DatasetFile("1" * 64, "datasets/golden.jsonl", file)]
        assert not tx.erasures.is_file_of_others(project, file)
        tx.artefacts.add(other, "dataset", "s", "1" * 64, content, 1)
        assert tx.erasures.is_file_of_others(project, file)


def test_a_replaced_file_is_read_from_the_newest_replacement(store: Metadata, project: str) -> None:
    first, second, third = (f"{number}{project.replace('-', '')}".ljust(64, "0") for number in "123")
    with store.transaction() as tx:
        tx.erasures.replace_file(project, first, second, 1)
        tx.erasures.replace_file(project, second, third, 2)
        tx.erasures.replace_file(project, second, third, 3)
    with store.transaction() as tx:
        found = {name: to for name, to in tx.erasures.replaced_files().items() if name in (first, second, third)}
    assert found == {first: third, second: third}


def test_answers_are_found_by_trace_and_by_item_and_emptied_but_for_their_scores(store: Metadata, project: str) -> None:
    records = [
        trial(project, "e1", "i1", "a" * 32),
        trial(project, "e1", "i2", "b" * 32),
        trial(project, "e2", "i2", "c" * 32),
        trial(project, "e2", "i3", "d" * 32),
    ]
    with store.transaction() as tx:
        tx.experiments.add(experiment(project, "e1", "data1"))
        tx.experiments.add(experiment(project, "e2", "data2"))
        tx.experiments.claim(records)
    with store.transaction() as tx:
        by_trace = tx.erasures.find_trials(project, ["a" * 32, *(f"{n:032x}" for n in range(1200))], {})
        by_item = tx.erasures.find_trials(project, [], {"data2": ["i2", "i1"]})
        assert [(key.experiment_id, key.item_id) for key in by_trace] == [("e1", "i1")]
        assert [(key.experiment_id, key.item_id, key.trace_id) for key in by_item] == [("e2", "i2", "c" * 32)]
        assert list(tx.erasures.find_trials("nobody", ["a" * 32], {"data2": ["i2"]})) == []
        assert len(tx.erasures.find_trials(project, ["c" * 32], {"data2": ["i2"]})) == 1
        tx.erasures.empty_trials(project, by_item)
    with store.transaction() as tx:
        rows = [*tx.experiments.trials(project, "e1"), *tx.experiments.trials(project, "e2")]
    assert [row.output for row in rows] == ["secret", "secret", ERASED_TEXT, "secret"]
    assert all(row.scores == {"exact": {"value": 1}} for row in rows)


def test_compacting_keeps_what_is_there(store: Metadata, project: str) -> None:
    with store.transaction() as tx:
        tx.privacy.add(document(project, 1))
    store.compact()
    with store.transaction() as tx:
        assert tx.privacy.current(project) == document(project, 1)
