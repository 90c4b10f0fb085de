"""The guardrails of a release, compiled once."""

from dataclasses import dataclass

from zirkel.core import Clock, Corrupt
from zirkel.core.guardrails import (
    GuardrailSpec,
    GuardrailsSpec,
    GuardrailStage,
    HttpGuardrail,
    InjectionGuardrail,
    JsonSchemaGuardrail,
    JudgeGuardrail,
    LengthGuardrail,
    PiiGuardrail,
    RegexGuardrail,
    SecretsGuardrail,
    WordsGuardrail,
)
from zirkel.gateway.guardrails.answer_schema import SchemaGuard
from zirkel.gateway.guardrails.asking import AskGuard, HookGuard, InjectionGuard, JudgeGuard, Subject
from zirkel.gateway.guardrails.personal_data import personal_data_matchers
from zirkel.gateway.guardrails.placeholders import placeholder_matchers
from zirkel.gateway.guardrails.ports import GuardPorts
from zirkel.gateway.guardrails.scanner import Matcher, MatcherSet, compile_matchers
from zirkel.gateway.guardrails.secret_forms import secret_matchers
from zirkel.gateway.guardrails.session import Guard, GuardSession
from zirkel.gateway.guardrails.stages import FlagGuard, LengthGuard, MaskGuard, RefuseGuard, TextGuard
from zirkel.gateway.guardrails.wording import pattern_matchers, word_matchers
from zirkel.lib.json_schemas import SchemaFault, compile_schema
from zirkel.lib.patterns import PatternFault

_SECRET = "[SECRET]"  # noqa: S105 (what stands in a secret's place)
_Textual = PiiGuardrail | SecretsGuardrail | RegexGuardrail | WordsGuardrail


@dataclass(frozen=True, slots=True)
class Guardrails:
    """What is checked before and after the model. Shared by all calls of a release."""

    input_guards: tuple[Guard, ...]
    output_guards: tuple[Guard, ...]
    unmask: MatcherSet | None
    """Finds placeholders, if masked input is to come back."""

    @property
    def needs_whole_output(self) -> bool:
        """True if an answer can only be checked once it is complete: it must then not be streamed."""
        return any(isinstance(guard.check, SchemaGuard | AskGuard) for guard in self.output_guards)

    def session(self, ports: GuardPorts, clock: Clock) -> GuardSession:
        """Return the guardrails of one call."""
        return GuardSession(self.input_guards, self.output_guards, self.unmask, ports, clock)


def compile_guardrails(spec: GuardrailsSpec, *, service: str = "", release: str = "") -> Guardrails:
    """Return the guardrails, ready to use.

    Args:
        spec: What the release says.
        service: The service's name, which hooks are told.
        release: The release's digest, which hooks are told.

    Raises:
        Corrupt: If a pattern or a schema does not compile, which the registry should not have let through.
    """
    guards: list[tuple[GuardrailSpec, Guard]] = []
    for guardrail in spec.guardrail:
        try:
            check = _compile(guardrail, Subject(service, release))
        except (PatternFault, SchemaFault) as error:
            raise Corrupt(
                f"guardrail {guardrail.name!r} of release {release[:12]!r} does not compile: {error}"
            ) from None
        guards.append((guardrail, Guard(guardrail.name, guardrail.kind, check)))
    return Guardrails(
        input_guards=_of_stage(guards, "input"),
        output_guards=_of_stage(guards, "output"),
        unmask=placeholder_matchers() if any(_comes_back(guardrail) for guardrail, _ in guards) else None,
    )


def _of_stage(guards: list[tuple[GuardrailSpec, Guard]], stage: GuardrailStage) -> tuple[Guard, ...]:
    return tuple(guard for guardrail, guard in guards if guardrail.stage in (stage, "both"))


def _comes_back(guardrail: GuardrailSpec) -> bool:
    if not isinstance(guardrail, PiiGuardrail) or guardrail.stage == "output":
        return False
    return guardrail.action == "mask" and guardrail.reversible


def _compile(guardrail: GuardrailSpec, subject: Subject) -> TextGuard | SchemaGuard | AskGuard:
    match guardrail:
        case LengthGuardrail():
            return LengthGuard(guardrail.max_chars, refuses=guardrail.action == "refuse")
        case JsonSchemaGuardrail():
            return SchemaGuard(guardrail, compile_schema(guardrail.schema))
        case InjectionGuardrail():
            return InjectionGuard(guardrail, subject)
        case JudgeGuardrail():
            return JudgeGuard(guardrail)
        case HttpGuardrail():
            return HookGuard(guardrail, subject)
        case _:
            return _textual(guardrail)


def _textual(guardrail: _Textual) -> TextGuard:
    matchers = compile_matchers(_matchers(guardrail))
    if guardrail.action == "refuse":
        return RefuseGuard(matchers)
    if guardrail.action == "flag":
        return FlagGuard(matchers)
    match guardrail:
        case PiiGuardrail():
            return MaskGuard(matchers, is_reversible=guardrail.reversible)
        case SecretsGuardrail():
            return MaskGuard(matchers, _SECRET)
        case _:
            return MaskGuard(matchers, guardrail.replacement)


def _matchers(guardrail: _Textual) -> list[Matcher]:
    match guardrail:
        case PiiGuardrail():
            return personal_data_matchers(guardrail.entities)
        case SecretsGuardrail():
            return secret_matchers()
        case RegexGuardrail():
            return pattern_matchers(guardrail.patterns)
        case WordsGuardrail():
            return word_matchers(guardrail.words)
