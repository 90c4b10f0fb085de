"""Which models are related: judges like the answers of their own family. Pure."""

import re
from collections.abc import Mapping

from zirkel.core import EvaluatorSpec

_ALIASES: Mapping[str, str] = {
    "chatgpt": "gpt",
    "o": "gpt",
    "davinci": "gpt",
    "codestral": "mistral",
    "devstral": "mistral",
    "magistral": "mistral",
    "ministral": "mistral",
    "mixtral": "mistral",
    "pixtral": "mistral",
    "gemma": "gemini",
    "qwq": "qwen",
    "codellama": "llama",
}
_FIRST_WORD = re.compile(r"[a-z]+")


def family_of(model: str) -> str:
    """Return the family of ``UPSTREAM/MODEL``: the name's first word, makers' several names as one; empty if none.

    ``openai/gpt-4o`` and ``azure/o3-mini`` are both ``gpt``.
    """
    name = model.rpartition("/")[2].lower()
    # Some places put the maker before the name, with a dot.
    name = name.rpartition(".")[2] if re.match(r"[a-z-]+\.[a-z]", name) else name
    found = _FIRST_WORD.match(name)
    return _ALIASES.get(found.group(), found.group()) if found else ""


def judge_models(spec: EvaluatorSpec) -> tuple[str, ...]:
    """Return the models that an evaluator asks, as its options name them."""
    named = spec.options.get("models", [spec.options.get("model")])
    return tuple(str(name) for name in named if isinstance(name, str)) if isinstance(named, list) else ()
