"""Is the output JSON as a schema says?"""

from functools import lru_cache

import msgspec

from zirkel.core import JsonObject, Score, Scored
from zirkel.evaluate.evaluators.fields import NotJson, parse_json
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.subject import Subject
from zirkel.lib.json_schemas import Schema, SchemaFault, compile_any_draft


class JsonSchemaOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of ``json_schema``."""

    schema: JsonObject
    """The schema. Its draft is what `$schema` says, 2020-12 without it. References out of the schema are refused,
    patterns are RE2's, `format` is not checked, and `patternProperties` and `$id` are not supported."""


def score(options: JsonSchemaOptions, subject: Subject, _: Tools) -> Score:
    """Return 1 if the output is JSON that the schema allows, else 0; details name up to ten problems with their path.

    JSON in a Markdown fence, or with words around it, is no JSON.
    """
    try:
        value = parse_json(subject.output)
    except NotJson as error:
        return Scored(0.0, reason=f"the output is no JSON: {error}")
    problems = _compiled(msgspec.json.encode(options.schema, order="deterministic")).problems(value)
    said = [f"{where}: {message}" for where, _keyword, message in problems]
    return Scored(float(not said), details={"problems": said} if said else {})


@lru_cache(maxsize=64)
def _compiled(schema: bytes) -> Schema:
    parsed: JsonObject = msgspec.json.decode(schema)
    return compile_any_draft(parsed)


def _check(options: JsonSchemaOptions) -> str:
    try:
        compile_any_draft(options.schema)
    except SchemaFault as error:
        return f"schema{error.at}: {error}"
    return ""


KIND = EvaluatorKind("json_schema", "is JSON that a schema allows", JsonSchemaOptions, score, check=_check)
