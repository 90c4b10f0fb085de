"""``eval --system``: a system that is not behind the gateway, asked from here."""

from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from zirkel.app.cli.output import out, print_json, require_server, say
from zirkel.core import Invalid, Json

Object = dict[str, Json]


def run_system(file: Path, dataset: str, evaluators: Path, wish: Object, *, as_json: bool) -> None:
    """Run an evaluation of the system that a file describes, and print what it found."""
    require_server()
    import msgspec  # noqa: PLC0415 (as below)

    from zirkel.app.local_evaluation import LocalOptions, evaluate_locally  # noqa: PLC0415 (a client's install lacks it)
    from zirkel.app.system_file import open_system  # noqa: PLC0415 (as above)

    if not dataset:
        raise Invalid("name a file of items, or a server's data set, with --dataset", path="dataset")
    given = {name: value for name, value in wish.items() if value is not None}
    options = msgspec.convert({**given, "name": given.get("name") or file.stem}, LocalOptions)
    system = open_system(file, threads=options.concurrency)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=out, disable=as_json or not out.is_terminal) as progress:
        task = progress.add_task(options.name, total=None)
        result = evaluate_locally(system, dataset, evaluators, options, lambda _: progress.advance(task))
    if as_json:
        print_json(result.to_dict())
        return
    say(str(result))
    if result.experiment_id:
        say(f"uploaded as experiment {result.experiment_id}")
