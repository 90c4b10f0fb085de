"""The metrics: counted by workers, kept over restarts, joined into one text that Prometheus reads."""

import asyncio
import re
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from zirkel.core import ManualClock, Usage
from zirkel.gateway.exposition import METRICS, PREFIX, STALE_S, HistogramSample, WorkerState, render_metrics
from zirkel.gateway.exposition import render_states as render
from zirkel.gateway.metrics import OTHER, AttemptEnd, CallEnd, GatewayMetrics

NOW_NS = 1_700_000_000_000_000_000
REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parse(text: str) -> Series:
    found: Series = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name.removeprefix(PREFIX), frozenset(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def value(series: Series, name: str, /, **labels: str) -> float:
    return series[name, frozenset(labels.items())]


def make(folder: Path, worker: str = "w0", *, most_label_sets: int = 500) -> GatewayMetrics:
    return GatewayMetrics(worker, folder, NOW_NS, most_label_sets=most_label_sets)


CALL = CallEnd(
    project="p",
    service_or_model="service:triage",
    status=200,
    duration_s=1.5,
    cost_usd=Decimal("0.25"),
    first_token_s=0.5,
    output_tokens=11,
)


def test_a_call_shows_in_each_of_its_metrics(tmp_path: Path) -> None:
    metrics = make(tmp_path)
    metrics.call_started()
    metrics.call_started()
    metrics.call_ended(CALL)
    metrics.dump(NOW_NS)
    series = parse(render_metrics(tmp_path, NOW_NS))
    name = "service:triage"
    assert value(series, "calls_total", project="p", service_or_model=name, status_class="2xx", error_type="") == 1
    assert value(series, "in_flight") == 1
    assert value(series, "cost_usd_total", project="p", service_or_model=name) == 0.25
    assert value(series, "call_duration_seconds_sum", service_or_model=name) == 1.5
    assert value(series, "call_duration_seconds_bucket", service_or_model=name, le="1.28") == 0
    assert value(series, "call_duration_seconds_bucket", service_or_model=name, le="2.56") == 1
    assert value(series, "time_to_first_token_seconds_sum", service_or_model=name) == 0.5
    assert value(series, "time_per_output_token_seconds_sum", service_or_model=name) == 0.1


def test_a_call_without_tokens_says_nothing_about_their_pace(tmp_path: Path) -> None:
    metrics = make(tmp_path)
    metrics.call_ended(CallEnd(project="p", service_or_model="m", status=502, duration_s=1.0, error_type="connect"))
    names = {name for name, _ in parse(render([metrics.state(NOW_NS)], NOW_NS))}
    assert "call_duration_seconds_count" in names
    assert not any(name.startswith("time_") for name in names)


def test_an_attempt_counts_its_buckets_and_whether_its_price_was_known(tmp_path: Path) -> None:
    metrics = make(tmp_path)
    usage = Usage(input_tokens=10, cache_read_tokens=4, output_tokens=0)
    metrics.attempt_ended(AttemptEnd("openai", "gpt-4o", "first", usage=usage))
    metrics.attempt_ended(AttemptEnd("openai", "gpt-4o", "retry", "http_503", cost_usd=Decimal(0)))
    series = parse(render([metrics.state(NOW_NS)], NOW_NS))
    assert value(series, "tokens_total", model="openai/gpt-4o", bucket="input") == 10
    assert value(series, "tokens_total", model="openai/gpt-4o", bucket="cache_read") == 4
    assert value(series, "unpriced_attempts_total", model="openai/gpt-4o") == 1
    labels = {"upstream": "openai", "model": "gpt-4o"}
    assert value(series, "attempts_total", reason="first", outcome="ok", **labels) == 1
    assert value(series, "attempts_total", reason="retry", outcome="http_503", **labels) == 1


def test_a_restarted_worker_goes_on_and_its_gauges_start_anew(tmp_path: Path) -> None:
    first = make(tmp_path)
    first.call_started()
    first.call_started()
    first.call_ended(CALL)
    first.count("retries_total", 3)
    first.dump(NOW_NS)
    second = make(tmp_path)
    second.count("retries_total")
    second.call_started()
    second.call_ended(CALL)
    series = parse(render([second.state(NOW_NS)], NOW_NS))
    assert value(series, "retries_total") == 4
    assert value(series, "call_duration_seconds_count", service_or_model="service:triage") == 2
    assert value(series, "in_flight") == 0


def test_workers_are_joined_and_a_gone_one_keeps_counting(tmp_path: Path) -> None:
    for worker, retries in (("w0", 2), ("w1", 5)):
        metrics = make(tmp_path, worker)
        metrics.count("retries_total", retries)
        metrics.count("in_flight", retries)
        metrics.set("resting", 1 if worker == "w0" else 0, upstream="u", model="m")
        metrics.serve_snapshot(7, NOW_NS - 3_000_000_000)
        metrics.dump(NOW_NS if worker == "w0" else NOW_NS - int((STALE_S + 1) * 1e9))
    series = parse(render_metrics(tmp_path, NOW_NS))
    assert value(series, "retries_total") == 7
    assert value(series, "in_flight") == 2
    assert value(series, "resting", upstream="u", model="m") == 1
    assert value(series, "snapshot_version", worker="w0") == 7
    assert value(series, "snapshot_age_seconds", worker="w0") == 3
    assert value(series, "worker_rss_bytes", worker="w0") > 1 << 20
    assert value(series, "worker_start_time_seconds", worker="w0") == NOW_NS / 1e9
    assert ("snapshot_version", frozenset({("worker", "w1")})) not in series


def test_a_damaged_file_is_left_out_and_replaced(tmp_path: Path) -> None:
    (tmp_path / "w0.json").write_bytes(b'{"worker":')
    metrics = make(tmp_path)
    metrics.count("retries_total")
    assert value(parse(render_metrics(tmp_path, NOW_NS)), "retries_total") == 0
    metrics.dump(NOW_NS)
    assert value(parse(render_metrics(tmp_path, NOW_NS)), "retries_total") == 1


def test_what_another_version_counted_otherwise_is_left_out(tmp_path: Path) -> None:
    old = {
        "worker": "w0",
        "written_ns": NOW_NS,
        "format": 1,
        "values": {"gone_total": [[[], 5]], "retries_total": [[["label"], 1]]},
        "histograms": {"call_duration_seconds": [[["m"], [1, 2], 3.0]]},
    }
    (tmp_path / "w0.json").write_bytes(msgspec.json.encode(old))
    series = parse(render_metrics(tmp_path, NOW_NS))
    assert value(series, "retries_total") == 0
    assert not any(name.startswith(("gone", "call_duration")) for name, _ in series)


def test_label_values_of_any_text_survive(tmp_path: Path) -> None:
    metrics = make(tmp_path)
    hostile = 'a"b\\c\nd{}=, é'
    metrics.count("unpriced_attempts_total", model=hostile)
    assert value(parse(render([metrics.state(NOW_NS)], NOW_NS)), "unpriced_attempts_total", model=hostile) == 1


@given(names=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), max_size=60))
def test_nothing_is_lost_past_the_bound_and_the_bound_holds(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    metrics = make(tmp_path_factory.mktemp("metrics"), most_label_sets=5)
    for number, name in enumerate(names):
        metrics.count("calls_total", project=name, service_or_model=name, status_class=f"{number % 5}xx", error_type="")
        metrics.observe("call_duration_seconds", 1.0, service_or_model=name)
    state = metrics.state(NOW_NS)
    assert sum(sample.value for sample in state.values["calls_total"]) == len(names)
    assert sum(sum(sample.counts) for sample in state.histograms["call_duration_seconds"]) == len(names)
    assert len(state.values["calls_total"]) <= 11
    assert len(state.histograms["call_duration_seconds"]) <= 6


def test_past_the_bound_closed_labels_stay(tmp_path: Path) -> None:
    metrics = make(tmp_path, most_label_sets=1)
    for project in ("a", "b"):
        metrics.count("calls_total", project=project, service_or_model="m", status_class="5xx", error_type="x")
    others = {"project": OTHER, "service_or_model": OTHER, "error_type": OTHER}
    assert value(parse(render([metrics.state(NOW_NS)], NOW_NS)), "calls_total", status_class="5xx", **others) == 1


def test_a_name_or_label_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    metrics = make(tmp_path)
    with pytest.raises(KeyError):
        metrics.count("no_such_total")
    with pytest.raises(KeyError):
        metrics.count("hedges_total", won_by="true")


@pytest.mark.parametrize("worker", ["", "../w", "a/b", ".hidden"])
def test_a_worker_name_that_is_no_file_name_is_refused(tmp_path: Path, worker: str) -> None:
    with pytest.raises(ValueError, match="worker name"):
        make(tmp_path, worker)


observations = st.lists(st.floats(0, 200, allow_subnormal=False), max_size=30)


@given(workers=st.lists(observations, min_size=1, max_size=4))
def test_joined_histograms_equal_the_obvious_ones(
    tmp_path_factory: pytest.TempPathFactory, workers: list[list[float]]
) -> None:
    folder = tmp_path_factory.mktemp("metrics")
    for number, values in enumerate(workers):
        metrics = make(folder, f"w{number}")
        for seconds in values:
            metrics.observe("call_duration_seconds", seconds, service_or_model="m")
        metrics.dump(NOW_NS)
    series = parse(render_metrics(folder, NOW_NS))
    everything = [seconds for values in workers for seconds in values]
    if not everything:
        assert not any(name.startswith("call_duration") for name, _ in series)
        return
    bounds = next(metric.bounds for metric in METRICS if metric.name == "call_duration_seconds")
    for bound in bounds:
        expected = sum(seconds <= bound for seconds in everything)
        text = f"{bound:g}" if bound != int(bound) else str(int(bound))
        assert value(series, "call_duration_seconds_bucket", service_or_model="m", le=text) == expected
    assert value(series, "call_duration_seconds_bucket", service_or_model="m", le="+Inf") == len(everything)
    assert value(series, "call_duration_seconds_count", service_or_model="m") == len(everything)
    assert value(series, "call_duration_seconds_sum", service_or_model="m") == pytest.approx(sum(everything))


def test_the_file_is_written_until_the_end_of_the_work(tmp_path: Path) -> None:
    metrics = make(tmp_path)

    async def work() -> None:
        task = asyncio.ensure_future(metrics.keep_dumping(ManualClock(NOW_NS), interval_s=3600))
        await asyncio.sleep(0)
        metrics.count("retries_total")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(work())
    assert value(parse(render_metrics(tmp_path, NOW_NS)), "retries_total") == 1


def test_a_file_that_cannot_be_written_is_no_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    metrics = make(tmp_path / "gone")
    (tmp_path / "gone").rmdir()

    async def work() -> None:
        task = asyncio.ensure_future(metrics.keep_dumping(ManualClock(NOW_NS), interval_s=0))
        for _ in range(5):
            await asyncio.sleep(0)
        (tmp_path / "gone").mkdir()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(work())
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert (tmp_path / "gone" / "w0.json").exists()


def test_every_family_has_its_type_and_its_help() -> None:
    one = WorkerState("w0", NOW_NS, histograms={"call_duration_seconds": [HistogramSample(["m"], [1] * 15, 2.0)]})
    families = {family.name: family for family in text_string_to_metric_families(render([one], NOW_NS))}
    for metric in METRICS:
        family = families[PREFIX + (metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name)]
        assert (family.type, family.documentation) == (metric.kind, metric.help)


def test_counters_are_named_as_counters() -> None:
    assert [m.name for m in METRICS if (m.kind == "counter") != m.name.endswith("_total")] == []
    assert [m.name for m in METRICS if (m.kind == "histogram") != bool(m.bounds)] == []


def documented(page: str) -> Iterable[tuple[str, str, tuple[str, ...]]]:
    for name, kind, labels in re.findall(r"^\| `zirkel_gateway_(\w+)` \| (\w+) \| ([^|]*) \|", page, re.M):
        yield name, kind, tuple(re.findall(r"`(\w+)`", labels))


def test_every_metric_is_documented_and_no_other() -> None:
    expected = {(m.name, m.kind, (*m.labels, "worker") if m.join == "worker" else m.labels) for m in METRICS}
    assert set(documented(REFERENCE.read_text())) == expected
