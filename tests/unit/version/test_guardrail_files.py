"""``guardrails.toml`` as a file of a service: checked at push, part of the release, and absent where it is not."""

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from zirkel.core import Invalid, Principal
from zirkel.core.guardrails import GuardrailSpec, GuardrailsSpec, WordsGuardrail
from zirkel.version import Registry, build_releases, parse_service, select_files
from zirkel.version.guardrails import check_guardrails

Contents = dict[str, bytes]
GUIDE = Path(__file__).parents[3] / "docs" / "how-to" / "guardrails.md"
WORDS = b'[[guardrail]]\nname = "tone"\nkind = "words"\nstage = "output"\naction = "refuse"\nwords = ["damn"]\n'


def digests(contents: Contents) -> dict[str, str]:
    files = select_files(contents)
    candidate = build_releases(files, parse_service(files))[0]
    return {"release": candidate.digest, **{artefact.kind: artefact.digest for artefact in candidate.artefacts}}


def test_guardrails_are_an_artefact_of_their_own_and_move_nothing_else(contents: Contents) -> None:
    before = digests(contents)
    after = digests({**contents, "guardrails.toml": WORDS})
    assert set(after) - set(before) == {"guardrails"}
    assert {kind for kind in before if before[kind] != after[kind]} == {"release"}
    changed = digests({**contents, "guardrails.toml": WORDS.replace(b"damn", b"drat")})
    assert {kind for kind in after if after[kind] != changed[kind]} == {"release", "guardrails"}


def test_a_release_is_opened_with_its_own_guardrails(registry: Registry, admin: Principal, contents: Contents) -> None:
    without = registry.push(admin, contents)
    with_them = registry.push(admin, {**contents, "guardrails.toml": WORDS})
    assert registry.open("p", without.release).guardrails is None
    assert registry.open("p", with_them.release).guardrails == GuardrailsSpec(
        guardrail=[WordsGuardrail(name="tone", stage="output", action="refuse", words=["damn"])]
    )
    assert "guardrails" in registry.open("p", with_them.release).artefacts


def guardrail(kind: str, rest: str) -> str:
    return f'[[guardrail]]\nname = "g"\nkind = "{kind}"\naction = "flag"\n{rest}\n'


OUTPUT = 'stage = "output"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("guardrail = []", "guardrails.toml: "),
        ("[[guardrial]]\n", "guardrails.toml: Object contains unknown field `guardrial`"),
        (guardrail("words", f'{OUTPUT}words = ["a"]') * 2, "guardrails.toml: guardrail[1].name: 'g' occurs twice"),
        (guardrail("regex", rf"{OUTPUT}patterns = ['a', '(?=a)']"), "guardrail[0].patterns[1]: invalid perl operator"),
        (guardrail("regex", f'{OUTPUT}patterns = ["a*"]'), "guardrail[0].patterns[0]: 'a*' matches the empty text"),
        (guardrail("regex", f'{OUTPUT}patterns = ["a", "a"]'), "guardrail[0].patterns[1]: 'a' occurs twice"),
        (guardrail("words", f'{OUTPUT}words = ["ok", " "]'), "guardrail[0].words[1]: ' ' has no letter"),
        (guardrail("words", f'{OUTPUT}words = ["Ok", "ok"]'), "guardrail[0].words[1]: 'ok' occurs twice"),
        (
            guardrail("pii", f'{OUTPUT}entities = ["email", "email"]'),
            "guardrail[0].entities[1]: 'email' occurs twice",
        ),
        (
            guardrail("json_schema", '[guardrail.schema.properties.a]\ntype = "text"'),
            "guardrail[0].schema.properties.a.type: 'text' is not valid",
        ),
    ],
)
def test_what_cannot_be_run_is_refused_with_the_file_and_the_field(contents: Contents, text: str, said: str) -> None:
    with pytest.raises(Invalid, match=re.escape(said)) as raised:
        parse_service(select_files({**contents, "guardrails.toml": text.encode()}))
    assert raised.value.path == "guardrails.toml"


def test_the_examples_of_the_guide_are_accepted_and_have_every_kind() -> None:
    examples = re.findall(r"^```toml\n(.*?)^```$", GUIDE.read_text(), re.M | re.S)
    specs = [msgspec.toml.decode(example, type=GuardrailsSpec) for example in examples]
    for spec in specs:
        check_guardrails(spec, "guardrails.toml")
    kinds = {str(kind.__struct_config__.tag) for kind in get_args(GuardrailSpec)}
    assert {guardrail.kind for spec in specs for guardrail in spec.guardrail} == kinds
