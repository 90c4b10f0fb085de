"""What a run of an experiment needs to know, opened once."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from zirkel.core import DatasetItem, EvaluatorSpec, ExperimentRecord, TrialRecord, TrialState, derived_trace_id
from zirkel.evaluate.identity import answer_key, input_digests, item_order, system_digest
from zirkel.evaluate.needs import Needs, needs_of
from zirkel.evaluate.ports import Activity, Question, Releases
from zirkel.evaluate.subject import Subject, ToolCall

_NOTHING = Activity()


@dataclass(frozen=True, slots=True)
class RunPlan:
    """An experiment with its items and evaluators."""

    experiment: ExperimentRecord
    items: Mapping[str, DatasetItem]
    """By id, in the order they are asked."""
    evaluators: tuple[EvaluatorSpec, ...]
    needs: Needs
    system: str
    """Digest of all that an answer depends on beside its input."""
    inputs: Mapping[str, str]

    def claim(self, item_id: str, trial: int, now_ns: int) -> TrialRecord:
        """Return the claim of an answer."""
        experiment = self.experiment
        return TrialRecord(
            project_id=experiment.project_id,
            experiment_id=experiment.experiment_id,
            item_id=item_id,
            trial=trial,
            state=TrialState.CLAIMED,
            claimed_ns=now_ns,
            trace_id=derived_trace_id(experiment.experiment_id, item_id, str(trial)),
            answer_key=answer_key(self.system, self.inputs[item_id], trial),
        )

    def question(self, claim: TrialRecord) -> Question:
        """Return what is asked for a claim."""
        return Question(
            project_id=claim.project_id,
            experiment_id=claim.experiment_id,
            service=self.experiment.service,
            release=self.experiment.release,
            item_id=claim.item_id,
            trial=claim.trial,
            variables=self.items[claim.item_id].input,
            trace_id=claim.trace_id,
        )

    def subject(self, record: TrialRecord, activity: Activity = _NOTHING, other: TrialRecord | None = None) -> Subject:
        """Return what evaluators judge: an answer, what the system did, and the baseline's answer."""
        return Subject(
            item=self.items[record.item_id],
            output=record.output,
            tool_calls=tuple(
                ToolCall(str(call["name"]), str(call["arguments"]), str(call.get("call_id", "")))
                for call in record.tool_calls
            ),
            steps=activity.steps,
            contexts=activity.contexts,
            cost_usd=record.cost_usd,
            duration_ms=record.duration_ms,
            other_output=other.output if other is not None else None,
            project_id=record.project_id,
            experiment_id=record.experiment_id,
            trial=record.trial,
            trace_id=record.trace_id,
        )


class RunPlans:
    """Opens plans, and keeps the last two: slices of candidate and baseline take turns."""

    def __init__(self, releases: Releases) -> None:
        self._releases = releases
        self._kept: dict[str, RunPlan] = {}

    def open(self, experiment: ExperimentRecord) -> RunPlan:
        """Return the plan of an experiment.

        Raises:
            NotFound: If its release is gone.
        """
        options = experiment.options
        key = f"{experiment.project_id}/{experiment.experiment_id}/{options.early_stop}/{options.seed}"
        found = self._kept.pop(key, None) or self._load(experiment)
        self._kept[key] = found
        if len(self._kept) > 2:
            del self._kept[next(iter(self._kept))]
        return replace(found, experiment=experiment)

    def _load(self, experiment: ExperimentRecord) -> RunPlan:
        project_id = experiment.project_id
        items = self._releases.dataset(project_id, experiment.dataset_digest)
        evaluators = tuple(self._releases.evaluators(project_id, experiment.evaluators_digest).evaluator)
        options = experiment.options
        ordered = item_order(items, options.seed if options.early_stop else None)
        return RunPlan(
            experiment=experiment,
            items={item.id: item for item in ordered},
            evaluators=evaluators,
            needs=needs_of(evaluators),
            system=system_digest(experiment.service, self._releases.open(project_id, experiment.release).artefacts),
            inputs=input_digests(items),
        )
