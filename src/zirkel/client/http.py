"""The REST API as a Python object."""

import base64
import json
from collections.abc import Mapping
from types import TracebackType

import httpx

from zirkel.core import Json, ZirkelError
from zirkel.core.errors import Conflict, Forbidden, Invalid, NotFound, Refused, TooLarge, Unauthenticated

KINDS: dict[str, type[ZirkelError]] = {
    kind.code: kind for kind in (Conflict, Forbidden, Invalid, NotFound, Refused, TooLarge, Unauthenticated)
}


class Unreachable(ZirkelError):
    """The server did not answer."""

    code = "unreachable"
    http_status = 503


class Client:
    """Talks to a Zirkel core.

    Methods return the API's JSON as it is, and raise the error kind that the server names (``core.errors``), or
    ``Unreachable``.
    """

    def __init__(self, base_url: str, api_key: str, *, timeout_s: float = 60) -> None:
        self.base_url = base_url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.base_url, headers={"authorization": f"Bearer {api_key}"}, timeout=timeout_s, trust_env=False
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def push(self, files: Mapping[str, bytes]) -> dict[str, Json]:
        """Register a service's files."""
        encoded = {path: base64.b64encode(data).decode() for path, data in files.items()}
        return self.post("/api/v1/services/push", {"files": encoded})

    def evidence_pack(self) -> bytes:
        """Return the ledger as a pack."""
        return self._send("GET", "/api/v1/evidence/pack", None, None).content

    def get(self, path: str, parameters: Mapping[str, str | int] | None = None) -> dict[str, Json]:
        """Return the object at a path."""
        return _object(self._send("GET", path, None, parameters))

    def get_list(self, path: str, parameters: Mapping[str, str | int] | None = None) -> list[dict[str, Json]]:
        """Return the list at a path."""
        return _list(self._send("GET", path, None, parameters))

    def post(self, path: str, body: Json) -> dict[str, Json]:
        """Post a body and return the object that answers it."""
        return _object(self._send("POST", path, body, None))

    def post_list(self, path: str, body: Json) -> list[dict[str, Json]]:
        """Post a body and return the list that answers it."""
        return _list(self._send("POST", path, body, None))

    def put(self, path: str, body: Json) -> dict[str, Json]:
        """Put a body and return the object that answers it."""
        return _object(self._send("PUT", path, body, None))

    def delete(self, path: str) -> None:
        """Delete what is at a path."""
        self._send("DELETE", path, None, None)

    def _send(self, method: str, path: str, body: Json, parameters: Mapping[str, str | int] | None) -> httpx.Response:
        try:
            response = self._http.request(method, path, json=body, params=parameters)
        except httpx.HTTPError as error:
            raise Unreachable(
                f"{self.base_url} did not answer ({type(error).__name__}); is `zirkel up` running there? "
                "Another address is set with ZIRKEL_URL"
            ) from error
        if response.status_code >= 400:
            raise _error(response)
        return response


def _error(response: httpx.Response) -> ZirkelError:
    try:
        fields = response.json()["error"]
        kind = KINDS.get(fields["code"], ZirkelError)
        return kind(fields["message"], path=fields.get("path"))
    except (json.JSONDecodeError, KeyError, TypeError):
        return ZirkelError(f"HTTP {response.status_code}: {response.text[:200]}")


def _object(response: httpx.Response) -> dict[str, Json]:
    value = response.json()
    if not isinstance(value, dict):
        raise ZirkelError(f"{response.request.url.path} answered with {type(value).__name__}, not an object")
    return value


def _list(response: httpx.Response) -> list[dict[str, Json]]:
    value = response.json()
    if not isinstance(value, list):
        raise ZirkelError(f"{response.request.url.path} answered with {type(value).__name__}, not a list")
    return value
