import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Usage
from zirkel.gateway.usage import is_plausible, read_usage

COUNTS = st.integers(0, 10**6)


def read(usage: object) -> Usage:
    return read_usage(msgspec.Raw(json.dumps(usage).encode()))


def total_of(usage: Usage) -> int:
    return sum(count or 0 for count in msgspec.structs.astuple(usage)[:-1])


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        # OpenAI chat: details are parts of their totals.
        (
            {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
             "prompt_tokens_details": {"cached_tokens": 20, "audio_tokens": 30},
             "completion_tokens_details": {"reasoning_tokens": 10, "audio_tokens": 25,
                                           "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}},
            Usage(input_tokens=50, cache_read_tokens=20, input_audio_tokens=30, output_tokens=15, reasoning_tokens=10,
                  output_audio_tokens=25),
        ),
        # The hub form's own details.
        (
            {"prompt_tokens": 100, "completion_tokens": 9,
             "prompt_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 20, "cache_write_1h_tokens": 30,
                                       "image_tokens": 5},
             "completion_tokens_details": {"image_tokens": 4}},
            Usage(input_tokens=35, cache_read_tokens=10, cache_write_tokens=20, cache_write_1h_tokens=30,
                  input_image_tokens=5, output_tokens=5, output_image_tokens=4),
        ),
        # DeepSeek.
        (
            {"prompt_tokens": 17, "completion_tokens": 3, "prompt_cache_hit_tokens": 12, "prompt_cache_miss_tokens": 5},
            Usage(input_tokens=5, cache_read_tokens=12, output_tokens=3),
        ),
        # Moonshot.
        (
            {"prompt_tokens": 17, "completion_tokens": 3, "cached_tokens": 12},
            Usage(input_tokens=5, cache_read_tokens=12, output_tokens=3),
        ),
        # Responses.
        (
            {"input_tokens": 36, "input_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 0},
             "output_tokens": 87, "output_tokens_details": {"reasoning_tokens": 80}, "total_tokens": 123},
            Usage(input_tokens=30, cache_read_tokens=6, cache_write_tokens=0, output_tokens=7, reasoning_tokens=80),
        ),
        # Images.
        (
            {"input_tokens": 50, "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
             "output_tokens": 60, "output_tokens_details": {"text_tokens": 1, "image_tokens": 59}, "total_tokens": 110},
            Usage(input_tokens=10, input_image_tokens=40, output_tokens=1, output_image_tokens=59),
        ),
        # xAI: 10120 + 1499 + 2809 = 14428, so reasoning is beside the completion, though smaller or larger than it.
        (
            {"prompt_tokens": 10120, "completion_tokens": 1499, "total_tokens": 14428,
             "prompt_tokens_details": {"cached_tokens": 128}, "completion_tokens_details": {"reasoning_tokens": 2809}},
            Usage(input_tokens=9992, cache_read_tokens=128, output_tokens=1499, reasoning_tokens=2809),
        ),
        (
            {"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 30,
             "completion_tokens_details": {"reasoning_tokens": 3}},
            Usage(input_tokens=20, output_tokens=7, reasoning_tokens=3),
        ),
        # Cached tokens beside the prompt.
        (
            {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 500}},
            Usage(input_tokens=5, cache_read_tokens=500, output_tokens=1),
        ),
        # Cached audio: 60 of the 80 are cached, so at most 40 are left.
        (
            {"prompt_tokens": 100, "completion_tokens": 1,
             "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 80}},
            Usage(input_tokens=0, cache_read_tokens=60, input_audio_tokens=40, output_tokens=1),
        ),
        # Whole numbers as floats, and null for what is not there.
        (
            {"prompt_tokens": 5.0, "completion_tokens": 1e2, "prompt_tokens_details": None, "cached_tokens": None},
            Usage(input_tokens=5, output_tokens=100),
        ),
        # Embeddings.
        ({"prompt_tokens": 8, "total_tokens": 8}, Usage(input_tokens=8)),
    ],
)  # fmt: skip
def test_usage_of_every_provider_is_put_into_disjoint_buckets(usage: object, expected: Usage) -> None:
    assert read(usage) == expected


@pytest.mark.parametrize("count", [-1, 1.5, "12", 1e999, 10**9 + 1, 10**400, True, [], {}])
@pytest.mark.parametrize("path", ["prompt_tokens", "total_tokens", "prompt_tokens_details"])
def test_one_count_that_is_none_makes_all_of_it_not_reported(count: object, path: str) -> None:
    usage: dict[str, object] = {"prompt_tokens": 5, "completion_tokens": 3}
    usage[path] = {"cached_tokens": count} if path == "prompt_tokens_details" else count

    assert read(usage) == Usage()


@pytest.mark.parametrize("raw", [b"null", b"[]", b"7", b"", b"{", b'{"prompt_tokens": \xff}', b'{"a":' * 5000])
def test_what_is_no_usage_reports_nothing(raw: bytes) -> None:
    assert read_usage(msgspec.Raw(raw)) == Usage()


@given(st.tuples(*[COUNTS] * 6), st.tuples(*[COUNTS] * 4))
def test_buckets_survive_the_hub_form(inputs: tuple[int, ...], outputs: tuple[int, ...]) -> None:
    """Whatever the split, the buckets are found again in the totals that they were added up to."""
    text, cached, written, written_1h, audio, image = inputs
    out_text, reasoning, out_audio, out_image = outputs
    usage = {
        "prompt_tokens": sum(inputs),
        "completion_tokens": sum(outputs),
        "total_tokens": sum(inputs) + sum(outputs),
        "prompt_tokens_details": {
            "cached_tokens": cached, "cache_write_tokens": written, "cache_write_1h_tokens": written_1h,
            "audio_tokens": audio, "image_tokens": image,
        },
        "completion_tokens_details": {
            "reasoning_tokens": reasoning, "audio_tokens": out_audio, "image_tokens": out_image,
        },
    }  # fmt: skip
    assert read(usage) == Usage(
        text, cached, written, written_1h, audio, image, out_text, reasoning, out_audio, out_image
    )


@given(
    st.dictionaries(st.sampled_from(["cached_tokens", "audio_tokens", "image_tokens", "cache_write_tokens"]), COUNTS),
    st.dictionaries(st.sampled_from(["reasoning_tokens", "audio_tokens", "image_tokens"]), COUNTS),
    COUNTS,
    COUNTS,
)
def test_no_bucket_is_negative_and_none_of_the_totals_is_lost(
    prompt_details: dict[str, int], completion_details: dict[str, int], prompt: int, completion: int
) -> None:
    found = read(
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "prompt_tokens_details": prompt_details,
            "completion_tokens_details": completion_details,
        }
    )
    assert all(count is None or count >= 0 for count in msgspec.structs.astuple(found)[:-1])
    assert total_of(found) >= prompt + completion


def plausible(
    usage: Usage, *, output_bytes: int = 0, request_bytes: int | None = 10**6, max_output_tokens: int | None = None
) -> bool:
    return is_plausible(
        usage, output_bytes=output_bytes, request_bytes=request_bytes, max_output_tokens=max_output_tokens
    )


@pytest.mark.parametrize("usage", [Usage(), Usage(input_tokens=1), Usage(output_tokens=1)])
def test_nothing_is_settled_by_what_was_not_reported(usage: Usage) -> None:
    assert not plausible(usage)


def test_visible_output_of_no_tokens_is_a_lie() -> None:
    nothing = Usage(input_tokens=0, output_tokens=0)

    assert not plausible(nothing, output_bytes=1)
    assert plausible(nothing, output_bytes=0)
    assert plausible(Usage(input_tokens=0, output_tokens=0, reasoning_tokens=1), output_bytes=1)


@pytest.mark.parametrize(("tokens", "is_true"), [(100, True), (169, True), (170, False)])
def test_output_beyond_the_callers_limit_is_a_lie(tokens: int, is_true: bool) -> None:
    """100 and 5 % and 64 make 169."""
    assert plausible(Usage(input_tokens=1, output_tokens=tokens), max_output_tokens=100) is is_true
    reasoned = Usage(input_tokens=1, output_tokens=1, reasoning_tokens=tokens - 1)
    assert plausible(reasoned, max_output_tokens=100) is is_true


@pytest.mark.parametrize(("tokens", "is_true"), [(4196, True), (4197, False)])
def test_more_text_than_the_request_has_bytes_is_a_lie(tokens: int, is_true: bool) -> None:
    assert plausible(Usage(input_tokens=tokens, output_tokens=1), request_bytes=100) is is_true


@pytest.mark.parametrize(
    "explained",
    [
        Usage(input_tokens=9000, output_tokens=1, input_image_tokens=1),
        Usage(input_tokens=9000, output_tokens=1, input_audio_tokens=1),
        Usage(input_tokens=9000, output_tokens=1, cache_read_tokens=1),
        Usage(input_tokens=9000, output_tokens=1, cache_write_1h_tokens=1),
    ],
)
def test_media_and_caches_explain_more_input_than_bytes(explained: Usage) -> None:
    assert plausible(explained, request_bytes=100)


def test_a_request_that_does_not_bound_its_input_bounds_nothing() -> None:
    assert plausible(Usage(input_tokens=90_000, output_tokens=1), request_bytes=None)


@pytest.mark.parametrize(("output_bytes", "is_true"), [(640, True), (641, False)])
def test_fewer_tokens_than_any_tokenizer_makes_of_the_output_is_a_lie(output_bytes: int, is_true: bool) -> None:
    assert plausible(Usage(input_tokens=1, output_tokens=10), output_bytes=output_bytes) is is_true
