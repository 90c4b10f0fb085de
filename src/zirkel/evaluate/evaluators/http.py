"""A web address of your own."""

from urllib.parse import urlsplit

import msgspec

from zirkel.core import Errored, Score
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.judgements import encode_subject, read_judgement
from zirkel.evaluate.posting import Post, PostFailed
from zirkel.evaluate.subject import Subject


class HttpOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of ``http``."""

    url: str
    """Where the answer is posted to, as JSON with `item`, `output` and `context`: what a function of `python` gets."""
    headers: dict[str, str] = {}
    """Sent along. They are kept with the release, for all to read: no place for a secret."""
    values: dict[str, float] = {}
    """What a label stands for, for addresses that answer with labels alone."""
    timeout_s: float = 30
    """Time of an attempt in seconds."""
    attempts: int = 3
    """Attempts, while the failure is one that may pass: no connection, silence, status 408, 425, 429, 500, 502-504."""


def score(options: HttpOptions, subject: Subject, tools: Tools) -> Score:
    """Return what the address answers: `{"value": …}` or `{"label": …}`, and perhaps `reason` and `details`.

    A number, `true` or `false` alone will do, and `{"unscored": "why"}` says that there is nothing to judge. Redirects
    are not followed. No answer after all attempts, another status than 200, more than 64 KiB, or an answer of another
    form is an error with the reason, never a score.
    """
    post = Post(options.url, encode_subject(subject), options.headers, options.timeout_s, options.attempts)
    try:
        answer = tools.post(post)
    except PostFailed as failure:
        return Errored(str(failure))
    return read_judgement(answer, options.values)


def _check(options: HttpOptions) -> str:
    try:
        parts = urlsplit(options.url)
    except ValueError as error:
        return f"url {options.url!r}: {error}"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return f"url {options.url!r} is no http or https address"
    if parts.username is not None or parts.password is not None:
        return "url has a credential, which would be kept with the release for all to read"
    if not 0 < options.timeout_s <= 600 or not 1 <= options.attempts <= 10:
        return "timeout_s is above 0 and up to 600, attempts is from 1 to 10"
    return ""


KIND = EvaluatorKind(
    "http",
    "what a web address of yours says",
    HttpOptions,
    score,
    check=_check,
    unit="number",
    needs=frozenset({"steps", "contexts"}),
)
