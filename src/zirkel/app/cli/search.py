"""``traces``, ``spans``, ``sessions``, ``users``, ``aggregate``, ``sql`` and ``export``."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, cast
from urllib.parse import quote

import typer

from zirkel.app.cli.output import AsJson, connect, err, number, print_json, say
from zirkel.client.http import Parameters
from zirkel.core import Invalid, Json, iso_utc

Object = Mapping[str, Json]
Where = Annotated[
    str, typer.Option("--where", help='A filter: \'service = "x" and cost_usd > 0.01 and output ~ "refund"\'.')
]
Since = Annotated[str, typer.Option(help="The earliest start: a time, or e.g. -24h.")]
Until = Annotated[str, typer.Option(help="The time before which it starts.")]
Limit = Annotated[int, typer.Option(help="At most so many, 1 to 1000.")]
Cursor = Annotated[str, typer.Option(help="Go on where a page ended.")]
Order = Annotated[str, typer.Option(help="start, cost or latency; the largest first.")]
SHORT_TEXT = 60


def traces(
    service: Annotated[str, typer.Argument(help="Only this service's.")] = "",
    where: Where = "",
    since: Since = "",
    until: Until = "",
    order: Order = "start",
    limit: Limit = 20,
    cursor: Cursor = "",
    trace_id: Annotated[str, typer.Option("--id", help="Show this trace's spans.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the newest traces that have a span which satisfies a filter, or show the spans of one."""
    with connect() as client:
        if trace_id:
            spans = client.get_list(f"/api/v1/traces/{quote(trace_id, safe='')}")
            print_json(spans) if as_json else print_tree(spans)
            return
        asked = {"filter": with_service(service, where), "since": since, "until": until, "order": order}
        found = client.get("/api/v1/traces", {**asked, "limit": limit, "cursor": cursor})
    if as_json:
        print_json(found)
        return
    for trace in cast("list[Object]", found["traces"]):
        totals = cast(Object, trace["totals"])
        say(
            f"{_time(trace['start_ns'])}  {trace['trace_id']}  {str(trace['service'] or trace['name'])[:24]:<24} "
            f"{trace['status']:<6} {_ms(trace['duration_ns']):>10}  {_usd(totals['cost_usd']):>14}  "
            f"{_line(trace['input'])}"
        )
    _say_more(found)


def spans(
    where: Where = "",
    since: Since = "",
    until: Until = "",
    order: Order = "start",
    limit: Limit = 20,
    cursor: Cursor = "",
    as_json: AsJson = False,
) -> None:
    """List the newest spans that satisfy a filter."""
    asked: Parameters = {
        "filter": where, "since": since, "until": until, "order": order, "limit": limit, "cursor": cursor,
    }  # fmt: skip
    with connect() as client:
        found = client.get("/api/v1/spans", asked)
    if as_json:
        print_json(found)
        return
    for span in cast("list[Object]", found["spans"]):
        say(
            f"{_time(span['start_ns'])}  {span['trace_id']}  {span['kind']:<10} {str(span['name'])[:28]:<28} "
            f"{span['status']:<6} {_ms(span['duration_ns']):>10}  {_usd(span['cost_usd']):>14}"
        )
    _say_more(found)


def sessions(
    session_id: Annotated[str, typer.Argument(help="Show this session as a conversation.")] = "",
    where: Where = "",
    since: Since = "",
    until: Until = "",
    limit: Limit = 20,
    cursor: Cursor = "",
    as_json: AsJson = False,
) -> None:
    """List sessions, those active last first, or show one as a conversation."""
    with connect() as client:
        if session_id:
            conversation = client.get(f"/api/v1/sessions/{quote(session_id, safe='')}")
            print_json(conversation) if as_json else _print_conversation(conversation)
            return
        asked: Parameters = {"filter": where, "since": since, "until": until, "limit": limit, "cursor": cursor}
        found = client.get("/api/v1/sessions", asked)
    print_json(found) if as_json else _print_groups(found, "sessions")


def users(
    where: Where = "",
    since: Since = "",
    until: Until = "",
    limit: Limit = 20,
    cursor: Cursor = "",
    as_json: AsJson = False,
) -> None:
    """List end users, those active last first."""
    asked: Parameters = {"filter": where, "since": since, "until": until, "limit": limit, "cursor": cursor}
    with connect() as client:
        found = client.get("/api/v1/users", asked)
    print_json(found) if as_json else _print_groups(found, "users")


def aggregate(
    measures: Annotated[list[str], typer.Argument(help="count, p95(latency), sum(cost_usd), distinct(user), …")],
    by: Annotated[list[str] | None, typer.Option(help="A field to split by; may be given up to four times.")] = None,
    over: Annotated[str, typer.Option(help="Length of the stretches that time is cut into, e.g. 1h.")] = "",
    where: Where = "",
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option(help="Most series, 1 to 200.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Print statistics of spans, by any fields and over time."""
    asked: Parameters = {
        "measure": measures, "by": by or [], "over": over, "filter": where, "since": since, "until": until,
        "limit": limit,
    }  # fmt: skip
    with connect() as client:
        found = client.get("/api/v1/aggregates", asked)
    if as_json:
        print_json(found)
        return
    names, units = cast("list[str]", found["measures"]), cast("list[str]", found["units"])
    for series in cast("list[Object]", found["series"]):
        title = "(others)" if series["is_other"] else " ".join(cast("list[str]", series["values"]))
        for bucket in cast("list[Object]", series["buckets"]):
            points = cast("list[Object]", bucket["points"])
            values = [
                f"{name} {_value(point['value'])}{' ' + unit if unit else ''}{_unknown(point)}"
                for name, unit, point in zip(names, units, points, strict=True)
            ]
            start = f"{_time(bucket['start_ns'])}  " if found["over_ns"] else ""
            say(f"{start}{title or '-':<28} {', '.join(values)}")


def sql(
    query: Annotated[str, typer.Argument(help="One SELECT over spans, logs, points and scores.")],
    limit: Annotated[int, typer.Option(help="Most rows.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Run a read-only query over the telemetry of the project."""
    with connect() as client:
        found = client.post("/api/v1/sql", {"sql": query, "limit": limit})
    if as_json:
        print_json(found)
        return
    say("\t".join(cast("list[str]", found["columns"])))
    for row in cast("list[list[Json]]", found["rows"]):
        say("\t".join("" if value is None else str(value) for value in row))
    if found["is_cut"]:
        err.print(f"only the first {limit} rows; take more with --limit", markup=False)


def export(
    form: Annotated[Literal["jsonl", "otlp", "parquet"], typer.Argument(help="jsonl, otlp or parquet.")],
    file: Annotated[Path, typer.Argument(help="Where to write it; what was there is replaced.")],
    where: Where = "",
    since: Since = "",
    until: Until = "",
) -> None:
    """Write spans to a file: JSON lines, OTLP lines for any OpenTelemetry tool, or Parquet."""
    asked = {"filter": where, "since": since, "until": until}
    try:
        with connect() as client, _replacing(file) as target:
            size = sum(target.write(part) for part in client.download(f"/api/v1/export/{form}", asked))
    except OSError as error:
        raise Invalid(f"{file} cannot be written: {error.strerror}", path="file") from error
    err.print(f"{file}: {size:,} bytes", markup=False)


@contextmanager
def _replacing(file: Path) -> Iterator[BinaryIO]:
    """Give a file to write to, which takes the place of ``file`` at the end: a fault must not cost what was there."""
    if file.exists() and not file.is_file():
        # A pipe or a device is written to, not replaced.
        with file.open("wb") as target:
            yield target
        return
    place = file.resolve()
    unfinished = place.with_name(f"{place.name}.part")
    try:
        with unfinished.open("wb") as target:
            yield target
        unfinished.replace(place)
    finally:
        unfinished.unlink(missing_ok=True)


def with_service(service: str, where: str = "") -> str:
    """Return a filter for what satisfies ``where`` and belongs to a service; any service if that is empty."""
    if not service:
        return where
    quoted = service.replace("\\", "\\\\").replace('"', '\\"')
    return f'service = "{quoted}" and ({where})' if where else f'service = "{quoted}"'


def print_tree(spans: Sequence[Object]) -> None:
    """Print the spans of a trace as a tree; a span whose parent is not there is a root."""
    known = {str(span["span_id"]) for span in spans}
    children: dict[str, list[Object]] = {}
    for span in spans:
        parent = str(span.get("parent_span_id") or "")
        children.setdefault(parent if parent in known else "", []).append(span)
    pending = [(span, 0) for span in reversed(children.get("", []))]
    while pending:
        span, depth = pending.pop()
        duration_ns = cast(int, span["end_ns"]) - cast(int, span["start_ns"])
        cost = f"  {_usd(span['cost_usd'])}" if span.get("cost_usd") is not None else ""
        unmapped = span.get("unmapped")
        lost = f"  not understood: {', '.join(cast('list[str]', unmapped))}" if unmapped else ""
        state = span.get("status", "unset")
        say(f"{'  ' * depth}{span.get('kind', 'span'):<10} {span['name']}  {state}  {_ms(duration_ns)}{cost}{lost}")
        pending += [(child, depth + 1) for child in reversed(children.get(str(span["span_id"]), []))]


def _print_groups(found: Object, name: str) -> None:
    for group in cast("list[Object]", found[name]):
        totals = cast(Object, group["totals"])
        say(
            f"{_time(group['last_ns'])}  {group['id']}  {group['traces']} traces  "
            f"{totals['errors']} errors  {_usd(totals['cost_usd'])}"
        )
    _say_more(found)


def _print_conversation(found: Object) -> None:
    for turn in cast("list[Object]", found["turns"]):
        totals = cast(Object, turn["totals"])
        say(f"{_time(turn['start_ns'])}  {turn['trace_id']}  {_ms(turn['duration_ns'])}  {_usd(totals['cost_usd'])}")
        say(f"  > {turn['input']}")
        say(f"  < {turn['output']}")


def _say_more(found: Object) -> None:
    if found["cursor"]:
        err.print(f"there are more; go on with --cursor {found['cursor']}", markup=False)


def _time(time_ns: Json) -> str:
    return iso_utc(cast(int, time_ns))


def _ms(duration_ns: Json) -> str:
    return f"{cast(int, duration_ns) / 1e6:,.1f} ms"


def _usd(cost: Json) -> str:
    return "unknown" if cost is None else f"{cost} USD"


def _value(value: Json) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() else number(value)
    return "-" if value is None else str(value)


def _unknown(point: Object) -> str:
    return f" ({point['unknown']} unknown)" if point["unknown"] else ""


def _line(text: Json) -> str:
    line = " ".join(str(text or "").split())
    return line if len(line) <= SHORT_TEXT else f"{line[: SHORT_TEXT - 1]}…"
