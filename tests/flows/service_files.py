"""Services as files, for an upstream that answers as the prompt's ``variant`` says (see ``upstream_server``)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ITEMS = 24
REVIEW = "item 1 is good"
"""What is asked where only the way matters."""


@dataclass(slots=True)
class ServiceFolder:
    """A service that tests push."""

    name: str
    folder: Path
    items: int = 0

    def write(self, path: str, text: str) -> None:
        """Replace a file of the service."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def set_variant(self, variant: str) -> None:
        """Change how right the candidate's answers are: a new release."""
        self.write("chat.toml", _prompt(self.name, variant))

    def use_models(self, *models: str) -> None:
        """Call the first of ``models``, and the others as the fallback chain."""
        self.write("service.toml", _service(self.name, models))
        self.write("prices.toml", "\n".join(_price(model) for model in models))

    def set_items(self, items: int) -> None:
        """Change how many items the data set has: a new release."""
        self.items = items
        self.write("datasets/golden.jsonl", "".join(_item(number) for number in range(items)))

    def set_minimum_items(self, minimum: int) -> None:
        """Change how many items the gate asks for: a new release."""
        self.write("gate.toml", _gate(minimum))


def write_service(folder: Path, name: str) -> ServiceFolder:
    """Write a service of ``ITEMS`` items whose candidate is always right and whose baseline mostly is."""
    service = ServiceFolder(name, folder / name)
    service.use_models("alpha/stub-1")
    service.write("baseline.toml", _prompt(name, "mostly"))
    service.write("evaluators.toml", _EVALUATORS)
    service.write("context/policy.md", "Happy is positive, unhappy is negative.\n")
    service.write("context/examples.jsonl", json.dumps({"user": "Review: fine", "assistant": "{}"}) + "\n")
    service.set_items(ITEMS)
    service.set_variant("right")
    service.set_minimum_items(ITEMS // 2)
    return service


_EVALUATORS = """
[[evaluator]]
name = "label_match"
kind = "exact"
field = "label"

[[evaluator]]
name = "valid_output"
kind = "json_field"
field = "label"
one_of = ["positive", "negative"]
"""


def _service(name: str, models: Sequence[str]) -> str:
    first, *others = models
    fallback = "".join(f'\n[[fallback]]\nname = "{model}"\n' for model in others)
    return (
        f'name = "{name}"\ndescription = "Sorts reviews."\nunit = "user"\n\n'
        f'[model]\nname = "{first}"\n\n[model.parameters]\ntemperature = 0.1\n{fallback}\n'
        '[baseline]\nprompt = "baseline.toml"\n'
    )


def _prompt(name: str, variant: str) -> str:
    return (
        '[variables]\nreview = "string"\n\n'
        f'[[messages]]\nrole = "system"\ncontent = "service {name}, variant {variant}: answer in JSON"\n\n'
        '[[messages]]\nrole = "user"\ncontent = "Review: {{ review }}"\n'
    )


def _gate(minimum_items: int) -> str:
    return (
        f"alpha = 0.05\nminimum_items = {minimum_items}\n\n"
        '[[metric]]\nevaluator = "label_match"\nmargin = 0.1\nfloor = 0.5\n\n'
        '[[metric]]\nevaluator = "valid_output"\nfloor = 0.8\n'
    )


def _price(model: str) -> str:
    return f'[[price]]\nmodel = "{model}"\neffective = "2026-01-01"\ninput = "1.00"\noutput = "2.00"\n'


def _item(number: int) -> str:
    word, label = ("good", "positive") if number % 2 else ("bad", "negative")
    item = {"id": f"i-{number:03}", "input": {"review": f"item {number} is {word}"}, "expected": label}
    return json.dumps(item) + "\n"
