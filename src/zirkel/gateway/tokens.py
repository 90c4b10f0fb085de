"""How many tokens a text is, where the upstream does not say; and a sure bound from above, for reservations."""

import functools
import importlib.util
import re
from collections.abc import Sequence
from importlib.machinery import PathFinder
from typing import Protocol, cast

import msgspec

EXACT_CHARACTERS = 1 << 18
"""Longest text that is counted whole; a longer one is estimated from a sample of this length."""
IMAGE_TOKENS = 765
"""Estimate for an image: what OpenAI's gpt-4o counts for 1024 x 1024 pixels in high detail."""
IMAGE_BOUND_TOKENS = 49_152
"""Bound for an image: above the 48,169 that gpt-4o-mini, the dearest we know of, counts for its largest."""
FRAMING_BOUND_TOKENS = 64
"""Bound for what a chat template adds beyond the bytes of the request's own JSON."""
TOOLS_BOUND_TOKENS = 1_024
"""Bound for the instructions that providers put before tool definitions."""

_MESSAGE_TOKENS = 3
_NAME_TOKENS = 1
_PRIMER_TOKENS = 3
_WINDOWS = 16
_CL100K_MODEL = re.compile(r"(?:ft:)?(?:gpt-4(?![.\do])|gpt-3\.?5|text-embedding-)")


class _Tokenizer(Protocol):
    def count(self, text: str) -> int: ...


class _Part(msgspec.Struct, frozen=True):
    type: str = ""
    text: str | None = None


class _Function(msgspec.Struct, frozen=True):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct, frozen=True):
    function: _Function | None = None


class _Message(msgspec.Struct, frozen=True):
    role: str = ""
    content: str | list[_Part] | None = None
    name: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_ToolCall] | None = None


_messages = msgspec.json.Decoder(list[_Message])


def count_tokens(text: str, model: str) -> int:
    """Return how many tokens ``text`` is: exact for OpenAI's models, an estimate with their o200k for all others.

    A text of more than ``EXACT_CHARACTERS`` is estimated from evenly spaced windows, so that the time is bounded (about
    4 ms for prose, 20 ms at worst). Text that looks like a special token counts as plain text.

    Args:
        text: Any text; lone surrogates count as replacement characters.
        model: ``gpt-4o``, ``openai/gpt-4o`` or ``ft:gpt-4o:…``.
    """
    tokenizer = _tokenizer(encoding_name(model))
    if len(text) <= EXACT_CHARACTERS:
        return _count(tokenizer, text)
    width = EXACT_CHARACTERS // _WINDOWS
    step = (len(text) - width) / (_WINDOWS - 1)
    starts = [int(number * step) for number in range(_WINDOWS)]
    sampled = sum(_count(tokenizer, text[start : start + width]) for start in starts)
    return round(sampled * len(text) / (width * _WINDOWS))


def count_request(messages: bytes, tools: bytes, model: str) -> int:
    """Return an estimate of the input tokens of a chat.

    Exact for OpenAI's models and plain messages. Tool definitions count as their JSON text, which is somewhat more than
    what OpenAI makes of them; each image counts ``IMAGE_TOKENS``. Bounded in time as ``count_tokens``.

    Args:
        messages: The hub request's ``messages`` as JSON.
        tools: Its ``tools`` as JSON, empty if there are none.
        model: As for ``count_tokens``.

    Raises:
        msgspec.DecodeError: If ``messages`` are not messages.

    Source: OpenAI cookbook, "How to count tokens with tiktoken", section 6.
    """
    texts = [tools.decode("utf-8", "replace")] if tools else []
    fixed = _PRIMER_TOKENS
    for message in _messages.decode(messages):
        fixed += _MESSAGE_TOKENS + _read_message(message, texts)
    return fixed + _count_all(texts, model)


def upper_bound_tokens(body: bytes, images: int) -> int:
    """Return a number of input tokens that the request cannot exceed. Costs no tokenizing.

    A byte-level BPE makes at least one byte of each token, and text inside JSON is never shorter than the text. The
    bound does not hold for what a request only names, other than images: files and audio by id or address. Tokenizers
    that normalise their input can make a few rare characters longer than they were sent.

    Args:
        body: The request's JSON as sent.
        images: How many images it has, inline or by address.

    Source: Sennrich et al. (2016), with the bytes as the base alphabet.
    """
    tools = TOOLS_BOUND_TOKENS if b'"tools"' in body else 0
    return len(body) + FRAMING_BOUND_TOKENS + tools + images * IMAGE_BOUND_TOKENS


def encoding_name(model: str) -> str:
    """Return the vocabulary of a model: ``cl100k_base`` for gpt-4, gpt-3.5 and embeddings, else ``o200k_base``."""
    return "cl100k_base" if _CL100K_MODEL.match(model.rpartition("/")[2]) else "o200k_base"


def _read_message(message: _Message, texts: list[str]) -> int:
    """Add the texts of a message to ``texts`` and return the tokens that are no text."""
    fixed = 0
    if isinstance(message.content, list):
        texts.extend(part.text for part in message.content if part.text)
        fixed += IMAGE_TOKENS * sum(part.type == "image_url" for part in message.content)
    elif message.content:
        texts.append(message.content)
    texts.extend(text for text in (message.role, message.refusal, message.reasoning_content) if text)
    if message.name:
        texts.append(message.name)
        fixed += _NAME_TOKENS
    functions = [call.function for call in message.tool_calls or () if call.function is not None]
    texts.extend(text for function in functions for text in (function.name, function.arguments) if text)
    return fixed + _MESSAGE_TOKENS * len(functions)


def _count_all(texts: Sequence[str], model: str) -> int:
    if sum(map(len, texts)) > EXACT_CHARACTERS:
        return count_tokens("".join(texts), model)
    tokenizer = _tokenizer(encoding_name(model))
    return sum(_count(tokenizer, text) for text in texts)


def _count(tokenizer: _Tokenizer, text: str) -> int:
    try:
        return tokenizer.count(text)
    except UnicodeEncodeError:
        return tokenizer.count(text.encode("utf-8", "replace").decode())


@functools.cache
def _tokenizer(encoding: str) -> _Tokenizer:
    """Return a tokenizer, loaded on first use: about 0.05 s, and 66 MiB for o200k or 31 MiB for cl100k.

    Only the package's compiled part is loaded. Importing the package itself would build three vocabularies as Python
    dictionaries, which no one needs for counting: another 0.4 s and 70 MiB.
    """
    package = importlib.util.find_spec("bpe_openai")
    folders = None if package is None else package.submodule_search_locations
    spec = None if folders is None else PathFinder.find_spec("_bindings", folders)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError("the package bpe-openai is missing; install zirkel[server]")
    bindings = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bindings)
    return cast(_Tokenizer, bindings.tokenizer_for_encoding(encoding))
