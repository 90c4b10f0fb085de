"""``scores``."""

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Annotated, cast

import typer

from zirkel.app.cli.output import AsJson, connect, print_json, say
from zirkel.core import ERROR_KINDS, Invalid, Json, ScoreKind, ScoreOrigin, ZirkelError, iso_utc

LARGEST_PAGE = 1000

scores_app = typer.Typer(help="Scores on traces, spans, sessions and experiments.", no_args_is_help=True)

Trace = Annotated[str, typer.Option("--trace", help="On this trace, or on a span of it.")]
Span = Annotated[str, typer.Option("--span", help="On this span.")]
Session = Annotated[str, typer.Option("--session", help="On this session.")]
Experiment = Annotated[str, typer.Option("--experiment", help="On this experiment.")]
Origin = Annotated[ScoreOrigin | None, typer.Option(help="Given by a person, code, a judge or an end user.")]


@scores_app.command("add")
def add_score(
    name: str,
    value: Annotated[str, typer.Option(help="A number, true or false.")] = "",
    label: Annotated[str, typer.Option(help="A category, or a text with --kind text.")] = "",
    kind: Annotated[ScoreKind | None, typer.Option(help="What it is, if the value does not say it.")] = None,
    trace: Trace = "",
    span: Span = "",
    session: Session = "",
    experiment: Experiment = "",
    item: Annotated[str, typer.Option(help="On this item of the experiment.")] = "",
    origin: Annotated[ScoreOrigin, typer.Option(help="Who gives it.")] = ScoreOrigin.PERSON,
    author: Annotated[str, typer.Option(help="Of a judge: its model.")] = "",
    evaluator: Annotated[str, typer.Option(help="Name and version of the evaluator.")] = "",
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    user: Annotated[str, typer.Option(help="The end user who gave it.")] = "",
    score_id: Annotated[str, typer.Option("--id", help="Corrects the score with this id, or gives the id.")] = "",
    as_json: AsJson = False,
) -> None:
    """Give a score, or correct one."""
    fields: dict[str, Json] = {
        "name": name,
        "value": _read_value(value) if value else None,
        "label": label,
        "kind": kind.value if kind else None,
        "trace_id": trace,
        "span_id": span,
        "session_id": session,
        "experiment_id": experiment,
        "item_id": item,
        "origin": origin.value,
        "author": author,
        "evaluator": evaluator,
        "comment": comment,
        "user_id": user,
        "score_id": score_id,
    }
    with connect() as client:
        (answer,) = client.add_scores([{name: given for name, given in fields.items() if given not in (None, "")}])
    if answer["outcome"] == "refused":
        raise _refusal(cast("Mapping[str, Json]", answer["error"]))
    print_json(answer) if as_json else say(f"{answer['outcome']} {answer['score_id']}")


@scores_app.command("list")
def list_scores(
    trace: Trace = "",
    span: Span = "",
    session: Session = "",
    experiment: Experiment = "",
    name: Annotated[str, typer.Option(help="Of this name.")] = "",
    origin: Origin = None,
    since: Annotated[str, typer.Option(help="First given at or after: ISO 8601, or UTC nanoseconds.")] = "",
    until: Annotated[str, typer.Option(help="First given before.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List scores as they are now, those first given newest first."""
    filters = {
        "trace_id": trace,
        "span_id": span,
        "session_id": session,
        "experiment_id": experiment,
        "name": name,
        "origin": origin.value if origin else "",
        "since": since,
        "until": until,
    }
    wanted: dict[str, str | int] = {name: value for name, value in filters.items() if value}
    with connect() as client:
        rows = list(islice(client.list_scores(wanted | {"limit": min(limit, LARGEST_PAGE)}), limit))
    _show(rows, "no score was given that fits", as_json=as_json)


@scores_app.command("history")
def score_history(score_id: str, as_json: AsJson = False) -> None:
    """Show all versions of a score, the first one first: what, when, by whom."""
    with connect() as client:
        _show(client.score_history(score_id), "", as_json=as_json)


@scores_app.command("withdraw")
def withdraw_score(score_id: str, as_json: AsJson = False) -> None:
    """Take a score back: it is listed no more, and its history stays."""
    with connect() as client:
        answer = client.withdraw_score(score_id)
    print_json(answer) if as_json else say(f"{answer['outcome']} {answer['score_id']}")


def _read_value(text: str) -> bool | float:
    if text in ("true", "false"):
        return text == "true"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise Invalid(f"--value {text!r} is not a finite number, true or false; a category goes into --label")
    return value


def _refusal(error: Mapping[str, Json]) -> ZirkelError:
    return ERROR_KINDS.get(str(error["code"]), ZirkelError)(
        str(error["message"]), path=cast("str | None", error["path"])
    )


def _show(rows: list[dict[str, Json]], empty: str, *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    for row in rows:
        said = " ".join(_said(row))
        say(f"{iso_utc(cast(int, row['time_ns']))}  {row['score_id']}  {row['name']} {said}")
    if not rows:
        say(empty)


def _said(row: Mapping[str, Json]) -> Iterator[str]:
    """Yield what a score says, on what, and by whom."""
    value = cast("float | None", row["value"])
    if value is None:
        yield repr(row["label"])
    else:
        yield str(value == 1).lower() if row["kind"] == ScoreKind.BOOLEAN else f"{value:g}"
    for kind in ("span", "trace", "session", "item", "experiment"):
        if row[f"{kind}_id"]:
            yield f"on {kind} {row[f'{kind}_id']}"
    yield f"by {row['origin']} {row['author']}"
    if row["is_withdrawn"]:
        yield "(withdrawn)"
    if row["comment"]:
        yield f"({row['comment']})"
