"""Amazon Bedrock's runtime.

Source: Amazon Bedrock API reference, ``Converse``, ``ConverseStream`` and ``CountTokens``.
"""

import re
from urllib.parse import parse_qsl

from zirkel.gateway.dialects.base import Endpoint, Framing
from zirkel.gateway.dialects.paths import base_address, header_credential, safe_path, safe_segment
from zirkel.lib.sigv4 import AwsCredential, sign_request

_SERVICE = "bedrock"
_AWS_HOST = re.compile(
    r"https?://(?:[a-z0-9-]+\.)*bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.(?:[a-z0-9-]+\.)*"
    r"(?:amazonaws\.com|amazonaws\.com\.cn|api\.aws)(?::\d+)?(?:/.*)?",
    re.IGNORECASE,
)
_REGION = re.compile(r"[a-z0-9-]+")


class BedrockDialect:
    """Bedrock; the base address is e.g. ``https://bedrock-runtime.eu-central-1.amazonaws.com``.

    For another host, such as a proxy, the region is told in the address: ``?region=eu-central-1``; it is not sent on.
    The credential is ``ACCESS_KEY:SECRET`` or ``ACCESS_KEY:SECRET:SESSION_TOKEN``.

    Requests are signed, so the address must be sent exactly as it is returned, escapes included.
    """

    @property
    def formats(self) -> tuple[str, ...]:
        """Converse alone."""
        return ("converse",)

    @property
    def framing(self) -> Framing:
        """AWS event stream messages."""
        return "eventstream"

    def endpoint(
        self, base_url: str, credential: str, *, format_name: str, model: str, is_stream: bool, body: bytes, now_ns: int
    ) -> Endpoint:
        """Return where a request in ``format_name`` goes; ``model`` is a model's or an inference profile's id or ARN.

        Raises:
            ValueError: If the credential, address or model does not have the dialect's form, or it does not speak the
                format.
        """
        if format_name == "count_tokens":
            action = "count-tokens"
        elif format_name == "converse":
            action = "converse-stream" if is_stream else "converse"
        else:
            raise ValueError("the bedrock dialect speaks the format converse")
        return _signed(base_url, credential, "POST", f"/model/{safe_segment(model)}/{action}", "", body, now_ns)

    def passage(
        self, base_url: str, credential: str, *, method: str, path: str, query: str, body: bytes, now_ns: int
    ) -> Endpoint:
        """Return where a request that is passed through goes: ``path`` (starts with ``/``) below the base address.

        Raises:
            ValueError: As ``endpoint``; also if the path would leave the base address.
        """
        return _signed(base_url, credential, method, safe_path(path), query, body, now_ns)


def _signed(base_url: str, credential: str, method: str, path: str, query: str, body: bytes, now_ns: int) -> Endpoint:
    address, own_query = base_address(base_url)
    url = f"{address}{path}" + (f"?{query}" if query else "")
    # The content type is left out of the signature: it is the call's to choose, and AWS wants host and x-amz-* only.
    headers = sign_request(
        method, url, {}, body, _credential(credential), region=_region(address, own_query), service=_SERVICE,
        now_ns=now_ns,
    )  # fmt: skip
    return Endpoint(url=url, headers=headers)


def _region(address: str, query: str) -> str:
    told = parse_qsl(query, keep_blank_values=True)
    if told:
        if len(told) > 1 or told[0][0] != "region" or not _REGION.fullmatch(told[0][1]):
            raise ValueError("the only thing a Bedrock address may have after '?' is region=REGION")
        return told[0][1]
    found = _AWS_HOST.fullmatch(address)
    if found is None:
        raise ValueError("the address is not https://bedrock-runtime.REGION.amazonaws.com; add ?region=REGION to it")
    return found.group(1).lower()


def _credential(text: str) -> AwsCredential:
    parts = header_credential(text).split(":", 2)
    if len(parts) < 2 or not all(parts):
        raise ValueError("the credential must be ACCESS_KEY:SECRET or ACCESS_KEY:SECRET:SESSION_TOKEN")
    return AwsCredential(*parts)
