"""``guardrails.toml``: what is checked before and after the model, as part of a release.

Each kind is a structure of its own, so that a field or an action that a kind does not have is an error with its path.
"""

from typing import Annotated, Literal

import msgspec

from zirkel.core.definitions import JsonObject

GuardrailStage = Literal["input", "output"]
"""Where a check runs: on what goes to the model, or on what it answers."""
OnError = Literal["refuse", "pass"]
"""What happens to the call if a check that asks somebody gets no usable answer."""
PiiEntity = Literal[
    "email", "phone", "iban", "credit_card", "ipv4", "ipv6", "us_ssn", "de_tax_id", "de_social_security"
]

_Name = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_Url = Annotated[str, msgspec.Meta(pattern="^https?://[^/?#\\s]+[^\\s]*$", max_length=2000)]
_Model = Annotated[str, msgspec.Meta(pattern="^[^/\\s]+/[^\\s]+$", max_length=300)]
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=60)]


class _Guardrail(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind"):
    @property
    def kind(self) -> str:
        """The ``kind`` of the file."""
        return str(self.__struct_config__.tag)


class PiiGuardrail(_Guardrail, frozen=True, kw_only=True, tag="pii"):
    """Personal data, found by form and check digits."""

    name: _Name
    stage: Literal["input", "output", "both"]
    action: Literal["mask", "refuse", "flag"]
    entities: Annotated[list[PiiEntity], msgspec.Meta(min_length=1)]
    reversible: bool = True
    """Masked input comes back in the answer: the model sees ``[EMAIL_1]``, the caller the address."""


class SecretsGuardrail(_Guardrail, frozen=True, kw_only=True, tag="secrets"):
    """API keys, tokens and private keys of known forms, and random strings assigned to names such as ``token``."""

    name: _Name
    stage: Literal["input", "output", "both"]
    action: Literal["mask", "refuse", "flag"]


class RegexGuardrail(_Guardrail, frozen=True, kw_only=True, tag="regex"):
    """Patterns of RE2 syntax, which has no look-around and no back references, and so takes linear time."""

    name: _Name
    stage: Literal["input", "output", "both"]
    action: Literal["mask", "refuse", "flag"]
    patterns: Annotated[
        list[Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]], msgspec.Meta(min_length=1, max_length=100)
    ]
    replacement: Annotated[str, msgspec.Meta(max_length=100)] = "[MASKED]"


class WordsGuardrail(_Guardrail, frozen=True, kw_only=True, tag="words"):
    """Words and phrases, whole and in any case."""

    name: _Name
    stage: Literal["input", "output", "both"]
    action: Literal["mask", "refuse", "flag"]
    words: Annotated[
        list[Annotated[str, msgspec.Meta(min_length=1, max_length=100)]], msgspec.Meta(min_length=1, max_length=2000)
    ]
    replacement: Annotated[str, msgspec.Meta(max_length=100)] = "[MASKED]"


class JsonSchemaGuardrail(_Guardrail, frozen=True, kw_only=True, tag="json_schema"):
    """The answer is JSON, and valid under a schema (draft 2020-12). An answer of tool calls alone is not checked."""

    name: _Name
    stage: Literal["output"] = "output"
    action: Literal["refuse", "flag"]
    schema: JsonObject
    repair: bool = False
    """Ask the model once more, with the errors, before the action is taken."""


class LengthGuardrail(_Guardrail, frozen=True, kw_only=True, tag="length"):
    """Characters of all texts of the input, or of the answer without its reasoning."""

    name: _Name
    stage: Literal["input", "output", "both"]
    action: Literal["refuse", "flag"]
    max_chars: Annotated[int, msgspec.Meta(ge=1)]


class InjectionGuardrail(_Guardrail, frozen=True, kw_only=True, tag="injection"):
    """A classifier behind HTTP that answers ``{"score": 0..1}``; the action is taken from ``threshold`` on."""

    name: _Name
    stage: Literal["input", "output", "both"]
    action: Literal["refuse", "flag"]
    url: _Url
    threshold: Annotated[float, msgspec.Meta(gt=0, le=1)]
    timeout_s: _Seconds = 5.0
    on_error: OnError = "refuse"


class JudgeGuardrail(_Guardrail, frozen=True, kw_only=True, tag="judge"):
    """A model that answers a question about the text; the action is taken if it says yes."""

    name: _Name
    stage: Literal["input", "output", "both"]
    action: Literal["refuse", "flag"]
    model: _Model
    """``UPSTREAM/MODEL``."""
    question: Annotated[str, msgspec.Meta(min_length=1, max_length=4000)]
    timeout_s: _Seconds = 30.0
    on_error: OnError = "refuse"


class HttpGuardrail(_Guardrail, frozen=True, kw_only=True, tag="http"):
    """A hook that decides itself: it answers ``{"verdict": "pass" | "flag" | "refuse" | "mask"}``."""

    name: _Name
    stage: Literal["input", "output", "both"]
    url: _Url
    timeout_s: _Seconds = 5.0
    on_error: OnError = "refuse"


GuardrailSpec = (
    PiiGuardrail
    | SecretsGuardrail
    | RegexGuardrail
    | WordsGuardrail
    | JsonSchemaGuardrail
    | LengthGuardrail
    | InjectionGuardrail
    | JudgeGuardrail
    | HttpGuardrail
)


class GuardrailsSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``guardrails.toml``: the checks in the order in which they run."""

    guardrail: Annotated[list[GuardrailSpec], msgspec.Meta(min_length=1, max_length=50)]
