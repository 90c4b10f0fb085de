"""The health of a data set: everything that is found about its items, in one report. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from zirkel.core import DatasetItem
from zirkel.version.dataset_balance import (
    Balance,
    LabelAge,
    age_findings,
    balance_findings,
    label_times,
    measure_balance,
    measure_label_age,
)
from zirkel.version.dataset_coverage import Coverage, coverage_findings, measure_coverage
from zirkel.version.dataset_duplicates import ReferenceText, duplicate_findings, leak_findings
from zirkel.version.dataset_findings import Finding, ordered
from zirkel.version.dataset_outcomes import OutcomeTable
from zirkel.version.dataset_ports import LiveInput
from zirkel.version.dataset_vectors import TextVectors


@dataclass(frozen=True, slots=True)
class HealthLimits:
    """From where on something is worth saying."""

    near: float = 0.7
    """Jaccard index of words and pairs of words from which two inputs are nearly the same."""
    leak: float = 0.8
    """Share of an input's words and pairs of words that stand in a text the model is shown."""
    far: float | None = None
    """Cosine below which a live input is far from an item; as the comparison says, if ``None``."""
    region: float = 0.02
    """Share of the live inputs from which a region far from any item is named."""
    label_age_days: float = 365.0


@dataclass(frozen=True, slots=True)
class HealthMaterial:
    """What a data set is looked at with."""

    items: Sequence[DatasetItem]
    references: Sequence[ReferenceText]
    """What the model is shown beside the input."""
    outcomes: OutcomeTable
    lower_is_better: Collection[str]
    """Evaluators whose best score is 0."""
    live: Sequence[LiveInput]
    labelled_ns: Mapping[str, int]
    """By item, when the version came that first had its expected output."""
    now_ns: int


@dataclass(frozen=True, slots=True)
class HealthReport:
    """What was found, and what was looked at to find it."""

    items: int
    findings: Sequence[Finding]
    """The gravest first."""
    balance: Balance
    label_age: LabelAge | None
    coverage: Coverage | None
    """``None`` if there was no live traffic to compare with."""
    references: int
    """Texts that items were looked for in."""
    releases: int
    """That have answered items as they are now."""
    answers: int
    limits: HealthLimits

    @property
    def is_sound(self) -> bool:
        """Whether nothing was found that makes results wrong."""
        return not any(found.level == "error" for found in self.findings)


def examine(material: HealthMaterial, vectors: TextVectors, limits: HealthLimits) -> HealthReport:
    """Return what is found about a data set.

    Args:
        material: What is looked at.
        vectors: Compares live inputs with items.
        limits: From where on something is worth saying.
    """
    items = material.items
    balance = measure_balance(items)
    times_ns = label_times(items, material.labelled_ns)
    coverage = measure_coverage(items, material.live, vectors, limits.far)
    findings = [
        *duplicate_findings(items, limits.near),
        *leak_findings(items, material.references, limits.leak),
        *balance_findings(items, balance),
        *age_findings(times_ns, material.now_ns, limits.label_age_days),
        *material.outcomes.findings([item.id for item in items], material.lower_is_better),
        *(coverage_findings(coverage, smallest_share=limits.region) if coverage else ()),
    ]
    return HealthReport(
        items=len(items),
        findings=ordered(findings),
        balance=balance,
        label_age=measure_label_age(times_ns, material.now_ns),
        coverage=coverage,
        references=len({reference.text for reference in material.references}),
        releases=material.outcomes.releases(),
        answers=material.outcomes.answers,
        limits=limits,
    )
