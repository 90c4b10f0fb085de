"""The requests and answers that all systems are measured with."""

from collections.abc import Sequence

import msgspec

PLAIN_MODEL = "gpt-4o-mini"
"""Answers at once, streams too."""
PACED_MODEL = "gpt-4o"
"""Streams ``FIRST_EVENT_S`` after the request, an event every ``BETWEEN_EVENTS_S``."""
FIRST_EVENT_S = 0.100
BETWEEN_EVENTS_S = 0.010
WORDS = 50
EVENTS = WORDS + 4
"""Role, words, finish, usage, ``[DONE]``."""
WORD = b"apple "
"""What every content event says."""
PROMPT_TOKENS = 38
PATH = "/v1/chat/completions"

_HEAD = {"id": "chatcmpl-bench0123456789abcdef", "created": 1767225600, "system_fingerprint": "fp_bench"}
_USAGE = {
    "prompt_tokens": PROMPT_TOKENS,
    "completion_tokens": WORDS,
    "total_tokens": PROMPT_TOKENS + WORDS,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}


def plain_answer(model: str) -> bytes:
    """Return a whole HTTP response of about 900 bytes: a chat completion with usage."""
    message = {"role": "assistant", "content": WORD.decode() * WORDS, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = msgspec.json.encode(
        {**_HEAD, "object": "chat.completion", "model": model, "choices": [choice], "usage": _USAGE}
    )
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def stream_answer(model: str) -> tuple[bytes, Sequence[bytes]]:
    """Return the head of a streamed HTTP response and its ``EVENTS`` pieces, each an event in a chunk of its own."""
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": WORD.decode()}] * WORDS
    choices: list[dict[str, object]] = [
        {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None} for delta in deltas
    ]
    choices.append({"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"})
    shape = {**_HEAD, "object": "chat.completion.chunk", "model": model}
    events = [msgspec.json.encode({**shape, "choices": [choice], "usage": None}) for choice in choices]
    events += [msgspec.json.encode({**shape, "choices": [], "usage": _USAGE}), b"[DONE]"]
    pieces = [_chunk(b"data: " + event + b"\n\n") for event in events]
    pieces[-1] += b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head, pieces


def request(port: int, key: str, model: str, *, is_stream: bool) -> bytes:
    """Return a whole HTTP request of about 600 bytes."""
    text = "Say in one sentence what a customer who waits for a parcel since Monday should do, and be kind about it."
    body: dict[str, object] = {
        "model": model,
        "messages": [
            {"role": "system", "content": "You answer customers of a mail-order shop, briefly and in plain words."},
            {"role": "user", "content": text},
        ],
        "temperature": 0.2,
        "max_tokens": 200,
    }
    if is_stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    content = msgspec.json.encode(body)
    head = (
        f"POST {PATH} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\naccept: */*\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"
