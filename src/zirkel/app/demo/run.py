"""The demo's order of steps, its figures, and its end."""

import json
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from zirkel.app.demo.facts import Facts
from zirkel.app.demo.loop_steps import decide, evaluate, push_and_lock, roll_back, ship_candidate, ship_first
from zirkel.app.demo.processes import Stack, StepFailed
from zirkel.app.demo.proof_steps import four_answers, join_traces, look_at_console, verify_evidence
from zirkel.app.demo.server_steps import start_models, start_zirkel
from zirkel.app.demo.setting import DemoOptions, Setting, make_setting
from zirkel.app.demo.traffic_steps import call_both_arms, fall_back

Say = Callable[[str], None]
MARKER = ".made-by-zirkel-demo"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the demo."""

    title: str
    run: Callable[[Setting], None]


STEPS = (
    Step("start a real language model", start_models),
    Step("zirkel up: core and gateway in one data directory", start_zirkel),
    Step("push, lock and verify a service", push_and_lock),
    Step("ship what is live today, as a recorded exception", ship_first),
    Step("evaluate candidate and baseline on the real model, with a SIGKILL in the middle", evaluate),
    Step("let the gate decide", decide),
    Step("ship: a rollout with two arms", ship_candidate),
    Step("traffic through the OpenAI SDK, plain and streamed", call_both_arms),
    Step("traces: OpenTelemetry spans join the gateway's", join_traces),
    Step("stop the primary model: the fallback answers", fall_back),
    Step("look at the console in a real browser", look_at_console),
    Step("roll back in under a second", roll_back),
    Step("the four answers", four_answers),
    Step("verify the evidence", verify_evidence),
)


def run_demo(options: DemoOptions, say: Say) -> None:
    """Run every step; write ``summary.json``; leave nothing running unless asked to.

    Raises:
        StepFailed: If a step did not do what it claims.
    """
    _make_folder(options.folder)
    stack = Stack(options.folder)
    setting = make_setting(options, stack, say)
    started_s = time.monotonic()
    for stop in (signal.SIGTERM, signal.SIGINT):
        # Set for both: a shell starts what it puts into the background with SIGINT ignored.
        signal.signal(stop, _interrupt)
    try:
        for number, step in enumerate(STEPS, start=1):
            say(f"\n[{number}/{len(STEPS)}] {step.title}")
            step_started_s = time.monotonic()
            step.run(setting)
            setting.facts.seconds[step.title] = round(time.monotonic() - step_started_s, 1)
        setting.facts.seconds["in all"] = round(time.monotonic() - started_s, 1)
        _write_summary(options.folder / "summary.json", setting.facts)
        _say_end(setting, say)
        if options.keep:
            _wait_for_interrupt(say)
    finally:
        stack.stop_all()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # As for Ctrl-C: what was started is stopped on the way out.
    raise KeyboardInterrupt


def _make_folder(folder: Path) -> None:
    if folder.exists():
        if not (folder / MARKER).exists() and any(folder.iterdir()):
            raise StepFailed(f"{folder} holds something that no demo made; name another folder with --folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARKER).touch()


def _write_summary(path: Path, facts: Facts) -> None:
    path.write_text(json.dumps(facts.to_json(), indent=2) + "\n")


def _say_end(setting: Setting, say: Say) -> None:
    say(f"\nall {len(STEPS)} steps did what they claim, in {setting.facts.seconds['in all']:.0f} s")
    say(f"figures  {setting.options.folder / 'summary.json'}")
    if setting.options.keep:
        say(f"sign in  with the API key {setting.api_key}")
    say(f"console  {setting.core_url}/" + ("" if setting.options.keep else "   (with --keep it stays up)"))


def _wait_for_interrupt(say: Say) -> None:
    say("running; stop with Ctrl-C")
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        say("stopping")
