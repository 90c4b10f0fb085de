"""``status``."""

from typing import cast

from zirkel.app.cli.evaluate import Service
from zirkel.app.cli.output import AsJson, connect, number, print_json, say, short
from zirkel.core import Json

Object = dict[str, Json]


def status(service: Service, as_json: AsJson = False) -> None:
    """Answer the four questions: which version runs, how good is it, what does it cost, does it drift?"""
    with connect() as client:
        answer = client.get(f"/api/v1/services/{service}/status")
    if as_json:
        print_json(answer)
    else:
        print_status(answer)


def print_status(answer: Object) -> None:
    """Print the four answers."""
    say(f"{answer['service']}: {answer['description']}")
    say("1. Which version is running?")
    _say_all(_running_lines(answer), "nothing was shipped yet; next: zirkel eval, zirkel gate, zirkel ship")
    say("2. How good is it?")
    _say_all(_quality_lines(answer), "not evaluated yet; next: zirkel eval")
    say(f"3. What does it cost? (last {answer['cost_window_hours']} h)")
    _say_all([_cost_line(line) for line in cast("list[Object]", answer["cost"])], "no requests yet")
    say("4. Does it drift?")
    checks = cast("list[Object]", answer["drift"])
    _say_all([f"{check['environment']} {check['measure']}: {_drift(check)}" for check in checks], "nothing is live yet")


def _say_all(lines: list[str], empty: str) -> None:
    for line in lines or [empty]:
        say(f"   {line}")


def _running_lines(answer: Object) -> list[str]:
    return [
        f"{environment['environment']}: {arm['name']} = release {arm['release_number']} ({short(arm['release'])}) for "
        f"{cast(float, arm['weight']):.0%} of the units since {arm['since']}, by {arm['by']}; "
        f"gate: {arm['verdict'] or 'never asked'}"
        for environment in cast("list[Object]", answer["running"])
        for arm in cast("list[Object]", environment["arms"])
    ]


def _quality_lines(answer: Object) -> list[str]:
    lines = []
    for release, found in cast("dict[str, Object]", answer["quality"]).items():
        for metric, value in cast("dict[str, Object]", found["metrics"]).items():
            interval = cast("Object | None", value["interval"])
            shown = "too few items"
            if interval:
                bounds = f"{number(interval['low'])} to {number(interval['high'])}"
                shown = f"{number(interval['estimate'])} (95 % interval {bounds})"
            lines.append(f"release {short(release)}: {metric} {shown}, {found['items']} items x {found['trials']}")
    return lines


def _cost_line(line: Object) -> str:
    unknown = f", {line['unknown_costs']} of unknown price" if line["unknown_costs"] else ""
    return (
        f"{line['environment']} {line['arm']} {short(line['release'])}: {line['requests']} requests, "
        f"{line['cost_usd']} USD{unknown}, {line['errors']} errors, {line['fallback_answers']} by fallback, "
        f"p50 {number(line['latency_p50_ms'], 0)} ms, p95 {number(line['latency_p95_ms'], 0)} ms"
    )


def _drift(check: Object) -> str:
    if check["state"] == "not_enough_data":
        return (
            f"not enough data: {check['n_reference']} before and {check['n_current']} now, "
            f"{check['n_needed']} needed on each side"
        )
    word = "drifted" if check["state"] == "drift" else "no drift"
    return f"{word} (p {number(check['p_value'], 4)}, shift of {number(check['effect'], 2)} standard deviations)"
