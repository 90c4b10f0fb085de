"""From the inputs of a verdict to its report, on any machine, and whether a kept report is what they give. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from zirkel.core import Incompatible, Json, canonical_json, digest
from zirkel.evaluate.comparison import Comparison, compare
from zirkel.evaluate.gate import GateDecision, decide
from zirkel.evaluate.gate_inputs import STATISTICS_VERSION, GateInputs, decode_inputs, encode_inputs
from zirkel.evaluate.report import gate_report


@dataclass(frozen=True, slots=True)
class Computed:
    """A verdict with its report."""

    decision: GateDecision
    comparison: Comparison
    inputs: Mapping[str, Json]
    report: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Recomputation:
    """What computing a verdict again found."""

    verdict: str
    """As computed now."""
    recorded: str
    """As it was kept."""
    difference: str = ""
    """Where the reports differ first, and how; empty if they are the same, byte for byte."""


def compute(inputs: GateInputs) -> Computed:
    """Return verdict and report of some inputs; they depend on nothing else."""
    plain = encode_inputs(inputs)
    decision = decide(inputs)
    comparison = compare(inputs.service, inputs.metrics, inputs.frame, inputs.candidate, inputs.baseline)
    return Computed(decision, comparison, plain, gate_report(inputs, comparison, decision, digest(plain)))


def recompute(inputs: Mapping[str, Json], report: Mapping[str, Json]) -> Recomputation:
    """Compute a verdict again from its inputs, and compare with the report that was kept.

    Raises:
        Invalid: If the inputs cannot be read.
        Incompatible: If they were computed with statistics of another major version.
    """
    read = decode_inputs(inputs)
    _check_version(read.versions.statistics, read.versions.program)
    again = compute(read).report
    difference = ""
    if canonical_json(again) != canonical_json(report):
        difference = next(_differences(report, again, ""), "the reports differ in how they are written")
    return Recomputation(_verdict(again), _verdict(report), difference)


def _check_version(statistics: str, program: str) -> None:
    if statistics.partition(".")[0] != STATISTICS_VERSION.partition(".")[0]:
        raise Incompatible(
            f"this verdict was computed with statistics {statistics}, this program has {STATISTICS_VERSION}: the same "
            f"inputs may get another verdict here; recompute it with zirkel {program}"
        )


def _verdict(report: Mapping[str, Json]) -> str:
    decision = report.get("decision")
    return str(decision.get("verdict")) if isinstance(decision, Mapping) else ""


def _differences(kept: Json, again: Json, path: str) -> Iterator[str]:
    """Yield where two JSON values differ, in the order of their keys."""
    if isinstance(kept, Mapping) and isinstance(again, Mapping):
        for name in sorted({*kept, *again}):
            place = f"{path}.{name}" if path else name
            if name not in kept or name not in again:
                yield f"{place} is only in the {'kept' if name in kept else 'recomputed'} report"
            else:
                yield from _differences(kept[name], again[name], place)
    elif isinstance(kept, Sequence) and isinstance(again, Sequence) and not isinstance(kept, str):
        for number, (first, second) in enumerate(zip_longest(kept, again)):
            yield from _differences(first, second, f"{path}[{number}]")
    elif kept != again or type(kept) is not type(again):
        yield f"{path} is {kept!r} in the kept report, {again!r} recomputed"
