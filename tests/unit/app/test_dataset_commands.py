"""``zirkel dataset`` against a real server: files in, files out, and what is said in between."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
import uvicorn
from fastapi import FastAPI
from typer.testing import CliRunner

from zirkel.api.auth import Guard, guarded_principal
from zirkel.api.errors import install_error_handlers
from zirkel.api.rest.datasets import datasets_router
from zirkel.api.services import Services
from zirkel.app.cli.dataset import dataset_app
from zirkel.app.dataset_sources import ObservedInputs
from zirkel.client import Client
from zirkel.core import DatasetItem, Invalid, Json, ManualClock, Principal, Unsupported, sha256_hex
from zirkel.govern import Access, Vault
from zirkel.observe.dataset_items import CollectedItems, Unusable
from zirkel.observe.exporting import Exports
from zirkel.observe.search import EVERYTHING, Sought
from zirkel.store.blobs import Blobs
from zirkel.store.metadata import Metadata
from zirkel.version import Registry
from zirkel.version.dataset_checkup import DatasetHealth
from zirkel.version.datasets import Datasets

TRACE = "a" * 32


class Silent:
    """Tells no gateway."""

    def publish(self) -> None:
        pass


class Observed:
    """Exports with one trace in them; notes what was looked for."""

    def __init__(self) -> None:
        self.sought: list[Sought] = []

    def items(self, actor: Principal, sought: Sought = EVERYTHING, **asked: object) -> CollectedItems:
        self.sought.append(sought)
        found = DatasetItem(id="t", input={"text": "from a trace"}, metadata={"provenance": {"trace_id": TRACE}})
        return CollectedItems((found,), 0, (Unusable("b" * 32, "it has no model call"),))


@dataclass
class OnlyDatasets:
    """The services these routes use."""

    datasets: Datasets
    dataset_health: DatasetHealth


@dataclass
class Server:
    url: str
    key: str
    observed: Observed


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    clock = ManualClock()
    metadata = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", clock)
    access = Access(metadata, Silent(), Vault(b"m" * 32), lambda text: sha256_hex(text.encode()), clock)
    first = access.bootstrap()
    assert first is not None
    blobs, observed = Blobs.open(f"file://{tmp_path}/blobs"), Observed()
    source = ObservedInputs(cast(Exports, observed))
    services = OnlyDatasets(
        Datasets(metadata, blobs, clock, traces=source),
        DatasetHealth(metadata, blobs, Registry(metadata, blobs, clock), clock, source),
    )
    app = FastAPI()
    install_error_handlers(app)
    app.add_middleware(Guard, authenticate=access.authenticate)
    app.include_router(datasets_router(cast(Services, services), guarded_principal))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        running = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        while not running.started and thread.is_alive():
            time.sleep(0.01)
        yield Server(f"http://127.0.0.1:{listening.getsockname()[1]}", first.text, observed)
        running.should_exit = True
        thread.join()
    metadata.close()


Run = Callable[..., str]


@pytest.fixture
def run(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in a folder; returns what it prints, having checked its exit code."""
    monkeypatch.setenv("ZIRKEL_URL", server.url)
    monkeypatch.setenv("ZIRKEL_API_KEY", server.key)
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(dataset_app, list(arguments), catch_exceptions=True)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, done.output
        return done.output

    return command


def read(text: str) -> dict[str, Json]:
    return cast("dict[str, Json]", json.loads(text))


CSV = "id,text,stars,expected,split,tags\na,fine,5,good,test,x;y\nb,broken,1,bad,test,x\nc,fine indeed,4,good,train,\n"


def test_a_csv_file_goes_in_and_comes_out_in_every_form(run: Run, tmp_path: Path) -> None:
    assert run("list") == "there is none; make one with: zirkel dataset push NAME FILE\n"
    (tmp_path / "d.csv").write_text(CSV)
    said = run("push", "reviews", "d.csv")
    assert said.splitlines()[0] == "reviews version 1"
    assert "3 items: 3 added, 0 changed, 0 removed" in said
    for ending in ("csv", "jsonl", "parquet"):
        run("export", "reviews", f"out.{ending}")
        again = read(run("push", "reviews", f"out.{ending}", "--json"))
        assert (again["version"], again["is_new"]) == (1, False), ending
    lines = run("export", "reviews", "--split", "test", "--tag", "y").splitlines()
    assert [read(line)["id"] for line in lines] == ["a"]
    assert "version 1" in run("list")
    shown = run("show", "reviews")
    assert "stars                    number" in shown
    assert "splits: test 2, train 1" in shown


def test_a_fault_in_a_file_is_told_by_row_and_column_and_nothing_is_kept(run: Run, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text(CSV)
    run("push", "reviews", "d.csv")
    (tmp_path / "e.csv").write_text("id,text,stars\nd,x,many\n")
    with pytest.raises(Invalid, match="row 2, column stars: 'many' is not a number"):
        run("push", "reviews", "e.csv", "--append")
    with pytest.raises(Invalid, match=r"neither \.jsonl"):
        run("push", "reviews", "d.txt")
    with pytest.raises(Invalid, match=r"none\.csv"):
        run("push", "reviews", "none.csv")
    assert len(cast("list[Json]", read(run("show", "reviews", "--json"))["versions"])) == 1


def test_versions_are_compared_and_labelled_and_items_followed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text(CSV)
    (tmp_path / "e.csv").write_text("id,text,stars,expected\nb,broken,1,good\nd,new,3,\n")
    run("push", "reviews", "d.csv")
    assert "reviews version 2" in run("push", "reviews", "e.csv", "--append")
    assert run("diff", "reviews", "1").splitlines() == [
        "   added    d", "   changed  b", '      expected: "bad" -> "good"',
        '      split: "test" -> ""', '      tags: ["x"] -> []',
    ]  # fmt: skip
    assert run("diff", "reviews", "1", "1") == "all items are the same\n"
    assert "reviews@golden is version 1" in run("label", "reviews", "golden", "--version", "1")
    assert read(run("show", "reviews", "--version", "golden", "--json"))["items"] == 3
    assert "[golden]" in run("show", "reviews")
    assert "no label golden" in run("label", "reviews", "golden", "--remove")
    assert "4 items: 1 added, 1 changed, 0 removed" in run("history", "reviews")
    assert [line.split()[0] for line in run("history", "reviews", "b").splitlines()] == [
        "version", "added", "version", "changed", "expected:", "split:", "tags:",
    ]  # fmt: skip


def test_a_schema_is_given_with_a_file_or_inferred_anew(run: Run, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("id,n\na,1\n")
    (tmp_path / "s.json").write_text('{"variables": {"n": {"type": "string"}}}')
    run("push", "d", "d.csv", "--schema", "s.json")
    assert read(run("export", "d"))["input"] == {"n": "1"}
    run("push", "d", "d.csv", "--infer-schema")
    assert read(run("export", "d"))["input"] == {"n": 1}
    (tmp_path / "s.json").write_text("{")
    with pytest.raises(Invalid, match="schema of the form"):
        run("push", "d", "d.csv", "--schema", "s.json")


def test_traces_are_collected_once(run: Run, server: Server) -> None:
    arguments = ("collect", "live", "--where", 'service = "x"', "--since", "-1h", "--sample", "5")
    assert "live is as it was: 1 new inputs" in run(*arguments, "--dry-run")
    assert run(*arguments) == "live version 1: 1 new inputs; 0 were there already; 1 traces unusable\n"
    assert read(run(*arguments, "--json"))["duplicates"] == 1
    assert server.observed.sought[0] == Sought('service = "x"', "-1h", "")


def test_health_ends_with_1_if_results_would_be_wrong(run: Run, tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text('{"input":{"text":"one"},"expected":"x"}\n')
    run("push", "d", "d.jsonl")
    assert "nothing was found" in run("health", "d")
    conflict = ['{"id":"a","input":{"text":"one"},"expected":"x"}', '{"id":"b","input":{"text":"one"},"expected":"y"}']
    (tmp_path / "d.jsonl").write_text("\n".join(conflict))
    run("push", "d", "d.jsonl")
    said = run("health", "d", code=1)
    assert "error: 2 items have the same input and 2 different expected outputs\n   a, b\n" in said
    found = read(run("health", "d", "--json", code=1))
    assert found["is_sound"] is False


def test_programs_push_items_as_json(server: Server) -> None:
    items: list[Json] = [{"input": {"text": "x"}}, {"id": "b", "input": {"text": "y"}, "tags": ["t"]}]
    with Client(server.url, server.key) as client:
        done = client.post("/api/v1/datasets/d/versions", {"items": items})
        assert (done["version"], done["items"], done["is_new"]) == (1, 2, True)
        page = client.get("/api/v1/datasets/d/items", {"tag": ["t"], "limit": 1})
        assert (page["total"], cast("list[dict[str, Json]]", page["items"])[0]["id"]) == (1, "b")
        assert client.get("/api/v1/datasets/d/items", {"offset": 1, "limit": 5})["total"] == 2
        with pytest.raises(Invalid, match=r"items\[1\]"):
            client.post("/api/v1/datasets/d/versions", {"items": [{"input": {}}, {"input": 1}]})
        with pytest.raises(Invalid, match="unknown field"):
            client.post("/api/v1/datasets/d/versions", {"items": items, "apend": True})
        with pytest.raises(Unsupported, match="text/plain"):
            client.upload("/api/v1/datasets/d/versions", b"x", "text/plain")


def test_the_description_of_the_api_names_what_versions_are_made_of(server: Server) -> None:
    app = FastAPI()
    app.include_router(datasets_router(cast(Services, None), guarded_principal))
    described = app.openapi()["paths"]["/api/v1/datasets/{name}/versions"]["post"]["requestBody"]["content"]
    assert set(described) == {"application/json", "application/jsonl", "text/csv", "application/vnd.apache.parquet"}
