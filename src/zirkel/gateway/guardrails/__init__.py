"""Guardrails: what is checked before and after the model, by release."""

from zirkel.gateway.guardrails.guards import Guardrails, compile_guardrails
from zirkel.gateway.guardrails.ports import GuardPorts
from zirkel.gateway.guardrails.session import GuardSession, InputOutcome, OutputOutcome
from zirkel.gateway.guardrails.stream import OutputStream
from zirkel.gateway.guardrails.verdicts import Refusal, Verdict, VerdictAction

__all__ = [
    "GuardPorts",
    "GuardSession",
    "Guardrails",
    "InputOutcome",
    "OutputOutcome",
    "OutputStream",
    "Refusal",
    "Verdict",
    "VerdictAction",
    "compile_guardrails",
]
