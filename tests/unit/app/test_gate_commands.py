"""``zirkel compare``, ``gate`` and ``plan`` as a user runs them, against a real server."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import cast
from xml.etree import ElementTree as ET

import pytest
import uvicorn
from fastapi import FastAPI
from typer.testing import CliRunner, Result

from tests.unit.evaluate.measured import NoJudges
from zirkel.api.auth import Guard, guarded_principal
from zirkel.api.errors import install_error_handlers
from zirkel.api.rest import gates_router, verdicts_router
from zirkel.api.services import Services
from zirkel.app.cli import app as command_line
from zirkel.core import (
    ExperimentRecord,
    ExperimentState,
    Invalid,
    NotFound,
    Principal,
    Role,
    Scored,
    SystemClock,
    TrialRecord,
    TrialState,
    score_to_json,
    sha256_hex,
)
from zirkel.evaluate import Evaluation, Planning, check_policy
from zirkel.evaluate.estimate import CallEstimate, Estimate, Range
from zirkel.govern import SYSTEM, Access, Evidence, Vault
from zirkel.store.blobs import Blobs
from zirkel.store.metadata import Metadata
from zirkel.version import Registry

ITEMS = 60
FILES = {
    "service.toml": b'name = "triage"\n[model]\nname = "openai/gpt-4o"\n[baseline]\nprompt = "old.jinja"\n',
    "prompt.jinja": b"{{ review }}",
    "old.jinja": b"old {{ review }}",
    "datasets/golden.jsonl": b"\n".join(
        json.dumps({"id": f"i{n:02d}", "input": {"review": f"r{n}"}, "expected": "x", "tags": [f"t{n % 3}"]}).encode()
        for n in range(ITEMS)
    ),
    "evaluators.toml": b'[[evaluator]]\nname = "match"\nkind = "exact"\n',
    "gate.toml": b'[[metric]]\nevaluator = "match"\nmargin = 0.15\n[[metric]]\nevaluator = "cost_usd"\nmargin = 0.01\n',
}


class Silent:
    """Tells no gateway."""

    def publish(self) -> None:
        pass


class FixedCosts:
    """An estimate that is always the same."""

    def estimate(self, actor: Principal, service: str, reference: str = "candidate", trials: int = 2) -> Estimate:
        return Estimate((CallEstimate(reference, ITEMS * trials, 0, Range(0.5, 1, 2), "prompts counted"),), ())


@dataclass(frozen=True)
class GateServices:
    """The services these routes use."""

    access: Access
    evaluation: Evaluation
    planning: Planning
    evidence: Evidence


@dataclass
class Shell:
    """A user's shell, with an admin key of the server, and the experiments of a service."""

    metadata: Metadata
    registry: Registry
    url: str
    key: str
    project_id: str

    def invoke(self, *arguments: str) -> Result:
        """Run ``zirkel``; what it raised is raised."""
        environment = {"ZIRKEL_URL": self.url, "ZIRKEL_API_KEY": self.key, "COLUMNS": "200"}
        return CliRunner().invoke(command_line, arguments, env=environment, catch_exceptions=False)

    def evaluate(self, wrong: int, baseline_wrong: int) -> None:
        """Have both releases answer; so many of the first items are answered wrongly."""
        for reference, count in (("candidate", wrong), ("baseline", baseline_wrong)):
            self._answer(self.registry.resolve(self.project_id, "triage", reference), count)

    def _answer(self, release: str, wrong: int) -> None:
        bundle = self.registry.open(self.project_id, release)
        candidate = self.registry.open(self.project_id, self.registry.resolve(self.project_id, "triage", "candidate"))
        plan = candidate.artefacts["dataset"], candidate.artefacts["evaluators"]
        record = ExperimentRecord(
            self.project_id, release[:32], "triage", release, *plan, 1, ITEMS, ExperimentState.FINISHED, 1
        )
        with self.metadata.transaction() as tx:
            tx.experiments.add(record)
            tx.experiments.claim(
                TrialRecord(
                    project_id=self.project_id,
                    experiment_id=record.experiment_id,
                    item_id=item.id,
                    trial=0,
                    state=TrialState.ANSWERED,
                    claimed_ns=1,
                    trace_id="ab" * 16,
                    output="bad\nanswer" if n < wrong else "good\nanswer",
                    scores={"match": score_to_json(Scored(float(n >= wrong), reason="as [expected]"))},
                    cost_usd=Decimal("0.001"),
                )
                for n, item in enumerate(bundle.dataset)
            )


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    clock = SystemClock()
    metadata = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", clock)
    vault = Vault(b"m" * 32)
    access = Access(metadata, Silent(), vault, lambda text: sha256_hex(text.encode()), clock)
    blobs = Blobs.open(f"memory://{tmp_path}")
    registry = Registry(metadata, blobs, clock, check_policy=check_policy)
    first = access.create_key(SYSTEM, "ann", frozenset({Role.ADMIN}))
    who = access.authenticate(first.text)
    registry.push(who, FILES)
    evaluation = Evaluation(metadata, registry, blobs, NoJudges(), clock)
    planning = Planning(metadata, registry, FixedCosts())
    services = cast(Services, GateServices(access, evaluation, planning, Evidence(metadata, vault, clock)))
    api = FastAPI(openapi_url=None)
    install_error_handlers(api)
    api.add_middleware(Guard, authenticate=access.authenticate)
    for router in (gates_router, verdicts_router):
        api.include_router(router(services, guarded_principal))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(api, log_level="error", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        yield Shell(metadata, registry, url, first.text, who.project_id)
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
        metadata.close()


@pytest.mark.parametrize(
    ("wrong", "baseline_wrong", "verdict", "code"),
    [(0, 0, "PASS", 0), (0, 30, "SUPERIOR", 0), (40, 0, "FAIL", 1), (8, 0, "INCONCLUSIVE", 3)],
)
def test_the_exit_code_is_the_verdict(shell: Shell, wrong: int, baseline_wrong: int, verdict: str, code: int) -> None:
    shell.evaluate(wrong, baseline_wrong)
    result = shell.invoke("gate", "triage")
    assert result.exit_code == code
    assert result.stdout.startswith(f"{verdict}: ")


def test_a_gate_writes_what_ci_shows_and_an_auditor_checks(shell: Shell, tmp_path: Path) -> None:
    shell.evaluate(40, 0)
    names = ("gate.xml", "gate.md", "gate.jsonl")
    junit, markdown, pack = (tmp_path / name for name in names)
    result = shell.invoke("gate", "triage", "--junit", str(junit), "--markdown", str(markdown), "--pack", str(pack))
    assert result.exit_code == 1
    assert ET.parse(junit).find("testsuite/testcase/failure") is not None
    assert "![What differs, beside the margins](gate.svg)" in markdown.read_text()
    assert (tmp_path / "gate.svg").read_text().startswith("<svg")
    again = shell.invoke("gate", "--recompute", str(pack))
    assert again.exit_code == 0, again.output
    assert again.stdout.startswith("FAIL: reached again from the pack alone, the report is the same byte for byte")
    pack.write_bytes(pack.read_bytes().replace(b'"answered":60', b'"answered":61', 1))
    changed = shell.invoke("gate", "--recompute", str(pack), "--json")
    assert changed.exit_code == 1
    assert "the inputs are not those that the ledger names" in json.loads(changed.stdout)["problem"]


def test_the_plot_alone_is_svg_or_png(shell: Shell, tmp_path: Path) -> None:
    shell.evaluate(0, 0)
    picture = tmp_path / "plot.png"
    assert shell.invoke("gate", "triage", "--chart", str(picture)).exit_code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(Invalid, match=r"ends neither in \.svg nor in \.png"):
        shell.invoke("gate", "triage", "--chart", str(tmp_path / "plot.pdf"))


def test_a_gate_wants_a_service_or_a_pack(shell: Shell, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="name a service"):
        shell.invoke("gate")
    with pytest.raises(NotFound, match="does not exist"):
        shell.invoke("gate", "--recompute", str(tmp_path / "none.jsonl"))


def test_a_comparison_shows_what_changed_with_a_diff_and_reasons(shell: Shell) -> None:
    shell.evaluate(5, 1)
    text = shell.invoke("compare", "triage", "--segments", "--items", "--limit", "2").stdout
    assert "match" in text
    assert "0 items better, 4 worse" in text
    assert "cost_usd" in text
    assert "tag:t0" in text
    assert "finding where to look" in text
    assert "-good" in text
    assert "+bad" in text
    assert "candidate 1: match 0.0 (as [expected])" in text
    assert text.count("  input: ") == 2
    found = json.loads(shell.invoke("compare", "triage", "--items", "--change", "better", "--json").stdout)
    assert found["items"] == []
    assert found["paired"]["match"]["worse_items"] == 4


def test_a_plan_says_what_the_gate_could_say_and_at_which_price(shell: Shell) -> None:
    result = shell.invoke("plan", "triage", "--trials", "1")
    assert result.exit_code == 0
    assert result.stdout.startswith("60 items x 1 trials x 2 releases: about 1 USD (0.5 to 2)\n")
    assert "assumed: " in result.stdout
    assert "cost_usd: cannot be planned: no experiment measured it yet" in result.stdout
    shell.evaluate(5, 1)
    planned = json.loads(shell.invoke("plan", "triage", "--trials", "1", "--items", "400", "--json").stdout)
    assert (planned["items"], planned["outlook"]) == (400, "enough")
    assert planned["metrics"][0]["basis"].startswith("measured: releases ")
    assert planned["price_usd"]["likely"] == pytest.approx(1 + 340 * 0.002)


def test_margins_in_percent_are_refused_when_they_are_pushed(shell: Shell) -> None:
    wrong = {**FILES, "gate.toml": b'[[metric]]\nevaluator = "match"\nmargin = 5.0\n'}
    with pytest.raises(Invalid, match=r"margin 5\.0 of 'match' is not above 0 and below 1"):
        shell.registry.push(Principal(shell.project_id, "k", "ann", frozenset({Role.ADMIN})), wrong)
