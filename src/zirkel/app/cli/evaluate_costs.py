"""What evaluations would cost and have cost, as lines."""

from typing import cast

from zirkel.app.cli.output import say, short
from zirkel.core import Json

Object = dict[str, Json]


def print_estimate(estimate: Object) -> None:
    """Print what an evaluation would cost, before it starts."""
    for name, part in zip(("candidate", "baseline"), cast("list[Object]", estimate["systems"]), strict=False):
        say(f"{name} {short(part['name'])}: {_calls(part)}: {_range(part)}")
    for part in cast("list[Object]", estimate["judges"]):
        say(f"judge {part['name']}: {_calls(part)}: {_range(part)}")


def print_spending(name: str, spent: Object) -> None:
    """Print what an experiment has cost."""
    cached = cast(int, spent["cached_answers"])
    saved = f"; {cached} answers were there before, which saved {_usd(spent['saved_usd'])}" if cached else ""
    judges = f", judges {_usd(spent['judges_usd'])}"
    say(f"{name}: {spent['calls']} calls, {_usd(spent['system_usd'])}{judges}{saved}")


def _calls(part: Object) -> str:
    cached = f", {part['cached']} more are there already" if part["cached"] else ""
    return f"{part['calls']} calls{cached}"


def _range(part: Object) -> str:
    cost = cast("dict[str, float] | None", part["cost_usd"])
    if not part["calls"]:
        return "nothing"
    if cost is None:
        return f"cost unknown ({part['basis']})"
    return f"about {cost['likely']:.4f} USD, {cost['low']:.4f} to {cost['high']:.4f} ({part['basis']})"


def _usd(value: Json) -> str:
    return "cost unknown" if value is None else f"{value} USD"
