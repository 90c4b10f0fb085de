"""``zirkel evaluators`` as a user runs it, and how ``lock`` and ``verify`` find a mistake in ``evaluators.toml``."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from zirkel.app.cli.main import app
from zirkel.core import Invalid, ZirkelError
from zirkel.evaluate.evaluators import known_kinds
from zirkel.version import encode_lock, lock_service

FILES = {
    "service.toml": 'name = "triage"\n[model]\nname = "openai/gpt-4o"\n',
    "prompt.jinja": "{{ text }}",
    "datasets/golden.jsonl": '{"id": "1", "input": {"text": "a"}}\n',
    "evaluators.toml": '[[evaluator]]\nname = "short"\nkind = "length"\nmaximum = 10\n',
    "gate.toml": '[[metric]]\nevaluator = "short"\nfloor = 0.5\n',
}


@pytest.fixture
def service(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def refusal(result: Result) -> ZirkelError:
    """Return the error that a command ended with, which the program prints and turns into an exit code."""
    assert isinstance(result.exception, ZirkelError), result.output
    return result.exception


def test_the_kinds_are_listed_with_summary_options_and_defaults() -> None:
    result = run("evaluators")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert "exact: equals the expected output" in lines
    assert "latency: how long the answer took (in ms, lower is better)" in lines
    assert "    pattern (required)" in lines
    assert '    mode = "match"' in lines
    listed = {line.partition(":")[0] for line in lines if not line.startswith(" ")}
    assert listed == set(known_kinds())


def test_a_kind_is_shown_with_what_its_values_and_options_mean() -> None:
    result = run("evaluators", "regex")
    assert "  Return 1 if the output (or its field) matches as asked, else 0" in result.output
    assert '    mode = "match"  ["match" | "fullmatch" | "absent"] Whether the pattern must match' in result.output
    assert "exact:" not in result.output


def test_the_list_is_there_as_json() -> None:
    kinds = {kind["name"]: kind for kind in json.loads(run("evaluators", "--json").output)}
    assert set(kinds) == set(known_kinds())
    assert kinds["cost"]["unit"] == "usd"
    assert kinds["cost"]["is_higher_better"] is False
    (limit,) = kinds["cost"]["options"]
    assert (limit["name"], limit["type"], limit["default"]) == ("limit", "number | none", "none")
    required = [option["name"] for option in kinds["regex"]["options"] if option["default"] is None]
    assert required == ["pattern"]


def test_a_kind_that_is_not_there_is_refused_with_those_that_are() -> None:
    error = refusal(run("evaluators", "exactly"))
    assert isinstance(error, Invalid)
    assert "'exactly'; known are exact, contains" in str(error)


def test_lock_and_verify_accept_evaluators_that_a_push_would(service: Path) -> None:
    assert run("lock", str(service)).exit_code == 0
    assert run("verify", str(service)).exit_code == 0


@pytest.mark.parametrize(
    ("evaluator", "said"),
    [
        ('kind = "lenght"', "kind 'lenght' is unknown"),
        ('kind = "length"\nmaximun = 10', "unknown field `maximun`"),
        ('kind = "length"\nmaximum = "ten"', "Expected `int"),
        ('kind = "regex"\npattern = "(?=a)"', "no look-around"),
    ],
)
def test_a_mistake_in_an_evaluator_is_found_before_the_push(service: Path, evaluator: str, said: str) -> None:
    (service / "evaluators.toml").write_text(f'[[evaluator]]\nname = "short"\n{evaluator}\n')
    error = refusal(run("lock", str(service)))
    assert isinstance(error, Invalid)
    assert said in str(error)
    assert not (service / "zirkel.lock").exists()


def test_verify_refuses_a_service_whose_lock_fits_and_whose_evaluators_do_not(service: Path) -> None:

    (service / "evaluators.toml").write_text('[[evaluator]]\nname = "short"\nkind = "lenght"\n')
    (service / "zirkel.lock").write_bytes(encode_lock(lock_service(service)))
    assert "'lenght' is unknown" in str(refusal(run("verify", str(service))))
