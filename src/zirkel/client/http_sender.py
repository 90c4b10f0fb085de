"""Records over HTTP."""

import httpx
import msgspec
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from zirkel.client.sending import Later, Outcome, Refused, Sent
from zirkel.client.spool import Record, RecordKind

CONNECT_S = 2.0
ANSWER_S = 10.0
_REQUESTS = {
    RecordKind.SPANS: (
        "/v1/traces",
        {"content-type": "application/x-protobuf", "content-encoding": "gzip"},
    ),
    RecordKind.SCORES: ("/api/v1/scores", {"content-type": "application/json"}),
}
_LATER = frozenset({401, 408, 425, 429, 502, 503, 504})
"""Statuses after which the same request may succeed. OTLP's (429, 502, 503, 504); 408 and 425 by RFC 9110 and 8470; and
401: a key that is put right must not have cost what was recorded meanwhile."""
_LONGEST_WAIT_S = 60.0


class _Error(msgspec.Struct):
    message: str = ""


class _ScoreAnswer(msgspec.Struct):
    error: _Error | None = None


class _ScoresAnswer(msgspec.Struct):
    scores: list[_ScoreAnswer] = []
    refused: int = 0


class HttpSender:
    """Sends spans as OTLP/HTTP and scores to the REST API.

    Source: OTLP specification 1.11, "OTLP/HTTP Response".
    """

    def __init__(self, url: str, api_key: str) -> None:
        self._http = httpx.Client(
            base_url=url,
            headers={"authorization": f"Bearer {api_key}"},
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            trust_env=False,
        )

    def send(self, record: Record) -> Outcome:
        """Send a record and say what became of it."""
        path, headers = _REQUESTS[record.kind]
        try:
            response = self._http.post(path, content=record.body, headers=headers)
        except httpx.HTTPError as error:
            return Later(f"no answer ({type(error).__name__})")
        return _outcome(record.kind, response)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _outcome(kind: RecordKind, response: httpx.Response) -> Outcome:
    status = response.status_code
    if status < 300:
        return Sent(
            _rejected_spans(response.content) if kind is RecordKind.SPANS else _refused_scores(response.content)
        )
    reason = f"HTTP {status}: {_message(kind, response)}"
    if status in _LATER:
        return Later(reason, _retry_after_s(response))
    return Later(reason, is_faulty=True) if status >= 500 else Refused(reason)


def _retry_after_s(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "")
    return min(float(text), _LONGEST_WAIT_S) if text.isascii() and text.isdecimal() else 0


def _rejected_spans(body: bytes) -> str:
    """Return what OTLP's partial success says, or an empty text."""
    answer = ExportTraceServiceResponse()
    try:
        answer.ParseFromString(body)
    except DecodeError:
        return ""
    rejected = answer.partial_success.rejected_spans
    return f"{rejected} spans were rejected: {answer.partial_success.error_message}" if rejected else ""


def _refused_scores(body: bytes) -> str:
    """Return what the answer to a list of scores says of those that were not taken, or an empty text."""
    try:
        answer = msgspec.json.decode(body, type=_ScoresAnswer)
    except msgspec.DecodeError:
        return ""
    said = next((one.error.message for one in answer.scores if one.error), "")
    return f"{answer.refused} scores were refused; the first: {said}" if answer.refused else ""


def _message(kind: RecordKind, response: httpx.Response) -> str:
    """Return what the server says of an error; OTLP's are a ``google.rpc.Status``, whose text is its field 2."""
    if kind is RecordKind.SCORES or "protobuf" not in response.headers.get("content-type", ""):
        return response.text[:200]
    _, _, text = response.content.partition(b"\x12")
    length_bytes = 2 if text[:1] >= b"\x80" else 1
    return text[length_bytes:].decode("utf-8", "replace")[:200]
