"""The outbox: everything reaches the server at least once and in order, and nobody waits for it."""

import gc
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from zirkel.client import outbox as outbox_module
from zirkel.client.outbox import SCORES_A_REQUEST, TRIES_OF_A_FAULTY_RECORD, Outbox
from zirkel.client.sending import Later, Outcome, Refused, Sent
from zirkel.client.spool import Record, RecordKind, Spool, SpoolLimits
from zirkel.core import SystemClock

LONG_S = 20.0


@dataclass
class Server:
    """A server that answers as it is told."""

    is_up: bool = True
    outcomes: deque[Outcome] = field(default_factory=deque)
    """What the next requests are answered with; then ``Sent`` or ``Later``, as the server is up."""
    taken: list[bytes] = field(default_factory=list)
    tries: int = 0
    gate: threading.Event = field(default_factory=threading.Event)
    """Requests wait for it."""

    def __post_init__(self) -> None:
        self.gate.set()

    def send(self, record: Record) -> Outcome:
        self.tries += 1
        self.gate.wait(LONG_S)
        outcome = self.outcomes.popleft() if self.outcomes else Sent() if self.is_up else Later("down")
        if isinstance(outcome, Sent):
            self.taken.append(record.body)
        return outcome

    def close(self) -> None:
        pass


Make = Callable[[Server], Outbox]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Outbox] = []

    def make_one(server: Server) -> Outbox:
        made.append(Outbox(lambda: server, make_spool(tmp_path), Random(1)))
        return made[-1]

    yield make_one
    for one in made:
        one.close(0)


def make_spool(folder: Path) -> Spool:
    return Spool(folder / "spool", SystemClock(), SpoolLimits())


def spans(number: int) -> Record:
    return Record(RecordKind.SPANS, str(number).encode())


def test_records_reach_the_server_in_order_and_leave_nothing_on_disk(make: Make, tmp_path: Path) -> None:
    server = Server()
    outbox = make(server)
    for number in range(50):
        outbox.put(spans(number))
    assert outbox.flush(LONG_S)
    assert server.taken == [str(number).encode() for number in range(50)]
    assert not (tmp_path / "spool").exists()
    assert outbox.delivery().sent == 50


def test_while_the_server_is_down_records_wait_on_disk_and_go_in_order_when_it_is_back(
    make: Make, tmp_path: Path
) -> None:
    server = Server()
    outbox = make(server)
    outbox.put(spans(0))
    assert outbox.flush(LONG_S)
    server.is_up = False
    for number in range(1, 10):
        outbox.put(spans(number))
        assert not outbox.flush(LONG_S)
    assert outbox.delivery().waiting == len(make_spool(tmp_path).names()) == 9
    server.is_up = True
    outbox.put(spans(10))
    assert outbox.flush(LONG_S)
    assert server.taken == [str(number).encode() for number in range(11)]
    assert make_spool(tmp_path).is_empty()


def test_what_a_process_left_on_disk_is_sent_by_the_next_one_without_being_asked(make: Make, tmp_path: Path) -> None:
    first = make(Server(is_up=False))
    first.put(spans(1))
    assert not first.close(LONG_S)
    server = Server()
    second = make(server)
    second.start()
    second.put(spans(2))
    assert second.flush(LONG_S)
    assert server.taken == [b"1", b"2"]


def test_what_is_under_way_when_the_program_ends_is_kept(make: Make, tmp_path: Path) -> None:
    server = Server()
    server.gate.clear()
    outbox = make(server)
    outbox.put(spans(1))
    while not server.tries:
        pass
    outbox.put(spans(2))
    assert not outbox.close(0.01)
    kept = [make_spool(tmp_path).read(name) for name in make_spool(tmp_path).names()]
    assert kept == [spans(1), spans(2)]
    outbox.put(spans(3))
    assert len(make_spool(tmp_path).names()) == 3
    server.gate.set()


def test_a_caller_never_waits_for_a_server_that_does_not_answer(make: Make) -> None:
    server = Server()
    server.gate.clear()
    outbox = make(server)
    for number in range(1000):
        outbox.put(spans(number))
    assert server.taken == []
    server.gate.set()
    assert outbox.flush(LONG_S)
    assert len(server.taken) == 1000


def test_the_queue_in_memory_is_bounded_and_what_is_dropped_is_counted(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "QUEUE_BYTES", 100)
    server = Server()
    server.gate.clear()
    outbox = make(server)
    outbox.put(spans(0))
    while not server.tries:
        pass
    for number in range(10, 110):
        outbox.put(Record(RecordKind.SPANS, f"{number:010d}".encode()))
    assert outbox.delivery().dropped == 90
    server.gate.set()
    assert outbox.flush(LONG_S)
    assert server.taken == [b"0", *(f"{number:010d}".encode() for number in range(100, 110))]


def test_scores_that_follow_each_other_share_a_request(make: Make) -> None:
    server = Server()
    server.gate.clear()
    outbox = make(server)
    outbox.put(spans(0))
    while not server.tries:
        pass
    count = SCORES_A_REQUEST + 5
    for number in range(count):
        outbox.put(Record(RecordKind.SCORES, json.dumps([number]).encode()))
    server.gate.set()
    assert outbox.flush(LONG_S)
    lists = [json.loads(body) for body in server.taken[1:]]
    assert [len(found) for found in lists] == [SCORES_A_REQUEST, 5]
    assert [number for found in lists for number in found] == list(range(count))


def test_what_the_server_refuses_is_counted_and_does_not_hold_up_the_rest(make: Make) -> None:
    server = Server(outcomes=deque([Refused("no")]))
    outbox = make(server)
    outbox.put(spans(1))
    outbox.put(spans(2))
    assert outbox.flush(LONG_S)
    assert server.taken == [b"2"]
    assert outbox.delivery().refused == 1


def test_a_record_that_breaks_the_server_each_time_is_given_up(make: Make) -> None:
    fault = Later("HTTP 500", is_faulty=True)
    server = Server(outcomes=deque([fault] * TRIES_OF_A_FAULTY_RECORD))
    outbox = make(server)
    outbox.put(spans(1))
    outbox.put(spans(2))
    # The thread also tries on its own, so how many flushes it takes is not said.
    while not outbox.flush(LONG_S):
        pass
    assert server.tries == TRIES_OF_A_FAULTY_RECORD + 1
    assert server.taken == [b"2"]
    assert (outbox.delivery().refused, outbox.delivery().sent) == (1, 1)


def test_a_damaged_file_is_dropped_and_counted(make: Make, tmp_path: Path) -> None:
    spool = make_spool(tmp_path)
    for number in (1, 2):
        spool.append(spans(number))
    path = tmp_path / "spool" / spool.names()[0]
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    server = Server()
    outbox = make(server)
    assert outbox.flush(LONG_S)
    assert server.taken == [b"2"]
    assert outbox.delivery().dropped == 1


def test_a_sender_that_fails_otherwise_does_not_end_the_thread(make: Make) -> None:
    class Broken(Server):
        def send(self, record: Record) -> Outcome:
            if record.body == b"1":
                raise RuntimeError("broken")
            return super().send(record)

    server = Broken()
    outbox = make(server)
    outbox.put(spans(1))
    outbox.flush(LONG_S)
    outbox.put(spans(2))
    assert outbox.flush(LONG_S)
    assert server.taken == [b"2"]
    assert outbox.delivery().dropped == 1


def test_an_outbox_that_is_closed_is_not_kept_alive(tmp_path: Path) -> None:
    outbox = Outbox(Server, make_spool(tmp_path), Random(1))
    outbox.flush(LONG_S)
    outbox.close(LONG_S)
    seen = threading.Event()
    import weakref  # noqa: PLC0415 (only here)

    weakref.finalize(outbox, seen.set)
    del outbox
    for thread in threading.enumerate():
        if thread.name == "zirkel-outbox":
            thread.join(1)
    gc.collect()
    assert seen.is_set()
