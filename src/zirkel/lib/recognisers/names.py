"""Names that are given as a list: whole words in any case, whatever alphabet they are written in."""

import re
import unicodedata
from collections.abc import Sequence

import re2

from zirkel.lib.recognisers.forms import Form

_NO_WORD = r"[^\p{L}\p{M}\p{N}_]"


def names_form(names: Sequence[str]) -> Form:
    """Return how any of ``names`` is written. Where one begins with another, the longer one is found.

    Composed and decomposed characters count as equal, and so does any white space between words.
    """
    forms = {unicodedata.normalize(form, name.strip()) for name in names for form in ("NFC", "NFD")}
    options = "|".join(_escaped(name) for name in sorted(forms, key=lambda name: (-len(name), name)))
    return Form(rf"(?i)(?:\A|{_NO_WORD})({options})(?:\z|{_NO_WORD})", group=1)


def _escaped(name: str) -> str:
    return r"\s+".join(re2.escape(word) for word in re.split(r"\s+", name))
