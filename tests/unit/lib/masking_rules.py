"""A masking rule as the tests of the recognisers write it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

KINDS = ("email", "phone", "iban", "card", "ahv", "ip")


@dataclass(frozen=True)
class RuleOf:
    """Fits ``lib.recognisers.Rule``."""

    recogniser: str = ""
    pattern: str = ""
    names: Sequence[str] = ()
    placeholder: str = ""
    fields: Collection[str] = ()
    services: Collection[str] = ()
    environments: Collection[str] = ()
