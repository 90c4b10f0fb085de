"""Asking a web address for a judgement."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic, sleep

import httpx

from zirkel.evaluate.chat import TransientFailure

MOST_ANSWER_BYTES = 64 << 10
"""Body that an answer may have."""
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
LONGEST_WAIT_S = 30.0
"""Between attempts, whatever the other side asks for."""


class PostFailed(Exception):
    """An address gave no usable answer, and would not later. ``str()`` says why."""


@dataclass(frozen=True, slots=True)
class Post:
    """One request."""

    url: str
    body: bytes
    """JSON text."""
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 30
    attempts: int = 3
    """Calls before a failure that may pass is given up, at least 1."""


class Poster:
    """Posts JSON. Follows no redirects, and takes no proxy or credential from the environment. For many threads."""

    def __init__(self, wait: Callable[[float], None] = sleep) -> None:
        self._wait = wait
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def post(self, post: Post) -> bytes:
        """Return the body of the answer.

        A failure that may pass (no connection, silence, statuses 408, 425, 429 and 500 to 504) is tried again after
        0.5 s, 1 s and so on, or after what ``retry-after`` says, if that is less than half a minute.

        Raises:
            TransientFailure: If the last attempt failed so.
            PostFailed: If the answer has another status than 200, or is too large.
        """
        for attempt in range(1, post.attempts + 1):
            try:
                return self._post_once(post)
            except _Passing as failure:
                if attempt == post.attempts:
                    raise TransientFailure(f"{post.url}: {failure}, in {attempt} attempts") from None
                self._wait(min(failure.retry_after_s or 0.25 * 2**attempt, LONGEST_WAIT_S))
        raise PostFailed("a post needs at least one attempt")

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _post_once(self, post: Post) -> bytes:
        headers = {"content-type": "application/json", "accept-encoding": "identity", **post.headers}
        deadline_s = monotonic() + post.timeout_s
        try:
            with self._opened().stream(
                "POST", post.url, content=post.body, headers=headers, timeout=post.timeout_s
            ) as answer:
                if answer.status_code in TRANSIENT_STATUSES:
                    raise _Passing(f"HTTP {answer.status_code}", _retry_after_s(answer))
                if answer.status_code != 200:
                    raise PostFailed(f"{post.url}: HTTP {answer.status_code}")
                return _read(answer, deadline_s)
        except httpx.TransportError as error:
            raise _Passing(f"{type(error).__name__}: {error}".rstrip(": ")) from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise PostFailed(f"{post.url}: {type(error).__name__}: {error}") from None

    def _opened(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                self._client = httpx.Client(trust_env=False, follow_redirects=False)
            return self._client


class _Passing(Exception):
    """A failure that may pass."""

    def __init__(self, message: str, retry_after_s: float = 0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


def _read(answer: httpx.Response, deadline_s: float) -> bytes:
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise PostFailed(f"{answer.url}: the answer is compressed, which was not asked for")
    body = bytearray()
    for chunk in answer.iter_raw():
        body += chunk
        if len(body) > MOST_ANSWER_BYTES:
            raise PostFailed(f"{answer.url}: the answer is larger than {MOST_ANSWER_BYTES} bytes")
        if monotonic() > deadline_s:
            raise _Passing("the answer took too long")
    return bytes(body)


def _retry_after_s(answer: httpx.Response) -> float:
    """Return what the other side asks for in seconds; 0 if it does not, or gives a date."""
    said = answer.headers.get("retry-after", "")
    return float(said) if said.isascii() and said.isdigit() else 0.0
