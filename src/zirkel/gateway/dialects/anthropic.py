"""Anthropic, and servers that speak as it does.

Source: Anthropic API reference, overview (authentication, versions) and messages/count_tokens.
"""

from collections.abc import Mapping

from zirkel.gateway.dialects.base import Endpoint, Framing
from zirkel.gateway.dialects.paths import base_address, header_credential, safe_path, with_query

_PATHS: Mapping[str, str] = {"messages": "/v1/messages", "count_tokens": "/v1/messages/count_tokens"}

API_VERSION = "2023-06-01"
"""The version that has ``temperature``, ``top_p`` and ``top_k``; answers are the same in 2026-10-21."""


class AnthropicDialect:
    """Paths below an address with or without ``/v1``; the key in ``x-api-key``, no such header if there is no key."""

    @property
    def formats(self) -> tuple[str, ...]:
        """The wire formats it speaks."""
        return tuple(_PATHS)

    @property
    def framing(self) -> Framing:
        """How it frames streams."""
        return "sse"

    def endpoint(
        self, base_url: str, credential: str, *, format_name: str, model: str, is_stream: bool, body: bytes, now_ns: int
    ) -> Endpoint:
        """Return where a request in ``format_name`` goes.

        Raises:
            ValueError: If the format, credential or address does not have its form.
        """
        base, query = _address(base_url)
        path = _PATHS.get(format_name)
        if path is None:
            raise ValueError(f"this upstream does not speak the format {format_name!r}")
        return Endpoint(with_query(base + path, query), _headers(credential))

    def passage(
        self, base_url: str, credential: str, *, method: str, path: str, query: str, body: bytes, now_ns: int
    ) -> Endpoint:
        """Return where a request that is passed through goes; ``path`` may begin with ``/v1`` or leave it out.

        Raises:
            ValueError: If the credential, address, path or query does not have its form.
        """
        base, own_query = _address(base_url)
        versioned = safe_path(path) if path.startswith("/v1/") else "/v1" + safe_path(path)
        return Endpoint(with_query(base + versioned, own_query, query), _headers(credential))


def _address(base_url: str) -> tuple[str, str]:
    base, query = base_address(base_url)
    return base.removesuffix("/v1"), query


def _headers(credential: str) -> Mapping[str, str]:
    key = {"x-api-key": header_credential(credential)} if credential else {}
    return {**key, "anthropic-version": API_VERSION}
