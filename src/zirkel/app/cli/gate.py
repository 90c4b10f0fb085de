"""``gate`` and ``compare``."""

from pathlib import Path
from typing import Annotated, cast

import typer

from zirkel.app.cli.charts import can_draw, draw_chart
from zirkel.app.cli.comparison_text import print_changes, print_comparison
from zirkel.app.cli.evaluate import ReleaseOption, Service
from zirkel.app.cli.output import (
    EXIT_CHECK_FAILED,
    EXIT_INCONCLUSIVE,
    AsJson,
    connect,
    err,
    leave,
    print_json,
    require_server,
    say,
)
from zirkel.client import Client
from zirkel.core import Invalid, Json, NotFound

VERDICT_EXITS = {"PASS": 0, "SUPERIOR": 0, "FAIL": EXIT_CHECK_FAILED, "INCONCLUSIVE": EXIT_INCONCLUSIVE}

Object = dict[str, Json]


def compare(
    service: Service,
    release: ReleaseOption = "candidate",
    segments: Annotated[bool, typer.Option("--segments", help="Also by tag, split, cluster and metadata.")] = False,
    items: Annotated[bool, typer.Option("--items", help="The items that changed, with a diff of the answers.")] = False,
    metric: Annotated[str, typer.Option(help="With --items: of which metric; the first evaluator's if empty.")] = "",
    change: Annotated[str, typer.Option(help="With --items: worse, better or any.")] = "any",
    limit: Annotated[int, typer.Option(help="With --items: how many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Print what the newest experiment found beside the baseline's; --items says why."""
    with connect() as client:
        path = f"/api/v1/services/{service}/comparison"
        report = client.get(path, {"release": release, "segments": str(segments).lower()})
        wanted = metric or next(iter(cast(Object, cast(Object, report["candidate"])["metrics"])), "error_rate")
        changes: list[Object] = []
        if items:
            query: dict[str, str | int] = {"release": release, "metric": wanted, "change": change, "limit": limit}
            changes = client.get_list(f"{path}/items", query)
    if as_json:
        print_json({**report, "items": changes} if items else report)
        return
    print_comparison(report)
    if items:
        say("")
        print_changes(wanted, changes)


def gate(
    service: Annotated[str, typer.Argument(help="Name of the service; not with --recompute.")] = "",
    release: ReleaseOption = "candidate",
    junit: Annotated[Path | None, typer.Option(help="Write the verdict as JUnit XML.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write the verdict as Markdown, with its plot as .svg beside it.")
    ] = None,
    chart: Annotated[Path | None, typer.Option(help="Write the plot, as .svg or .png.")] = None,
    pack: Annotated[Path | None, typer.Option(help="Write all that is needed to reach the verdict again.")] = None,
    recompute: Annotated[
        Path | None, typer.Option(help="Reach the verdict of a pack again, offline; exit 1 if it differs.")
    ] = None,
    public_key: Annotated[str, typer.Option(help="With --recompute: who must have signed the ledger, as hex.")] = "",
    as_json: AsJson = False,
) -> None:
    """Let the release's gate decide: PASS or SUPERIOR (exit 0), FAIL (1), INCONCLUSIVE (3)."""
    if recompute is not None:
        _recompute(recompute, public_key, as_json=as_json)
        return
    if not service:
        raise Invalid("name a service, or a pack with --recompute", path="service")
    with connect() as client:
        result = client.post(f"/api/v1/services/{service}/gate", {"release": release})
        verdict_id = str(cast(Object, result["record"])["verdict_id"])
        _write_files(client, f"/api/v1/verdicts/{verdict_id}", junit, markdown, chart, pack)
    decision = cast(Object, result["decision"])
    verdict = str(decision["verdict"])
    if as_json:
        print_json(result)
    else:
        say(f"{verdict}: {decision['reason']}")
        for note in cast("list[Json]", decision["notes"]):
            say(f"note: {note}")
    leave(VERDICT_EXITS[verdict])


def _write_files(
    client: Client, verdict: str, junit: Path | None, markdown: Path | None, chart: Path | None, pack: Path | None
) -> None:
    if junit:
        _save(client, f"{verdict}/junit", junit)
    if pack:
        _save(client, f"{verdict}/pack", pack)
    picture = chart or (markdown.with_suffix(".svg") if markdown else None)
    if picture and markdown and not chart and not can_draw():
        err.print("no plot is drawn: pip install 'zirkel[charts]'", markup=False)
        picture = None
    if picture:
        draw_chart(client.get(f"{verdict}/chart"), picture)
    if markdown:
        _save(client, f"{verdict}/markdown", markdown, {"chart": picture.name} if picture else {})


def _save(client: Client, path: str, file: Path, parameters: dict[str, str] | None = None) -> None:
    file.write_bytes(b"".join(client.download(path, parameters)))


def _recompute(pack: Path, public_key: str, *, as_json: bool) -> None:
    """Reach a verdict again from its pack alone; exit 1 with the first difference if it is not the same."""
    if not pack.is_file():
        raise NotFound(f"{pack} does not exist; write one with: zirkel gate SERVICE --pack {pack}")
    require_server()
    from zirkel.evaluate import check_gate_pack  # noqa: PLC0415 (the light client has no statistics)

    found = check_gate_pack(pack.read_bytes(), public_key)
    again: Object = {}
    if found.recomputation:
        again = {"verdict": found.recomputation.verdict, "recorded": found.recomputation.recorded}
    if as_json:
        print_json(
            {**again, "problem": found.problem, "entries": found.chain.entries, "public_key": found.chain.public_key}
        )
    elif found.problem:
        say(f"not reproduced: {found.problem}")
    else:
        signed = "signed" if found.chain.is_signature_checked else "the signature was not checked here"
        say(
            f"{again['verdict']}: reached again from the pack alone, the report is the same byte for byte; "
            f"the ledger of {found.chain.entries} entries holds ({signed})"
        )
    if found.problem:
        leave(EXIT_CHECK_FAILED)
