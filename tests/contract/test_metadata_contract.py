"""What the metadata store promises, on SQLite and on PostgreSQL alike."""

import hashlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, event, text

from zirkel.core import (
    Budget,
    Checkpoint,
    Conflict,
    EnvironmentRecord,
    EvidencePack,
    ExperimentOptions,
    ExperimentRecord,
    ExperimentState,
    Incompatible,
    KeyPolicy,
    KeyRecord,
    Limits,
    ManualClock,
    NotFound,
    PersonRecord,
    Principal,
    ProjectRecord,
    ReleaseRecord,
    Role,
    Rollout,
    ServiceRecord,
    TrialRecord,
    TrialState,
    Unauthenticated,
    UpstreamRecord,
    VerdictRecord,
    new_id,
    verify_pack,
)
from zirkel.govern import Access, Vault
from zirkel.store.metadata import Metadata, Transaction, database
from zirkel.store.metadata.schema import metadata as tables

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


def at_once(calls: int, call: Callable[[int], object]) -> list[object]:
    """Return what the calls, started together in threads of their own, returned or raised."""
    ready = threading.Barrier(calls)

    def run(number: int) -> object:
        ready.wait()
        try:
            return call(number)
        except Conflict as error:
            return error

    with ThreadPoolExecutor(calls) as pool:
        return list(pool.map(run, range(calls)))


def release(project: str, digest: str, service: str = "triage") -> ReleaseRecord:
    return ReleaseRecord(project, digest, service, 0, '{"format":1}', 5, "ann")


def environment(project: str, version: int = 1, stable: str = "r1") -> EnvironmentRecord:
    return EnvironmentRecord(project, "triage", "production", version, stable, 7, "ann", "salt")


def experiment(project: str, experiment_id: str = "e1", created_ns: int = 10) -> ExperimentRecord:
    return ExperimentRecord(
        project, experiment_id, "triage", "r1", "d" * 64, "e" * 64, 2, 3, ExperimentState.RUNNING, created_ns
    )


def claim(project: str, item_id: str = "i1", trial: int = 0) -> TrialRecord:
    return TrialRecord(project, "e1", item_id, trial, TrialState.CLAIMED, 11, "t" * 32)


def answered(record: TrialRecord, output: str = "yes") -> TrialRecord:
    return replace(
        record,
        state=TrialState.ANSWERED,
        output=output,
        scores={"exact": {"state": "scored", "value": 1.0}, "judge": {"state": "unscored", "reason": "ünklar"}},
        cost_usd=Decimal("0.000012340"),
        duration_ms=12.5,
        is_recovered=True,
    )


def errored(record: TrialRecord) -> TrialRecord:
    return replace(record, state=TrialState.ERRORED, error="HTTP 500")


# Projects, keys, people, upstreams


def test_projects_are_listed_by_id(store: Metadata, project: str) -> None:
    first, second = ProjectRecord(f"{project}-a", "Ännchen", 1), ProjectRecord(f"{project}-b", "B", 2)
    with store.transaction() as tx:
        tx.projects.add(second)
        tx.projects.add(first)
    with store.transaction() as tx:
        found = [record for record in tx.projects.list() if record.project_id.startswith(project)]
    assert found == [first, second]


def key(project: str, name: str, **changes: object) -> KeyRecord:
    record = KeyRecord(
        key_id=new_id(CLOCK),
        project_id=project,
        label=name,
        roles=frozenset({Role.CALL, Role.READ}),
        key_hash=hashlib.sha256(f"{project}{name}".encode()).hexdigest(),
        hint="…abcd",
        created_ns=1,
    )
    return replace(record, **changes)  # type: ignore[arg-type]


POLICY = KeyPolicy(
    user="änn",
    limits=Limits(concurrency=3, budget=[Budget(window="month", soft_usd="15", hard_usd="20.50")], models=["a/*"]),
    capture="masked",
)


def test_a_project_is_kept_once(store: Metadata, project: str) -> None:
    first = ProjectRecord(project, "A", 1)

    def add(number: int) -> int:
        with store.transaction() as tx:
            tx.projects.add(replace(first, created_ns=number))
        return number

    outcomes = at_once(4, add)
    (winner,) = [outcome for outcome in outcomes if isinstance(outcome, int)]
    with store.transaction() as tx:
        assert tx.projects.get(project) == replace(first, created_ns=winner)
        assert tx.projects.get(f"{project}-2") is None


def test_a_key_comes_back_whole_by_its_id_and_its_hashes(store: Metadata, project: str) -> None:
    before = hashlib.sha256(f"{project}before".encode()).hexdigest()
    record = key(
        project, "one", expires_ns=2**62, policy=POLICY, previous_hash=before, previous_expires_ns=2**61, revoked_ns=7
    )
    with store.transaction() as tx:
        tx.keys.add(record)
        tx.keys.add(key(project, "other"))
    with store.transaction() as tx:
        assert tx.keys.get(project, record.key_id) == record
        assert tx.keys.hold(project, record.key_id) == record
        assert tx.keys.by_hash(record.key_hash) == record
        assert tx.keys.by_hash(before) == record
        assert tx.keys.by_hash("0" * 64) is None
        assert tx.keys.get("another project", record.key_id) is None
        assert tx.keys.hold("another project", record.key_id) is None


def test_keys_are_listed_by_id_in_pages_within_their_project(store: Metadata, project: str) -> None:
    records = sorted((key(project, f"key {number}") for number in range(5)), key=lambda record: record.key_id)
    other = key(f"{project}-2", "other")
    with store.transaction() as tx:
        for record in (other, *reversed(records)):
            tx.keys.add(record)
    with store.transaction() as tx:
        assert tx.keys.list(project) == records
        assert tx.keys.list(project, limit=2) == records[:2]
        assert tx.keys.list(project, records[1].key_id, 2) == records[2:4]
        assert tx.keys.list(project, records[4].key_id) == []
        assert [record for record in tx.keys.list() if record.project_id == other.project_id] == [other]


def test_a_key_is_written_over_its_former_self_in_its_own_project_only(store: Metadata, project: str) -> None:
    record, neighbour = key(project, "one"), key(project, "two")
    changed = replace(record, key_hash=neighbour.key_hash[::-1], previous_hash=record.key_hash, policy=POLICY)
    with store.transaction() as tx:
        tx.keys.add(record)
        tx.keys.add(neighbour)
        tx.keys.put(replace(changed, project_id="another project"))
    with store.transaction() as tx:
        assert tx.keys.get(project, record.key_id) == record
        tx.keys.put(changed)
    with store.transaction() as tx:
        assert tx.keys.get(project, record.key_id) == changed
        assert tx.keys.get(project, neighbour.key_id) == neighbour


def test_of_changes_made_at_once_none_is_lost(store: Metadata, project: str) -> None:
    record = key(project, "one", policy=KeyPolicy(limits=Limits(concurrency=1)))
    with store.transaction() as tx:
        tx.keys.add(record)

    def raise_limit(number: int) -> int:
        with store.transaction() as tx:
            held = tx.keys.hold(project, record.key_id)
            assert held is not None
            limits = Limits(concurrency=(held.policy.limits.concurrency or 0) + 1)
            tx.keys.put(replace(held, policy=KeyPolicy(limits=limits)))
        return number

    at_once(6, raise_limit)
    with store.transaction() as tx:
        found = tx.keys.get(project, record.key_id)
    assert found is not None
    assert found.policy.limits.concurrency == 7


def test_no_look_at_keys_walks_through_all_of_them(tmp_path: Path) -> None:
    store = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", CLOCK)
    asked: list[tuple[str, object]] = []

    def remember(_c: object, _cursor: object, statement: str, parameters: object, *_rest: object) -> None:
        asked.append((statement, parameters))

    event.listen(store._engine, "before_cursor_execute", remember)
    with store.transaction() as tx:
        tx.keys.by_hash("0" * 64)
        tx.keys.get("p", "k")
        tx.keys.hold("p", "k")
        tx.keys.list("p", "k", 100)
    event.remove(store._engine, "before_cursor_execute", remember)
    looks = [(statement, parameters) for statement, parameters in asked if "FROM api_keys" in statement]
    assert len(looks) == 4
    with store._engine.connect() as connection:
        for statement, parameters in looks:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()  # type: ignore[arg-type]
            steps = [str(row[-1]) for row in plan]
            assert any(step.startswith("SEARCH api_keys USING") for step in steps), steps
            assert not any(step.startswith(("SCAN", "USE TEMP B-TREE")) for step in steps), steps
    store.close()


def person(project: str, email: str, password_hash: str = "argon2") -> PersonRecord:
    return PersonRecord(new_id(CLOCK), project, email, password_hash, frozenset({Role.ADMIN}), 3)


def test_a_person_is_replaced_by_address(store: Metadata, project: str) -> None:
    email = f"ann@{project}.example"
    second = person(project, email, "other hash")
    with store.transaction() as tx:
        assert tx.people.by_email(email) is None
        tx.people.put(person(project, email))
        tx.people.put(second)
    with store.transaction() as tx:
        assert tx.people.by_email(email) == second


def test_an_address_cannot_be_taken_from_another_project(store: Metadata, project: str) -> None:
    email = f"ann@{project}.example"
    first = person(project, email)
    with store.transaction() as tx:
        tx.people.put(first)
    with pytest.raises(Conflict, match="another project"), store.transaction() as tx:
        tx.people.put(person(f"{project}-2", email))
    with store.transaction() as tx:
        assert tx.people.by_email(email) == first


def test_an_upstream_is_replaced_by_name_within_its_project(store: Metadata, project: str) -> None:
    first = UpstreamRecord(project, "openai", "https://a.example", "openai", "", "sealed", 1)
    second, other = replace(first, base_url="https://b.example"), replace(first, project_id=f"{project}-2")
    with store.transaction() as tx:
        for record in (first, other, second, replace(first, name="azure")):
            tx.upstreams.put(record)
    with store.transaction() as tx:
        assert tx.upstreams.list(project) == [replace(first, name="azure"), second]
        assert other in tx.upstreams.list()


# Artefacts, releases, services


def test_artefacts_are_numbered_per_kind_and_name(store: Metadata, project: str) -> None:
    with store.transaction() as tx:
        added = [
            tx.artefacts.add(project, kind, name, digest, "{}", 1)
            for kind, name, digest in [
                ("prompt", "a", "1" * 64),
                ("prompt", "a", "2" * 64),
                ("model", "a", "3" * 64),
                ("prompt", "b", "4" * 64),
                ("prompt", "a", "1" * 64),
            ]
        ]
    assert [(one.version, one.is_new) for one in added] == [(1, True), (2, True), (1, True), (1, True), (1, False)]


def test_an_artefact_keeps_its_first_content(store: Metadata, project: str) -> None:
    with store.transaction() as tx:
        tx.artefacts.add(project, "prompt", "a", "1" * 64, '{"ü":1}', 1)
        tx.artefacts.add(project, "prompt", "a", "1" * 64, "other", 2)
    with store.transaction() as tx:
        assert tx.artefacts.content(project, "1" * 64) == '{"ü":1}'
        assert tx.artefacts.version(project, "1" * 64) == 1


def test_an_artefact_of_another_project_is_not_found(store: Metadata, project: str) -> None:
    with store.transaction() as tx:
        tx.artefacts.add(f"{project}-2", "prompt", "a", "1" * 64, "{}", 1)
        with pytest.raises(NotFound, match="111111111111"):
            tx.artefacts.content(project, "1" * 64)
        with pytest.raises(NotFound, match="111111111111"):
            tx.artefacts.version(project, "1" * 64)


def test_releases_are_numbered_per_service_and_kept_once(store: Metadata, project: str) -> None:
    with store.transaction() as tx:
        assert tx.releases.add(release(project, "a" * 64))
        assert tx.releases.add(release(project, "b" * 64))
        assert tx.releases.add(release(project, "c" * 64, "other"))
        assert not tx.releases.add(replace(release(project, "a" * 64), created_by="bob"))
    with store.transaction() as tx:
        history = tx.releases.history(project, "triage")
        assert [(record.digest[0], record.number, record.created_by) for record in history] == [
            ("b", 2, "ann"),
            ("a", 1, "ann"),
        ]
        assert tx.releases.get(project, "c" * 64) == replace(release(project, "c" * 64, "other"), number=1)
        assert tx.releases.get("another", "a" * 64) is None


def test_releases_are_found_by_the_start_of_their_digest(store: Metadata, project: str) -> None:
    digests = ["ab" + "0" * 62, "ac" + "0" * 62, "a_" + "0" * 62]
    with store.transaction() as tx:
        for digest in digests:
            tx.releases.add(release(project, digest))
    with store.transaction() as tx:
        assert {record.digest for record in tx.releases.find(project, "triage", "a")} == set(digests)
        assert [record.digest for record in tx.releases.find(project, "triage", "a_")] == [digests[2]]
        assert not tx.releases.find(project, "other", "a")


def test_a_service_points_to_what_was_put_last(store: Metadata, project: str) -> None:
    first = ServiceRecord(project, "triage", "…", "r1", None, 1)
    second, other = replace(first, candidate_release="r2", baseline_release="r1"), replace(first, name="alpha")
    with store.transaction() as tx:
        assert tx.releases.service(project, "triage") is None
        for record in (first, second, other):
            tx.releases.put_service(record)
    with store.transaction() as tx:
        assert tx.releases.service(project, "triage") == second
        assert tx.releases.services(project) == [other, second]


def test_numbers_given_at_once_never_collide(store: Metadata, project: str) -> None:
    def push(number: int) -> tuple[int, bool]:
        digest = f"{number:064d}"
        with store.transaction() as tx:
            added = tx.artefacts.add(project, "prompt", "triage", digest, "{}", 1)
            is_new = tx.releases.add(release(project, digest))
            tx.releases.put_service(ServiceRecord(project, "triage", "", digest, None, 1))
        return added.version, is_new

    assert sorted(at_once(8, push), key=str) == [(number, True) for number in range(1, 9)]
    with store.transaction() as tx:
        assert [record.number for record in tx.releases.history(project, "triage")] == [8, 7, 6, 5, 4, 3, 2, 1]
        assert len(tx.releases.services(project)) == 1


# Environments


def test_an_environment_comes_back_whole(store: Metadata, project: str) -> None:
    moving = replace(environment(project), previous_release="r0", rollout=Rollout("r2", 0.1, 8, "bob"))
    with store.transaction() as tx:
        assert tx.environments.get(project, "triage", "production") is None
        tx.environments.put(moving)
    with store.transaction() as tx:
        assert tx.environments.get(project, "triage", "production") == moving


def test_a_move_from_the_present_version_is_taken(store: Metadata, project: str) -> None:
    second = environment(project, 2, "r2")
    with store.transaction() as tx:
        tx.environments.put(environment(project))
        tx.environments.put(second)
    with store.transaction() as tx:
        assert tx.environments.get(project, "triage", "production") == second


@pytest.mark.parametrize("version", [1, 2, 4])
def test_a_move_from_a_stale_version_is_a_conflict(store: Metadata, project: str, version: int) -> None:
    with store.transaction() as tx:
        tx.environments.put(environment(project))
        tx.environments.put(environment(project, 2))
    with pytest.raises(Conflict, match="moved by somebody else"), store.transaction() as tx:
        tx.environments.put(environment(project, version, "stale"))
    with store.transaction() as tx:
        assert tx.environments.get(project, "triage", "production") == environment(project, 2)


@pytest.mark.parametrize("version", [1, 2])
def test_of_moves_made_at_once_one_is_taken(store: Metadata, project: str, version: int) -> None:
    if version == 2:
        with store.transaction() as tx:
            tx.environments.put(environment(project))

    def move(number: int) -> str:
        with store.transaction() as tx:
            tx.environments.put(environment(project, version, f"r{number}"))
        return f"r{number}"

    outcomes = at_once(6, move)
    (winner,) = [outcome for outcome in outcomes if not isinstance(outcome, Conflict)]
    with store.transaction() as tx:
        assert tx.environments.get(project, "triage", "production") == environment(project, version, str(winner))


def test_environments_are_listed_by_project_service_and_name(store: Metadata, project: str) -> None:
    states = [
        environment(project),
        replace(environment(project), environment="staging"),
        replace(environment(project), service="zeta"),
    ]
    with store.transaction() as tx:
        for state in reversed(states):
            tx.environments.put(state)
    with store.transaction() as tx:
        assert tx.environments.list(project) == states
        assert tx.environments.list(project, "triage") == states[:2]
        assert [state for state in tx.environments.list() if state.project_id == project] == states


# Experiments and trials


def test_an_experiment_is_kept_once(store: Metadata, project: str) -> None:
    with store.transaction() as tx:
        assert tx.experiments.add(experiment(project))
        assert not tx.experiments.add(replace(experiment(project), service="other"))
    with store.transaction() as tx:
        assert tx.experiments.get(project, "e1") == experiment(project)
        assert tx.experiments.get(project, "e2") is None


def test_experiments_are_listed_newest_first(store: Metadata, project: str) -> None:
    old, new = experiment(project, "e1", 1), experiment(project, "e2", 2)
    other = replace(experiment(project, "e3", 3), service="other")
    with store.transaction() as tx:
        for record in (old, other, new):
            tx.experiments.add(record)
    with store.transaction() as tx:
        assert tx.experiments.list(project) == [other, new, old]
        assert tx.experiments.list(project, "triage") == [new, old]
        assert [record for record in tx.experiments.list(None) if record.project_id == project] == [other, new, old]


def test_an_experiment_is_finished_once(store: Metadata, project: str) -> None:
    with store.transaction() as tx:
        tx.experiments.add(experiment(project))
        assert tx.experiments.finish(project, "e1", 20)
        assert not tx.experiments.finish(project, "e1", 30)
    with store.transaction() as tx:
        expected = replace(experiment(project), state=ExperimentState.FINISHED, finished_ns=20)
        assert tx.experiments.get(project, "e1") == expected


def test_an_answer_is_written_over_its_claim_once(store: Metadata, project: str) -> None:
    first = answered(claim(project))
    with store.transaction() as tx:
        tx.experiments.claim([claim(project)])
        assert tx.experiments.answer(first)
        assert not tx.experiments.answer(answered(claim(project), "another"))
    with store.transaction() as tx:
        assert tx.experiments.trials(project, "e1") == [first]


def test_an_answer_without_a_claim_is_not_written(store: Metadata, project: str) -> None:
    with store.transaction() as tx:
        assert not tx.experiments.answer(answered(claim(project)))
        assert tx.experiments.trials(project, "e1") == []


def test_of_answers_written_at_once_one_stays(store: Metadata, project: str) -> None:
    with store.transaction() as tx:
        tx.experiments.claim([claim(project)])

    def write(number: int) -> bool:
        with store.transaction() as tx:
            return tx.experiments.answer(answered(claim(project), f"answer {number}"))

    outcomes = at_once(6, write)
    assert outcomes.count(True) == 1
    with store.transaction() as tx:
        assert [record.output for record in tx.experiments.trials(project, "e1")] == [f"answer {outcomes.index(True)}"]


def test_of_claims_made_at_once_one_is_taken_whole(store: Metadata, project: str) -> None:
    def take(number: int) -> int:
        own = claim(project, f"own-{number}")
        with store.transaction() as tx:
            tx.experiments.claim([own, claim(project, "shared")])
        return number

    outcomes = at_once(6, take)
    (winner,) = [outcome for outcome in outcomes if not isinstance(outcome, Conflict)]
    with store.transaction() as tx:
        assert [record.item_id for record in tx.experiments.trials(project, "e1")] == [f"own-{winner}", "shared"]


def test_releasing_frees_claims_and_keeps_answers(store: Metadata, project: str) -> None:
    waiting, done = claim(project, "i1"), claim(project, "i2")
    with store.transaction() as tx:
        tx.experiments.claim([waiting, done])
        tx.experiments.answer(answered(done))
        tx.experiments.release([waiting, done])
        assert [record.item_id for record in tx.experiments.trials(project, "e1")] == ["i2"]
        tx.experiments.claim([waiting])


def test_reopening_drops_errors_and_keeps_answers_and_claims(store: Metadata, project: str) -> None:
    records = [claim(project, name) for name in ("answered", "claimed", "errored")]
    with store.transaction() as tx:
        tx.experiments.add(experiment(project))
        tx.experiments.claim(records)
        tx.experiments.answer(answered(records[0]))
        tx.experiments.answer(errored(records[2]))
        tx.experiments.finish(project, "e1", 20)
        assert tx.experiments.counts(project, "e1") == dict.fromkeys(
            (TrialState.ANSWERED, TrialState.CLAIMED, TrialState.ERRORED), 1
        )
        assert tx.experiments.has_failures(project, "e1")
        tx.experiments.reopen(project, "e1")
    with store.transaction() as tx:
        assert [record.item_id for record in tx.experiments.trials(project, "e1")] == ["answered", "claimed"]
        assert tx.experiments.get(project, "e1") == experiment(project)
        assert tx.experiments.counts(project, "e1") == {TrialState.ANSWERED: 1, TrialState.CLAIMED: 1}


def test_reopening_lets_evaluators_that_failed_judge_again(store: Metadata, project: str) -> None:
    good, bad = claim(project, "good"), claim(project, "bad")
    with store.transaction() as tx:
        tx.experiments.add(experiment(project))
        tx.experiments.claim([good, bad])
        tx.experiments.answer_all([answered(good), replace(answered(bad), errored_scores=1)])
        assert tx.experiments.has_failures(project, "e1")
        tx.experiments.reopen(project, "e1")
    with store.transaction() as tx:
        states = tx.experiments.states(project, "e1")
        assert states == {("good", 0): TrialState.ANSWERED, ("bad", 0): TrialState.JUDGING}
        assert [row.item_id for row in tx.experiments.trials(project, "e1", TrialState.JUDGING)] == ["bad"]


def test_many_answers_are_written_over_their_claims_once(store: Metadata, project: str) -> None:
    records = [claim(project, f"i{number}") for number in range(5)]
    with store.transaction() as tx:
        tx.experiments.claim(records)
        tx.experiments.answer_all([answered(record, "first") for record in records[:3]])
        tx.experiments.answer_all([answered(record, "second") for record in records])
    with store.transaction() as tx:
        outputs = [record.output for record in tx.experiments.trials(project, "e1")]
        assert outputs == ["first"] * 3 + ["second"] * 2
        assert len(tx.experiments.trials(project, "e1", TrialState.ANSWERED, 2)) == 2


def test_judging_writes_scores_and_leaves_the_answer(store: Metadata, project: str) -> None:
    unjudged = replace(answered(claim(project), "said"), state=TrialState.JUDGING, scores=None)
    judged = replace(unjudged, state=TrialState.ANSWERED, output="other", scores={"m": {"state": "scored", "value": 1}})
    with store.transaction() as tx:
        tx.experiments.claim([claim(project)])
        tx.experiments.judge_all([judged])
        tx.experiments.answer_all([unjudged])
        tx.experiments.judge_all([replace(judged, judges_usd=Decimal("0.25"), errored_scores=1)])
        tx.experiments.judge_all([replace(judged, scores={})])
    with store.transaction() as tx:
        (found,) = tx.experiments.trials(project, "e1")
    assert (found.output, found.scores, found.state) == ("said", judged.scores, TrialState.ANSWERED)
    assert (found.judges_usd, found.errored_scores) == (Decimal("0.25"), 1)


def test_an_answer_is_found_again_by_its_key_unless_it_is_errored_or_erased(store: Metadata, project: str) -> None:
    keys = {name: name * 64 for name in "abcd"}
    records = [replace(claim(project, name), answer_key=key, claimed_ns=5) for name, key in keys.items()]
    newer = replace(claim(project, "a", 1), answer_key=keys["a"], claimed_ns=9)
    with store.transaction() as tx:
        tx.experiments.claim([*records, newer])
        tx.experiments.answer_all([answered(records[0], "old"), answered(newer, "new"), errored(records[1])])
        tx.experiments.answer_all([answered(records[2], "[erased]")])
    with store.transaction() as tx:
        found = tx.experiments.find_answers(project, [*keys.values(), "e" * 64])
        assert {key: record.output for key, record in found.items()} == {keys["a"]: "new"}
        assert tx.experiments.known_keys(project, keys.values()) >= {keys["a"]}
        assert tx.experiments.find_answers(new_id(CLOCK), keys.values()) == {}


def test_an_experiment_keeps_its_options_and_where_it_stopped(store: Metadata, project: str) -> None:
    options = ExperimentOptions(concurrency=8, requests_per_s=0.5, early_stop=True, seed=7)
    record = replace(experiment(project), options=options, other_experiment_id="e0", origin="local")
    with store.transaction() as tx:
        tx.experiments.add(record)
    stopped = replace(record, state=ExperimentState.FINISHED, finished_ns=9, stopped_items=2)
    with store.transaction() as tx:
        assert tx.experiments.get(project, "e1") == record
        tx.experiments.replan(stopped)
    with store.transaction() as tx:
        assert tx.experiments.get(project, "e1") == stopped
    assert (record.planned, stopped.planned) == (6, 4)


def test_costs_tell_calls_from_judges_and_from_what_was_there_before(store: Metadata, project: str) -> None:
    first, second = claim(project, "i1"), claim(project, "i2")
    with store.transaction() as tx:
        tx.experiments.add(experiment(project))
        tx.experiments.claim([first, second, claim(project, "i3")])
        paid = replace(answered(first), judges_usd=None, output_tokens=7)
        tx.experiments.answer_all([paid, replace(answered(second), cost_usd=None, is_cached=True)])
    with store.transaction() as tx:
        assert sorted(tx.experiments.costs(project, "e1"), key=lambda row: row[2]) == [
            (Decimal("0.000012340"), None, False),
            (None, Decimal(0), True),
        ]
        (sample,) = tx.experiments.samples(project, "triage", 10)
    assert (sample.release, sample.output_tokens, sample.cost_usd) == ("r1", 7, Decimal("0.000012340"))


def test_trials_come_by_item_and_trial(store: Metadata, project: str) -> None:
    records = [claim(project, item, trial) for item in ("a", "b") for trial in (0, 1)]
    with store.transaction() as tx:
        tx.experiments.claim(reversed(records))
        assert tx.experiments.trials(project, "e1") == records


# Verdicts


def test_the_latest_verdict_is_of_that_release_and_environment(store: Metadata, project: str) -> None:
    first = VerdictRecord(project, new_id(CLOCK), "triage", "r1", None, "production", "FAIL", "{}", 1)
    second = replace(first, verdict_id=new_id(CLOCK), verdict="PASS", baseline="r0", created_ns=2)
    elsewhere = replace(first, verdict_id=new_id(CLOCK), environment="staging", created_ns=3)
    other = replace(first, verdict_id=new_id(CLOCK), release="r2", service="other", created_ns=4)
    with store.transaction() as tx:
        assert tx.verdicts.latest(project, "r1", "production") is None
        for record in (second, first, elsewhere, other):
            tx.verdicts.add(record)
    with store.transaction() as tx:
        assert tx.verdicts.latest(project, "r1", "production") == second
        assert tx.verdicts.list(project, "triage") == [elsewhere, second, first]
        assert tx.verdicts.list(project, "triage", limit=1) == [elsewhere]


# Ledger


def pack_of(store: Metadata, project: str) -> EvidencePack:
    with store.transaction() as tx:
        return EvidencePack(project, tuple(tx.ledger.entries(project)), tuple(tx.ledger.checkpoints(project)))


def test_the_chain_holds_and_is_read_in_pages(store: Metadata, project: str) -> None:
    with store.transaction() as tx:
        hashes = [tx.ledger.append(project, "ann", "push", {"n": number, "ü": [1.5, None]}) for number in range(5)]
        tx.ledger.append(f"{project}-2", "ann", "push", {})
    pack = pack_of(store, project)
    assert [entry.hash for entry in pack.entries] == hashes
    assert verify_pack(pack).problem == ""
    with store.transaction() as tx:
        assert [entry.sequence for entry in tx.ledger.entries(project, after=1, limit=2)] == [2, 3]
        assert tx.ledger.last_sequence(project) == 5
        assert tx.ledger.last_sequence("nothing here") == 0
        assert tx.ledger.last_sequence() >= 6


def test_the_first_checkpoint_over_an_entry_stays(store: Metadata, project: str) -> None:
    with store.transaction() as tx:
        hashed = tx.ledger.append(project, "ann", "push", {})
        first = Checkpoint(project, 1, 5, hashed, "aa" * 64, "bb" * 32)
        tx.ledger.put_checkpoint(first)
        tx.ledger.put_checkpoint(replace(first, at_ns=6))
        assert tx.ledger.checkpoints(project) == [first]
    at_once(6, lambda number: put_checkpoint(store, replace(first, sequence=2, at_ns=number)))
    with store.transaction() as tx:
        assert [checkpoint.sequence for checkpoint in tx.ledger.checkpoints(project)] == [1, 2]


def put_checkpoint(store: Metadata, checkpoint: Checkpoint) -> None:
    with store.transaction() as tx:
        tx.ledger.put_checkpoint(checkpoint)


def test_appends_from_eight_threads_never_fork_the_chain(store: Metadata, project: str) -> None:
    def append(number: int) -> None:
        for turn in range(10):
            with store.transaction() as tx:
                tx.ledger.append(project, f"thread {number}", "push", {"turn": turn})

    at_once(8, append)
    pack = pack_of(store, project)
    found = verify_pack(pack)
    assert (found.entries, found.problem) == (80, "")
    for number in range(8):
        own = [entry.payload for entry in pack.entries if entry.actor == f"thread {number}"]
        assert own == [f'{{"turn":{turn}}}' for turn in range(10)]


_APPEND = """
import sys
from zirkel.core import SystemClock
from zirkel.govern import Access, Vault
from zirkel.store.metadata import Metadata, Transaction, database

store = Metadata.open(sys.argv[1], SystemClock())
for turn in range(10):
    with store.transaction() as tx:
        tx.ledger.append(sys.argv[2], sys.argv[3], "push", {"turn": turn})
store.close()
"""


def test_processes_that_open_and_append_at_once_never_fork_the_chain(new_database: Callable[[], str]) -> None:
    url = new_database()
    children = [subprocess.Popen([sys.executable, "-c", _APPEND, url, "p", f"process {n}"]) for n in range(4)]
    assert [child.wait() for child in children] == [0, 0, 0, 0]
    store = Metadata.open(url, CLOCK)
    pack = pack_of(store, "p")
    store.close()
    found = verify_pack(pack)
    assert (found.entries, found.problem) == (40, "")
    assert len({entry.actor for entry in pack.entries}) == 4


# Transactions


def test_a_failed_transaction_leaves_nothing_behind(store: Metadata, project: str) -> None:
    def fail(tx: Transaction) -> None:
        tx.ledger.append(project, "ann", "push", {})
        tx.environments.put(environment(project))
        tx.artefacts.add(project, "prompt", "a", "1" * 64, "{}", 1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), store.transaction() as tx:
        fail(tx)
    with store.transaction() as tx:
        assert tx.ledger.last_sequence(project) == 0
        assert tx.environments.get(project, "triage", "production") is None
        assert tx.artefacts.add(project, "prompt", "a", "1" * 64, "{}", 1).is_new


def test_a_transaction_inside_another_is_refused_at_once(store: Metadata, project: str) -> None:
    with store.transaction() as tx:
        with pytest.raises(RuntimeError, match="already"), store.transaction():
            pass
        tx.ledger.append(project, "ann", "push", {})
    with store.transaction() as tx:
        assert tx.ledger.last_sequence(project) == 1


# Opening and migrating


def test_the_migrations_make_exactly_the_tables_of_the_schema(store: Metadata, database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables) == []
    engine.dispose()


def test_opening_again_keeps_every_row(new_database: Callable[[], str]) -> None:
    url = new_database()
    for _ in range(3):
        store = Metadata.open(url, CLOCK)
        with store.transaction() as tx:
            tx.ledger.append("p", "ann", "push", {})
        store.close()
    store = Metadata.open(url, CLOCK)
    found = verify_pack(pack_of(store, "p"))
    store.close()
    assert (found.entries, found.problem) == (3, "")


def migrate_to(url: str, revision: str) -> None:
    """Make the tables as a program of that revision did."""
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    engine = create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def test_keys_of_the_first_tables_work_after_the_upgrade(new_database: Callable[[], str]) -> None:
    url = new_database()
    migrate_to(url, "0001")
    valid, revoked = key("p", "valid", expires_ns=2**62), key("p", "revoked", revoked_ns=5)
    columns = "key_id, project_id, label, roles, key_hash, hint, created_ns, expires_ns, revoked_ns"
    insert = text(f"INSERT INTO api_keys ({columns}) VALUES (:{columns.replace(', ', ', :')})")
    engine = create_engine(url)
    with engine.begin() as connection:
        for record in (valid, revoked):
            fields = {name: getattr(record, name) for name in columns.split(", ")}
            connection.execute(insert, fields | {"roles": "call read"})
    engine.dispose()

    store = Metadata.open(url, CLOCK)
    access = Access(store, Silent(), Vault(bytes(32)), lambda name: key("p", name).key_hash, CLOCK)
    admin = Principal("p", "k1", "ann", frozenset({Role.ADMIN}))
    assert list(access.list_keys(admin)) == sorted((valid, revoked), key=lambda record: record.key_id)
    assert access.authenticate("valid") == Principal("p", valid.key_id, "valid", valid.roles)
    with pytest.raises(Unauthenticated):
        access.authenticate("revoked")
    rotated = access.rotate_key(admin, valid.key_id, 60)
    assert access.authenticate("valid") == access.authenticate(rotated.text)
    assert access.change_key_policy(admin, valid.key_id, POLICY).policy == POLICY
    store.close()


class Silent:
    """Tells no gateway."""

    def publish(self) -> None:
        pass


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_database_of_a_newer_program_is_refused_and_left_as_it_is(
    new_database: Callable[[], str], journal: str
) -> None:
    url = new_database()
    Metadata.open(url, CLOCK).close()
    engine = create_engine(url)
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f"PRAGMA journal_mode={journal}")
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.commit()
    engine.dispose()
    before = fingerprint(url)
    with pytest.raises(Incompatible, match="9999"):
        Metadata.open(url, CLOCK)
    assert fingerprint(url) == before


def fingerprint(url: str) -> object:
    """Return the bytes of a SQLite file, or what PostgreSQL knows of each table and how often it was written."""
    if url.startswith("sqlite:///"):
        return Path(url.removeprefix("sqlite:///")).read_bytes()
    engine = create_engine(url)
    with engine.connect() as connection:
        written = connection.execute(text("SELECT version_num, xmin::text FROM alembic_version")).all()
        made = connection.execute(
            text("SELECT relname, xmin::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1")
        ).all()
    engine.dispose()
    return [tuple(row) for row in (*written, *made)]
