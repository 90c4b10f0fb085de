"""Results as JSON."""

import msgspec
from fastapi import Response


def json_response(value: object, status: int = 200) -> Response:
    """Return ``value`` (dataclasses, Structs and plain values, nested) as a JSON answer; decimals become text."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")
