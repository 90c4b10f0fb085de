"""Version, evaluate, gate, ship, roll back."""

import os
import shutil
import signal
import subprocess
import sys
import time
from typing import cast

from zirkel.app.config import clean_environment
from zirkel.app.demo.processes import StepFailed
from zirkel.app.demo.setting import SERVICE, Setting
from zirkel.app.demo.traffic_steps import ask_plain
from zirkel.core import Json

WEIGHT = 0.5
EVALUATE_TIMEOUT_S = 600
KILL_AT = 0.3
"""Share of the answers after which the core is killed."""


def push_and_lock(demo: Setting) -> None:
    """Push twice; lock; verify; verify a copy in which one byte differs."""
    pushed = demo.stack.run("push", str(demo.example), "--json").json()
    demo.facts.candidate_release = str(pushed["release"])
    demo.facts.baseline_release = str(pushed["baseline"])
    demo.require(pushed["is_changed"] is True, "the first push registers a release")
    again = demo.stack.run("push", str(demo.example), "--json").json()
    demo.require(again["is_changed"] is False, "pushing the same files again changes nothing")
    demo.say(f"release {demo.facts.candidate_release[:12]}, baseline {demo.facts.baseline_release[:12]}; twice is once")
    copy = demo.stack.folder / "copy"
    shutil.copytree(demo.example, copy)
    demo.stack.run("lock", str(copy))
    demo.stack.run("verify", str(copy))
    changed = copy / "context" / "examples.jsonl"
    data = bytearray(changed.read_bytes())
    data[0] ^= 1
    changed.write_bytes(data)
    verified = demo.stack.command("verify", str(copy))
    demo.require(verified.exit_code == 1 and "context/examples.jsonl" in verified.output, "verify names the file")
    demo.say(f"one byte differs: {verified.output.strip()}")


def ship_first(demo: Setting) -> None:
    """Shipping without a gate is refused; the prototype that is live already is adopted as a recorded exception."""
    refused = demo.stack.command("ship", SERVICE, "--to", "production", "--release", "baseline")
    demo.require(refused.exit_code == 1, "shipping without a passing gate is refused")
    demo.say(f"refused: {refused.errors.strip()}")
    reason = "the prototype was live before Zirkel"
    demo.stack.run("ship", SERVICE, "--to", "production", "--release", "baseline", "--break-glass", reason)
    demo.say(f"baseline is live in production by exception: {reason}")


def evaluate(demo: Setting) -> None:
    """Run both releases over the data set; kill the core on the way; no answer is asked for twice."""
    with subprocess.Popen(  # noqa: S603 (our own command, no shell)
        [sys.executable, "-m", "zirkel.app", "eval", SERVICE], env=clean_environment(demo.stack.environment)
    ) as process:
        try:
            _kill_core_on_the_way(demo, process)
            if process.wait(EVALUATE_TIMEOUT_S) != 0:
                raise StepFailed(f"`zirkel eval` ended with {process.returncode}")
        finally:
            process.terminate()
    with demo.client() as client:
        report = client.get(f"/api/v1/services/{SERVICE}/comparison")
        stored = client.get("/api/v1/traces", {"limit": 1, "total": "true"})["total"]
    summaries = [cast("dict[str, Json]", report[name]) for name in ("candidate", "baseline")]
    demo.facts.answers = sum(cast(int, summary["answered"]) for summary in summaries)
    demo.facts.answers_recovered = sum(cast(int, summary["recovered"]) for summary in summaries)
    planned = sum(cast(int, summary["items"]) * cast(int, summary["trials"]) for summary in summaries)
    demo.require(demo.facts.answers == planned, f"all {planned} questions were answered")
    demo.require(stored == planned, f"{planned} answers took {stored} calls: none was paid for twice")
    demo.say(f"{planned} answers, {planned} calls; {demo.facts.answers_recovered} found again after the SIGKILL")


def decide(demo: Setting) -> None:
    """Ask the gate."""
    result = demo.stack.command("gate", SERVICE, "--json")
    demo.require(result.exit_code == 0, f"the gate passes (it said: {result.output.strip() or result.errors.strip()})")
    decision = cast("dict[str, Json]", result.json()["decision"])
    demo.facts.gate_verdict = str(decision["verdict"])
    demo.facts.gate_reason = str(decision["reason"])
    demo.say(f"{decision['verdict']}: {decision['reason']}")


def ship_candidate(demo: Setting) -> None:
    """Start the rollout."""
    shipped = demo.stack.run("ship", SERVICE, "--to", "production", "--weight", str(WEIGHT))
    demo.say(shipped.output.strip())


def roll_back(demo: Setting) -> None:
    """Roll back and ask at once."""
    with demo.client() as client:
        started_s = time.monotonic()
        client.post(f"/api/v1/services/{SERVICE}/rollback", {"environment": "production"})
        demo.facts.rollback_seconds = round(time.monotonic() - started_s, 3)
    demo.require(demo.facts.rollback_seconds < 1, "the rollback took less than a second")
    for unit in range(8):
        answer = ask_plain(demo, f"after-{unit}")
        demo.require(answer.release == demo.facts.baseline_release, "the next request gets the previous release")
    demo.say(
        f"rolled back in {demo.facts.rollback_seconds * 1000:.0f} ms; the next 8 units all get the previous release"
    )


def _kill_core_on_the_way(demo: Setting, process: "subprocess.Popen[bytes]") -> None:
    with demo.client() as client:
        body: Json = {"release": "candidate", "trials": 2}
        first = client.post_list(f"/api/v1/services/{SERVICE}/experiments", body)[0]
        planned = cast(int, first["items"]) * cast(int, first["trials"])
        done = 0
        while done < KILL_AT * planned and process.poll() is None:
            time.sleep(0.2)
            done = cast(int, client.get(f"/api/v1/experiments/{first['experiment_id']}")["answered"])
    os.kill(_core_process(demo), signal.SIGKILL)
    demo.say(f"killed the core (SIGKILL) after {done} of {planned} answers of the candidate; it goes on by itself")


def _core_process(demo: Setting) -> int:
    """Return the core's process id: the supervisor's child that runs it."""
    supervisor = demo.stack.processes["zirkel"].pid
    children = f"/proc/{supervisor}/task/{supervisor}/children"
    with open(children) as file:
        for child in file.read().split():
            with open(f"/proc/{child}/cmdline", "rb") as command:
                if b"core" in command.read().split(b"\x00"):
                    return int(child)
    raise StepFailed("the core's process was not found")
