"""The REST API as a Python object."""

import base64
from collections.abc import Mapping
from types import TracebackType

import httpx

from zirkel.core import ERROR_KINDS, Invalid, Json, ZirkelError


class Unreachable(ZirkelError):
    """The server did not answer."""

    code = "unreachable"
    http_status = 503


class Client:
    """Talks to a Zirkel core.

    Methods return the API's JSON as it is, and raise the error kind that the server names (``core.errors``), or
    ``Unreachable``. An answer that is not the API's raises ``ZirkelError``.

    Raises:
        Invalid: If the address or the key cannot be one.
    """

    def __init__(self, base_url: str, api_key: str, *, timeout_s: float = 60) -> None:
        self.base_url = base_url.rstrip("/")
        if not api_key.isascii():
            raise Invalid("the API key has characters that no key has; set the whole key as ZIRKEL_API_KEY")
        try:
            self._http = httpx.Client(
                base_url=self.base_url,
                headers={"authorization": f"Bearer {api_key}"},
                timeout=timeout_s,
                trust_env=False,
            )
        except httpx.InvalidURL as error:
            raise Invalid(f"{base_url!r} is not an address ({error}); set one with ZIRKEL_URL") from error

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
        kind = ERROR_KINDS.get(fields["code"], ZirkelError)
        return kind(fields["message"], path=fields.get("path"))
    except (ValueError, KeyError, TypeError):
        return ZirkelError(f"HTTP {response.status_code}: {response.text[:200]}")


def _json(response: httpx.Response) -> Json:
    try:
        value: Json = response.json()
    except ValueError as error:
        raise ZirkelError(
            f"{response.request.url} answered with HTTP {response.status_code} and no JSON; is that Zirkel's core?"
        ) from error
    return value


def _object(response: httpx.Response) -> dict[str, Json]:
    value = _json(response)
    if not isinstance(value, dict):
        raise ZirkelError(f"{response.request.url.path} answered with {type(value).__name__}, not an object")
    return value


def _list(response: httpx.Response) -> list[dict[str, Json]]:
    value = _json(response)
    if not isinstance(value, list):
        raise ZirkelError(f"{response.request.url.path} answered with {type(value).__name__}, not a list")
    objects = [item for item in value if isinstance(item, dict)]
    if len(objects) < len(value):
        raise ZirkelError(f"{response.request.url.path} answered with a list of something else than objects")
    return objects
