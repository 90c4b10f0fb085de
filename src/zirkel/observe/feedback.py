"""Feedback from browsers: who may send it, from where, and how much of it."""

import ipaddress

from zirkel.core import Clock, Forbidden, LimitReached, ZirkelError
from zirkel.lib.token_buckets import TokenBuckets
from zirkel.observe.score_ports import FeedbackKeys, OpenedKey
from zirkel.observe.scores import Scores, Taken

MAX_FEEDBACK_BYTES = 16 * 1024
ADDRESS_PER_MINUTE = 120
"""Requests of one client address."""
KEY_PER_MINUTE = 3000
"""Requests with one key that has no limit of its own."""
MOST_SUBJECTS = 20_000
"""Addresses, and keys, that are told apart at one time."""


class Feedback:
    """What the public may do, and no more. The limits live in memory: they begin anew when the core does."""

    def __init__(self, keys: FeedbackKeys, scores: Scores, clock: Clock) -> None:
        self._keys = keys
        self._scores = scores
        self._clock = clock
        self._addresses = TokenBuckets(MOST_SUBJECTS)
        self._used_keys = TokenBuckets(MOST_SUBJECTS)

    def admit(self, address: str) -> None:
        """Count a request of a client address, before anything is done for it.

        Raises:
            LimitReached: If there were too many.
        """
        wait_s = self._addresses.take(_network(address), ADDRESS_PER_MINUTE, self._clock.now_ns())
        if wait_s:
            raise _limit_reached("address", ADDRESS_PER_MINUTE, wait_s)

    def may_use(self, key_text: str, origin: str) -> bool:
        """Return whether a page of ``origin`` may use a key: what a browser asks before it sends feedback.

        Of a key that is no good this says yes: the refusal of the feedback itself tells the page why.
        """
        try:
            return self._keys.open_feedback(key_text).allows(origin)
        except ZirkelError:
            return True

    def open(self, key_text: str) -> OpenedKey:
        """Return a feedback key, and count its use.

        Raises:
            Forbidden: If it is no feedback key.
            LimitReached: If it was used too often.
            Unauthenticated: If it is not known, or not valid any more.
        """
        key = self._keys.open_feedback(key_text)
        per_minute = key.requests_per_minute or KEY_PER_MINUTE
        wait_s = self._used_keys.take(key.principal.principal_id, per_minute, self._clock.now_ns())
        if wait_s:
            raise _limit_reached("key", per_minute, wait_s)
        return key

    def give(self, key: OpenedKey, origin: str, item: bytes) -> Taken:
        """Take feedback that a page of ``origin`` sends (empty if no browser does); on return it is on disk.

        Raises:
            Forbidden: If the key is not for that origin.
            Conflict, Invalid, Overloaded: See ``Scores.give_feedback``.
        """
        if not key.allows(origin):
            raise Forbidden(
                f"the feedback key is not for {f'pages of {origin}' if origin else 'callers that name no origin'}; an "
                "admin lists its origins with: zirkel keys change KEY_ID --origin …"
            )
        return self._scores.give_feedback(key.principal, item)


def _network(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or the 64 bits of an IPv6 one that name its network."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    if isinstance(parsed, ipaddress.IPv4Address) or mapped:
        return str(mapped or parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def _limit_reached(of: str, per_minute: int, wait_s: float) -> LimitReached:
    return LimitReached(
        f"more than {per_minute} requests in a minute; the next one is taken in {wait_s:.1f} s",
        limit=f"feedback.{of}.requests_per_minute",
        retry_after_s=wait_s,
    )
