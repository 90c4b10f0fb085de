"""Shipping: a move is refused unless the evidence allows it, and each move is in the ledger."""

import re
from dataclasses import dataclass

from zirkel.core import Clock, EnvironmentRecord, Invalid, Json, NotFound, Principal, Refused, Role, VerdictRecord
from zirkel.ship.ports import Publisher, ReleaseResolver, ShipMetadata, ShipTransaction
from zirkel.ship.rollout import first_release, promote, roll_back, start_rollout

PASSING = frozenset({"PASS", "SUPERIOR"})
DEFAULT_WEIGHT = 0.1
_ENVIRONMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


@dataclass(frozen=True, slots=True)
class ShipOrder:
    """What somebody wants shipped."""

    service: str
    reference: str = "candidate"
    """``candidate``, ``baseline``, a release number or the start of a digest."""
    environment: str = "production"
    weight: float = DEFAULT_WEIGHT
    """Share of the units that get the release, if another one is live."""
    break_glass: str = ""
    """Reason to ship without a passing gate; recorded as an exception."""


@dataclass(frozen=True, slots=True)
class Move:
    """A move that was made."""

    action: str
    before: EnvironmentRecord | None
    after: EnvironmentRecord
    verdict: VerdictRecord | None
    """The verdict the move rests on, if any."""
    ledger_hash: str


class Shipping:
    """Moves releases through environments."""

    def __init__(self, metadata: ShipMetadata, releases: ReleaseResolver, publisher: Publisher, clock: Clock) -> None:
        self._metadata = metadata
        self._releases = releases
        self._publisher = publisher
        self._clock = clock

    def ship(self, actor: Principal, order: ShipOrder) -> Move:
        """Start a rollout of a release, or make it the first release of its environment.

        Raises:
            Forbidden: If the actor is no admin.
            Invalid: If the environment's name or the weight will not do.
            Refused: If no passing verdict rests on this very release (and what is live now), and no reason to
                break the glass is given.
            Conflict: If a rollout is running already.
            NotFound: If the release is unknown.
        """
        actor.require(Role.ADMIN)
        if not _ENVIRONMENT.fullmatch(order.environment):
            raise Invalid(
                f"environment {order.environment[:200]!r} must be up to 64 letters, digits and '-'", path="environment"
            )
        release = self._releases.resolve(actor.project_id, order.service, order.reference)
        now_ns = self._clock.now_ns()
        with self._metadata.transaction() as tx:
            before = tx.environments.get(actor.project_id, order.service, order.environment)
            verdict = tx.verdicts.latest(actor.project_id, release, order.environment)
            objection = _objection(verdict, before, release)
            if objection and not order.break_glass.strip():
                raise Refused(
                    f"{objection}; run: zirkel eval {order.service} && zirkel gate {order.service}, or record an "
                    'exception with --break-glass "reason"'
                )
            if before is None:
                action = "ship.first"
                after = first_release(
                    actor.project_id, order.service, order.environment, release, actor=actor.label, now_ns=now_ns
                )
            else:
                action = "ship.rollout"
                after = start_rollout(before, release, order.weight, actor=actor.label, now_ns=now_ns)
            exception = {"reason": order.break_glass.strip(), "objection": objection} if objection else None
            entry = _record(tx, actor, action, before, after, {"break_glass": exception, **_verdict_json(verdict)})
        self._publisher.publish()
        return Move(action, before, after, verdict, entry)

    def promote(self, actor: Principal, service: str, environment: str) -> Move:
        """Make the running rollout's candidate the stable release."""
        return self._move(actor, service, environment, "ship.promote")

    def roll_back(self, actor: Principal, service: str, environment: str) -> Move:
        """Return to the previous release; the gateway's next request sees it."""
        return self._move(actor, service, environment, "ship.rollback")

    def environments(self, actor: Principal, service: str) -> list[EnvironmentRecord]:
        """Return a service's environments by name."""
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            return list(tx.environments.list(actor.project_id, service))

    def _move(self, actor: Principal, service: str, environment: str, action: str) -> Move:
        actor.require(Role.ADMIN)
        now_ns = self._clock.now_ns()
        with self._metadata.transaction() as tx:
            before = tx.environments.get(actor.project_id, service, environment)
            if before is None:
                raise NotFound(f"nothing of {service!r} was shipped to {environment!r} yet; start with: zirkel ship")
            step = promote if action == "ship.promote" else roll_back
            after = step(before, actor=actor.label, now_ns=now_ns)
            entry = _record(tx, actor, action, before, after, {})
        self._publisher.publish()
        return Move(action, before, after, None, entry)


def _objection(verdict: VerdictRecord | None, state: EnvironmentRecord | None, release: str) -> str:
    """Return why the evidence does not allow shipping ``release``; empty if it does."""
    if verdict is None:
        return f"release {release[:12]} has no gate verdict"
    if verdict.verdict not in PASSING:
        return f"the gate said {verdict.verdict} on release {release[:12]}"
    if state is not None and verdict.baseline != state.stable_release:
        compared = verdict.baseline[:12] if verdict.baseline else "nothing"
        return f"the gate compared release {release[:12]} with {compared}, but {state.stable_release[:12]} is live"
    return ""


def _record(
    tx: ShipTransaction,
    actor: Principal,
    action: str,
    before: EnvironmentRecord | None,
    after: EnvironmentRecord,
    reasons: dict[str, Json],
) -> str:
    tx.environments.put(after)
    payload: dict[str, Json] = {
        "service": after.service,
        "environment": after.environment,
        "version": after.version,
        "before": _arms_json(before) if before else None,
        "after": _arms_json(after),
        **reasons,
    }
    return tx.ledger.append(after.project_id, actor.label, action, payload)


def _arms_json(state: EnvironmentRecord) -> dict[str, Json]:
    rollout = state.rollout
    candidate: Json = {"release": rollout.release, "weight": rollout.weight} if rollout else None
    return {"stable": state.stable_release, "candidate": candidate, "salt": state.salt}


def _verdict_json(verdict: VerdictRecord | None) -> dict[str, Json]:
    if verdict is None:
        return {"verdict": None}
    return {"verdict": {"verdict_id": verdict.verdict_id, "verdict": verdict.verdict, "baseline": verdict.baseline}}
