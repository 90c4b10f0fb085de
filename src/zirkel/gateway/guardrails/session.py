"""The guardrails of one call: its input, its answers, and what is recorded of them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from zirkel.core import Clock, JsonObject
from zirkel.gateway.guardrails.answer_schema import SchemaGuard, repair_messages
from zirkel.gateway.guardrails.asking import AskGuard
from zirkel.gateway.guardrails.placeholders import Placeholders
from zirkel.gateway.guardrails.ports import GuardPorts
from zirkel.gateway.guardrails.scanner import MatcherSet
from zirkel.gateway.guardrails.stages import Opening, TextGuard, TextStage, unmask_stage
from zirkel.gateway.guardrails.stream import OutputStream, StreamGuard
from zirkel.gateway.guardrails.texts import newest_texts, spoken_text, texts_of, with_spoken_text, with_texts
from zirkel.gateway.guardrails.verdicts import Refusal, RefusalFound, Stopwatch, Tally, Verdict

_SLICE_CHARS = 4096
"""After so much text other calls get their turn."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A compiled guardrail."""

    name: str
    kind: str
    check: TextGuard | SchemaGuard | AskGuard


@dataclass(frozen=True, slots=True)
class InputOutcome:
    """What may go to the model."""

    messages: list[JsonObject]
    """Empty if there is a refusal."""
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class OutputOutcome:
    """What may go to the caller. Exactly one of the three is set."""

    message: JsonObject | None = None
    refusal: Refusal | None = None
    repair: list[JsonObject] | None = None
    """To be added to the input, for one more answer; it is checked by the same session."""


@dataclass(frozen=True, slots=True)
class _NeedsRepair(Exception):
    messages: list[JsonObject]


class GuardSession:
    """Checks one call: first its input, once, then each answer, whole or as a stream."""

    def __init__(
        self,
        input_guards: Sequence[Guard],
        output_guards: Sequence[Guard],
        unmask: MatcherSet | None,
        ports: GuardPorts,
        clock: Clock,
    ) -> None:
        self._input_guards = input_guards
        self._output_guards = output_guards
        self._unmask = unmask
        self._ports = ports
        self._clock = clock
        self._placeholders = Placeholders()
        self._has_asked_for_repair = False
        self.verdicts: list[Verdict] = []
        """One for each guardrail that has run, in order; those of a stream once it is finished or refused."""

    @property
    def touches_output(self) -> bool:
        """True if an answer is checked or changed; if not, it can be passed on as it comes."""
        return bool(self._output_guards) or self._placeholders.has_originals

    async def check_input(self, messages: list[JsonObject]) -> InputOutcome:
        """Return the messages as they may go to the model; ``messages`` itself is not changed."""
        if self._unmask is not None:
            for message in messages:
                for text in texts_of(message):
                    self._placeholders.reserve(text.text)
        checked = list(messages)
        try:
            for guard in self._input_guards:
                checked = await self._guard_input(guard, checked)
        except RefusalFound as found:
            return InputOutcome([], found.refusal)
        return InputOutcome(checked)

    async def check_output(self, message: JsonObject) -> OutputOutcome:
        """Return a whole answer as it may go to the caller; ``message`` itself is not changed."""
        checked = message
        try:
            for guard in self._output_guards:
                checked = await self._guard_output(guard, checked)
        except RefusalFound as found:
            return OutputOutcome(refusal=found.refusal)
        except _NeedsRepair as needed:
            return OutputOutcome(repair=needed.messages)
        return OutputOutcome(await self._unmasked(checked))

    def output_stream(self) -> OutputStream:
        """Return what checks one streamed answer. Not to be used if the guardrails need the whole of it."""
        guards = [StreamGuard(g.name, g.kind, g.check) for g in self._output_guards if isinstance(g.check, TextGuard)]
        return OutputStream(guards, self._unmask, self._placeholders, self._clock, self.verdicts)

    async def _guard_input(self, guard: Guard, messages: list[JsonObject]) -> list[JsonObject]:
        tally = Tally(guard.name, guard.kind, "input")
        checked = list(messages)
        try:
            with Stopwatch(tally, self._clock):
                if isinstance(guard.check, TextGuard):
                    checked = [await self._pass(guard.check, message, tally) for message in messages]
                elif isinstance(guard.check, AskGuard):
                    for index, text in newest_texts(messages):
                        checked[index] = await self._ask(guard.check, checked[index], text, tally)
        finally:
            self.verdicts.append(tally.verdict())
        return checked

    async def _guard_output(self, guard: Guard, message: JsonObject) -> JsonObject:
        tally = Tally(guard.name, guard.kind, "output")
        try:
            with Stopwatch(tally, self._clock):
                if isinstance(guard.check, TextGuard):
                    return await self._pass(guard.check, message, tally)
                text = spoken_text(message)
                if isinstance(guard.check, AskGuard):
                    return await self._ask(guard.check, message, text, tally) if text else message
                if text or not message.get("tool_calls"):
                    await self._check_schema(guard.check, message, tally)
                return message
        finally:
            self.verdicts.append(tally.verdict())

    async def _pass(self, guard: TextGuard, message: JsonObject, tally: Tally) -> JsonObject:
        """Return the message with each of its texts as the guardrail lets it pass."""
        texts = texts_of(message)
        passed = [await _run(guard.open(Opening(text.place, tally, self._placeholders)), text.text) for text in texts]
        return with_texts(message, passed) if passed else message

    async def _ask(self, guard: AskGuard, message: JsonObject, text: str, tally: Tally) -> JsonObject:
        ruling = await guard.rule(text, tally.stage, self._ports)
        tally.error = ruling.error or tally.error
        if ruling.found and ruling.action != "pass":
            tally.note(ruling.found, ruling.action)
        if ruling.action == "refuse":
            raise tally.refuse(ruling.reason)
        return with_spoken_text(message, ruling.text) if ruling.action == "mask" else message

    async def _check_schema(self, guard: SchemaGuard, message: JsonObject, tally: Tally) -> None:
        # The caller's own values are back in what the caller gets, so that is what must be valid.
        problems = guard.problems(spoken_text(await self._unmasked(message)))
        for _, keyword, _ in problems:
            tally.note(keyword, "flag")
        if problems and guard.spec.repair and not self._has_asked_for_repair:
            self._has_asked_for_repair = True
            tally.action = "repair"
            raise _NeedsRepair(repair_messages(spoken_text(message), problems))
        if problems and guard.spec.action == "refuse":
            where, keyword, _ = problems[0]
            raise tally.refuse(f"it breaks {keyword!r} of the schema at {where}")

    async def _unmasked(self, message: JsonObject) -> JsonObject:
        if self._unmask is None or not self._placeholders.has_originals:
            return message
        texts = texts_of(message)
        stages = [unmask_stage(self._unmask, self._placeholders, text.place) for text in texts]
        return with_texts(message, [await _run(stage, text.text) for stage, text in zip(stages, texts, strict=True)])


async def _run(stage: TextStage, text: str) -> str:
    """Return a whole text as a stage lets it pass."""
    pieces = [stage.feed(text[:_SLICE_CHARS])]
    for start in range(_SLICE_CHARS, len(text), _SLICE_CHARS):
        await asyncio.sleep(0)
        pieces.append(stage.feed(text[start : start + _SLICE_CHARS]))
    return "".join([*pieces, stage.finish()])
