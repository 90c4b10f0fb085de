"""A streamed answer on its way through the guardrails: hub chunks in, hub chunks out."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from zirkel.core import Clock, JsonObject
from zirkel.gateway.guardrails.placeholders import Placeholders
from zirkel.gateway.guardrails.scanner import MatcherSet
from zirkel.gateway.guardrails.stages import Opening, TextGuard, TextStage, unmask_stage
from zirkel.gateway.guardrails.texts import SPOKEN, Place, Text, delta_with, edit_texts, says_anything
from zirkel.gateway.guardrails.verdicts import Refusal, RefusalFound, Stopwatch, Tally, Verdict

_ENVELOPE = ("id", "object", "created", "model", "system_fingerprint")


@dataclass(frozen=True, slots=True)
class StreamGuard:
    """A guardrail that can work on a stream."""

    name: str
    kind: str
    check: TextGuard


class _Lane:
    """One text on its way through all stages."""

    def __init__(self, place: Place, stages: Sequence[tuple[Tally, TextStage]], clock: Clock) -> None:
        self.place = place
        self._stages = stages
        self._clock = clock

    def feed(self, text: str) -> str:
        for tally, stage in self._stages:
            with Stopwatch(tally, self._clock):
                text = stage.feed(text)
        return text

    def finish(self) -> str:
        text = ""
        for tally, stage in self._stages:
            with Stopwatch(tally, self._clock):
                text = stage.feed(text) + stage.finish()
        return text


@dataclass(slots=True)
class _Choice:
    """One of the answers in a stream. It has one text at a time: the next one begins where another ends."""

    tallies: list[Tally]
    lane: _Lane | None = None
    tails: list[tuple[Place, str]] = field(default_factory=list)
    """What was held back of texts that have ended, to be sent."""

    def end_lane(self) -> None:
        """End the text that is open, if one is."""
        if self.lane is not None:
            ended, self.lane = self.lane, None
            if tail := ended.finish():
                self.tails.append((ended.place, tail))


class OutputStream:
    """Checks one streamed answer. After a refusal nothing more comes out."""

    def __init__(
        self,
        guards: Sequence[StreamGuard],
        unmask: MatcherSet | None,
        placeholders: Placeholders,
        clock: Clock,
        verdicts: list[Verdict],
    ) -> None:
        self._guards = guards
        self._unmask = unmask
        self._placeholders = placeholders
        self._clock = clock
        self._verdicts = verdicts
        self._choices: dict[int, _Choice] = {}
        self._envelope: JsonObject = {}
        self._is_closed = False
        self.refusal: Refusal | None = None
        """Set once a guardrail has refused: the stream must be ended with an error."""

    def feed(self, chunk: JsonObject) -> list[JsonObject]:
        """Return the chunks that may be sent after ``chunk``, often just one like it, sometimes none."""
        if self._is_closed:
            return []
        try:
            return self._pass(chunk)
        except RefusalFound as found:
            self._refuse(found)
            return []

    def finish(self) -> list[JsonObject]:
        """Return what was held back to the end, and make the verdicts. To be called however the stream has ended."""
        if self._is_closed:
            return []
        try:
            for choice in self._choices.values():
                choice.end_lane()
        except RefusalFound as found:
            self._refuse(found)
            return []
        self._close()
        return [chunk for index, choice in self._choices.items() for chunk in self._tails(index, choice, set())[0]]

    def _pass(self, chunk: JsonObject) -> list[JsonObject]:
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices:
            return [chunk]
        self._envelope = {name: chunk[name] for name in _ENVELOPE if name in chunk}
        before: list[JsonObject] = []
        kept: list[object] = []
        for choice in choices:
            if isinstance(choice, dict) and isinstance(choice.get("delta"), dict):
                tails, passed = self._pass_choice(choice)
                before += tails
                kept += [] if passed is None else [passed]
            else:
                kept.append(choice)
        is_needed = kept or chunk.get("usage") is not None
        return [*before, {**chunk, "choices": kept}] if is_needed else before

    def _pass_choice(self, choice: JsonObject) -> tuple[list[JsonObject], JsonObject | None]:
        """Return chunks to send before, and the choice as it may be sent; ``None`` if nothing is left of it."""
        index, delta = choice.get("index", 0), choice["delta"]
        assert isinstance(index, int)
        assert isinstance(delta, dict)
        state = self._choices.get(index)
        if state is None:
            tallies = [Tally(guard.name, guard.kind, "output") for guard in self._guards]
            state = self._choices[index] = _Choice(tallies)
        places: set[Place] = set()
        if delta.get("tool_calls") and state.lane is not None and state.lane.place.name in SPOKEN:
            # The call's first piece has its name and no text yet; what was said before goes before it.
            state.end_lane()

        def edit(text: Text) -> str:
            if not text.text:
                return ""
            places.add(text.place)
            return self._lane(state, text.place).feed(text.text)

        edited = edit_texts(delta, edit)
        is_last = choice.get("finish_reason") is not None
        if is_last:
            state.end_lane()
        before, appended = self._tails(index, state, places)
        if appended:
            edited = edit_texts(edited, lambda text: text.text + appended.get(text.place, ""))
        if says_anything(delta) and not says_anything(edited) and not is_last:
            return before, None
        # The tokens' texts would tell what was masked.
        hidden: JsonObject = {"logprobs": None} if choice.get("logprobs") is not None else {}
        return before, {**choice, **hidden, "delta": edited}

    def _lane(self, state: _Choice, place: Place) -> _Lane:
        if state.lane is None or state.lane.place != place:
            state.end_lane()
            pairs = zip(self._guards, state.tallies, strict=True)
            stages = [(tally, guard.check.open(Opening(place, tally, self._placeholders))) for guard, tally in pairs]
            if self._unmask is not None and self._placeholders.has_originals:
                # It is no guardrail's verdict, so its time is counted for none.
                stages.append((Tally("", "", "output"), unmask_stage(self._unmask, self._placeholders, place)))
            state.lane = _Lane(place, stages, self._clock)
        return state.lane

    def _tails(self, index: int, state: _Choice, places: set[Place]) -> tuple[list[JsonObject], dict[Place, str]]:
        """Return what was held back: as chunks, and what is to be added to the texts at ``places``."""
        own: list[JsonObject] = []
        added: dict[Place, str] = {}
        for place, text in state.tails:
            if place in places:
                added[place] = added.get(place, "") + text
            else:
                choice: JsonObject = {"index": index, "delta": delta_with(text, place), "finish_reason": None}
                own.append({**self._envelope, "choices": [choice]})
        state.tails = []
        return own, added

    def _refuse(self, found: RefusalFound) -> None:
        self.refusal = found.refusal
        self._close()

    def _close(self) -> None:
        self._is_closed = True
        tallies = [tally for choice in self._choices.values() for tally in choice.tallies]
        if not tallies:
            tallies = [Tally(guard.name, guard.kind, "output") for guard in self._guards]
        self._verdicts.extend(tally.verdict() for tally in tallies)
