"""Did the system go about its answer as it should: which tools, in which order, how many steps, without errors?"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from zirkel.core import Json, Score, Scored, Unscored
from zirkel.evaluate.evaluators.alignment import match_any_order, match_in_order
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.subject import Step, Subject

StepKind = Literal["tool", "retriever", "reranker", "agent", "workflow", "chat", "guardrail", "embedding", "span"]


class TrajectoryOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of ``trajectory``. Steps are named as in the trace: by the tool, the retriever, the model."""

    kinds: tuple[StepKind, ...] = ("tool",)
    """Kinds of steps that are looked at; empty means all."""
    must_call: list[str] = []
    """Steps that must be there, each as often as it is named."""
    must_not_call: list[str] = []
    """Steps that must not be there."""
    expected_key: str = ""
    """Name in an item's metadata of a list of further steps that must be there, for this item, behind `must_call`."""
    order: Literal["any", "in_order", "exact"] = "any"
    """Whether those steps may come in any order, must come in this one with others between, or must be all there is."""
    max_steps: int | None = None
    """Most steps that there may be."""
    no_errors: bool = False
    """Whether no step of any kind may have failed."""


def score(options: TrajectoryOptions, subject: Subject, _: Tools) -> Score:
    """Return 1 if the trace's steps keep every rule, else 0; the reason says which is broken, details list the steps.

    An answer without any steps is unscored: its trace is not known. So is an item without the metadata that
    ``expected_key`` names.
    """
    if not subject.steps:
        return Unscored("no steps of this answer are known")
    wanted = [*options.must_call]
    if options.expected_key:
        listed = subject.item.metadata.get(options.expected_key)
        if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
            return Unscored(f"the item has no list of steps as metadata.{options.expected_key}")
        wanted += listed
    steps = [step for step in subject.steps if not options.kinds or step.kind.value in options.kinds]
    names = [step.name for step in steps]
    broken = [*_order_problems(options, wanted, names), *_other_problems(options, names, subject.steps)]
    shown: list[Json] = [*names[:100]]
    return Scored(float(not broken), reason="; ".join(broken), details={"steps": shown, "count": len(names)})


def _order_problems(options: TrajectoryOptions, wanted: Sequence[str], names: Sequence[str]) -> list[str]:
    if options.order == "exact":
        return [] if list(names) == list(wanted) else [f"the steps are not exactly {', '.join(wanted) or 'none'}"]
    fits = [[want == name for name in names] for want in wanted]
    pairs = match_in_order(fits) if options.order == "in_order" else match_any_order(fits)
    missing = [want for index, want in enumerate(wanted) if index not in pairs]
    if not missing:
        return []
    where = " in its place" if options.order == "in_order" else ""
    return [f"{', '.join(missing)} is not called{where}"]


def _other_problems(options: TrajectoryOptions, names: Sequence[str], steps: Sequence[Step]) -> list[str]:
    problems = [f"{name} is called" for name in options.must_not_call if name in names]
    if options.max_steps is not None and len(names) > options.max_steps:
        problems.append(f"{len(names)} steps are more than {options.max_steps}")
    failed = [step.name or step.kind.value for step in steps if step.is_error]
    if options.no_errors and failed:
        problems.append(f"{', '.join(failed)} failed")
    return problems


def _check(options: TrajectoryOptions) -> str:
    both = set(options.must_call) & set(options.must_not_call)
    if both:
        return f"{min(both)!r} both must and must not be called"
    if options.max_steps is not None and options.max_steps < 0:
        return f"max_steps {options.max_steps} is below 0"
    has_list = options.must_call or options.expected_key
    if options.order != "any" and not has_list:
        return "order is about must_call or expected_key, and neither is given"
    if not (has_list or options.must_not_call or options.max_steps is not None or options.no_errors):
        return "no rule is given, so that every answer would pass"
    return ""


KIND = EvaluatorKind(
    "trajectory",
    "went about it as it should: steps of the trace",
    TrajectoryOptions,
    score,
    check=_check,
    needs=frozenset({"steps"}),
)
