"""What durable jobs promise: on SQLite and on PostgreSQL, and across a SIGKILL. The engine is one per process."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# The runner writes each slice down before it works on it, as the real one does, and needs six of them a run.
_PROGRAM = """
import os
import sys
import threading
from pathlib import Path

from dbos import DBOS

from zirkel.core import SystemClock
from zirkel.jobs import DurableJobs, JobSettings

log = Path(sys.argv[2])
held = threading.Event()
reached = threading.Semaphore(0)


class Slices:
    def __init__(self, hold_at):
        self.hold_at = hold_at

    def run_slice(self, project_id, experiment_id):
        with log.open("a") as file:
            file.write(f"{project_id}/{experiment_id}\\n")
            file.flush()
            os.fsync(file.fileno())
        count = len(log.read_text().splitlines())
        if count == self.hold_at:
            reached.release()
            held.wait()
        return count % 6 != 0


def launch(hold_at=0):
    jobs = DurableJobs(JobSettings(sys.argv[1]), lambda: Slices(hold_at), SystemClock())
    jobs.launch()
    return jobs


def wait_for_all():
    for workflow in DBOS.list_workflows():
        DBOS.retrieve_workflow(workflow.workflow_id).get_result()


def states():
    return [workflow.status for workflow in DBOS.list_workflows()]


def say(*words):
    print(*words, flush=True)


"""

_RUN = """
jobs = launch()
jobs.run_experiment("p", "e")
wait_for_all()
say(*states())
jobs.close()
"""

_HANG = """
jobs = launch(hold_at=3)
jobs.run_experiment("p", "e")
reached.acquire()
say("half-way")
threading.Event().wait()
"""

_RELAUNCH = """
jobs = launch()
wait_for_all()
say(*states())
jobs.close()
"""

_CLOSE_HALF_WAY = """
jobs = launch(hold_at=3)
jobs.run_experiment("p", "e")
reached.acquire()
say("half-way")
jobs.close()
os._exit(0)
"""

_ASK_OFTEN = """
jobs = launch(hold_at=1)
jobs.run_experiment("p", "e")
reached.acquire()
threads = [threading.Thread(target=jobs.run_experiment, args=("p", "e")) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
say(len(states()))
held.set()
wait_for_all()
say(*states())
jobs.run_experiment("p", "e")
wait_for_all()
say(*states())
jobs.close()
"""

_FAIL = """
class Failing:
    def run_slice(self, project_id, experiment_id):
        raise RuntimeError("the telemetry store is away")


jobs = DurableJobs(JobSettings(sys.argv[1]), Failing, SystemClock())
jobs.launch()
jobs.run_experiment("p", "e")
try:
    wait_for_all()
except RuntimeError as error:
    say(error)
jobs.close()
"""

_RUN_AGAIN = _RUN.replace("wait_for_all()", 'DBOS.retrieve_workflow("e.1").get_result()')


@pytest.fixture
def start(new_database: Callable[[], str], tmp_path: Path) -> Callable[[str], "subprocess.Popen[str]"]:
    """Start a program on one and the same database and log."""
    url = new_database()

    def run(steps: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", _PROGRAM + steps, url, str(tmp_path / "slices")]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    return run


def finish(child: "subprocess.Popen[str]") -> list[str]:
    """Return what a program printed, after it ended by itself and without an error."""
    output, _ = child.communicate(timeout=90)
    assert child.returncode == 0
    return output.splitlines()


def slices(folder: Path) -> int:
    lines = (folder / "slices").read_text().splitlines()
    assert set(lines) == {"p/e"}
    return len(lines)


Start = Callable[[str], "subprocess.Popen[str]"]


def test_an_experiment_runs_slices_until_nothing_is_left(start: Start, tmp_path: Path) -> None:
    assert finish(start(_RUN)) == ["SUCCESS"]
    assert slices(tmp_path) == 6


def test_after_a_kill_half_way_a_relaunch_goes_on_by_itself_and_finishes(start: Start, tmp_path: Path) -> None:
    with start(_HANG) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "half-way\n"
        child.send_signal(signal.SIGKILL)
    assert slices(tmp_path) == 3
    assert finish(start(_RELAUNCH)) == ["SUCCESS"]
    assert slices(tmp_path) == 6
    assert finish(start(_RELAUNCH)) == ["SUCCESS"]
    assert slices(tmp_path) == 6


def test_after_closing_half_way_a_relaunch_goes_on(start: Start, tmp_path: Path) -> None:
    assert finish(start(_CLOSE_HALF_WAY)) == ["half-way"]
    assert finish(start(_RELAUNCH)) == ["SUCCESS"]
    assert slices(tmp_path) == 6


def test_asking_while_it_runs_starts_nothing_and_asking_after_the_end_a_further_run(
    start: Start, tmp_path: Path
) -> None:
    assert finish(start(_ASK_OFTEN)) == ["1", "SUCCESS", "SUCCESS SUCCESS"]
    assert slices(tmp_path) == 12


def test_a_run_that_failed_does_not_stand_in_the_way_of_the_next(start: Start, tmp_path: Path) -> None:
    assert finish(start(_FAIL)) == ["the telemetry store is away"]
    assert finish(start(_RUN_AGAIN)) == ["ERROR SUCCESS"]
    assert slices(tmp_path) == 6
