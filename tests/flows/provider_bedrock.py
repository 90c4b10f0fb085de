"""Amazon Bedrock's Converse as the provider speaks it, signatures and binary event streams included.

Source: Amazon Bedrock API reference, ``Converse`` and ``ConverseStream``; AWS IAM user guide, Signature Version 4.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import cast
from urllib.parse import unquote

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.session
import botocore.validate
import msgspec

from tests.flows import provider_script as script
from tests.flows.provider_checks import decoded
from tests.flows.provider_script import Asked, Json, NotValidError, Received, Reply, Said, whole
from zirkel.lib.eventstream import encode_message

REGION = "eu-central-1"
_PATH = re.compile(r"/model/([^/]+)/(converse|converse-stream)")
_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/bedrock/aws4_request, SignedHeaders=([^,]+)")
_ERRORS = {
    "context": (400, "ValidationException", "Input is too long for requested model."),
    "rate": (429, "ThrottlingException", "Too many requests, please wait before trying again."),
    "overloaded": (503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
}


class _Message(msgspec.Struct):
    role: str
    content: list[Json]


class _Request(msgspec.Struct, rename="camel"):
    messages: list[_Message]
    tool_config: Json = {}
    output_config: Json = {}


def answer(request: Received) -> Reply:
    """Return what Bedrock answers."""
    if not is_signed(request):
        text = "The request signature we calculated does not match the signature you provided."
        return _error(403, "InvalidSignatureException", text)
    found = _PATH.fullmatch(request.path)
    if found is None:
        return _error(404, "UnknownOperationException", request.path)
    try:
        return _converse(unquote(found[1]), json.loads(request.body), is_stream=found[2] == "converse-stream")
    except NotValidError as error:
        return _error(400, "ValidationException", str(error))


def is_signed(request: Received) -> bool:
    """Return whether a request has the signature that botocore makes for it, or the installation's bearer token."""
    access_key, secret_key, token = script.KEYS["bedrock"].split(":")
    found = _SIGNED.match(request.headers.get("authorization", ""))
    if found is None or found[1] != access_key or found[3] != REGION:
        return False
    names = found[4].split(";")
    if "host" not in names or "x-amz-date" not in names or "x-amz-security-token" not in names:
        return False
    signed = {name: request.headers.get(name, "") for name in names}
    auth = _Verifier(botocore.credentials.Credentials(access_key, secret_key, token), "bedrock", REGION)
    sent = botocore.awsrequest.AWSRequest(
        method=request.method,
        url=f"http://{request.headers['host']}{request.full_path}",
        headers=signed,
        data=request.body,
    )
    sent.context["timestamp"] = request.headers["x-amz-date"]
    wanted = auth.signature(auth.string_to_sign(sent, auth.canonical_request(sent)), sent)
    return hmac.compare_digest(wanted, request.headers["authorization"].rpartition("Signature=")[2])


class _Verifier(botocore.auth.SigV4Auth):  # type: ignore[misc]  # (botocore has no types)
    """Signs exactly the headers it is given."""

    def headers_to_sign(self, request: botocore.awsrequest.AWSRequest) -> object:
        """Return the headers of the request as they are."""
        found = botocore.auth.HTTPHeaders()
        for name, value in request.headers.items():
            found[name.lower()] = value
        return found

    def payload(self, request: botocore.awsrequest.AWSRequest) -> str:
        """Return the body's digest."""
        return hashlib.sha256(request.data).hexdigest()


def _error(status: int, name: str, message: str) -> Reply:
    return whole({"message": message}, status, {"x-amzn-errortype": f"{name}:http://internal.amazon.com/x/"})


@lru_cache
def _converse_shape() -> object:
    model = botocore.session.get_session().get_service_model("bedrock-runtime")
    return model.operation_model("Converse").input_shape


def _converse(model: str, body: Json, *, is_stream: bool) -> Reply:
    report = botocore.validate.ParamValidator().validate({"modelId": model, **body}, _converse_shape())
    if report.has_errors():
        raise NotValidError(report.generate_report())
    request = msgspec.convert(body, _Request)
    _check_turns(request)
    asked = _read(model, request, is_stream=is_stream)
    fault = "overloaded" if asked.fault == "midway" and not is_stream else asked.fault
    if fault in _ERRORS:
        return _error(*_ERRORS[fault])
    said = script.say(asked)
    if is_stream:
        pause_s = script.SLOW_PAUSE_S if asked.is_slow else 0.002
        parts = list(_events(asked, said))
        return Reply(200, "application/vnd.amazon.eventstream", parts, is_stream=True, pause_s=pause_s)
    blocks = [whole_block for _, _, whole_block in _blocks(asked, said)]
    message = {"role": "assistant", "content": blocks}
    metrics = {"latencyMs": 12}
    rest = {"stopReason": _stop_reason(said), "usage": _usage(), "metrics": metrics}
    return whole({"output": {"message": message}, **rest})


def _check_turns(request: _Request) -> None:
    """Return if turns alternate and each call is answered in the turn after it.

    Raises:
        NotValidError: If not.
    """
    used: set[str] = set()
    last_role = "assistant"
    for message in request.messages:
        if message.role == last_role:
            raise NotValidError("A conversation must alternate between user and assistant roles.")
        answered = {str(cast(Json, b["toolResult"])["toolUseId"]) for b in message.content if "toolResult" in b}
        if answered != used:
            raise NotValidError("The number of toolResult blocks does not fit the toolUse blocks of the turn before.")
        used = {str(cast(Json, b["toolUse"])["toolUseId"]) for b in message.content if "toolUse" in b}
        last_role = message.role


def _read(model: str, request: _Request, *, is_stream: bool) -> Asked:
    tools = [cast(Json, tool["toolSpec"]) for tool in cast("list[Json]", request.tool_config.get("tools") or [])]
    results = [cast(Json, b["toolResult"]) for b in request.messages[-1].content if "toolResult" in b]
    images = [cast(Json, b["image"]) for message in request.messages for b in message.content if "image" in b]
    form = cast(Json, request.output_config.get("textFormat") or {})
    schema = cast(Json, cast(Json, form.get("structure") or {}).get("jsonSchema") or {}).get("schema")
    return Asked(
        model=model,
        is_stream=is_stream,
        tools=tuple(str(tool["name"]) for tool in tools),
        results=tuple(str(cast("list[Json]", result["content"])[0]["text"]) for result in results),
        images=tuple(
            script.image_seen(f"image/{image['format']}", decoded(str(cast(Json, image["source"])["bytes"])))
            for image in images
        ),
        schema=json.loads(str(schema)) if schema is not None else None,
    )


def _stop_reason(said: Said) -> str:
    return "tool_use" if said.calls else "end_turn"


def _usage() -> Json:
    return {
        "inputTokens": script.INPUT_TOKENS - script.CACHED_TOKENS,
        "outputTokens": script.OUTPUT_TOKENS,
        "totalTokens": script.INPUT_TOKENS + script.OUTPUT_TOKENS,
        "cacheReadInputTokens": script.CACHED_TOKENS,
        "cacheWriteInputTokens": 0,
    }


def _blocks(asked: Asked, said: Said) -> Iterator[tuple[Json | None, list[Json], Json]]:
    """Yield the start of each block, if it has one, its deltas, and the whole block."""
    yield None, [{"text": piece} for piece in script.pieces(said.text, asked)], {"text": said.text}
    for call in said.calls:
        identity: Json = {"toolUseId": f"tooluse_{call.call_id}", "name": call.name}
        deltas: list[Json] = [{"toolUse": {"input": piece}} for piece in script.pieces(call.text, asked)]
        yield {"toolUse": identity}, deltas, {"toolUse": {**identity, "input": call.arguments}}


def _events(asked: Asked, said: Said) -> Iterator[bytes]:
    yield _event("messageStart", role="assistant")
    for index, (start, deltas, _) in enumerate(_blocks(asked, said)):
        if start is not None:
            yield _event("contentBlockStart", contentBlockIndex=index, start=start)
        for delta in deltas:
            yield _event("contentBlockDelta", contentBlockIndex=index, delta=delta)
            if asked.fault == "midway":
                headers = {":message-type": "exception", ":exception-type": "modelStreamErrorException"}
                text = {"message": "The model ended unexpectedly."}
                yield encode_message(script.as_json(text), {**headers, ":content-type": "application/json"})
                return
        yield _event("contentBlockStop", contentBlockIndex=index)
    yield _event("messageStop", stopReason=_stop_reason(said))
    yield _event("metadata", usage=_usage(), metrics={"latencyMs": 12})


def _event(kind: str, **members: object) -> bytes:
    headers = {":message-type": "event", ":event-type": kind, ":content-type": "application/json"}
    # Padding of a random length is part of what the service sends.
    return encode_message(script.as_json({**members, "p": "abcdefg"}), headers)
