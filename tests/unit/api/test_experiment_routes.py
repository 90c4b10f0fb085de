"""The routes of experiments, over real services; the job engine does nothing."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from zirkel.api import Services
from zirkel.api.errors import install_error_handlers
from zirkel.api.rest import experiments_router
from zirkel.app.uploaded_parts import ArtefactParts
from zirkel.core import DatasetItem, ManualClock, Principal, ReleaseBundle, Role
from zirkel.evaluate import Estimates, Experiments, Uploads
from zirkel.evaluate.estimate import TokenPrice
from zirkel.store.blobs import Blobs
from zirkel.store.metadata import Metadata
from zirkel.version import Registry
from zirkel.version.datasets import Datasets

FILES = {
    "service.toml": b'name = "triage"\n[model]\nname = "local/small"\n',
    "prompt.jinja": b"{{ review }}",
    "datasets/golden.jsonl": b'{"id": "1", "input": {"review": "Nice"}, "expected": "good"}\n',
    "evaluators.toml": b'[[evaluator]]\nname = "match"\nkind = "exact"\n',
    "gate.toml": b'[[metric]]\nevaluator = "match"\nmargin = 0.05\n',
}
ADMIN = Principal("p", "k", "ann", frozenset({Role.ADMIN}))
PLAN = {
    "name": "my bot:v1",
    "version": "1",
    "items": [{"id": "a", "input": {"q": "1"}}, {"id": "b", "input": {"q": "2"}}],
    "evaluators": [{"name": "m", "kind": "reported", "options": {"source": "f"}}],
    "trials": 1,
}


class Nobody:
    """Publishes nothing and runs nothing."""

    def publish(self) -> None:
        return

    def run_experiment(self, project_id: str, experiment_id: str) -> None:
        return


class Costs:
    """A prompt of 5 tokens; a million tokens cost one USD."""

    def input_tokens(self, release: ReleaseBundle, item: DatasetItem) -> int:
        return 5

    def count_tokens(self, text: str, model: str) -> int:
        return 5

    def price(self, project_id: str, model: str, release: ReleaseBundle) -> TokenPrice | None:
        return TokenPrice(Decimal(1), Decimal(1))


@pytest.fixture
def http(tmp_path: Path) -> Iterator[TestClient]:
    clock = ManualClock()
    metadata = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", clock)
    blobs = Blobs.open(f"memory://{tmp_path}")
    registry = Registry(metadata, blobs, clock)
    registry.push(ADMIN, FILES)
    parts = ArtefactParts(metadata, blobs, Datasets(metadata, blobs, clock), clock)
    services = SimpleNamespace(
        experiments=Experiments(metadata, registry, Nobody(), Nobody(), clock),
        estimates=Estimates(metadata, registry, Costs()),
        uploads=Uploads(metadata, registry, parts, clock),
    )
    app = FastAPI()
    install_error_handlers(app)
    app.include_router(experiments_router(cast(Services, services), lambda: ADMIN))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client
    metadata.close()


def test_an_experiment_is_started_followed_listed_and_accounted_for(http: TestClient) -> None:
    options = {"trials": 3, "concurrency": 7, "requests_per_s": 0.5, "tokens_per_min": 100, "seed": 4}
    started = http.post("/api/v1/services/triage/experiments", json=options)
    assert started.status_code == 202
    (record,) = started.json()
    assert (record["trials"], record["state"], record["origin"]) == (3, "running", "gateway")
    assert record["options"] == {
        "concurrency": 7,
        "requests_per_s": 0.5,
        "tokens_per_min": 100,
        "early_stop": False,
        "seed": 4,
        "is_fresh": False,
    }
    path = f"/api/v1/experiments/{record['experiment_id']}"
    progress = http.get(path).json()
    assert (progress["answered"], progress["errored"], progress["judging"]) == (0, 0, 0)
    assert http.get(f"{path}/spending").json() == {
        "calls": 0,
        "system_usd": "0",
        "cached_answers": 0,
        "saved_usd": "0",
        "judges_usd": "0",
    }
    assert [one["experiment_id"] for one in http.get("/api/v1/experiments").json()] == [record["experiment_id"]]
    assert http.get("/api/v1/experiments", params={"service": "other"}).json() == []


def test_an_estimate_tells_calls_and_a_range(http: TestClient) -> None:
    found = http.get("/api/v1/services/triage/estimate", params={"trials": 4}).json()
    (system,) = found["systems"]
    assert (system["calls"], system["cached"], found["judges"]) == (4, 0, [])
    assert system["cost_usd"]["low"] < system["cost_usd"]["likely"] < system["cost_usd"]["high"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"trials": 0}, 400),
        ({"concurrency": 0}, 400),
        ({"early_stop": True}, 400),
        ({"nonsense": 1}, 400),
        ({"release": "17"}, 404),
    ],
)
def test_a_start_that_will_not_do_is_refused(http: TestClient, body: dict[str, object], status: int) -> None:
    assert http.post("/api/v1/services/triage/experiments", json=body).status_code == status


def test_an_experiment_that_was_run_elsewhere_is_uploaded_in_parts(http: TestClient) -> None:
    begun = http.post("/api/v1/experiments", json=PLAN)
    assert begun.status_code == 201
    path = f"/api/v1/experiments/{begun.json()['experiment_id']}"
    for item in ("a", "b"):
        score = {"m": {"state": "scored", "value": 1}}
        answer = {"item_id": item, "output": "x", "scores": score, "cost_usd": "0.5"}
        assert http.post(f"{path}/answers", json=[answer]).status_code == 200
    assert http.get(path).json()["experiment"]["state"] == "finished"
    assert http.get(f"{path}/spending").json()["system_usd"] == "1.0"
    assert http.post("/api/v1/experiments", json=PLAN).json()["experiment_id"] == begun.json()["experiment_id"]


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", json.dumps({**PLAN, "nonsense": 1}).encode()])
def test_an_upload_that_will_not_do_is_refused(http: TestClient, body: bytes) -> None:
    assert http.post("/api/v1/experiments", content=body).status_code == 400
    assert http.post("/api/v1/experiments/none/answers", content=b"{}").status_code == 400
    assert http.post("/api/v1/experiments/none/answers", content=b"[]").status_code == 404
