"""``eval``."""

import time
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from zirkel.app.cli.comparison_text import print_comparison
from zirkel.app.cli.evaluate_costs import print_estimate, print_spending
from zirkel.app.cli.evaluate_system import run_system
from zirkel.app.cli.output import AsJson, connect, out, print_json, say
from zirkel.client import Client, Unreachable
from zirkel.core import Invalid, Json

Service = Annotated[str, typer.Argument(help="Name of the service.")]
ReleaseOption = Annotated[
    str, typer.Option("--release", help="candidate, baseline, a release number or the start of a digest.")
]
POLL_S = 0.5
PATIENCE_S = 60.0
"""How long the server may be away (a restart) before the command gives up; the experiment itself goes on."""

Object = dict[str, Json]


def evaluate(
    service: Annotated[str, typer.Argument(help="Name of the service; none with --system.")] = "",
    release: ReleaseOption = "candidate",
    trials: Annotated[int, typer.Option(help="Answers per item.")] = 2,
    concurrency: Annotated[int | None, typer.Option(help="Calls at once; the server's setting by default.")] = None,
    requests_per_s: Annotated[float | None, typer.Option(help="Calls a second at most.")] = None,
    tokens_per_min: Annotated[int | None, typer.Option(help="Input and output tokens a minute at most.")] = None,
    early_stop: Annotated[bool, typer.Option("--early-stop", help="Stop as soon as the gate is decided.")] = False,
    seed: Annotated[int, typer.Option(help="Of the items' order, with --early-stop.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask again what was answered in other experiments.")] = False,
    estimate: Annotated[bool, typer.Option("--estimate", help="Only say what it would cost.")] = False,
    system: Annotated[Path | None, typer.Option(help="In place of a service: a system.toml, run from here.")] = None,
    dataset: Annotated[
        str, typer.Option(help="With --system: a file of items, or a server's NAME or NAME@VERSION.")
    ] = "",
    evaluators: Annotated[Path, typer.Option(help="With --system: an evaluators.toml.")] = Path("evaluators.toml"),
    as_json: AsJson = False,
) -> None:
    """Run the candidate and the baseline over the data set; print scores, intervals and the paired difference.

    Can be stopped and started again at any point: what was answered is not asked again.
    """
    if system is not None:
        wish: Object = {"concurrency": concurrency, "requests_per_s": requests_per_s, "tokens_per_min": tokens_per_min}
        run_system(system, dataset, evaluators, {**wish, "trials": trials, "name": service}, as_json=as_json)
        return
    if not service:
        raise Invalid("name a service, or a system with --system", path="service")
    body: Json = {
        "release": release,
        "trials": trials,
        "concurrency": concurrency,
        "requests_per_s": requests_per_s,
        "tokens_per_min": tokens_per_min,
        "early_stop": early_stop,
        "seed": seed,
        "fresh": fresh,
    }
    with connect() as client:
        if estimate or not as_json:
            costs = client.get(f"/api/v1/services/{service}/estimate", {"release": release, "trials": trials})
            print_json(costs) if as_json else print_estimate(costs)
        if estimate:
            return
        experiments = client.post_list(f"/api/v1/services/{service}/experiments", body)
        _follow(client, experiments, quiet=as_json)
        report = client.get(f"/api/v1/services/{service}/comparison", {"release": release})
        if as_json:
            print_json(report)
            return
        print_comparison(report)
        for name, experiment in zip(("candidate", "baseline"), experiments, strict=False):
            spent = client.get(f"/api/v1/experiments/{experiment['experiment_id']}/spending")
            print_spending(name, spent)


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
