"""OpenAI, and the many servers that speak as it does.

Source: OpenAI API reference, introduction and authentication.
"""

from collections.abc import Mapping

from zirkel.gateway.dialects.base import Endpoint, Framing
from zirkel.gateway.dialects.paths import base_address, below, header_credential, safe_path, with_query

OPENAI_PATHS: Mapping[str, str] = {
    "chat": "/chat/completions",
    "responses": "/responses",
    "completions": "/completions",
    "embeddings": "/embeddings",
}
"""Where each wire format is, below an address such as ``https://api.openai.com/v1``."""


def openai_path(format_name: str) -> str:
    """Return the path of a format.

    Raises:
        ValueError: If OpenAI does not speak it.
    """
    path = OPENAI_PATHS.get(format_name)
    if path is None:
        raise ValueError(f"this upstream does not speak the format {format_name!r}")
    return path


class OpenAIDialect:
    """Paths below an address that includes ``/v1``; the key as a bearer token, no header if there is no key."""

    @property
    def formats(self) -> tuple[str, ...]:
        """The wire formats it speaks."""
        return tuple(OPENAI_PATHS)

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
        base, query = base_address(base_url)
        return Endpoint(with_query(base + openai_path(format_name), query), _headers(credential))

    def passage(
        self, base_url: str, credential: str, *, method: str, path: str, query: str, body: bytes, now_ns: int
    ) -> Endpoint:
        """Return where a request that is passed through goes; ``path`` may repeat the version the address ends in.

        Raises:
            ValueError: If the credential, address, path or query does not have its form.
        """
        base, own_query = base_address(base_url)
        return Endpoint(with_query(below(base, safe_path(path)), own_query, query), _headers(credential))


def _headers(credential: str) -> Mapping[str, str]:
    return {"authorization": f"Bearer {header_credential(credential)}"} if credential else {}
