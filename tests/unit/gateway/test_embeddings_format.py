import json

import pytest

from zirkel.core import Invalid, JsonObject, Usage
from zirkel.gateway.completion import parse_completion
from zirkel.gateway.formats.embeddings import EmbeddingsFormat
from zirkel.lib.sse import SseEvent

FORMAT = EmbeddingsFormat()


def embeddings(usage: object) -> JsonObject:
    data = [{"object": "embedding", "index": 0, "embedding": [0.1, -0.2]}]
    return {"object": "list", "data": data, "model": "text-embedding-3-small", "usage": usage}


def test_an_answer_has_no_choices_and_a_completion_of_no_tokens() -> None:
    hub = FORMAT.read_answer(embeddings({"prompt_tokens": 8, "total_tokens": 8}))
    found = parse_completion(json.dumps(hub).encode())

    assert hub["choices"] == []
    assert "data" not in hub
    assert (found.model, found.message) == ("text-embedding-3-small", "")
    assert found.usage == Usage(input_tokens=8, output_tokens=0)


def test_a_usage_that_was_not_reported_stays_so() -> None:
    found = parse_completion(json.dumps(FORMAT.read_answer(embeddings(None))).encode())

    assert found.usage == Usage()


@pytest.mark.parametrize("body", [{}, {"data": 7}, {"error": {"message": "no"}}, {"data": [], "usage": 7}])
def test_what_is_no_list_of_embeddings_is_refused(body: JsonObject) -> None:
    with pytest.raises(ValueError, match="not embeddings"):
        FORMAT.read_answer(body)


def test_there_is_nothing_to_read_in_a_stream() -> None:
    reader = FORMAT.stream_reader()

    assert reader.feed(SseEvent(raw=b"", data=b'{"data": []}', event="message")) == []
    assert reader.finish() == []


def test_a_chat_is_not_asked_for_embeddings() -> None:
    with pytest.raises(Invalid, match="embeddings answer no chat"):
        FORMAT.write_request({"messages": []})
