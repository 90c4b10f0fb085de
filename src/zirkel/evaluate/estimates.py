"""Estimates of what an evaluation would cost, as they are asked for."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from zirkel.core import (
    AnswerSample,
    DatasetItem,
    EvaluatorSpec,
    ExperimentState,
    Json,
    ModelSpec,
    Principal,
    ReleaseBundle,
    Role,
    TrialState,
    canonical_json,
)
from zirkel.evaluate.baseline import baseline_of
from zirkel.evaluate.estimate import (
    CallEstimate,
    Estimate,
    Range,
    TokenPrice,
    call_cost,
    judges_range,
    output_range,
)
from zirkel.evaluate.experiments import check_trials
from zirkel.evaluate.identity import answer_key, experiment_id, input_digests, system_digest
from zirkel.evaluate.needs import asks_model, needs_of
from zirkel.evaluate.ports import EvaluateMetadata, Releases

MOST_SAMPLES = 2000
MOST_RENDERED = 200
"""Items whose prompts are counted; the others are taken to be as long."""
JUDGE_OUTPUT = Range(20, 150, 600)
"""Tokens of a judgement, where none was made before."""
JUDGE_PREAMBLE = 400
"""Tokens of a judge's instructions beside the rubric."""


class PromptCosts(Protocol):
    """What is known of prompts and prices."""

    def input_tokens(self, release: ReleaseBundle, item: DatasetItem) -> int:
        """Return how many tokens the release's prompt has for an item."""
        ...

    def count_tokens(self, text: str, model: str) -> int:
        """Return how many tokens a text is."""
        ...

    def price(self, project_id: str, model: str, release: ReleaseBundle) -> TokenPrice | None:
        """Return what a model costs now by the release's and the project's prices; ``None`` if it is unknown."""
        ...


class Estimates:
    """Says what an evaluation would cost."""

    def __init__(self, metadata: EvaluateMetadata, releases: Releases, costs: PromptCosts) -> None:
        self._metadata = metadata
        self._releases = releases
        self._costs = costs

    def estimate(self, actor: Principal, service: str, reference: str = "candidate", trials: int = 2) -> Estimate:
        """Return what running a release and its baseline would cost now; what is answered already costs nothing.

        Raises:
            Invalid: If trials are out of range.
            NotFound: If service or release are unknown.
        """
        actor.require(Role.READ)
        check_trials(trials)
        release = self._releases.resolve(actor.project_id, service, reference)
        candidate = self._releases.open(actor.project_id, release)
        declared = self._releases.service(actor.project_id, service).baseline_release
        with self._metadata.transaction() as tx:
            live = tx.environments.get(actor.project_id, service, candidate.gate.environment)
            samples = tx.experiments.samples(actor.project_id, service, MOST_SAMPLES)
        baseline = baseline_of(live, declared, release)
        bundles = [candidate, *([self._releases.open(actor.project_id, baseline)] if baseline else [])]
        systems = [self._system(candidate, bundle, trials, samples) for bundle in bundles]
        unjudged = sum(self._unfinished(candidate, bundle, trials, baseline) for bundle in bundles)
        judges = [spec for spec in candidate.evaluators.evaluator if asks_model(spec)]
        return Estimate(tuple(systems), tuple(self._judges(candidate, judges, unjudged, samples)))

    def _system(
        self, plan: ReleaseBundle, release: ReleaseBundle, trials: int, samples: Sequence[AnswerSample]
    ) -> CallEstimate:
        calls, cached = self._calls(plan, release, trials)
        model = release.targets[0]
        price = self._costs.price(release.project_id, model.name, release)
        if price is None:
            basis = f"the price of {model.name} is unknown; add a [[price]]"
            return CallEstimate(release.digest, calls, cached, None, basis)
        rendered = plan.dataset[:MOST_RENDERED]
        input_tokens = sum(self._costs.input_tokens(release, item) for item in rendered) / len(rendered)
        lengths, basis = output_range(samples, release.digest, _most_tokens(model))
        cost = call_cost(input_tokens, lengths, price).times(calls)
        return CallEstimate(release.digest, calls, cached, cost, f"prompts counted, {basis}")

    def _calls(self, plan: ReleaseBundle, release: ReleaseBundle, trials: int) -> tuple[int, int]:
        """Return how many answers would be asked for, and how many are there already."""
        system = system_digest(release.service, release.artefacts)
        digests = input_digests(plan.dataset)
        keys = {answer_key(system, digests[item.id], trial) for item in plan.dataset for trial in range(trials)}
        with self._metadata.transaction() as tx:
            known = len(tx.experiments.known_keys(release.project_id, keys))
        return len(keys) - known, known

    def _unfinished(self, plan: ReleaseBundle, release: ReleaseBundle, trials: int, baseline: str | None) -> int:
        """Return how many answers of a release would still have to be judged."""
        dataset, evaluators = plan.artefacts["dataset"], plan.artefacts["evaluators"]
        other = ""
        if baseline and release.digest == plan.digest and needs_of(plan.evaluators.evaluator).other_output:
            other = experiment_id(baseline, dataset, evaluators, trials)
        found = experiment_id(release.digest, dataset, evaluators, trials, other=other)
        with self._metadata.transaction() as tx:
            record = tx.experiments.get(plan.project_id, found)
            done = tx.experiments.counts(plan.project_id, found).get(TrialState.ANSWERED, 0)
        is_over = record is not None and record.state == ExperimentState.FINISHED
        return 0 if is_over else len(plan.dataset) * trials - done

    def _judges(
        self, plan: ReleaseBundle, judges: Sequence[EvaluatorSpec], answers: int, samples: Sequence[AnswerSample]
    ) -> list[CallEstimate]:
        known = judges_range(samples, plan.artefacts["evaluators"])
        if judges and known is not None:
            found, basis = known
            names = ", ".join(spec.name for spec in judges)
            return [CallEstimate(names, answers * len(judges), 0, found.times(answers), basis)]
        return [self._judge(plan, spec, answers) for spec in judges]

    def _judge(self, plan: ReleaseBundle, spec: EvaluatorSpec, answers: int) -> CallEstimate:
        models = _models(spec.options)
        prices = {model: self._costs.price(plan.project_id, model, plan) for model in models}
        unknown = [model for model, price in prices.items() if price is None]
        if unknown or not models:
            said = f"the price of {unknown[0]} is unknown; add a [[price]]" if unknown else "it names no model"
            return CallEstimate(spec.name, answers * max(len(models), 1), 0, None, said)
        options: Json = dict(spec.options)  # type: ignore[arg-type]  # parsed from TOML
        rubric = canonical_json(options).decode()
        items = plan.dataset[:MOST_RENDERED]
        total = Range(0, 0, 0)
        for model, price in prices.items():
            shown = sum(self._costs.count_tokens(_shown(item), model) for item in items) / len(items)
            length = JUDGE_PREAMBLE + self._costs.count_tokens(rubric, model) + shown + JUDGE_OUTPUT.high / 2
            total = total.plus(call_cost(length, JUDGE_OUTPUT, price)) if price is not None else total
        basis = "nothing was judged by it before: lengths are assumed"
        return CallEstimate(spec.name, answers * len(models), 0, total.times(answers), basis)


def _most_tokens(model: ModelSpec) -> float | None:
    for name in ("max_completion_tokens", "max_tokens", "max_output_tokens"):
        value = model.parameters.get(name)
        if isinstance(value, int | float):
            return float(value)
    return None


def _models(options: Mapping[str, object]) -> list[str]:
    one, several = options.get("model"), options.get("models")
    if isinstance(one, str):
        return [one]
    return [str(model) for model in several] if isinstance(several, list) else []


def _shown(item: DatasetItem) -> str:
    shown: Json = {"input": item.input, "expected": item.expected, "contexts": list(item.contexts)}  # type: ignore[dict-item]
    return canonical_json(shown).decode()
