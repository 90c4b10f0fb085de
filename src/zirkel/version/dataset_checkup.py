"""Gathers what a data set's health is told from, and tells it."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from zirkel.core import Clock, DatasetItem, Invalid, JsonObject, Principal, ReleaseBundle, Role
from zirkel.version.dataset_changes import VersionItems, label_times
from zirkel.version.dataset_duplicates import ReferenceText
from zirkel.version.dataset_health import HealthLimits, HealthMaterial, HealthReport, examine
from zirkel.version.dataset_outcomes import OutcomeTable, fold_outcomes
from zirkel.version.dataset_ports import DatasetMetadata, LiveTraffic, ReleaseOpener
from zirkel.version.dataset_reading import LATEST, DatasetReader, OpenDataset
from zirkel.version.dataset_vectors import TextVectors, WordVectors
from zirkel.version.ports import Blobs

MOST_VERSIONS = 50
"""Of the data set that are read, the newest: for the age of labels, and for which answers count."""
MOST_RELEASES = 5
"""Of the service whose prompts and examples are looked through, the newest."""
MOST_EXPERIMENTS = 20
"""Over any version of the data set, the newest."""
MOST_LIVE = 10_000


@dataclass(frozen=True, slots=True)
class CheckupWish:
    """What a data set is compared with."""

    service: str = ""
    """Whose prompts, examples and traffic; the service of the data set's name, if empty."""
    since: str = "-7d"
    """From when live traffic is looked at: a time in ISO 8601, or relative to now."""
    live: int = 1000
    """So many traces at most, the newest; 0 for none."""
    limits: HealthLimits = field(default_factory=HealthLimits)


@dataclass(frozen=True, slots=True)
class Checkup:
    """What was found about a version."""

    name: str
    version: int
    digest: str
    service: str
    """That it was compared with; empty if there is no such service."""
    is_sound: bool
    """Whether nothing was found that makes results wrong."""
    report: HealthReport


class DatasetHealth:
    """Looks at data sets."""

    def __init__(
        self,
        metadata: DatasetMetadata,
        blobs: Blobs,
        releases: ReleaseOpener,
        clock: Clock,
        live: LiveTraffic | None = None,
        vectors: TextVectors | None = None,
    ) -> None:
        """Prepare to look; without ``live`` there is no coverage, without ``vectors`` words are compared."""
        self._metadata = metadata
        self._releases = releases
        self._clock = clock
        self._live = live
        self._vectors = vectors or WordVectors()
        self._reader = DatasetReader(metadata, blobs)

    def check(self, actor: Principal, name: str, reference: str = LATEST, wish: CheckupWish | None = None) -> Checkup:
        """Return what is found about a version of a data set.

        Raises:
            Forbidden: If the actor may not read.
            NotFound: If there is no such data set or version.
            Invalid: If a limit is out of its range, or a time cannot be understood.
        """
        actor.require(Role.READ)
        wish = wish or CheckupWish()
        _check_wish(wish)
        found = self._reader.open(self._reader.find(actor.project_id, name, reference))
        service = wish.service or name
        bundles = self._bundles(actor.project_id, service)
        unchanged: dict[str, Collection[str]] = {}
        since_ns = label_times(self._noting(found, unchanged))
        material = HealthMaterial(
            items=found.items,
            references=[text for bundle in bundles for text in _references(bundle)],
            outcomes=self._outcomes(actor.project_id, unchanged),
            lower_is_better=[
                m.evaluator for bundle in bundles[:1] for m in bundle.gate.metric if m.direction == "lower"
            ],
            live=self._live.inputs(actor, service, wish.since, wish.live)
            if self._live and bundles and wish.live
            else (),
            labelled_ns=since_ns,
            now_ns=self._clock.now_ns(),
        )
        report = examine(material, self._vectors, wish.limits)
        record = found.record
        return Checkup(name, record.version, record.digest, service if bundles else "", report.is_sound, report)

    def _bundles(self, project_id: str, service: str) -> Sequence[ReleaseBundle]:
        with self._metadata.transaction() as tx:
            history = tx.releases.history(project_id, service)
        return [self._releases.open(project_id, record.digest) for record in history[:MOST_RELEASES]]

    def _noting(self, current: OpenDataset, unchanged: dict[str, Collection[str]]) -> VersionItems:
        """Yield the versions up to the current one; note of every version which items are the same as now."""
        items = {item.id: (item.id, _question(item)) for item in current.items}
        record = current.record
        for other, found in self._reader.all_versions(record.project_id, record.name, at_most=MOST_VERSIONS):
            # The ids of the current items are named, so that each id is in memory once.
            known = [(items[item.id], item) for item in found if item.id in items]
            unchanged[other.digest] = {item_id for (item_id, asked), item in known if asked == _question(item)}
            if other.version <= record.version:
                yield other, found

    def _outcomes(self, project_id: str, unchanged: dict[str, Collection[str]]) -> OutcomeTable:
        with self._metadata.transaction() as tx:
            found = tx.datasets.outcomes(project_id, list(unchanged), experiments_at_most=MOST_EXPERIMENTS)
            return fold_outcomes(found, unchanged)


def _question(item: DatasetItem) -> tuple[JsonObject, str | None, list[str]]:
    """Return what the scores of an answer depend on."""
    return item.input, item.expected, item.contexts


def _references(bundle: ReleaseBundle) -> Iterator[ReferenceText]:
    release = f"release {bundle.number} of {bundle.service}"
    for number, message in enumerate(bundle.prompt.messages, start=1):
        yield ReferenceText(f"message {number} of the prompt of {release}", message.content)
    for number, turn in enumerate(bundle.examples, start=1):
        yield ReferenceText(f"example {number} of {release}", turn.user, is_example=True)
    for path, text in bundle.documents.items():
        yield ReferenceText(f"context/{path} of {release}", text)


def _check_wish(wish: CheckupWish) -> None:
    limits = wish.limits
    shares = {"near": limits.near, "leak": limits.leak, "region": limits.region}
    for name, value in (shares | ({"far": limits.far} if limits.far is not None else {})).items():
        if not 0 < value <= 1:
            raise Invalid(f"{name} is {value}; it must be above 0 and at most 1", path=name)
    if not limits.label_age_days > 0:
        raise Invalid(f"label_age_days is {limits.label_age_days}; it must be above 0", path="label_age_days")
    if not 0 <= wish.live <= MOST_LIVE:
        raise Invalid(f"live is {wish.live}; it must lie in 0..{MOST_LIVE}", path="live")
