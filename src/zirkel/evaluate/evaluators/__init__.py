"""Evaluators, one file a kind. A kind judges one answer by its options; what it asks a model goes through ``Tools``."""

from zirkel.evaluate.evaluators.kind import EvaluatorKind, OptionsError, Tools
from zirkel.evaluate.evaluators.kinds import check_evaluator, kind_of, known_kinds, score_subject
from zirkel.evaluate.subject import Step, Subject, ToolCall

__all__ = [
    "EvaluatorKind",
    "OptionsError",
    "Step",
    "Subject",
    "ToolCall",
    "Tools",
    "check_evaluator",
    "kind_of",
    "known_kinds",
    "score_subject",
]
