"""The templates for CI servers are YAML, and what they run exists."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import typer.main
import yaml

from zirkel.app.cli import app
from zirkel.core import EvaluatorSpec, EvaluatorsSpec, GatePolicy
from zirkel.evaluate import check_policy
from zirkel.version.gate_check import check_gate

FOLDER = Path(__file__).parents[2] / "docs" / "how-to" / "ci"
TEMPLATES = sorted(FOLDER.glob("*.yml"))
WANTED = ["verify", "push", "plan", "eval", "gate"]


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


def _commands(template: Path) -> list[list[str]]:
    loaded = yaml.safe_load(template.read_text())
    lines = [line.strip() for text in _texts(loaded) for line in text.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("zirkel ")]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_runs_the_whole_loop_with_commands_and_options_that_exist(template: Path) -> None:
    commands = _commands(template)
    assert [words[0] for words in commands] == WANTED
    known_commands = getattr(typer.main.get_command(app), "commands", {})
    for words in commands:
        known = {option for parameter in known_commands[words[0]].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_keeps_what_the_gate_wrote(template: Path) -> None:
    gate = next(words for words in _commands(template) if words[0] == "gate")
    written = [word for word in gate if re.fullmatch(r"gate\.\w+", word)]
    assert len(written) == 3
    kept = set("\n".join(_texts(yaml.safe_load(template.read_text()))).split())
    assert {*written, "gate.svg"} <= kept


def test_the_policy_of_the_how_to_is_one() -> None:
    page = (FOLDER.parent / "gate-a-release.md").read_text()
    (text,) = re.findall(r"^```toml\n(.*?)^```$", page, re.M | re.S)
    policy = msgspec.toml.decode(text, type=GatePolicy)
    check_gate(policy, ["label_match"])
    check_policy(policy, EvaluatorsSpec(evaluator=[EvaluatorSpec(name="label_match", kind="exact")]))


def test_the_how_to_names_every_template() -> None:
    page = (FOLDER.parent / "gate-a-release.md").read_text()
    assert len(TEMPLATES) == 2
    assert [template.name for template in TEMPLATES if f"ci/{template.name}" not in page] == []
