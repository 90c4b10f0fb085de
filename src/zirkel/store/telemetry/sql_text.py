"""SQL put together from parts of the program's own text."""

import re
from collections.abc import Mapping

_WORD = re.compile(r"\b[A-Z][A-Z_]+\b", re.ASCII)


def filled(query: str, parts: Mapping[str, str]) -> str:
    """Return ``query`` with its capital words that are names of ``parts`` replaced, all at once.

    What a user wrote is never a part: it is bound as a parameter.
    """
    return _WORD.sub(lambda match: parts.get(match[0], match[0]), query)
