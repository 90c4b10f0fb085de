"""``eval`` and ``gate``."""

import time
from typing import Annotated, cast

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from zirkel.app.cli.output import (
    EXIT_CHECK_FAILED,
    EXIT_INCONCLUSIVE,
    AsJson,
    connect,
    leave,
    number,
    out,
    print_json,
    say,
    short,
)
from zirkel.client import Client, Unreachable
from zirkel.core import Json

Service = Annotated[str, typer.Argument(help="Name of the service.")]
ReleaseOption = Annotated[
    str, typer.Option("--release", help="candidate, baseline, a release number or the start of a digest.")
]
VERDICT_EXITS = {"PASS": 0, "SUPERIOR": 0, "FAIL": EXIT_CHECK_FAILED, "INCONCLUSIVE": EXIT_INCONCLUSIVE}
POLL_S = 0.5
PATIENCE_S = 60.0
"""How long the server may be away (a restart) before the command gives up; the experiment itself goes on."""

Object = dict[str, Json]


def evaluate(
    service: Service,
    release: ReleaseOption = "candidate",
    trials: Annotated[int, typer.Option(help="Answers per item.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Run the candidate and the baseline over the data set; print scores, intervals and the paired difference.

    Can be stopped and started again at any point: what was answered is not asked again.
    """
    with connect() as client:
        body: Json = {"release": release, "trials": trials}
        experiments = client.post_list(f"/api/v1/services/{service}/experiments", body)
        _follow(client, experiments, quiet=as_json)
        report = client.get(f"/api/v1/services/{service}/comparison", {"release": release})
    if as_json:
        print_json(report)
        return
    print_comparison(report)


def gate(service: Service, release: ReleaseOption = "candidate", as_json: AsJson = False) -> None:
    """Let the release's gate decide: PASS or SUPERIOR (exit 0), FAIL (1), INCONCLUSIVE (3)."""
    with connect() as client:
        result = client.post(f"/api/v1/services/{service}/gate", {"release": release})
    decision = cast(Object, result["decision"])
    verdict = str(decision["verdict"])
    if as_json:
        print_json(result)
    else:
        say(f"{verdict}: {decision['reason']}")
    leave(VERDICT_EXITS[verdict])


def print_comparison(report: Object) -> None:
    """Print both experiments and their paired differences."""
    for name in ("candidate", "baseline"):
        summary = cast("Object | None", report[name])
        if summary is None:
            say("baseline: nothing is live and none is declared; there is nothing to compare with")
            continue
        cost = f"{summary['cost_usd']} USD" if summary["cost_usd"] is not None else "cost unknown"
        say(
            f"{name}: release {short(summary['release'])}, {summary['items']} items x {summary['trials']} trials, "
            f"{summary['answered']} answered, {summary['errored']} errored, {summary['recovered']} recovered, {cost}"
        )
        for metric, found in cast("dict[str, Object]", summary["metrics"]).items():
            say(f"  {metric:<14} {_interval(found['interval'])}   flip rate {number(found['flip_rate'])}")
    paired = cast("dict[str, Object] | None", report["paired"])
    if paired is not None:
        say("difference, candidate minus baseline, paired by item:")
        for metric, found in paired.items():
            if not found["better_items"] and not found["worse_items"]:
                say(f"  {metric:<14} no item changed")
                continue
            changed = f"{found['better_items']} items better, {found['worse_items']} worse"
            say(f"  {metric:<14} {_interval(found['difference'], signed=True)}   {changed}")


def _interval(value: Json, *, signed: bool = False) -> str:
    if value is None:
        return "too few items for an interval"
    found = cast("dict[str, float]", value)
    form = "{:+.3f}" if signed else "{:.3f}"
    clusters = f", {found['n_clusters']} clusters" if found["n_clusters"] else ""
    low, high = form.format(found["low"]), form.format(found["high"])
    return f"{form.format(found['estimate'])}  95 % interval {low} to {high} ({found['n']} items{clusters})"


def _follow(client: Client, experiments: list[Object], *, quiet: bool) -> None:
    """Return when the experiments are finished; show how far they are."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    names = ["candidate", "baseline"][: len(experiments)]
    with Progress(*columns, console=out, disable=quiet or not out.is_terminal) as progress:
        tasks = {
            str(experiment["experiment_id"]): progress.add_task(name, total=_planned(experiment))
            for name, experiment in zip(names, experiments, strict=True)
        }
        lines = _PlainLines(enabled=not quiet and not out.is_terminal)
        pending = dict(tasks)
        while pending:
            for experiment_id, task in list(pending.items()):
                found = _poll(client, experiment_id)
                done = cast(int, found["answered"]) + cast(int, found["errored"])
                progress.update(task, completed=done)
                experiment = cast(Object, found["experiment"])
                lines.show(experiment_id, names[list(tasks).index(experiment_id)], done, _planned(experiment))
                if experiment["state"] == "finished":
                    del pending[experiment_id]
            time.sleep(POLL_S if pending else 0)


def _planned(experiment: Object) -> int:
    return cast(int, experiment["items"]) * cast(int, experiment["trials"])


def _poll(client: Client, experiment_id: str) -> Object:
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return client.get(f"/api/v1/experiments/{experiment_id}")
        except Unreachable:
            if time.monotonic() >= deadline_s:
                raise
            time.sleep(POLL_S)


class _PlainLines:
    """Progress where there is no terminal: a line for every tenth."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._shown: dict[str, int] = {}

    def show(self, experiment_id: str, name: str, done: int, planned: int) -> None:
        tenth = done * 10 // planned
        if self._enabled and tenth > self._shown.get(experiment_id, -1):
            self._shown[experiment_id] = tenth
            say(f"{name}: {done} of {planned} answers")
