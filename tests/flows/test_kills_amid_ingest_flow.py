"""SIGKILL again and again while spans come in: what was acknowledged is there, once."""

import multiprocessing
import multiprocessing.process
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import httpx
import pytest

from tests.flows.harness import KEY, START_S, wait_for
from tests.flows.otlp_sender import OtlpSender, SpanBatch
from zirkel.app.serve import main as serve
from zirkel.app.supervisor import answers
from zirkel.client import Client

pytestmark = [pytest.mark.flow, pytest.mark.timeout(300)]

KILLS = 20


class RestartedCore:
    """A core process on a socket that outlives it, started again at once however often it is killed.

    It is forked from a process that has read the program's modules and opened nothing: most of a start is reading them,
    and a supervisor would pause longer after each kill.
    """

    def __init__(self, folder: Path) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["zirkel.app.wiring"])
        self._folder = folder
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(128)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._process = self._start()

    def kill(self) -> None:
        """Kill it with SIGKILL, and return when the next one answers."""
        self._process.kill()
        self._process.join()
        self._process = self._start()

    def stop(self) -> None:
        """End it as the supervisor does."""
        self._process.terminate()
        self._process.join(20)
        self._process.kill()
        self._listener.close()

    def output(self) -> str:
        """Return what all of them have printed."""
        return (self._folder / "core.log").read_text(errors="replace")

    def _start(self) -> multiprocessing.process.BaseProcess:
        process = self._context.Process(target=_serve, args=(self._folder, self._listener))
        process.start()
        wait_for(lambda: answers(f"{self.url}/healthz") or not process.is_alive(), "the core answers", START_S)
        assert process.is_alive(), self.output()[-3000:]
        return process


def _serve(folder: Path, listener: socket.socket) -> None:
    log = os.open(folder / "core.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(log, standard)
    serve(["core", "--data-dir", str(folder / "data"), "--fd", str(listener.detach())])


class Exporter:
    """A thread that sends batches as fast as they are taken, and each again until it is acknowledged."""

    def __init__(self, sender: OtlpSender) -> None:
        self._sender = sender
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.trace_id = "0" * 31 + "1"
        """Of what is sent from now on."""
        self.sent: dict[str, set[str]] = {}
        """Span ids by trace."""
        self.acknowledged: dict[str, set[str]] = {}
        self.batches_taken = 0
        self.sent_again = 0

    @contextmanager
    def running(self) -> Iterator["Exporter"]:
        """Send within the block."""
        self._thread.start()
        try:
            yield self
        finally:
            self._stopping.set()
            self._thread.join()
            self._sender.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            batch = self._sender.make(self.trace_id)
            self.sent.setdefault(batch.trace_id, set()).update(batch.span_ids)
            if self._send(batch):
                self.acknowledged.setdefault(batch.trace_id, set()).update(batch.span_ids)
                self.batches_taken += 1

    def _send(self, batch: SpanBatch) -> bool:
        while not self._stopping.is_set():
            try:
                answer = self._sender.post(batch)
            except httpx.TransportError:
                # Nobody knows whether it was taken: sent again, it must not be there twice.
                self.sent_again += 1
                self._stopping.wait(0.05)
                continue
            if answer.status_code == 200:
                return True
            assert answer.status_code in (429, 503), answer.text
            self._stopping.wait(0.2)
        return False


@pytest.fixture
def core(tmp_path: Path) -> Iterator[RestartedCore]:
    started = RestartedCore(tmp_path)
    yield started
    started.stop()


def test_twenty_kills_at_any_moment_cost_no_acknowledged_span_and_store_none_twice(core: RestartedCore) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    random = Random(seed)
    found = KEY.search(core.output())
    assert found is not None
    with Client(core.url, found.group()) as client:
        key = str(client.post("/api/v1/keys", {"label": "exporter", "roles": ["ingest"]})["key"])
        exporter = Exporter(OtlpSender(core.url, key, seed))
        with exporter.running():
            for number in range(KILLS):
                exporter.trace_id = f"{number + 1:032x}"
                _wait_for_more(exporter)
                time.sleep(random.random() * 0.4)
                core.kill()
            _wait_for_more(exporter)

        assert exporter.sent_again >= KILLS / 2
        for trace_id, acknowledged in exporter.acknowledged.items():
            stored = _wait_for_spans(client, trace_id, acknowledged)
            assert len(stored) == len(set(stored)), "none is there twice"
            assert set(stored) <= exporter.sent[trace_id]
        assert len(exporter.acknowledged) == KILLS
        assert client.get("/api/v1/health")["records_set_aside"] == 0


def _wait_for_more(exporter: Exporter) -> None:
    taken = exporter.batches_taken
    wait_for(lambda: exporter.batches_taken > taken, "batches are taken")


def _wait_for_spans(client: Client, trace_id: str, expected: set[str]) -> list[str]:
    """Return the ids of a trace's spans once all that are expected are there."""
    wait_for(lambda: expected <= set(_span_ids(client, trace_id)), f"trace {trace_id} is whole")
    return _span_ids(client, trace_id)


def _span_ids(client: Client, trace_id: str) -> list[str]:
    return [str(span["span_id"]) for span in client.get_list(f"/api/v1/traces/{trace_id}")]
