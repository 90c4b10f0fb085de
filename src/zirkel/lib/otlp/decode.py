"""From a request's bytes to what it says."""

from zirkel.lib.otlp.body import Media
from zirkel.lib.otlp.jsonmap import traces_from_json
from zirkel.lib.otlp.model import DecodedTraces
from zirkel.lib.otlp.wire import traces_from_protobuf


def decode_traces(body: bytes, media: Media) -> DecodedTraces:
    """Return the spans of an uncompressed trace request; an empty body is an empty request.

    Spans with invalid ids are counted and left out, the rest is kept, as partial success asks for.

    Raises:
        Malformed: If the body as a whole cannot be read.
    """
    return traces_from_json(body) if media == "json" else traces_from_protobuf(body)
