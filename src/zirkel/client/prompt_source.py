"""Prompts from the server."""

import httpx
import msgspec

from zirkel.client.http import Unreachable
from zirkel.client.prompt_shelf import Fetched, PromptKey
from zirkel.client.prompts import ServedPrompt
from zirkel.core import ERROR_KINDS, ZirkelError

CONNECT_S = 2.0
ANSWER_S = 5.0


class HttpPrompts:
    """Fetches prompts over REST."""

    def __init__(self, url: str, api_key: str) -> None:
        self._url = url
        self._http = httpx.Client(
            base_url=url,
            headers={"authorization": f"Bearer {api_key}"},
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            trust_env=False,
        )

    def fetch(self, key: PromptKey, etag: str) -> Fetched | None:
        """Return a prompt, or ``None`` if it is still the one of ``etag``.

        Raises:
            Unreachable: If the server does not answer.
            ZirkelError: Of the kind that the server names.
        """
        parameters = {"release": key.release} if key.release else {"environment": key.environment}
        headers = {"if-none-match": etag} if etag else {}
        try:
            response = self._http.get(f"/api/v1/prompts/{_segment(key.name)}", params=parameters, headers=headers)
        except httpx.HTTPError as error:
            raise Unreachable(f"{self._url} did not answer ({type(error).__name__})") from error
        if response.status_code == 304:
            return None
        if response.status_code != 200:
            raise _error(response)
        try:
            served = msgspec.json.decode(response.content, type=ServedPrompt)
        except msgspec.DecodeError as error:
            raise ZirkelError(f"{response.request.url} did not answer with a prompt: {error}") from error
        return Fetched(served, response.headers.get("etag", ""))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _segment(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F").replace("?", "%3F").replace("#", "%23")


def _error(response: httpx.Response) -> ZirkelError:
    if response.status_code in (502, 503, 504):
        return Unreachable(f"{response.request.url} answered with HTTP {response.status_code}")
    try:
        fields = response.json()["error"]
        return ERROR_KINDS.get(fields["code"], ZirkelError)(fields["message"], path=fields.get("path"))
    except (ValueError, KeyError, TypeError):
        return ZirkelError(f"HTTP {response.status_code}: {response.text[:200]}")
