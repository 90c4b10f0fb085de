"""Which arm answers a unit: a pure function of the route and the unit, so it is the same on every worker."""

import hashlib

from zirkel.gateway.snapshot import SnapshotArm, SnapshotRoute

_BITS = 53  # what a float holds exactly, so that the point is below 1


def choose_arm(route: SnapshotRoute, unit: str) -> tuple[SnapshotArm, float]:
    """Return the arm of ``unit`` and the probability with which it was assigned.

    The unit's hash is a point in [0, 1); the arms cover it in the order of their names, each as long as its weight.
    With two arms a unit therefore changes sides only if the boundary passes it: raising the candidate's weight never
    takes a unit from the candidate, whatever order the route lists the arms in.

    Raises:
        ValueError: If no arm has a positive weight.
    """
    arms = sorted((arm for arm in route.arms if arm.weight > 0), key=lambda arm: arm.name)
    if not arms:
        raise ValueError(f"service {route.service!r} has no arm with a positive weight in {route.environment!r}")
    if len(arms) > 1:
        point = unit_point(route.salt, unit)
        covered = 0.0
        for arm in arms[:-1]:
            covered += arm.weight
            if point < covered:
                return arm, arm.weight
    return arms[-1], arms[-1].weight


def unit_point(salt: str, unit: str) -> float:
    """Return where ``unit`` falls in [0, 1): the first 53 bits of SHA-256 of salt and unit, as a fraction."""
    head = hashlib.sha256((salt + unit).encode()).digest()[:8]
    return (int.from_bytes(head) >> (64 - _BITS)) / (1 << _BITS)
