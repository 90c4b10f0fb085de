"""Google's Gemini API.

Source: Gemini API reference, ``models.generateContent`` and "OpenAI compatibility".
"""

from zirkel.gateway.dialects.base import Endpoint, Framing
from zirkel.gateway.dialects.paths import base_address, header_credential, safe_path, safe_segment

_COLLECTIONS = ("models", "tunedModels")
_VERSIONS = ("v1", "v1beta", "v1alpha")
_OPENAI_PATH = "/openai/"


class GeminiDialect:
    """Gemini; the base address ends in the API's version, e.g. ``https://generativelanguage.googleapis.com/v1beta``."""

    @property
    def formats(self) -> tuple[str, ...]:
        """Gemini's own format, and OpenAI's for embeddings."""
        return ("gemini", "embeddings")

    @property
    def framing(self) -> Framing:
        """Server-sent events: ``alt=sse`` is always asked for."""
        return "sse"

    def endpoint(
        self,
        base_url: str,
        credential: str,
        *,
        format_name: str,
        model: str,
        is_stream: bool,
        body: bytes,
        now_ns: int,
    ) -> Endpoint:
        """Return where a request in ``format_name`` goes; ``model`` may say its collection, e.g. ``tunedModels/x``.

        Raises:
            ValueError: If the credential, address or model does not have the dialect's form, or it does not speak the
                format.
        """
        if format_name == "embeddings":
            return _endpoint(base_url, credential, "/openai/embeddings")
        if format_name not in ("gemini", "count_tokens"):
            raise ValueError("the gemini dialect speaks the formats gemini and embeddings")
        path = _model_path(model)
        if format_name == "count_tokens":
            return _endpoint(base_url, credential, f"{path}:countTokens")
        if is_stream:
            return _endpoint(base_url, credential, f"{path}:streamGenerateContent", "alt=sse")
        return _endpoint(base_url, credential, f"{path}:generateContent")

    def passage(
        self,
        base_url: str,
        credential: str,
        *,
        method: str,
        path: str,
        query: str,
        body: bytes,
        now_ns: int,
    ) -> Endpoint:
        """Return where a request that is passed through goes: ``path`` (starts with ``/``) below the base address.

        A version that the path begins with counts instead of the one that the address ends in: Google's clients have it
        in the path.

        Raises:
            ValueError: As ``endpoint``; also if the path would leave the base address.
        """
        return _endpoint(base_url, credential, safe_path(path), query)


def _endpoint(base_url: str, credential: str, path: str, query: str = "") -> Endpoint:
    address, own_query = base_address(base_url)
    address, path = _versioned(address, path)
    queries = "&".join(part for part in (own_query, query) if part)
    key = header_credential(credential)
    # Google's OpenAI-shaped endpoints take the same key the way OpenAI's clients send it.
    headers = {"authorization": f"Bearer {key}"} if path.startswith(_OPENAI_PATH) else {"x-goog-api-key": key}
    return Endpoint(url=f"{address}{path}" + (f"?{queries}" if queries else ""), headers=headers)


def _versioned(address: str, path: str) -> tuple[str, str]:
    """Return the address with the version that the path begins with, if it does, and the rest of the path."""
    base, _, own = address.rpartition("/")
    version, slash, rest = path[1:].partition("/")
    if slash and version in _VERSIONS and own in _VERSIONS:
        return f"{base}/{version}", f"/{rest}"
    return address, path


def _model_path(model: str) -> str:
    collection, slash, name = model.partition("/")
    if slash and collection in _COLLECTIONS:
        return f"/{collection}/{safe_segment(name)}"
    return f"/models/{safe_segment(model)}"
