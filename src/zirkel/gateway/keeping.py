"""Keeping the answer of a call, and finding the one of an earlier call."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from zirkel.core import CachePolicy, Clock, Json, JsonObject, Unsupported
from zirkel.gateway.cache import AnswerCache, BoundedMap, CachedAnswer, is_cacheable, read_answer, request_key
from zirkel.gateway.cache.meaning import open_semantic_index
from zirkel.gateway.facts import Attempt
from zirkel.lib.recognisers import Masker

if TYPE_CHECKING:
    from zirkel.gateway.cache.semantic import Probe, SemanticIndex

_log = logging.getLogger("zirkel.gateway")


class KeptAnswers:
    """The answers that a worker may use again. The semantic index is opened when the first release asks for it."""

    def __init__(self, entries: BoundedMap, clock: Clock) -> None:
        self.cache = AnswerCache(entries)
        self.clock = clock
        self._entries = entries
        self._index: SemanticIndex | None = None
        self._is_index_missing = False

    def index(self) -> "SemanticIndex | None":
        """Return the index by meaning; ``None``, told once in the log, where its packages are missing."""
        if self._index is None and not self._is_index_missing:
            try:
                self._index = open_semantic_index(self._entries)
            except Unsupported as error:
                self._is_index_missing = True
                _log.error("answers are kept for equal requests only: %s", error)
        return self._index

    def close(self) -> None:
        """End the index's thread."""
        if self._index is not None:
            self._index.close()


class Keeping:
    """Where the answer of one call of a release is kept."""

    def __init__(
        self,
        answers: KeptAnswers,
        policy: CachePolicy,
        project_id: str,
        release: str,
        hub: JsonObject,
        variables: Mapping[str, Json],
        rules: Masker | None = None,
    ) -> None:
        self._answers = answers
        self._policy = policy
        self._project_id = project_id
        self._release = release
        self._hub = hub
        self._variables = variables
        self._rules = rules
        self._key = request_key(project_id, release, hub)
        self._probe: Probe | None = None

    async def find(self) -> tuple[JsonObject | None, str]:
        """Return the kept answer in hub form, if there is one, and how it was found, as ``core.Span.cache`` says it."""
        cache, now_ns = self._answers.cache, self._answers.clock.now_ns()
        found, how = cache.get(self._key, now_ns), "hit"
        index = self._answers.index() if found is None and self._policy.semantic else None
        if index is not None:
            found, how = await self._find_alike(index, now_ns), "semantic_hit"
        return (None, "miss") if found is None else (read_answer(found), how)

    async def _find_alike(self, index: "SemanticIndex", now_ns: int) -> CachedAnswer | None:
        from zirkel.gateway.cache.semantic import split_variables  # noqa: PLC0415 (needs numpy)

        question = split_variables(self._hub, self._variables)
        if question is None:
            return None
        found = await index.find(self._project_id, self._release, question, self._policy.threshold, now_ns)
        self._probe = found.probe
        return self._answers.cache.get(found.answer_key, now_ns) if found.answer_key else None

    def keep(self, hub: JsonObject, attempt: Attempt) -> None:
        """Keep an answer if it is one to be used again; see ``cache.is_cacheable``.

        What the project's rules would mask is not kept: masked it is no answer for the next caller.
        """
        if not is_cacheable(hub) or self._is_masked(hub):
            return
        now_ns, ttl_s = self._answers.clock.now_ns(), self._policy.ttl_s
        answer = CachedAnswer(
            answer=msgspec.json.encode(hub),
            usage=attempt.usage,
            cost_usd=attempt.cost_usd,
            created_ns=now_ns,
            upstream=attempt.upstream,
            model=attempt.model,
        )
        is_kept = self._answers.cache.put(self._key, answer, ttl_s, now_ns)
        is_alike = is_kept and self._probe is not None and not self._is_masked(self._variables)
        index = self._answers.index() if is_alike else None
        if index is not None and self._probe is not None:
            index.add(self._probe, self._key, ttl_s, now_ns)

    def _is_masked(self, value: Mapping[str, object]) -> bool:
        """Return whether the project's rules take something out of it."""
        if self._rules is None:
            return False
        said = msgspec.json.encode(value).decode()
        return self._rules.mask_json(said) != said
