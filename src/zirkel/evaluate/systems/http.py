"""Any HTTP endpoint: a JSON request made of the input, and a pointer to the answer in what comes back."""

import json
from collections.abc import Mapping, Sequence

import msgspec

from zirkel.core import Clock, Invalid, new_span_id
from zirkel.evaluate.ports import Answer, Question
from zirkel.evaluate.systems.json_client import JsonClient, Reply, Unreached
from zirkel.evaluate.systems.templates import fill


class HttpSystem:
    """Posts a request and reads the answer at a JSON pointer. What it costs is not known here."""

    def __init__(
        self,
        url: str,
        request: object,
        clock: Clock,
        *,
        answer: str = "",
        contexts: str = "",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 300,
    ) -> None:
        """Prepare.

        Args:
            url: Where to post.
            request: A JSON value; in its texts ``{{ name }}`` stands for a variable of the input.
            clock: Says how long answers take.
            answer: Pointer to the answer, e.g. ``/data/0/text``; empty for the whole body.
            contexts: Pointer to a list of the texts that were retrieved; empty if none are told.
            headers: Sent beside the content type.
            timeout_s: How long one answer may take.

        Raises:
            Invalid: If a pointer is none.
        """
        self._url = url
        self._request = request
        self._answer = parse_pointer(answer)
        self._contexts = parse_pointer(contexts) if contexts else None
        self._headers = dict(headers or {})
        self._client = JsonClient(clock, timeout_s=timeout_s)

    async def ask(self, question: Question) -> Answer:
        """Return the answer: a text as it is, anything else as JSON."""
        headers = {**self._headers, "traceparent": f"00-{question.trace_id}-{new_span_id()}-01"}
        try:
            reply = await self._client.post(self._url, headers, fill(self._request, question.variables))
        except Unreached as error:
            return Answer("", error=f"the endpoint could not be reached: {error}")
        if not 200 <= reply.status < 300:
            said = f"HTTP {reply.status}: {reply.message}"
            return Answer(
                "", said, None, reply.duration_ms, is_retryable=reply.is_retryable, retry_after_s=reply.retry_after_s
            )
        return self._read(reply)

    def _read(self, reply: Reply) -> Answer:
        try:
            body = msgspec.json.decode(reply.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            if self._answer:
                return Answer("", f"HTTP {reply.status} without JSON: {reply.text}", None, reply.duration_ms)
            return Answer(reply.body.decode(errors="replace"), duration_ms=reply.duration_ms)
        try:
            found = read_pointer(body, self._answer)
            listed = read_pointer(body, self._contexts) if self._contexts is not None else []
        except LookupError as error:
            return Answer("", f"the answer has no {error}: {reply.text}", None, reply.duration_ms)
        contexts = tuple(_text(value) for value in listed) if isinstance(listed, list) else (_text(listed),)
        return Answer(_text(found), duration_ms=reply.duration_ms, contexts=contexts)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def parse_pointer(text: str) -> tuple[str, ...]:
    """Return the parts of a JSON pointer.

    Raises:
        Invalid: If it is not empty and does not begin with a slash.

    Source: RFC 6901, sections 3 and 4.
    """
    if not text:
        return ()
    if not text.startswith("/"):
        raise Invalid(f"{text!r} is no JSON pointer; it begins with a slash, e.g. /data/0/text", path="answer")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/"))


def read_pointer(value: object, parts: Sequence[str]) -> object:
    """Return what a pointer leads to.

    Raises:
        LookupError: With the pointer up to where nothing is.
    """
    for depth, part in enumerate(parts, start=1):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isascii() and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            raise LookupError("/" + "/".join(parts[:depth]))
    return value


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
