"""The REST API as a Python object."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from urllib.parse import quote

import httpx

from zirkel.core import ERROR_KINDS, Invalid, Json, ZirkelError

SCORES_A_REQUEST = 1000


class Unreachable(ZirkelError):
    """The server did not answer."""

    code = "unreachable"
    http_status = 503


Parameters = Mapping[str, str | int | Sequence[str]]
"""Of a query; a list is sent as several parameters of the name."""


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

    def add_scores(self, scores: Sequence[Mapping[str, Json]]) -> list[dict[str, Json]]:
        """Give scores; return for each, in order, its ``score_id`` and ``outcome``, and ``error`` if it was refused.

        An outcome is ``accepted``, ``unchanged``, ``corrected`` or ``refused``; what is not refused is on disk.
        """
        answers: list[dict[str, Json]] = []
        for start in range(0, len(scores), SCORES_A_REQUEST):
            answer = self.post("/api/v1/scores", list(scores[start : start + SCORES_A_REQUEST]))
            answers += _objects("/api/v1/scores", answer.get("scores"))
        return answers

    def list_scores(self, filters: Mapping[str, str | int] | None = None) -> Iterator[dict[str, Json]]:
        """Yield the scores that ``GET /api/v1/scores`` finds with these parameters, page after page."""
        parameters = dict(filters or {})
        while True:
            page = self.get("/api/v1/scores", parameters)
            yield from _objects("/api/v1/scores", page.get("scores"))
            if not page.get("next_cursor"):
                return
            parameters["cursor"] = str(page["next_cursor"])

    def score_history(self, score_id: str) -> list[dict[str, Json]]:
        """Return all versions of a score, the first one first."""
        return self.get_list(f"/api/v1/scores/{quote(score_id, safe='')}/history")

    def withdraw_score(self, score_id: str) -> dict[str, Json]:
        """Withdraw a score; its history stays. The outcome is ``withdrawn``, or ``unchanged`` if it was before."""
        return _object(self._send("DELETE", f"/api/v1/scores/{quote(score_id, safe='')}", None, None))

    def get(self, path: str, parameters: Parameters | None = None) -> dict[str, Json]:
        """Return the object at a path."""
        return _object(self._send("GET", path, None, parameters))

    def get_list(self, path: str, parameters: Parameters | None = None) -> list[dict[str, Json]]:
        """Return the list at a path."""
        return _list(self._send("GET", path, None, parameters))

    def post(self, path: str, body: Json) -> dict[str, Json]:
        """Post a body and return the object that answers it."""
        return _object(self._send("POST", path, body, None))

    def post_list(self, path: str, body: Json) -> list[dict[str, Json]]:
        """Post a body and return the list that answers it."""
        return _list(self._send("POST", path, body, None))

    def upload(self, path: str, data: bytes, media_type: str, parameters: Parameters | None = None) -> dict[str, Json]:
        """Post a file and return the object that answers it."""
        try:
            headers = {"content-type": media_type}
            response = self._http.post(path, content=data, headers=headers, params=parameters)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if response.status_code >= 400:
            raise _error(response)
        return _object(response)

    def put(self, path: str, body: Json) -> dict[str, Json]:
        """Put a body and return the object that answers it."""
        return _object(self._send("PUT", path, body, None))

    def download(self, path: str, parameters: Parameters | None = None) -> Iterator[bytes]:
        """Yield the bytes at a path as they come."""
        try:
            with self._http.stream("GET", path, params=parameters) as response:
                if response.status_code >= 400:
                    response.read()
                    raise _error(response)
                yield from response.iter_bytes()
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def delete(self, path: str) -> None:
        """Delete what is at a path."""
        self._send("DELETE", path, None, None)

    def _send(self, method: str, path: str, body: Json, parameters: Parameters | None) -> httpx.Response:
        try:
            response = self._http.request(method, path, json=body, params=parameters)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if response.status_code >= 400:
            raise _error(response)
        return response

    def _unreachable(self, error: httpx.HTTPError) -> Unreachable:
        return Unreachable(
            f"{self.base_url} did not answer ({type(error).__name__}); is `zirkel up` running there? "
            "Another address is set with ZIRKEL_URL"
        )


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
    return _objects(response.request.url.path, _json(response))


def _objects(path: str, value: Json) -> list[dict[str, Json]]:
    if not isinstance(value, list):
        raise ZirkelError(f"{path} answered with {type(value).__name__}, not a list")
    objects = [item for item in value if isinstance(item, dict)]
    if len(objects) < len(value):
        raise ZirkelError(f"{path} answered with a list of something else than objects")
    return objects
