"""Answers that must be JSON of a certain shape."""

from dataclasses import dataclass

import msgspec

from zirkel.core import JsonObject
from zirkel.core.guardrails import JsonSchemaGuardrail
from zirkel.lib.json_schemas import Schema

_REPAIR = """Your answer does not have the form that is asked for:

{problems}

Answer again with the corrected JSON and nothing else."""


@dataclass(frozen=True, slots=True)
class SchemaGuard:
    """Checks an answer against a schema."""

    spec: JsonSchemaGuardrail
    schema: Schema

    def problems(self, text: str) -> list[tuple[str, str, str]]:
        """Return where the answer breaks the schema, the keyword (``json`` if it is none), and what is wrong."""
        try:
            value: object = msgspec.json.decode(text.encode("utf-8", "surrogatepass"))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return [("$", "json", f"the answer is not JSON: {error}")]
        return self.schema.problems(value)


def repair_messages(text: str, problems: list[tuple[str, str, str]]) -> list[JsonObject]:
    """Return what to add to a conversation so that the model corrects its answer ``text``."""
    said = "\n".join(f"- {where}: {message}" for where, _, message in problems)
    return [
        {"role": "assistant", "content": text},
        {"role": "user", "content": _REPAIR.format(problems=said)},
    ]
