"""Disks that are full, hang, were not mounted, or lost the end of a file: an alarm, no crash loop, nothing lost."""

import html
import http.client
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.flows.disks import filled, hanging, missing, mounted_disk
from tests.flows.harness import Object, Stack, Upstream, ask, ask_on, is_alive, objects, wait_for
from tests.flows.otlp_sender import SPANS_PER_BATCH, OtlpSender, SpanBatch
from tests.flows.service_files import ServiceFolder, write_service

pytestmark = [pytest.mark.flow, pytest.mark.timeout(300)]

DISK_BYTES = 300 * 1024 * 1024
BACK_S = 60.0
"""How long everything may take until it works again: the core waits up to half a minute between two tries."""
AT_ONCE = 40
SENDERS = 160
"""More than the core works on, and keeps waiting, at once."""


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose data directory is on a small disk of its own; its log is elsewhere."""
    folder = tmp_path_factory.mktemp("small")
    with mounted_disk(folder / "image", folder / "stack" / "data", DISK_BYTES):
        started = Stack.start(folder / "stack")
        try:
            yield started
        finally:
            started.stop()


@pytest.fixture
def sender_of() -> Iterator[Callable[[Stack], OtlpSender]]:
    """Make senders with keys of their own."""
    made: list[OtlpSender] = []

    def make(stack: Stack) -> OtlpSender:
        made.append(OtlpSender(stack.core_url, stack.make_key("ingest"), seed=len(made)))
        return made[-1]

    yield make
    for sender in made:
        sender.close()


def alarms(stack: Stack) -> dict[str, Object]:
    """Return the alarms that stand, by name."""
    return {str(alarm["name"]): alarm for alarm in objects(stack.get("/api/v1/health")["alarms"])}


def doctor(stack: Stack) -> str:
    return stack.command("doctor", "--data-dir", str(stack.data_dir)).output


def console_page(stack: Stack) -> str:
    """Return what a page of the console that needs no telemetry says to somebody who signed in."""
    with httpx.Client(base_url=stack.core_url, trust_env=False, follow_redirects=True, timeout=30) as browser:
        form = browser.get("/sign-in").text
        found = re.search(r'name="form_token" value="([^"]*)"', form)
        assert found is not None
        page = browser.post("/sign-in", data={"form_token": found[1], "next": "/evidence", "key": stack.key})
        assert page.status_code == 200, page.text
        return html.unescape(re.sub(r"<[^>]*>", " ", page.text))


def assert_everybody_is_told(stack: Stack, name: str) -> None:
    """Check that an alarm is in the health report, in the console and, soon after, at the doctor's."""
    alarm = alarms(stack)[name]
    assert alarm["since"]
    assert alarm["what_to_do"]
    page = console_page(stack)
    assert name in page
    assert str(alarm["what_to_do"]) in page
    wait_for(lambda: f"alarm {name}" in doctor(stack), f"the doctor knows of {name}")
    assert stack.output().count(f"alarm {name}:") == 1, "logged once, not for each request"


def ended(stack: Stack) -> int:
    """Return how often a process ended that the supervisor did not ask to."""
    return stack.output().count("ended with status")


def lost_records(stack: Stack) -> int:
    """Return how many calls both workers say were answered without a record."""
    with stack.worker_connections() as connections:
        return sum(_lost(connection) for connection in connections.values())


def _lost(connection: http.client.HTTPConnection) -> int:
    connection.request("GET", "/healthz")
    return int(json.loads(connection.getresponse().read())["records_lost"])


def test_a_full_disk_loses_nothing_that_was_acknowledged_and_stops_no_call(
    small_disk: Stack, own_upstream: Upstream, tmp_path: Path, sender_of: Callable[[Stack], OtlpSender]
) -> None:
    stack, sender = small_disk, sender_of(small_disk)
    service = write_service(tmp_path / "services", "on-a-full-disk")
    stack.set_upstream("alpha", own_upstream)
    stack.adopt(service)
    for _ in range(5):
        assert sender.send().status_code == 200
    refused: list[SpanBatch] = []
    with filled(stack.data_dir):
        wait_for(lambda: "disk_full" in alarms(stack), "the alarm stands")
        for _ in range(100):
            batch = sender.make()
            if (answer := sender.post(batch)).status_code != 200:
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
                refused.append(batch)
        assert len(refused) > 50
        own_upstream.control(delay_s=0.3)
        with stack.sdk() as sdk, ThreadPoolExecutor(AT_ONCE) as pool:
            calls = list(pool.map(lambda unit: ask(sdk, service.name, f"u{unit}").trace_id, range(3 * AT_ONCE)))
        assert_everybody_is_told(stack, "disk_full")
        made = httpx.post(f"{stack.core_url}/api/v1/keys", headers=_bearer(stack), json=_KEY, trust_env=False)
        assert made.status_code in (201, 200, 503), made.text
        assert ended(stack) == 0
        lost = lost_records(stack)
        killed = [stack.kill(name) for name in ("core", "gateway-0")]
        wait_for(lambda: not any(map(is_alive, killed)), "they are gone")
        stack.wait_for_core()
        with stack.worker_connections() as connections:
            ask_on(connections["gateway-0"], stack.key, service.name, "after")
    wait_for(lambda: "disk_full" not in alarms(stack), "the alarm is over", BACK_S)

    for batch in refused:
        assert sender.post(batch).status_code == 200
    stack.wait_for_traces(sender.acknowledged, spans=SPANS_PER_BATCH)
    wait_for(lambda: sum(bool(stack.spans(trace)) for trace in calls) >= len(calls) - lost, "other calls are stored")
    assert ended(stack) == 2, "only what the test killed, and it came back at once"


_KEY: Object = {"label": "made on a full disk", "roles": ["read"]}


def _bearer(stack: Stack) -> dict[str, str]:
    return {"authorization": f"Bearer {stack.key}"}


def test_a_disk_that_hangs_makes_senders_wait_then_refuses_them_and_holds_up_nobody_else(
    small_disk: Stack,
) -> None:
    key = small_disk.make_key("ingest")
    senders = [OtlpSender(small_disk.core_url, key, seed, timeout_s=120) for seed in range(SENDERS)]
    codes: Counter[int] = Counter()
    lock = threading.Lock()

    def send(sender: OtlpSender) -> None:
        answer = sender.send()
        assert answer.status_code == 200 or answer.headers["retry-after"] == "2"
        with lock:
            codes[answer.status_code] += 1

    with ThreadPoolExecutor(SENDERS) as pool:
        with hanging(small_disk.data_dir):
            sent = [pool.submit(send, sender) for sender in senders]
            wait_for(lambda: codes[503] > 0, "some are refused")
            wait_for(lambda: "disk_slow" in alarms(small_disk), "the alarm stands")
            assert "disk_slow" in console_page(small_disk)
            assert codes[200] == 0, "nothing is acknowledged that is not on disk"
        for one in sent:
            one.result()
    assert set(codes) == {200, 503}
    acknowledged = [trace for sender in senders for trace in sender.acknowledged]
    small_disk.wait_for_traces(acknowledged, spans=SPANS_PER_BATCH)
    wait_for(lambda: "disk_slow" not in alarms(small_disk), "the alarm is over")
    for sender in senders:
        sender.close()


def test_a_telemetry_store_that_is_away_keeps_everything_waiting_and_answers_so(
    own_stack: Stack, sender_of: Callable[[Stack], OtlpSender]
) -> None:
    sender = sender_of(own_stack)
    assert sender.send().status_code == 200
    stored = list(sender.acknowledged)
    own_stack.wait_for_traces(stored, spans=SPANS_PER_BATCH)
    with missing(own_stack.data_dir / "telemetry"):
        for _ in range(3):
            assert sender.send().status_code == 200
        wait_for(lambda: "storing_failed" in alarms(own_stack), "the alarm stands")
        read = httpx.get(f"{own_stack.core_url}/api/v1/traces/{stored[0]}", headers=_bearer(own_stack), trust_env=False)
        assert (read.status_code, read.headers["retry-after"]) == (503, "2")
        assert "telemetry store" in read.json()["error"]["message"]
        assert int(str(own_stack.get("/api/v1/health")["spool_pending_bytes"])) > 0
        assert_everybody_is_told(own_stack, "storing_failed")
    wait_for(lambda: "storing_failed" not in alarms(own_stack), "the alarm is over", BACK_S)
    own_stack.wait_for_traces(sender.acknowledged, spans=SPANS_PER_BATCH)
    assert ended(own_stack) == 0


def _cut(data: bytes) -> bytes:
    return data[:-5]


def _flip(data: bytes) -> bytes:
    return data[:-5] + bytes([data[-5] ^ 0x40]) + data[-4:]


def _damage_newest(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    newest = max(folder.glob("*.spool"))
    newest.write_bytes(damage(newest.read_bytes()))


def test_a_damaged_end_of_the_spool_costs_its_last_record_only_and_is_kept_and_named(
    own_stack: Stack, service: ServiceFolder, sender_of: Callable[[Stack], OtlpSender]
) -> None:
    own_stack.adopt(service)
    sender = sender_of(own_stack)
    with missing(own_stack.data_dir / "telemetry"):
        for _ in range(3):
            assert sender.send().status_code == 200
        with own_stack.worker_connections() as connections:
            worker = connections["gateway-0"]
            calls = [ask_on(worker, own_stack.key, service.name, f"u{unit}").trace_id for unit in range(3)]
        own_stack.kill_all()
    _damage_newest(own_stack.data_dir / "spool" / "core", _cut)
    _damage_newest(own_stack.data_dir / "spool" / "gateway-0", _flip)

    again = Stack.start(own_stack.folder)
    try:
        again.wait_for_traces(sender.acknowledged[:-1], spans=SPANS_PER_BATCH)
        again.wait_for_traces(calls[:-1], spans=2)
        wait_for(lambda: again.get("/api/v1/health")["files_set_aside"] == 2, "both ends are kept aside")
        assert again.spans(sender.acknowledged[-1]) == []
        assert again.spans(calls[-1]) == []
        alarm = alarms(again)["records_set_aside"]
        for path in again.data_dir.glob("spool/*/*.damaged"):
            assert str(path.relative_to(again.data_dir)) in str(alarm["text"])
            assert str(path.relative_to(again.data_dir)) in doctor(again)
        assert_everybody_is_told(again, "records_set_aside")
        later = OtlpSender(again.core_url, again.make_key("ingest"), seed=9)
        assert later.send().status_code == 200
        again.wait_for_traces(later.acknowledged, spans=SPANS_PER_BATCH)
        later.close()
        assert ended(again) == 0
    finally:
        again.stop()
