"""The moves of an environment: pure functions from one state to the next."""

import dataclasses

from zirkel.core import Conflict, EnvironmentRecord, Invalid, Refused, Rollout, digest


def first_release(
    project_id: str, service: str, environment: str, release: str, *, actor: str, now_ns: int
) -> EnvironmentRecord:
    """Return the state after the first release of an environment: everything goes to it."""
    return EnvironmentRecord(
        project_id=project_id,
        service=service,
        environment=environment,
        version=1,
        stable_release=release,
        stable_since_ns=now_ns,
        stable_by=actor,
        salt=_salt(project_id, service, environment, 1),
    )


def start_rollout(
    state: EnvironmentRecord, release: str, weight: float, *, actor: str, now_ns: int
) -> EnvironmentRecord:
    """Return the state with ``release`` as the candidate for a fixed share of the units.

    Raises:
        Invalid: If the weight is not strictly between 0 and 1.
        Conflict: If a rollout is running, or the release is stable already.
    """
    if not 0 < weight < 1:
        raise Invalid(f"weight {weight} must be above 0 and below 1", path="weight")
    if state.rollout is not None:
        raise Conflict(
            f"a rollout of {state.rollout.release[:12]} is running in {state.environment!r}; end it first with: "
            f"zirkel promote {state.service} or zirkel rollback {state.service}"
        )
    if state.stable_release == release:
        raise Conflict(f"release {release[:12]} is what {state.environment!r} runs already")
    version = state.version + 1
    return dataclasses.replace(
        state,
        version=version,
        rollout=Rollout(release, weight, now_ns, actor),
        salt=_salt(state.project_id, state.service, state.environment, version),
    )


def promote(state: EnvironmentRecord, *, actor: str, now_ns: int) -> EnvironmentRecord:
    """Return the state in which the rollout's candidate is stable.

    Raises:
        Conflict: If no rollout is running.
    """
    if state.rollout is None:
        raise Conflict(f"no rollout of {state.service!r} is running in {state.environment!r}; start one: zirkel ship")
    return dataclasses.replace(
        state,
        version=state.version + 1,
        stable_release=state.rollout.release,
        stable_since_ns=now_ns,
        stable_by=actor,
        previous_release=state.stable_release,
        rollout=None,
    )


def roll_back(state: EnvironmentRecord, *, actor: str, now_ns: int) -> EnvironmentRecord:
    """Return the state with the previous release: a running rollout is ended, else the last promotion undone.

    What was rolled back is not "the previous release": a second call must not bring it back without evidence.

    Raises:
        Refused: If there is nothing to return to.
    """
    if state.rollout is not None:
        return dataclasses.replace(state, version=state.version + 1, rollout=None)
    if state.previous_release is None:
        raise Refused(f"{state.service!r} in {state.environment!r} has no release before {state.stable_release[:12]}")
    return dataclasses.replace(
        state,
        version=state.version + 1,
        stable_release=state.previous_release,
        stable_since_ns=now_ns,
        stable_by=actor,
        previous_release=None,
    )


def _salt(project_id: str, service: str, environment: str, version: int) -> str:
    # Derived, so that an auditor can recompute which unit got which arm.
    return digest([project_id, service, environment, version])[:32]
