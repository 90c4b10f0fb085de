"""``guardrails.toml`` as types: each kind has its own fields and actions, and nothing else is taken."""

import re

import msgspec
import pytest

from zirkel.core.guardrails import GuardrailsSpec, JsonSchemaGuardrail, PiiGuardrail

BEGINNING = '[[guardrail]]\nname = "g"\n'


def decode(text: str) -> GuardrailsSpec:
    return msgspec.toml.decode(BEGINNING + text, type=GuardrailsSpec)


def test_each_kind_is_a_structure_of_its_own_and_knows_its_kind() -> None:
    pii = decode('kind = "pii"\nstage = "both"\naction = "mask"\nentities = ["email"]\n').guardrail[0]
    schema = decode('kind = "json_schema"\naction = "refuse"\n[guardrail.schema]\ntype = "object"\n').guardrail[0]
    assert isinstance(pii, PiiGuardrail)
    assert isinstance(schema, JsonSchemaGuardrail)
    assert (pii.kind, pii.reversible) == ("pii", True)
    assert (schema.kind, schema.stage, schema.repair) == ("json_schema", "output", False)


def test_a_specification_survives_the_snapshot_as_json() -> None:
    spec = decode('kind = "length"\nstage = "input"\naction = "flag"\nmax_chars = 3\n')
    assert msgspec.json.decode(msgspec.json.encode(spec), type=GuardrailsSpec) == spec


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('kind = "magic"', "Invalid value 'magic' - at `$.guardrail[0].kind`"),
        ('kind = "secrets"\nstage = "both"', "missing required field `action` - at `$.guardrail[0]`"),
        ('kind = "secrets"\nstage = "both"\naction = "mask"\nentities = []', "unknown field `entities`"),
        ('kind = "secrets"\nstage = "before"\naction = "mask"', "'before' - at `$.guardrail[0].stage`"),
        ('kind = "pii"\nstage = "both"\naction = "mask"\nentities = ["name"]', "at `$.guardrail[0].entities[0]`"),
        ('kind = "pii"\nstage = "both"\naction = "mask"\nentities = []', "at `$.guardrail[0].entities`"),
        ('kind = "length"\nstage = "both"\naction = "mask"\nmax_chars = 1', "'mask' - at `$.guardrail[0].action`"),
        ('kind = "length"\nstage = "both"\naction = "flag"\nmax_chars = 0', "at `$.guardrail[0].max_chars`"),
        ('kind = "json_schema"\naction = "mask"\nschema = {}', "'mask' - at `$.guardrail[0].action`"),
        ('kind = "json_schema"\naction = "flag"\nstage = "input"\nschema = {}', "at `$.guardrail[0].stage`"),
        ('kind = "http"\nstage = "input"\nurl = "http://a/"\naction = "flag"', "unknown field `action`"),
        ('kind = "http"\nstage = "input"\nurl = "file:///etc/passwd"', "at `$.guardrail[0].url`"),
        ('kind = "http"\nstage = "input"\nurl = "http://a/"\ntimeout_s = 0', "at `$.guardrail[0].timeout_s`"),
        ('kind = "http"\nstage = "input"\nurl = "http://a/"\non_error = "flag"', "at `$.guardrail[0].on_error`"),
        (
            'kind = "injection"\nstage = "input"\naction = "flag"\nurl = "http://a/"\nthreshold = nan',
            "at `$.guardrail[0].threshold`",
        ),
        (
            'kind = "judge"\nstage = "input"\naction = "flag"\nmodel = "gpt-4o"\nquestion = "?"',
            "at `$.guardrail[0].model`",
        ),
    ],
)
def test_what_a_kind_does_not_have_is_refused_with_its_path(text: str, said: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=re.escape(said)):
        decode(text)


def test_a_file_without_guardrails_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="length >= 1"):
        msgspec.toml.decode("guardrail = []", type=GuardrailsSpec)
