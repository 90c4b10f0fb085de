"""``label``, ``labels`` and ``calibration``."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast
from urllib.parse import quote

import typer

from zirkel.app.cli.calibration_view import calibration_lines
from zirkel.app.cli.label_keys import open_keys
from zirkel.app.cli.label_session import LabelSession, Object
from zirkel.app.cli.output import EXIT_CHECK_FAILED, AsJson, connect, leave, print_json, say
from zirkel.client import Client
from zirkel.core import Invalid, Json

labels_app = typer.Typer(help="Labels of answers, out of the system and into it.", no_args_is_help=True)

Service = Annotated[str, typer.Argument(help="Name of the service.")]
EvaluatorOption = Annotated[str, typer.Option("--evaluator", help="Only for this evaluator.")]


def label(
    service: Service,
    evaluator: EvaluatorOption = "",
    disputed: Annotated[
        bool, typer.Option("--disputed", help="Settle answers that raters differ about, instead of labelling.")
    ] = False,
    draw: Annotated[int, typer.Option(min=0, help="First draw so many answers more into the queue.")] = 0,
    release: Annotated[str, typer.Option(help="Whose answers are drawn, with those of its baseline.")] = "candidate",
    second_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the drawn answers that two people are asked about.")
    ] = 0.2,
) -> None:
    """Label answers one by one, by key, without seeing the judge's score, the release or other labels.

    The first time, 100 answers are drawn. Keys can also be fed through standard input.
    """
    with connect() as client, open_keys() as keys:
        desk = ApiDesk(client, service, evaluator)
        is_first = not desk.progress()["drawn"]
        if draw or (is_first and not disputed):
            wish: Json = {"evaluator": evaluator, "release": release, "second_share": second_share}
            found = client.post(f"{desk.path}/sample", {**cast(Object, wish), "answers": draw or 100})
            say(f"{found['drawn']} answers are drawn for {found['evaluator']}")
        session = LabelSession(desk, keys, say, disputed=disputed)
        say(f"{session.run()} labels given")


@labels_app.command("export")
def export_labels(
    service: Service,
    file: Annotated[Path, typer.Argument(help="A JSONL file to write; - is standard output.")],
    evaluator: EvaluatorOption = "",
) -> None:
    """Write all labels with their versions, one JSON object a line."""
    with connect() as client:
        chunks = client.download(f"/api/v1/services/{quote(service, safe='')}/labels", {"evaluator": evaluator})
        if str(file) == "-":
            for chunk in chunks:
                sys.stdout.buffer.write(chunk)
            return
        with file.open("wb") as target:
            target.writelines(chunks)
    count = file.read_bytes().count(b"\n")
    say(f"{file}: {count} labels")


@labels_app.command("import")
def import_labels(
    service: Service,
    file: Annotated[Path, typer.Argument(help="A JSONL file, as `zirkel labels export` writes it.")],
    as_json: AsJson = False,
) -> None:
    """Take labels that were given elsewhere; what is known already changes nothing."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise Invalid(f"{file}: {error.strerror}", path=str(file)) from error
    with connect() as client:
        done = client.upload(f"/api/v1/services/{quote(service, safe='')}/labels", data, "application/jsonl")
    refused = cast("list[Object]", done["refused"])
    if as_json:
        print_json(done)
    else:
        say(f"{done['added']} labels added, {done['unchanged']} known already, {len(refused)} refused")
        for line in refused[:20]:
            say(f"   line {line['line']}: {line['message']}")
    if refused:
        leave(EXIT_CHECK_FAILED)


def calibration(
    service: Service,
    evaluator: Annotated[
        str, typer.Argument(help="Name of the evaluator; the only one that needs labels if absent.")
    ] = "",
    release: Annotated[
        str, typer.Option(help="candidate, baseline, a release number or the start of a digest.")
    ] = "candidate",
    as_json: AsJson = False,
) -> None:
    """Say how far a judge and people agree, and whether it is good enough to decide by (exit 0, else 1)."""
    with connect() as client:
        parameters = {"evaluator": evaluator, "release": release}
        report = client.get(f"/api/v1/services/{quote(service, safe='')}/calibration", parameters)
    if as_json:
        print_json(report)
    else:
        for line in calibration_lines(report):
            say(line)
    if report["state"] != "calibrated":
        leave(EXIT_CHECK_FAILED)


@dataclass(frozen=True, slots=True)
class ApiDesk:
    """The queue of one service, over the API."""

    client: Client
    service: str
    evaluator: str

    @property
    def path(self) -> str:
        """Of the service's labels."""
        return f"/api/v1/services/{quote(self.service, safe='')}/labels"

    def next(self, disputed: bool) -> Object:
        """Return what is to be labelled next, with the progress."""
        wanted = f"evaluator={quote(self.evaluator, safe='')}&disputed={str(disputed).lower()}"
        return self.client.post(f"{self.path}/next?{wanted}", None)

    def progress(self) -> Object:
        """Return how far the queue is."""
        return cast(Object, self.next(disputed=False)["progress"])

    def give(self, task_id: str, said: Object, disputed: bool) -> Object:
        """Label an answer, or settle it."""
        return self.client.put(f"/api/v1/label-tasks/{task_id}/{'decision' if disputed else 'label'}", said)

    def skip(self, task_id: str) -> None:
        """Do not be asked again."""
        self.client.post(f"/api/v1/label-tasks/{task_id}/skip", None)

    def undo(self, task_id: str) -> None:
        """Take back what was said of a task."""
        self.client.delete(f"/api/v1/label-tasks/{task_id}/label")
