"""``guardrails.toml`` checked beyond its types: names, patterns, words and schemas. Pure."""

from zirkel.core import Invalid
from zirkel.core.guardrails import (
    GuardrailSpec,
    GuardrailsSpec,
    JsonSchemaGuardrail,
    PiiGuardrail,
    RegexGuardrail,
    WordsGuardrail,
)
from zirkel.lib.json_schemas import SchemaFault, compile_schema
from zirkel.lib.patterns import PatternFault, compile_pattern


def check_guardrails(spec: GuardrailsSpec, file: str) -> None:
    """Return if each guardrail can be run as it is written.

    Args:
        spec: What the file says.
        file: The file's path, for the message.

    Raises:
        Invalid: With the file and the path of the field, e.g. ``guardrail[0].patterns[2]``.
    """
    names: set[str] = set()
    for index, guardrail in enumerate(spec.guardrail):
        path = f"guardrail[{index}]"
        if guardrail.name in names:
            raise Invalid(f"{file}: {path}.name: {guardrail.name!r} occurs twice", path=file)
        names.add(guardrail.name)
        field, problem = _problem(guardrail)
        if problem:
            raise Invalid(f"{file}: {path}.{field}: {problem}", path=file)


def _problem(guardrail: GuardrailSpec) -> tuple[str, str]:
    """Return the first field that is wrong and why; both empty if none is."""
    match guardrail:
        case PiiGuardrail():
            return _repeated("entities", list(guardrail.entities))
        case RegexGuardrail():
            return _pattern_problem(guardrail.patterns)
        case WordsGuardrail():
            return _word_problem(guardrail.words)
        case JsonSchemaGuardrail():
            try:
                compile_schema(guardrail.schema)
            except SchemaFault as error:
                return f"schema{error.at}", str(error)
    return "", ""


def _pattern_problem(patterns: list[str]) -> tuple[str, str]:
    for index, pattern in enumerate(patterns):
        try:
            compiled = compile_pattern(pattern)
        except PatternFault as error:
            return f"patterns[{index}]", str(error)
        if compiled.matches_nothing:
            return f"patterns[{index}]", f"{pattern!r} matches the empty text, so it would match everywhere"
    return _repeated("patterns", patterns)


def _word_problem(words: list[str]) -> tuple[str, str]:
    for index, word in enumerate(words):
        if word != word.strip() or not any(character.isalnum() for character in word):
            return f"words[{index}]", f"{word!r} has no letter or digit, or a space at an end"
    return _repeated("words", [word.casefold() for word in words])


def _repeated(field: str, values: list[str]) -> tuple[str, str]:
    for index, value in enumerate(values):
        if value in values[:index]:
            return f"{field}[{index}]", f"{value!r} occurs twice"
    return "", ""
