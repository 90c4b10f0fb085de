"""Answers that are used again: to the same request, and, if a release asks for it, to one that means the same.

``semantic`` is not imported here: it needs numpy, and the model optional packages.
"""

from zirkel.gateway.cache.answers import AnswerCache, CachedAnswer, is_cacheable, read_answer, request_key
from zirkel.gateway.cache.bounded import BoundedMap
from zirkel.gateway.cache.replay import hub_chunks

__all__ = ["AnswerCache", "BoundedMap", "CachedAnswer", "hub_chunks", "is_cacheable", "read_answer", "request_key"]
