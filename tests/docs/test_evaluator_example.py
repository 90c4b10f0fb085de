"""The package of the how-to is built, installed into a folder, and judges."""

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from zirkel.core import DatasetItem, EvaluatorSpec, Scored, Unscored
from zirkel.evaluate.code_runner import CodeAnswer, CodeRunner, CodeSpec
from zirkel.evaluate.evaluators import check_evaluator, score_subject
from zirkel.evaluate.subject import Subject
from zirkel.evaluate.tools import NoTools
from zirkel.version import ServiceFiles
from zirkel.version.files import parse_evaluators

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "write-an-evaluator.md").read_text()
SERVICE = {
    "service.toml": 'name = "triage"\n[model]\nname = "openai/gpt-4o"\n',
    "prompt.jinja": "{{ text }}",
    "datasets/golden.jsonl": '{"id": "1", "input": {"text": "a"}}\n',
    "gate.toml": '[[metric]]\nevaluator = "short"\nfloor = 0.5\n',
}
JUDGE = """
from zirkel.core import DatasetItem, EvaluatorSpec
from zirkel.evaluate.evaluators import score_subject
from zirkel.evaluate.subject import Subject
from zirkel.evaluate.tools import NoTools
spec = EvaluatorSpec(name="short", kind="sentences", options={"most": 2})
for output in ("One. Two!", "One. Two! Three?", " "):
    print(score_subject(spec, Subject(DatasetItem(id="1", input={}), output), NoTools()))
"""


def block(heading: str, language: str, number: int = 0) -> str:
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", section, re.M | re.S)
    return found[number]


def run(arguments: Sequence[str], folder: Path, packages: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(packages)}  # noqa: TID251 (what a person's shell would pass on)
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the how-to's package is installed, from a wheel that was built of its two files."""
    source, target = tmp_path_factory.mktemp("sentence-evaluator"), tmp_path_factory.mktemp("packages")
    (source / "pyproject.toml").write_text(block("A package", "toml"))
    (source / "sentence_evaluator.py").write_text(block("A package", "python"))
    build = "from setuptools import build_meta; print(build_meta.build_wheel('.'))"
    done = run(["-c", build], source, target)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(source / done.stdout.split()[-1]) as wheel:
        wheel.extractall(target)
    return target


def write_service(folder: Path, most: str) -> Path:
    evaluators = f'[[evaluator]]\nname = "short"\nkind = "sentences"\nmost = {most}\n'
    for name, text in {**SERVICE, "evaluators.toml": evaluators}.items():
        path = folder / "triage" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_an_installed_package_brings_a_kind_that_is_listed_with_its_options(packages: Path, tmp_path: Path) -> None:
    done = run(["-m", "zirkel.app", "evaluators", "sentences", "--json"], tmp_path, packages)
    assert done.returncode == 0, done.stderr
    (kind,) = json.loads(done.stdout)
    assert kind["summary"] == "has few sentences"
    assert kind["options"] == [
        {"name": "most", "type": "whole number", "default": "3", "meaning": "Most sentences that an answer may have."}
    ]


def test_the_kind_of_a_package_judges(packages: Path, tmp_path: Path) -> None:
    done = run(["-c", JUDGE], tmp_path, packages)
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first.startswith("Scored(value=1.0")
    assert "{'sentences': 2}" in first
    assert second.startswith("Scored(value=0.0")
    assert third.startswith("Unscored(reason='the answer is empty'")


def test_a_service_may_use_the_kind_and_its_options_are_checked(packages: Path, tmp_path: Path) -> None:
    good = run(["-m", "zirkel.app", "lock", "triage"], write_service(tmp_path, "2"), packages)
    assert good.returncode == 0, good.stderr
    assert run(["-m", "zirkel.app", "verify", "triage"], tmp_path, packages).returncode == 0
    for most, said in (("0", "most 0 is below 1"), ('"x"', "Expected `int`")):
        wrong = run(["-m", "zirkel.app", "lock", "triage"], write_service(tmp_path, most), packages)
        assert wrong.returncode == 2
        assert said in wrong.stderr


def test_without_the_package_the_service_is_refused_by_name_of_the_kind(tmp_path: Path) -> None:
    done = run(["-m", "zirkel.app", "lock", "triage"], write_service(tmp_path, "2"), tmp_path)
    assert done.returncode == 2
    assert "kind 'sentences' is unknown" in done.stderr
    assert not (tmp_path / "triage" / "zirkel.lock").exists()


def test_the_function_of_the_how_to_judges() -> None:
    class Processes(NoTools):
        runner = CodeRunner()

        def run_code(self, spec: CodeSpec, call: bytes) -> CodeAnswer:
            return self.runner.run(spec, call)

    (spec,) = evaluators(block("A function in `evaluators.toml`", "toml"))
    check_evaluator(spec)
    tools = Processes()
    item = DatasetItem(id="1", input={}, metadata={"city": "Graz"})
    assert score_subject(spec, Subject(item, "In GRAZ."), tools) == Scored(1.0)
    assert score_subject(spec, Subject(item, "In Linz."), tools) == Scored(0.0)
    without = DatasetItem(id="1", input={})
    assert score_subject(spec, Subject(without, ""), tools) == Unscored("the item has no city")
    tools.runner.close()


def test_the_address_of_the_how_to_can_be_configured() -> None:
    (spec,) = evaluators(block("A web address", "toml"))
    check_evaluator(spec)


def evaluators(text: str) -> list[EvaluatorSpec]:
    return parse_evaluators(ServiceFiles({"evaluators.toml": text.encode()})).evaluator
