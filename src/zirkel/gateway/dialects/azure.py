"""Azure OpenAI: the v1 API, and the API of dated versions, where the model is a deployment in the path.

Source: Microsoft Learn, Azure OpenAI in Foundry Models, REST API reference and API version lifecycle.
"""

from collections.abc import Mapping
from urllib.parse import parse_qs

from zirkel.gateway.dialects.base import Endpoint, Framing
from zirkel.gateway.dialects.openai import OPENAI_PATHS, openai_path
from zirkel.gateway.dialects.paths import base_address, header_credential, safe_path, safe_segment, with_query

_V1 = "/openai/v1"
_NOT_PER_DEPLOYMENT = frozenset({"responses"})


class AzureDialect:
    """``https://R.openai.azure.com/openai/v1``, or ``https://R.openai.azure.com?api-version=2024-10-21``."""

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
        """Return where a request in ``format_name`` goes; ``model`` is the deployment.

        Raises:
            ValueError: If the format, credential or address does not have its form.
        """
        base, query = _address(base_url)
        path = openai_path(format_name)
        if not base.endswith(_V1):
            per_deployment = "" if format_name in _NOT_PER_DEPLOYMENT else f"/deployments/{safe_segment(model)}"
            path = f"/openai{per_deployment}{path}"
        return Endpoint(with_query(base + path, query), _headers(credential))

    def passage(
        self, base_url: str, credential: str, *, method: str, path: str, query: str, body: bytes, now_ns: int
    ) -> Endpoint:
        """Return where a request that is passed through goes; the address's ``api-version`` is the one that is sent.

        Raises:
            ValueError: If the credential, address, path or query does not have its form, or the query names a version.
        """
        base, own_query = _address(base_url)
        if own_query and "api-version" in parse_qs(query, keep_blank_values=True):
            raise ValueError("the query must not have an api-version: the upstream's address has it")
        return Endpoint(with_query(base + safe_path(path), own_query, query), _headers(credential))


def _address(base_url: str) -> tuple[str, str]:
    base, query = base_address(base_url)
    if base.endswith(_V1):
        return base, query
    if not parse_qs(query).get("api-version"):
        raise ValueError("the upstream's address must end with /openai/v1 or have an api-version")
    return base.removesuffix("/openai"), query


def _headers(credential: str) -> Mapping[str, str]:
    return {"api-key": header_credential(credential)}
