"""What limits promise over real processes: a budget is not passed, and a killed worker's money is settled once."""

import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

from zirkel.core import Budget, Limits, SystemClock
from zirkel.gateway.limits import Claim, Limiter, Scope, Settlement, read_usage
from zirkel.store.shared import LmdbState

_RUSH = """
import sys, threading
from decimal import Decimal
from pathlib import Path
from zirkel.core import Budget, BudgetExhausted, Limits, SystemClock
from zirkel.gateway.limits import Claim, Limiter, Scope
from zirkel.store.shared import LmdbState

state = LmdbState(Path(sys.argv[1]))
limiter = Limiter(state, sys.argv[2], SystemClock())
scope = Scope("project", "default", "default", Limits(budget=[Budget(window="month", hard_usd="1")]))
admitted = []
barrier = threading.Barrier(50)

def call():
    barrier.wait()
    try:
        admitted.append(limiter.admit([scope], "a", Claim(100, Decimal("0.1"))))
    except BudgetExhausted:
        pass

print("ready", flush=True)
sys.stdin.readline()
threads = [threading.Thread(target=call) for _ in range(50)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(admitted), flush=True)
"""
_HOLD = """
import sys, time
from decimal import Decimal
from pathlib import Path
from zirkel.core import Budget, Limits, SystemClock
from zirkel.gateway.limits import Claim, Limiter, Scope
from zirkel.store.shared import LmdbState

state = LmdbState(Path(sys.argv[1]))
limiter = Limiter(state, "gateway-0", SystemClock())
limits = Limits(concurrency=3, budget=[Budget(window="month", hard_usd="100")])
scope = Scope("key", "default/key/1", "one", limits)
for number in range(3):
    limiter.admit([scope], f"attempt-{number}", Claim(10, Decimal("0.1") * (number + 1), f"note {number}".encode()))
print("held", flush=True)
time.sleep(1000)
"""
_WORK = """
import sys
from decimal import Decimal
from pathlib import Path
from zirkel.core import Budget, Limits, SystemClock
from zirkel.gateway.limits import Claim, Limiter, Scope, Settlement
from zirkel.store.shared import LmdbState

limiter = Limiter(LmdbState(Path(sys.argv[1])), "gateway-0", SystemClock())
scope = Scope("key", "default/key/1", "one", Limits(concurrency=1, budget=[Budget(window="month", hard_usd="1000")]))
while True:
    ticket = limiter.admit([scope], "a", Claim(10, Decimal("0.1")))
    limiter.end(ticket, {"a": Settlement(5, Decimal("0.05"))})
    print("ended", flush=True)
"""


def test_four_processes_of_fifty_threads_admit_exactly_what_the_budget_allows(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _RUSH, str(folder), f"gateway-{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    admitted = [int(child.communicate()[0]) for child in children]
    assert [child.returncode for child in children] == [0] * 4
    assert sum(admitted) == 10
    clock = SystemClock()
    state = LmdbState(folder)
    found = Limiter(state, "gateway-0", clock).recover(lambda _: False)
    assert [attempt.usd for attempt in found] == [Decimal("0.1")] * 10
    usage = read_usage(state, "default", clock.now_ns())
    month = usage.windows["month"]
    assert (usage.running, month.spent_usd, month.held_usd) == (0, Decimal(1), Decimal(0))
    state.close()


def test_what_a_killed_worker_held_is_settled_once_by_another(tmp_path: Path) -> None:
    folder, clock = tmp_path / "shared", SystemClock()
    limits = Limits(concurrency=3, budget=[Budget(window="month", hard_usd="100")])
    scope = Scope("key", "default/key/1", "one", limits)
    state = LmdbState(folder)
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(folder)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        limiter = Limiter(state, "gateway-1", clock)
        assert limiter.recover(lambda owner: owner == "gateway-0") == [], "it lives"
        child.send_signal(signal.SIGKILL)
    found = limiter.recover(lambda _: False)
    assert [(attempt.note, attempt.usd) for attempt in found] == [
        (b"note 0", Decimal("0.1")),
        (b"note 1", Decimal("0.2")),
        (b"note 2", Decimal("0.3")),
    ]
    assert limiter.recover(lambda _: False) == []
    limiter.forget(found)
    usage = read_usage(state, scope.subject_id, clock.now_ns())
    assert (usage.running, usage.windows["month"].spent_usd) == (0, Decimal("0.6"))
    ticket = limiter.admit([scope], "a", Claim(10, Decimal(1)))
    limiter.end(ticket, {"a": Settlement(1, Decimal(0))})
    state.close()


def test_a_worker_killed_at_any_moment_leaves_sound_counters_behind(tmp_path: Path) -> None:
    folder, clock = tmp_path / "shared", SystemClock()
    spent = Decimal(0)
    for round_number in range(8):
        with subprocess.Popen([sys.executable, "-c", _WORK, str(folder)], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            ended = [child.stdout.readline() for _ in range(20 + 37 * round_number)]
            child.send_signal(signal.SIGKILL)
            ended += child.stdout.readlines()
        state = LmdbState(folder)
        assert not state.was_lost
        limiter = Limiter(state, "gateway-0", clock)
        found = limiter.recover(lambda _: True)
        limiter.forget(found)
        usage = read_usage(state, "default/key/1", clock.now_ns())
        month = usage.windows["month"]
        assert (usage.running, month.held_usd) == (0, Decimal(0))
        # The last call may have ended without having said so.
        count = sum(line == "ended\n" for line in ended)
        known = spent + Decimal("0.05") * count + Decimal("0.1") * len(found)
        assert month.spent_usd in (known, known + Decimal("0.05"))
        assert len(found) <= 1
        spent = month.spent_usd
        state.close()
