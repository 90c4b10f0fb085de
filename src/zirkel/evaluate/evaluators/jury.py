"""Several models judge the answer, and their votes are put together.

Source: Verga et al. (2024), "Replacing Judges with Juries", arXiv:2404.18796: small models of different families agree
with people better than one large one.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from statistics import median_high, median_low
from typing import Literal

from zirkel.core import Json, Score, Scored, Unscored, score_to_json
from zirkel.evaluate.chat import TransientFailure
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.judging import check_asking
from zirkel.evaluate.judging_answer import Finding, Unreadable
from zirkel.evaluate.judging_question import (
    Ballot,
    ChoiceBallot,
    QuestionOptions,
    RubricBallot,
    ask_question,
    check_question,
    missing_material,
    score_ballot,
)
from zirkel.evaluate.subject import Subject


class JuryOptions(QuestionOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of ``jury``."""

    models: list[str]
    """Each ``UPSTREAM/MODEL``; one that is named twice votes twice."""
    combine: Literal["majority", "mean"] = "majority"
    """What most say, of each item of a rubric too, or the mean of the values."""
    quorum: int = 0
    """Votes that there must be; 0 is more than half."""


def score(options: JuryOptions, subject: Subject, tools: Tools) -> Score:
    """Return what the jury says, from 0 to 1; the details have each vote.

    ``mean`` is the mean of the values. ``majority`` decides each item of a rubric by itself (a tie is a no), takes the
    median of a scale (of two in the middle their mean), and the category that more than half have chosen; without one
    there is no score. A juror that cannot be reached or read has no vote.

    Raises:
        TransientFailure: If there are fewer votes than the quorum, and one juror may answer later.
        Unreadable: If there are fewer votes than the quorum for another reason.
    """
    missing = missing_material(options, subject)
    if missing:
        return missing
    ballots, failures, votes = _poll(options, subject, tools)
    needed = options.quorum or len(options.models) // 2 + 1
    if len(ballots) < needed:
        message = f"{len(ballots)} of {len(options.models)} jurors voted, and {needed} must: {failures[0]}"
        # What the failed calls cost is summed up where all calls are.
        raise TransientFailure(message) if _may_recover(failures) else Unreadable(message)
    verdict = _mean(options, ballots) if options.combine == "mean" else _majority(options, ballots)
    return replace(verdict, details={**verdict.details, "votes": votes}) if isinstance(verdict, Scored) else verdict


def _poll(options: JuryOptions, subject: Subject, tools: Tools) -> tuple[list[Ballot], list[Exception], list[Json]]:
    ballots: list[Ballot] = []
    failures: list[Exception] = []
    votes: list[Json] = []
    asked: Counter[str] = Counter()
    for model in options.models:
        try:
            ballot = ask_question(options, subject, tools, model, asked[model])
        except (TransientFailure, Unreadable) as error:
            failures.append(error)
            votes.append({"model": model, "error": str(error)})
        else:
            ballots.append(ballot)
            votes.append({"model": model, **score_to_json(score_ballot(options, ballot))})
        asked[model] += 1
    return ballots, failures, votes


def _may_recover(failures: Sequence[Exception]) -> bool:
    return any(isinstance(failure, TransientFailure) for failure in failures)


def _mean(options: JuryOptions, ballots: Sequence[Ballot]) -> Score:
    scores = [score_ballot(options, ballot) for ballot in ballots]
    values = [found.value for found in scores if isinstance(found, Scored)]
    if len(values) * 2 <= len(ballots):
        return Unscored("at least half of the votes are for categories without a value")
    return Scored(math.fsum(values) / len(values))


def _majority(options: JuryOptions, ballots: Sequence[Ballot]) -> Score:
    rubrics = [ballot.findings for ballot in ballots if isinstance(ballot, RubricBallot)]
    if rubrics:
        combined = tuple(_item_majority(votes) for votes in zip(*rubrics, strict=True))
        return score_ballot(options, RubricBallot(combined))
    choices = [ballot.choice for ballot in ballots if isinstance(ballot, ChoiceBallot)]
    reasons = {ballot.choice: ballot.reason for ballot in reversed(ballots) if isinstance(ballot, ChoiceBallot)}
    if options.scale is not None:
        numbers = [int(choice) for choice in choices]
        low, high = str(median_low(numbers)), str(median_high(numbers))
        ends = [score_ballot(options, ChoiceBallot(end, reasons[end])) for end in (low, high)]
        values = [found.value for found in ends if isinstance(found, Scored)]
        return Scored(sum(values) / 2, low if low == high else f"{low}-{high}", reasons[low])
    chosen, count = Counter(choices).most_common(1)[0]
    if 2 * count <= len(choices):
        return Unscored(f"no category has more than half of the votes: {', '.join(choices)}")
    return score_ballot(options, ChoiceBallot(chosen, reasons[chosen]))


def _item_majority(votes: Sequence[Finding]) -> Finding:
    is_yes = 2 * sum(vote.is_yes for vote in votes) > len(votes)
    # A tie has a reason for no, too.
    return Finding(is_yes, next(vote.reason for vote in votes if vote.is_yes == is_yes))


def check(options: JuryOptions) -> str:
    """Return what is wrong with the options, empty if nothing is."""
    count = len(options.models)
    if count < 2:
        return "models: a jury has at least two; one model is the kind 'judge'"
    if not 0 <= options.quorum <= count:
        return f"quorum: 0 to {count}, not {options.quorum}"
    return check_asking(options, options.models) or check_question(options)


KIND = EvaluatorKind(
    "jury", "several models judge, by majority or mean", JuryOptions, score, check=check, uses_model=True
)
