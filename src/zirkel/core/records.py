"""Rows that more than one room reads: what the metadata store keeps and gives back, whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from zirkel.core.canonical import Json
from zirkel.core.policy import KeyPolicy
from zirkel.core.principal import Role


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """A tenant."""

    project_id: str
    name: str
    created_ns: int


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """An API key; its secret is kept only as a keyed hash."""

    key_id: str
    project_id: str
    label: str
    roles: frozenset[Role]
    key_hash: str
    hint: str
    """The key's last characters, for people to tell keys apart."""
    created_ns: int
    expires_ns: int | None = None
    revoked_ns: int | None = None
    policy: KeyPolicy = field(default_factory=KeyPolicy)
    previous_hash: str | None = None
    """The secret before the last rotation, as a keyed hash; None if there is none or it ended at once."""
    previous_expires_ns: int | None = None
    """When the secret before ends; set if ``previous_hash`` is."""

    def secret_ends(self) -> Mapping[str, int | None]:
        """Return the hashes that open the key, each with the time in UTC nanoseconds when it ends (None: never).

        A revoked key has none. A rotated one has two, the one before ending with the overlap, or with the key.
        """
        if self.revoked_ns is not None:
            return {}
        ends = {self.key_hash: self.expires_ns}
        if self.previous_hash is not None:
            ends[self.previous_hash] = min(
                (end for end in (self.previous_expires_ns, self.expires_ns) if end is not None), default=None
            )
        return ends

    def is_valid(self, now_ns: int) -> bool:
        """Return whether the key is neither revoked nor expired."""
        return self.revoked_ns is None and (self.expires_ns is None or now_ns < self.expires_ns)


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """Somebody who signs in."""

    person_id: str
    project_id: str
    email: str
    password_hash: str
    """argon2id, in its standard text form."""
    roles: frozenset[Role]
    created_ns: int


@dataclass(frozen=True, slots=True)
class UpstreamRecord:
    """Where models are called; the credential is sealed."""

    project_id: str
    name: str
    base_url: str
    dialect: str
    model_override: str
    sealed_credential: str
    updated_ns: int


@dataclass(frozen=True, slots=True)
class AddedArtefact:
    """What adding an artefact did."""

    version: int
    """Counts a kind and name's versions from 1."""
    is_new: bool


@dataclass(frozen=True, slots=True)
class ReleaseRecord:
    """A pushed release."""

    project_id: str
    digest: str
    service: str
    number: int
    """Counts a service's releases from 1; 0 asks the store to give the next one."""
    manifest: str
    """Canonical JSON."""
    created_ns: int
    created_by: str


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """What was pushed last for a service."""

    project_id: str
    name: str
    description: str
    candidate_release: str
    baseline_release: str | None
    updated_ns: int


@dataclass(frozen=True, slots=True)
class Rollout:
    """A canary that is running: the candidate and its share of the units."""

    release: str
    weight: float
    """Share of units, above 0 and below 1."""
    since_ns: int
    started_by: str


@dataclass(frozen=True, slots=True)
class EnvironmentRecord:
    """What serves a service in one environment."""

    project_id: str
    service: str
    environment: str
    version: int
    """Counts the moves; a move names the version it starts from."""
    stable_release: str
    stable_since_ns: int
    stable_by: str
    salt: str
    """Splits units; new with each rollout."""
    previous_release: str | None = None
    """What was stable before the stable release."""
    rollout: Rollout | None = None


class ExperimentState(StrEnum):
    """How far an experiment is."""

    RUNNING = "running"
    FINISHED = "finished"


ExperimentOrigin = Literal["gateway", "local", "imported"]
"""Who asked the system: the core through its gateway, a program that called ``zirkel.evaluate``, or another tool."""


@dataclass(frozen=True, slots=True)
class ExperimentOptions:
    """How an experiment is run."""

    concurrency: int | None = None
    """Calls at once; the server's setting if None."""
    requests_per_s: float | None = None
    tokens_per_min: int | None = None
    """Input and output tokens together."""
    early_stop: bool = False
    """Whether it may end before the last item, by a bound that holds however often one looks."""
    seed: int = 0
    """Of the items' order, if it may stop early."""
    is_fresh: bool = False
    """Whether everything is asked again, although the same was answered in another experiment."""


@dataclass(frozen=True, slots=True)
class ExperimentRecord:
    """A release run over a data set. Its id is derived from what it measures: the same plan is the same experiment."""

    project_id: str
    experiment_id: str
    service: str
    release: str
    dataset_digest: str
    evaluators_digest: str
    trials: int
    """Answers per item."""
    items: int
    state: ExperimentState
    created_ns: int
    finished_ns: int | None = None
    origin: ExperimentOrigin = "gateway"
    other_experiment_id: str = ""
    """The baseline's experiment on the same plan, if evaluators compare with it or both may stop early; else empty."""
    options: ExperimentOptions = field(default_factory=ExperimentOptions)
    stopped_items: int | None = None
    """Items, in the order of ``options.seed``, after which it was decided and stopped; None if it was not."""

    @property
    def could_stop_early(self) -> bool:
        """Whether its numbers were looked at on the way, so that only bounds hold which hold at any time."""
        return self.options.early_stop or self.stopped_items is not None

    @property
    def planned(self) -> int:
        """Answers in all; those up to the stop, if it was stopped early."""
        return self.trials * (self.items if self.stopped_items is None else self.stopped_items)


class TrialState(StrEnum):
    """How far one answer is."""

    CLAIMED = "claimed"
    """A call was about to be made; whether it was is found in the telemetry after a crash."""
    JUDGING = "judging"
    """Answered, and not yet judged by every evaluator."""
    ANSWERED = "answered"
    """Answered and judged; evaluators that failed are among the scores."""
    ERRORED = "errored"


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One answer of a release to one item."""

    project_id: str
    experiment_id: str
    item_id: str
    trial: int
    state: TrialState
    claimed_ns: int
    trace_id: str
    output: str = ""
    error: str = ""
    scores: Mapping[str, Mapping[str, Json]] | None = None
    """By evaluator, as ``core.scores`` writes them."""
    cost_usd: Decimal | None = None
    """What the call cost when it was made; ``None`` if unknown. Not paid again if ``is_cached``."""
    duration_ms: float = 0.0
    is_recovered: bool = False
    """True if the answer was found in the telemetry after a crash instead of being asked for again."""
    is_cached: bool = False
    """True if the same release had given this answer to the same input and trial before; the trace is that call's."""
    answer_key: str = ""
    """Digest of all that the answer depends on; empty if it is not to be used again."""
    tool_calls: tuple[Mapping[str, Json], ...] = ()
    """Calls of tools that the answer asks for: ``name``, ``arguments`` as JSON text, ``call_id``."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    """``None`` if unknown."""
    judges_usd: Decimal | None = Decimal(0)
    """What its scores cost; ``None`` if unknown."""
    errored_scores: int = 0
    """Evaluators that failed; the next evaluation runs them again on the same answer."""


@dataclass(frozen=True, slots=True)
class AnswerSample:
    """What one answer of an experiment took and cost."""

    release: str
    evaluators_digest: str
    output_tokens: int | None
    cost_usd: Decimal | None
    judges_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """What a gate said, with everything needed to say it again."""

    project_id: str
    verdict_id: str
    service: str
    release: str
    baseline: str | None
    environment: str
    verdict: str
    report: str
    """Canonical JSON."""
    created_ns: int


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One entry of the hash chain of a project."""

    project_id: str
    sequence: int
    """Counts from 1 without gaps."""
    at_ns: int
    actor: str
    action: str
    payload: str
    """Canonical JSON."""
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signature over the chain up to one entry."""

    project_id: str
    sequence: int
    at_ns: int
    hash: str
    signature: str
    """Ed25519 over the checkpoint's canonical JSON, hex."""
    public_key: str
    """Ed25519, raw, hex."""
