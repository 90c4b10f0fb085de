"""What is done to one text of a message by one guardrail, piece by piece."""

from dataclasses import dataclass
from typing import Protocol

from zirkel.gateway.guardrails.placeholders import Placeholders
from zirkel.gateway.guardrails.scanner import MatcherSet, Scanner
from zirkel.gateway.guardrails.texts import Place
from zirkel.gateway.guardrails.verdicts import Tally


class TextStage(Protocol):
    """One step of a text's way. Used for one text, once."""

    def feed(self, text: str) -> str:
        """Return what may go on after ``text``.

        Raises:
            RefusalFound: If the guardrail refuses.
        """
        ...

    def finish(self) -> str:
        """Return the rest, the text being complete.

        Raises:
            RefusalFound: If the guardrail refuses.
        """
        ...


@dataclass(frozen=True, slots=True)
class Opening:
    """What a guardrail is told of a text that begins."""

    place: Place
    tally: Tally
    """The guardrail's own, shared by all texts of the same stage."""
    placeholders: Placeholders
    """The call's."""


@dataclass(frozen=True, slots=True)
class MaskGuard:
    """Replaces what is found."""

    matchers: MatcherSet
    replacement: str | None = None
    """``None`` gives each value a placeholder of its own."""
    is_reversible: bool = False

    def open(self, opening: Opening) -> TextStage:
        """Return the stage for a new text."""
        tally = opening.tally

        def replace(label: str, found: str) -> str:
            tally.note(label, "mask")
            if self.replacement is not None:
                return self.replacement
            # Only what the caller sent comes back: what the model adds is masked for good.
            is_reversible = self.is_reversible and tally.stage == "input"
            return opening.placeholders.mask(label, found, is_reversible=is_reversible)

        return Scanner(self.matchers, replace)


@dataclass(frozen=True, slots=True)
class RefuseGuard:
    """Refuses at the first finding."""

    matchers: MatcherSet

    def open(self, opening: Opening) -> TextStage:
        """Return the stage for a new text."""

        def refuse(label: str, _: str) -> str:
            opening.tally.note(label, "refuse")
            raise opening.tally.refuse(f"it contains {label}")

        return Scanner(self.matchers, refuse)


@dataclass(frozen=True, slots=True)
class FlagGuard:
    """Counts what is found and holds nothing back."""

    matchers: MatcherSet

    def open(self, opening: Opening) -> TextStage:
        """Return the stage for a new text."""

        def count(label: str, found: str) -> str:
            opening.tally.note(label, "flag")
            return found

        return _Aside(Scanner(self.matchers, count))


class _Aside:
    """Lets text pass at once and gives it to a scanner beside."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner

    def feed(self, text: str) -> str:
        self._scanner.feed(text)
        return text

    def finish(self) -> str:
        self._scanner.finish()
        return ""


@dataclass(frozen=True, slots=True)
class LengthGuard:
    """Counts the characters of all texts of a stage together, reasoning left out."""

    max_chars: int
    refuses: bool

    def open(self, opening: Opening) -> TextStage:
        """Return the stage for a new text."""
        return _Unchanged() if opening.place.name == "reasoning_content" else _Measured(self, opening.tally)


class _Unchanged:
    def feed(self, text: str) -> str:
        return text

    def finish(self) -> str:
        return ""


class _Measured:
    def __init__(self, guard: LengthGuard, tally: Tally) -> None:
        self._guard = guard
        self._tally = tally

    def feed(self, text: str) -> str:
        self._tally.length_chars += len(text)
        if self._tally.length_chars > self._guard.max_chars and self._tally.action == "pass":
            self._tally.note("too_long", "flag")
            if self._guard.refuses:
                raise self._tally.refuse(f"it has more than {self._guard.max_chars} characters")
        return text

    def finish(self) -> str:
        return ""


TextGuard = MaskGuard | RefuseGuard | FlagGuard | LengthGuard
"""A guardrail that looks at each text by itself, and needs nobody else for it."""


def unmask_stage(matchers: MatcherSet, placeholders: Placeholders, place: Place) -> TextStage:
    """Return the stage that puts masked values back where their placeholders stand."""
    return Scanner(matchers, lambda _, found: placeholders.original(found, is_json=place.is_json))
