"""Data sets as a service: versions, labels, masking, conflicts; over a real database."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from zirkel.core import (
    Conflict,
    DatasetItem,
    ExperimentRecord,
    ExperimentState,
    Forbidden,
    Invalid,
    Json,
    ManualClock,
    NotFound,
    Principal,
    Role,
    TrialRecord,
    TrialState,
)
from zirkel.core.privacy import MaskRule
from zirkel.lib.recognisers import TextMasker, compile_masker
from zirkel.store.blobs import Blobs
from zirkel.store.metadata import Metadata
from zirkel.version import Registry
from zirkel.version.dataset_checkup import Checkup, CheckupWish, DatasetHealth
from zirkel.version.dataset_health import HealthLimits
from zirkel.version.dataset_items import DraftItem
from zirkel.version.dataset_ports import LiveInput, TraceItems, TraceWish
from zirkel.version.dataset_schema import DatasetSchema, DatasetVariable
from zirkel.version.dataset_selection import Selection
from zirkel.version.dataset_writing import PushOrder
from zirkel.version.datasets import Datasets

READER = Principal("p", "k2", "bob", frozenset({Role.READ}))
APPEND = PushOrder(append=True)


@dataclass
class Traces:
    """What was observed."""

    found: list[DatasetItem] = field(default_factory=list)

    def items(self, actor: Principal, wish: TraceWish) -> TraceItems:
        return TraceItems(self.found[: wish.limit], 1, [("f" * 32, "it has no model call")])

    def inputs(self, actor: Principal, service: str, since: str, limit: int) -> Sequence[LiveInput]:
        return [LiveInput(f"{service}{number}", item.input) for number, item in enumerate(self.found[:limit])]


class Mails:
    """Masks addresses in the data sets of every project."""

    def dataset_masker(self, project_id: str) -> TextMasker | None:
        return compile_masker([MaskRule(recogniser="email")]).at("datasets")


@pytest.fixture
def traces() -> Traces:
    return Traces()


@pytest.fixture
def datasets(metadata: Metadata, blobs: Blobs, clock: ManualClock, traces: Traces) -> Datasets:
    return Datasets(metadata, blobs, clock, traces=traces)


def drafts(*texts: str) -> list[DraftItem]:
    return [DraftItem(input={"text": text}) for text in texts]


def texts(items: Sequence[DatasetItem]) -> list[object]:
    return [item.input["text"] for item in items]


def actions(metadata: Metadata) -> list[str]:
    with metadata.transaction() as tx:
        return [entry.action for entry in tx.ledger.entries("p")]


def test_versions_are_numbered_and_stay_as_they_are(datasets: Datasets, admin: Principal, metadata: Metadata) -> None:
    first = datasets.push_items(admin, "tickets", drafts("a", "b"))
    second = datasets.push_items(admin, "tickets", drafts("b", "c"))
    assert (first.version, first.is_new, first.added, first.removed) == (1, True, 2, 0)
    assert (second.version, second.added, second.removed, second.items) == (2, 1, 1, 2)
    assert texts(datasets.items(READER, "tickets", "1")) == ["a", "b"]
    assert texts(datasets.items(READER, "tickets")) == ["b", "c"]
    assert [found.version for found in datasets.versions(READER, "tickets")] == [2, 1]
    (newest,) = datasets.list(READER)
    assert (newest.name, newest.version, newest.items, newest.pushed_by, newest.source) == (
        "tickets",
        2,
        2,
        "ann",
        "file",
    )
    assert actions(metadata) == ["dataset.pushed", "dataset.pushed"]


def test_the_same_items_in_another_form_are_the_same_version(datasets: Datasets, admin: Principal) -> None:
    pushed = datasets.push_file(admin, "d", "csv", b"id,n,expected\na,1,x\nb,2,\n")
    again = datasets.push_file(
        admin, "d", "jsonl", b'{"expected":"x","input":{"n":1},"id":"a"}\n{"id":"b","input":{"n":2}}'
    )
    assert (again.version, again.digest, again.is_new) == (1, pushed.digest, False)
    changed = datasets.push_file(admin, "d", "jsonl", b'{"id":"a","input":{"n":1}}\n{"id":"b","input":{"n":2}}')
    assert (changed.version, changed.changed, changed.added, changed.removed) == (2, 1, 0, 0)
    back = datasets.push_file(admin, "d", "csv", b"id,n,expected\na,1,x\nb,2,\n")
    assert (back.version, back.is_new) == (1, False)


def test_appended_items_join_the_newest_version_and_known_ids_are_replaced(
    datasets: Datasets, admin: Principal
) -> None:
    datasets.push_file(admin, "d", "csv", b"id,n\na,1\nb,2\n")
    pushed = datasets.push_file(admin, "d", "csv", b"id,n\nb,3\nc,1\n", APPEND)
    assert (pushed.version, pushed.items, pushed.added, pushed.changed, pushed.removed) == (2, 3, 1, 1, 0)
    assert pushed.duplicates == 1
    assert [(item.id, item.input["n"]) for item in datasets.items(READER, "d")] == [("a", 1), ("b", 3), ("c", 1)]


def test_the_schema_of_the_first_version_stays_until_it_is_changed(
    datasets: Datasets, admin: Principal, metadata: Metadata
) -> None:
    datasets.push_file(admin, "d", "csv", b"id,zip\na,007\n")
    # Not a number, although it looks like one: the schema says what cells are.
    datasets.push_file(admin, "d", "csv", b"id,zip\na,100\n")
    assert datasets.items(READER, "d")[0].input == {"zip": "100"}
    with pytest.raises(Invalid, match=r"row 2: input\.town is not in the schema"):
        datasets.push_file(admin, "d", "csv", b"id,zip,town\na,100,Bern\n")
    with pytest.raises(Invalid, match=r"line 1: input\.zip is a number"):
        datasets.push_file(admin, "d", "jsonl", b'{"input":{"zip":100}}')
    grown = datasets.push_file(admin, "d", "csv", b"id,zip,town\na,007,Bern\n", PushOrder(infer_schema=True))
    assert list(grown.schema.variables) == ["zip", "town"]
    loose = DatasetSchema({"zip": DatasetVariable("string"), "town": DatasetVariable("string", required=False)})
    same = datasets.push_file(admin, "d", "csv", b"id,zip,town\na,007,Bern\n", PushOrder(schema=loose))
    assert (same.version, same.is_new, same.schema) == (3, False, loose)
    assert datasets.show(READER, "d").schema == loose
    assert actions(metadata)[-1] == "dataset.schema"
    assert datasets.push_file(admin, "d", "csv", b"id,zip\nb,8000\n", APPEND).items == 2
    strict = DatasetSchema({"zip": DatasetVariable("string"), "town": DatasetVariable("string")})
    with pytest.raises(Invalid, match=r"item 'b', which is there already: input\.town is missing"):
        datasets.push_file(admin, "d", "csv", b"id,zip,town\nc,1,x\n", PushOrder(append=True, schema=strict))
    with pytest.raises(Invalid, match="either given or inferred"):
        datasets.push_items(admin, "d", drafts("x"), PushOrder(schema=loose, infer_schema=True))


def test_labels_move_and_versions_are_found_by_number_label_and_digest(
    datasets: Datasets, admin: Principal, metadata: Metadata
) -> None:
    first = datasets.push_items(admin, "d", drafts("a"))
    datasets.push_items(admin, "d", drafts("b"))
    datasets.set_label(admin, "d", "golden", "1")
    for reference in ("1", "golden", first.digest[:8]):
        assert datasets.resolve("p", f"d@{reference}").version == 1
    assert datasets.resolve("p", "d").version == datasets.resolve("p", "d@latest").version == 2
    assert datasets.set_label(admin, "d", "golden").labels == ("golden",)
    assert [found.labels for found in datasets.versions(READER, "d")] == [("golden",), ()]
    assert datasets.open("p", "d@golden").items == datasets.items(READER, "d")
    datasets.remove_label(admin, "d", "golden")
    for reference in ("golden", "3", first.digest[:3], "f" * 64):
        with pytest.raises(NotFound, match="no version"):
            datasets.show(READER, "d", reference)
    with pytest.raises(NotFound, match="no label"):
        datasets.remove_label(admin, "d", "golden")
    for label in ("latest", "1", "Big", "", "a" * 65):
        with pytest.raises(Invalid, match="must be up to 64"):
            datasets.set_label(admin, "d", label)
    assert actions(metadata)[2:] == ["dataset.labelled", "dataset.labelled", "dataset.unlabelled"]


def test_a_pushed_services_data_set_is_a_version_of_the_one_named_like_it(
    datasets: Datasets, registry: Registry, contents: dict[str, bytes], admin: Principal
) -> None:
    registry.push(admin, contents)
    (found,) = datasets.list(READER)
    assert (found.name, found.version, found.items, found.source, found.pushed_by) == ("triage", 1, 2, "service", "ann")
    pushed = datasets.push_file(admin, "triage", "jsonl", contents["datasets/golden.jsonl"])
    assert (pushed.version, pushed.is_new) == (1, False)
    grown = datasets.push_file(admin, "triage", "jsonl", b'{"id":"3","input":{"review":"New"}}', APPEND)
    assert (grown.version, grown.items) == (2, 3)
    assert [item.id for item in registry.dataset("p", grown.digest)] == ["1", "2", "3"]


def test_items_are_masked_on_every_way_in(
    metadata: Metadata, blobs: Blobs, clock: ManualClock, admin: Principal, traces: Traces
) -> None:
    datasets = Datasets(metadata, blobs, clock, Mails(), traces)
    mail = "anna@example.ch"
    traces.found = [DatasetItem(id="t-1", input={"text": f"trace {mail}"}, metadata={"output": mail})]
    ways: dict[str, Callable[[str], object]] = {
        "csv": lambda name: datasets.push_file(admin, name, "csv", f"text,contexts\n{mail},{mail}\n".encode()),
        "jsonl": lambda name: datasets.push_file(
            admin, name, "jsonl", json.dumps({"input": {"text": mail}, "contexts": [mail], "expected": mail}).encode()
        ),
        "items": lambda name: datasets.push_items(admin, name, drafts(mail)),
        "traces": lambda name: datasets.collect(admin, name, TraceWish()),
    }
    for name, push in ways.items():
        push(name)
        kept = datasets.export(READER, name, "jsonl")
        assert mail.encode() not in kept, name
        assert b"example" not in kept, name
    # What is masked alike is the same input: an id from what was masked would tell the two apart.
    with pytest.raises(Invalid, match="item 2: has no id, and its input is that of item 1"):
        datasets.push_items(admin, "twice", drafts(mail, "bert@example.ch"))


def observed(*names: str) -> list[DatasetItem]:
    return [
        DatasetItem(id=f"t-{name}", input={"text": name}, metadata={"provenance": {"trace_id": f"trace-{name}"}})
        for name in names
    ]


def test_traces_become_items_only_where_their_input_is_new(
    datasets: Datasets, admin: Principal, traces: Traces
) -> None:
    traces.found = observed("a", "b", "c")
    tried = datasets.collect(admin, "d", TraceWish(), dry_run=True)
    assert (tried.pushed, len(tried.items)) == (None, 3)
    with pytest.raises(NotFound):
        datasets.show(READER, "d")
    first = datasets.collect(admin, "d", TraceWish(limit=2))
    assert first.pushed is not None
    assert (first.pushed.version, first.pushed.items, first.duplicates, len(first.unusable)) == (1, 2, 1, 1)
    second = datasets.collect(admin, "d", TraceWish())
    assert texts(second.items) == ["c"]
    assert second.duplicates == 3
    assert datasets.collect(admin, "d", TraceWish()).pushed is None
    assert [found.source for found in datasets.versions(READER, "d")] == ["traces", "traces"]


def test_a_sample_of_traces_is_the_same_for_the_same_seed(datasets: Datasets, admin: Principal, traces: Traces) -> None:
    traces.found = observed(*(f"text {number}" for number in range(50)))
    one, other = (datasets.collect(admin, "d", TraceWish(), sample=5, seed=3, dry_run=True) for _ in range(2))
    assert texts(one.items) == texts(other.items)
    assert len(one.items) == 5
    pushed = datasets.collect(admin, "d", TraceWish(), sample=5, seed=3)
    assert texts(datasets.items(READER, "d")) == texts(pushed.items) == texts(one.items)


def test_an_item_that_was_corrected_is_not_collected_again(
    datasets: Datasets, admin: Principal, traces: Traces
) -> None:
    traces.found = observed("a")
    datasets.collect(admin, "d", TraceWish())
    (item,) = datasets.items(READER, "d")
    datasets.push_items(admin, "d", [DraftItem(id=item.id, input={"text": "corrected"})], APPEND)
    assert datasets.collect(admin, "d", TraceWish()).pushed is None
    assert texts(datasets.items(READER, "d")) == ["corrected"]


def test_a_trace_that_does_not_fit_the_schema_is_named(datasets: Datasets, admin: Principal, traces: Traces) -> None:
    datasets.push_file(admin, "d", "csv", b"id,n\na,1\n")
    traces.found = observed("x")
    with pytest.raises(Invalid, match=r"trace trace-x: input\.text is not in the schema"):
        datasets.collect(admin, "d", TraceWish())


def test_a_version_pushed_meanwhile_is_a_conflict(
    metadata: Metadata, blobs: Blobs, clock: ManualClock, admin: Principal
) -> None:
    inner = Datasets(metadata, blobs, clock)
    inner.push_items(admin, "d", drafts("a"))

    class Racing:
        """Somebody else pushes while the items are masked."""

        def dataset_masker(self, project_id: str) -> None:
            inner.push_items(admin, "d", drafts("b"))

    with pytest.raises(Conflict, match="version 2 of 'd' was pushed meanwhile"):
        Datasets(metadata, blobs, clock, Racing()).push_items(admin, "d", drafts("c"), APPEND)
    assert texts(inner.items(READER, "d")) == ["b"]


def test_history_and_difference_say_what_became_of_items(
    datasets: Datasets, admin: Principal, clock: ManualClock
) -> None:
    for line in (b"id,n,expected\na,1,x\n", b"id,n,expected\na,1,y\nb,2,\n", b"id,n,expected\nb,2,\n"):
        clock.advance(10)
        datasets.push_file(admin, "d", "csv", line)
    assert [(c.version, c.added, c.changed, c.removed) for c in datasets.history(READER, "d")] == [
        (1, 1, 0, 0), (2, 1, 1, 0), (3, 0, 0, 1),
    ]  # fmt: skip
    entries = datasets.item_history(READER, "d", "a")
    assert [(entry.version, entry.change.change) for entry in entries] == [(1, "added"), (2, "changed"), (3, "removed")]
    assert [(f.field, f.before, f.after) for f in entries[1].change.fields] == [("expected", "x", "y")]
    diff = datasets.diff(READER, "d", "1", "3")
    assert (diff.before.version, diff.after.version) == (1, 3)
    assert [(change.change, change.item_id) for change in diff.changes] == [("removed", "a"), ("added", "b")]
    with pytest.raises(NotFound, match="no version of 'd' has an item 'z'"):
        datasets.item_history(READER, "d", "z")


def test_exports_hold_the_selected_items(datasets: Datasets, admin: Principal) -> None:
    datasets.push_file(admin, "d", "csv", b"id,n,split,tags\na,1,test,x;y\nb,2,test,x\nc,3,train,x\n")
    assert datasets.export(READER, "d", "csv", "latest", Selection("test", ("y",))).count(b"\n") == 2
    summary = datasets.show(READER, "d")
    assert (summary.splits, summary.tags) == ({"test": 2, "train": 1}, {"x": 3, "y": 1})
    for form in ("csv", "parquet", "jsonl"):
        data = datasets.export(READER, "d", "csv" if form == "csv" else "parquet" if form == "parquet" else "jsonl")
        again = datasets.push_file(
            admin, "d", "csv" if form == "csv" else "parquet" if form == "parquet" else "jsonl", data
        )
        assert not again.is_new, form


def test_names_and_roles_are_checked_before_anything_else(datasets: Datasets, admin: Principal) -> None:
    for name in ("", "a/b", "a@b", ".a", "x" * 129):
        with pytest.raises(Invalid, match="the name"):
            datasets.push_items(admin, name, drafts("a"))
    calls: list[Callable[[], object]] = [
        lambda: datasets.push_items(READER, "d", drafts("a")),
        lambda: datasets.push_file(READER, "d", "csv", b""),
        lambda: datasets.collect(READER, "d", TraceWish()),
        lambda: datasets.set_label(READER, "d", "x"),
        lambda: datasets.remove_label(READER, "d", "x"),
        lambda: datasets.list(replace(READER, roles=frozenset({Role.CALL}))),
    ]
    for call in calls:
        with pytest.raises(Forbidden):
            call()
    other = Principal("q", "k", "eve", frozenset({Role.ADMIN}))
    datasets.push_items(admin, "d", drafts("a"))
    with pytest.raises(NotFound):
        datasets.show(other, "d")
    assert datasets.list(other) == []


@pytest.fixture
def health(metadata: Metadata, blobs: Blobs, registry: Registry, clock: ManualClock, traces: Traces) -> DatasetHealth:
    return DatasetHealth(metadata, blobs, registry, clock, traces)


def kinds(found: Checkup) -> dict[str, tuple[str, ...]]:
    return {finding.kind: finding.item_ids for finding in found.report.findings}


def test_health_looks_at_releases_experiments_history_and_traffic(
    health: DatasetHealth,
    datasets: Datasets,
    registry: Registry,
    contents: dict[str, bytes],
    admin: Principal,
    metadata: Metadata,
    clock: ManualClock,
    traces: Traces,
) -> None:
    contents["context/examples.jsonl"] = b'{"user": "Nice", "assistant": "good"}\n'
    registry.push(admin, contents)
    first = datasets.resolve("p", "triage")
    changed = b'{"id":"1","input":{"review":"Nice"},"expected":"good"}\n{"id":"2","input":{"review":"Worse"}}'
    clock.advance(400 * 86_400)
    datasets.push_file(admin, "triage", "jsonl", changed)
    with metadata.transaction() as tx:
        for number in range(2):
            plan = ("triage", f"r{number}", first.digest, "e", 1, 2, ExperimentState.FINISHED, number)
            tx.experiments.add(ExperimentRecord("p", f"e{number}", *plan))
            for item_id in ("1", "2"):
                trial = TrialRecord("p", f"e{number}", item_id, 0, TrialState.CLAIMED, 1, f"{number}{item_id}")
                tx.experiments.claim([trial])
                scores: Mapping[str, Mapping[str, Json]] = {"match": {"state": "scored", "value": 1.0}}
                tx.experiments.answer(replace(trial, state=TrialState.ANSWERED, scores=scores))
    traces.found = observed("Completely unlike")
    found = health.check(READER, "triage")
    assert found.service == "triage"
    # Item 2 is another one by now, and what was answered to it before does not count; item 1 lost only its cluster.
    assert found.report.answers == 2
    assert kinds(found)["saturated"] == ("1",)
    assert kinds(found)["leak"] == ("1",)
    assert kinds(found)["old_label"] == ("1",)
    assert not found.is_sound
    assert found.report.coverage is not None
    assert found.report.coverage.regions[0].trace_ids == ("triage0",)
    before = health.check(READER, "triage", "1", CheckupWish(live=0))
    assert (before.report.answers, before.report.releases, before.report.coverage) == (4, 2, None)
    assert kinds(before)["saturated"] == ("1", "2")


def test_health_needs_no_service_and_refuses_limits_that_make_no_sense(
    health: DatasetHealth, datasets: Datasets, admin: Principal, traces: Traces
) -> None:
    traces.found = observed("x")
    datasets.push_items(admin, "d", drafts("a", "b"))
    found = health.check(READER, "d")
    assert (found.service, found.is_sound, found.report.coverage, found.report.findings) == ("", True, None, [])
    for limits in (
        HealthLimits(near=0),
        HealthLimits(leak=1.5),
        HealthLimits(far=float("nan")),
        HealthLimits(label_age_days=0),
    ):
        with pytest.raises(Invalid, match="must be above 0"):
            health.check(READER, "d", "latest", CheckupWish(limits=limits))
    with pytest.raises(Invalid, match="live is"):
        health.check(READER, "d", "latest", CheckupWish(live=-1))
