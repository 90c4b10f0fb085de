"""Evaluations that are cut off and taken up again: no answer is asked for twice."""

from collections import Counter
from typing import cast

import pytest

from tests.flows.harness import Object, Stack, Upstream, wait_for
from tests.flows.service_files import ServiceFolder

pytestmark = pytest.mark.flow

TRIALS = 2


def _require_one_call_for_each_answer(upstream: Upstream, service: ServiceFolder) -> None:
    calls = upstream.calls(service.name)
    # An experiment's trace id is derived from experiment, item and trial: a second call would have the same one.
    assert Counter(call["trace_id"] for call in calls).most_common(1)[0][1] == 1
    by_question = Counter(call["text"] for call in calls)
    assert len(by_question) == service.items * 2
    assert set(by_question.values()) == {TRIALS}


def _require_all_answered(report: Object, service: ServiceFolder) -> None:
    for name in ("candidate", "baseline"):
        summary = cast(Object, report[name])
        assert (summary["answered"], summary["errored"]) == (service.items * TRIALS, 0)


def test_an_evaluation_goes_on_after_a_kill_of_the_core_without_asking_anything_twice(
    own_stack: Stack, own_upstream: Upstream, service: ServiceFolder
) -> None:
    own_stack.push(service)
    own_upstream.control(delay_s=0.08)
    command = own_stack.start_command("eval", service.name, "--trials", str(TRIALS))
    wait_for(lambda: len(own_upstream.calls(service.name)) >= service.items, "a quarter of the calls")

    own_stack.kill("core")

    assert command.wait(90) == 0
    _require_one_call_for_each_answer(own_upstream, service)
    own_upstream.control(delay_s=0)
    report = own_stack.run("eval", service.name, "--trials", str(TRIALS), "--json").json()
    _require_all_answered(report, service)
    assert cast(Object, report["candidate"])["recovered"] or cast(Object, report["baseline"])["recovered"]
    _require_one_call_for_each_answer(own_upstream, service)


def test_an_evaluation_whose_command_is_killed_goes_on_and_is_taken_up_again(
    stack: Stack, own_upstream: Upstream, service: ServiceFolder
) -> None:
    stack.set_upstream("slow", own_upstream)
    service.use_models("slow/stub-1")
    stack.push(service)
    own_upstream.control(delay_s=0.05)
    command = stack.start_command("eval", service.name, "--trials", str(TRIALS))
    wait_for(lambda: len(own_upstream.calls(service.name)) >= service.items // 2, "some calls")
    command.kill()
    command.wait()

    report = stack.run("eval", service.name, "--trials", str(TRIALS), "--json").json()

    _require_all_answered(report, service)
    _require_one_call_for_each_answer(own_upstream, service)


def test_evaluating_again_after_the_end_makes_no_call_and_finds_the_same(
    stack: Stack, upstream: Upstream, service: ServiceFolder
) -> None:
    stack.push(service)
    first = stack.run("eval", service.name, "--trials", str(TRIALS), "--json").json()
    calls = len(upstream.calls(service.name))
    second = stack.run("eval", service.name, "--trials", str(TRIALS), "--json").json()

    assert calls == service.items * TRIALS * 2
    assert len(upstream.calls(service.name)) == calls
    assert second == first


def test_scores_are_what_the_answers_deserve(stack: Stack, service: ServiceFolder) -> None:
    stack.push(service)
    report = stack.run("eval", service.name, "--trials", "1", "--json").json()

    paired = cast(Object, cast(Object, report["paired"])["label_match"])
    assert cast(Object, paired["difference"])["estimate"] == pytest.approx(0.25)
    assert (paired["better_items"], paired["worse_items"]) == (service.items // 4, 0)
    metrics = cast("dict[str, Object]", cast(Object, report["baseline"])["metrics"])
    assert cast(Object, metrics["label_match"]["interval"])["estimate"] == pytest.approx(0.75)
    assert cast(Object, metrics["valid_output"]["interval"])["estimate"] == 1


def test_an_answer_that_failed_is_asked_again_by_the_next_evaluation_and_blocks_the_gate_until_then(
    stack: Stack, own_upstream: Upstream, service: ServiceFolder
) -> None:
    stack.set_upstream("failing", own_upstream)
    service.use_models("failing/stub-1")
    service.set_items(4)
    stack.push(service)
    own_upstream.control(status=400)
    report = stack.run("eval", service.name, "--trials", "1", "--json").json()
    assert cast(Object, report["candidate"])["errored"] == service.items
    assert stack.command("gate", service.name).exit_code == 3

    own_upstream.control(status=200)
    report = stack.run("eval", service.name, "--trials", "1", "--json").json()

    assert (cast(Object, report["candidate"])["answered"], cast(Object, report["candidate"])["errored"]) == (4, 0)
