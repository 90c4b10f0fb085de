"""What both forms can say survives the way from one to the other and back."""

import itertools

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import JsonObject
from zirkel.gateway.formats.messages import MessagesFormat
from zirkel.lib.sse import SseParser

FORMAT = MessagesFormat()
REQUEST: JsonObject = {"model": "m", "max_tokens": 5, "messages": []}

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
NAME = st.text("abcdefghij_", min_size=1, max_size=8)
ARGUMENTS = st.dictionaries(NAME, st.one_of(TEXT, st.integers(-99, 99), st.booleans(), st.lists(TEXT, max_size=2)))
TEXT_PART = TEXT.map(lambda text: {"type": "text", "text": text})
IMAGE_PART = st.sampled_from(["data:image/png;base64,aGk=", "https://e.test/a.png"]).map(
    lambda url: {"type": "image_url", "image_url": {"url": url}}
)
PARTS = st.lists(st.one_of(TEXT_PART, IMAGE_PART), min_size=2, max_size=4)


def user_turn(content: object) -> list[JsonObject]:
    return [{"role": "user", "content": content}]


USER = st.one_of(TEXT, PARTS).map(user_turn)


@st.composite
def assistant_turn(draw: st.DrawFn) -> list[JsonObject]:
    """An assistant's message, with a result for each of its calls."""
    texts = draw(st.one_of(st.none(), TEXT))
    inputs = draw(st.lists(st.tuples(NAME, ARGUMENTS), min_size=0 if texts else 1, max_size=3))
    message: JsonObject = {"role": "assistant", "content": texts}
    calls: list[JsonObject] = []
    results: list[JsonObject] = []
    for position, (name, arguments) in enumerate(inputs):
        function = {"name": name, "arguments": msgspec.json.encode(arguments).decode()}
        calls.append({"id": f"call_{position}", "type": "function", "function": function})
        results.append({"role": "tool", "tool_call_id": f"call_{position}", "content": draw(TEXT)})
    return [{**message, "tool_calls": calls} if calls else message, *results]


@st.composite
def hub_request(draw: st.DrawFn) -> JsonObject:
    """A hub request of which nothing needs to be changed: turns alternate, and nothing says what is the default."""
    messages: list[JsonObject] = [{"role": "system", "content": draw(TEXT)}] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 3))):
        messages += draw(USER)
        messages += draw(assistant_turn())
    hub: JsonObject = {"model": draw(NAME), "messages": messages, "max_completion_tokens": draw(st.integers(1, 9999))}
    schema = {"type": "object", "properties": {"x": {"type": "string"}}}
    optional = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "temperature": st.sampled_from([0.0, 0.5, 1.0]),
                "top_p": st.sampled_from([0.1, 0.9]),
                "top_k": st.integers(1, 50),
                "stop": st.lists(NAME, min_size=1, max_size=3),
                "user": NAME,
            },
        )
    )
    hub |= optional
    if draw(st.booleans()):
        function = {"name": "f", "description": "d", "parameters": schema}
        hub["tools"] = [{"type": "function", "function": function}]
        hub["tool_choice"] = draw(
            st.sampled_from(["auto", "required", {"type": "function", "function": {"name": "f"}}])
        )
        hub |= draw(st.sampled_from([{}, {"parallel_tool_calls": False}]))
    return hub


def normal(request: JsonObject) -> JsonObject:
    """Return a request with each call's arguments as values, since JSON text has many spellings."""
    copy = msgspec.json.decode(msgspec.json.encode(request), type=dict[str, object])
    messages = copy["messages"]
    assert isinstance(messages, list)
    for message in messages:
        for call in message.get("tool_calls", ()):
            call["function"]["arguments"] = msgspec.json.decode(call["function"]["arguments"])
    return copy


@given(hub_request())
def test_a_conversation_with_tools_survives_the_way_through_anthropics_form(hub: JsonObject) -> None:
    assert normal(FORMAT.read_request(FORMAT.write_request(hub))) == normal(hub)


@given(hub_request())
def test_written_turns_alternate_and_results_answer_the_calls_before_them(hub: JsonObject) -> None:
    written = FORMAT.write_request(hub)["messages"]
    assert isinstance(written, list)
    assert all(turn["role"] == ("user", "assistant")[at % 2] for at, turn in enumerate(written))
    for before, turn in itertools.pairwise(written):
        assert _ids(before, "tool_use", "id") == _ids(turn, "tool_result", "tool_use_id")


def _ids(turn: JsonObject, kind: str, member: str) -> list[object]:
    blocks = turn["content"] if isinstance(turn["content"], list) else []
    return [block[member] for block in blocks if block["type"] == kind]


@st.composite
def hub_chunks(draw: st.DrawFn) -> list[JsonObject]:
    """Deltas of one answer: thoughts, text, then calls whose pieces may be mixed."""
    deltas: list[JsonObject] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": text} for text in draw(st.lists(TEXT, max_size=3))]
    deltas += [{"content": text} for text in draw(st.lists(TEXT, max_size=3))]
    rows: list[list[JsonObject]] = []
    for index, (name, arguments) in enumerate(draw(st.lists(st.tuples(NAME, ARGUMENTS), max_size=3))):
        whole = msgspec.json.encode(arguments).decode()
        cut = draw(st.integers(0, len(whole)))
        begun = {"index": index, "id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": ""}}
        pieces = [{"index": index, "function": {"arguments": piece}} for piece in (whole[:cut], whole[cut:])]
        rows.append([begun, *pieces])
    while rows := [row for row in rows if row]:
        row = draw(st.sampled_from(rows))
        deltas.append({"tool_calls": [row.pop(0)]})
    reason = draw(st.sampled_from(["stop", "length", "content_filter"]))
    has_calls = any("tool_calls" in delta for delta in deltas)
    chunks = [_chunk(delta) for delta in deltas] + [_chunk({}, "tool_calls" if has_calls else reason)]
    usage = {"prompt_tokens": draw(st.integers(0, 99)), "completion_tokens": draw(st.integers(0, 99))}
    return [*chunks, {"id": "x", "model": "m", "choices": [], "usage": usage}]


def _chunk(delta: JsonObject, finish_reason: str | None = None) -> JsonObject:
    return {"id": "x", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def _joined(chunks: list[JsonObject]) -> JsonObject:
    """Return what a client puts together from chunks."""
    texts = {"content": "", "reasoning_content": "", "finish_reason": ""}
    calls: dict[str, list[str]] = {}
    order: dict[int, str] = {}
    counts: object = None
    for chunk in chunks:
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            counts = (usage["prompt_tokens"], usage["completion_tokens"])
        choices = chunk["choices"]
        assert isinstance(choices, list)
        for choice in choices:
            texts["finish_reason"] += choice["finish_reason"] or ""
            for member in ("content", "reasoning_content"):
                texts[member] += choice["delta"].get(member) or ""
            for piece in choice["delta"].get("tool_calls", ()):
                function = piece["function"]
                if "id" in piece:
                    order[piece["index"]] = piece["id"]
                    calls[piece["id"]] = [function["name"], ""]
                calls[order[piece["index"]]][1] += function["arguments"]
    return {**texts, "calls": calls, "counts": counts}


@given(chunks=hub_chunks(), cuts=st.lists(st.integers(0, 5000), max_size=8))
def test_a_written_stream_reads_back_the_same_wherever_it_is_cut(chunks: list[JsonObject], cuts: list[int]) -> None:
    writer = FORMAT.stream_writer(REQUEST)
    stream = b"".join(writer.write(chunk) for chunk in chunks) + writer.end()
    reader, parser = FORMAT.stream_reader(), SseParser()
    read: list[JsonObject] = []
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for start, end in itertools.pairwise(places):
        for event in parser.feed(stream[start:end]):
            read += reader.feed(event)
    assert _joined(read + reader.finish()) == _joined(chunks)


@given(hub_chunks())
def test_a_stream_ends_with_the_same_message_as_the_whole_answer(chunks: list[JsonObject]) -> None:
    joined = _joined(chunks)
    calls = joined["calls"]
    assert isinstance(calls, dict)
    message: JsonObject = {
        "content": joined["content"] or None,
        "reasoning_content": joined["reasoning_content"],
        "tool_calls": [
            {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for call_id, (name, arguments) in calls.items()
        ],
    }
    hub: JsonObject = {"choices": [{"index": 0, "message": message, "finish_reason": joined["finish_reason"]}]}
    read = FORMAT.read_answer(FORMAT.write_answer(hub, REQUEST))
    choices = read["choices"]
    assert isinstance(choices, list)
    assert choices[0]["finish_reason"] == joined["finish_reason"]
    again = choices[0]["message"]
    assert (again["content"] or None, again.get("reasoning_content", "")) == (
        message["content"], message["reasoning_content"],
    )  # fmt: skip
    assert again.get("tool_calls", []) == message["tool_calls"]
