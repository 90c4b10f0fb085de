"""Limits and budgets over all gateway workers: reserved before each attempt, settled after, exactly once."""

from zirkel.gateway.limits.claims import Abandoned, Claim, Scope, Settlement, SoftPassed, SubjectKind, Ticket
from zirkel.gateway.limits.limiter import Limiter
from zirkel.gateway.limits.usage import SubjectUsage, WindowUsage, read_usage, restore_spent

__all__ = [
    "Abandoned",
    "Claim",
    "Limiter",
    "Scope",
    "Settlement",
    "SoftPassed",
    "SubjectKind",
    "SubjectUsage",
    "Ticket",
    "WindowUsage",
    "read_usage",
    "restore_spent",
]
