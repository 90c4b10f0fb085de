"""Rate limits in memory: a token bucket for each of a bounded number of subjects."""

import threading
from collections import OrderedDict

NS_PER_MINUTE = 60 * 10**9


class TokenBuckets:
    """Admits events by subject: so many at once, and as many again within each minute. Thread safe.

    A bucket is kept as the moment at which it will be full again. When there are too many subjects, the one that was
    not seen for longest is forgotten, and begins with a full bucket again.

    Source: the generic cell rate algorithm of ITU-T I.371 (virtual scheduling), which is a token bucket in integers.
    """

    def __init__(self, most_subjects: int) -> None:
        self._most_subjects = most_subjects
        self._full_ns: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._full_ns)

    def take(self, subject: str, per_minute: int, now_ns: int) -> float:
        """Take a token of a subject's bucket; return 0, or after how many seconds there is one.

        Args:
            subject: Whose event it is.
            per_minute: The bucket's size, and what flows into it in a minute; at least 1.
            now_ns: UTC nanoseconds. A clock that goes back costs a subject at most an empty bucket.
        """
        token_ns = NS_PER_MINUTE // per_minute
        with self._lock:
            full_ns = min(max(self._full_ns.pop(subject, now_ns), now_ns), now_ns + NS_PER_MINUTE)
            wait_ns = full_ns + token_ns - now_ns - NS_PER_MINUTE
            self._full_ns[subject] = full_ns if wait_ns > 0 else full_ns + token_ns
            if len(self._full_ns) > self._most_subjects:
                self._full_ns.popitem(last=False)
        return max(0, wait_ns) / 1e9
