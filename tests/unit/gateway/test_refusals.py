import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.gateway.refusals import Refusal, RefusalKind, classify_refusal

NOW = datetime(2026, 5, 17, 12, 0, 0, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 1_000_000_000

OPENAI_CONTEXT = {
    "error": {
        "message": "This model's maximum context length is 131072 tokens. However, you requested 141403 tokens "
        "(133211 in the messages, 8192 in the completion). Please reduce the length of the messages or completion.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    }
}
AZURE_FILTER = {
    "error": {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"violence": {"filtered": True, "severity": "medium"}},
        },
    }
}
GEMINI_QUOTA = {
    "error": {
        "code": 429,
        "message": "You exceeded your current quota. Please retry in 45.837906927s.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaValue": "10"}]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "45.837906927s"},
        ],
    }
}
GEMINI_KEY = {
    "error": {
        "code": 400,
        "message": "API key not valid. Please pass a valid API key.",
        "status": "INVALID_ARGUMENT",
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}],
    }
}


def classify(status: int, body: object = b"", **headers: str) -> Refusal:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return classify_refusal(status, named, raw, now_ns=NOW_NS)


def anthropic(kind: str, message: str) -> object:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, OPENAI_CONTEXT, "context_window", "context_length_exceeded"),
        (
            400,
            anthropic("invalid_request_error", "prompt is too long: 209303 tokens > 200000 maximum"),
            "context_window",
            "invalid_request_error",
        ),
        (
            400,
            anthropic(
                "invalid_request_error",
                "input length and `max_tokens` exceed context limit: 178959 + 64000 > 200000, decrease input length or "
                "`max_tokens` and try again",
            ),
            "context_window",
            "invalid_request_error",
        ),
        (
            400,
            [
                {
                    "error": {
                        "code": 400,
                        "message": "The input token count (81881) exceeds the maximum number of tokens allowed (65536)",
                        "errors": [{"message": "The input token count …", "domain": "global", "reason": "badRequest"}],
                        "status": "INVALID_ARGUMENT",
                    }
                }
            ],
            "context_window",
            "INVALID_ARGUMENT",
        ),
        (
            500,
            {
                "error": {
                    "code": 500,
                    "message": "the request exceeds the available context size. try increasing the context size or "
                    "enable context shift",
                    "type": "exceed_context_size_error",
                    "n_prompt_tokens": 1407,
                    "n_ctx": 256,
                }
            },
            "context_window",
            "exceed_context_size_error",
        ),
        (
            400,
            {
                "object": "error",
                "message": "This model's maximum context length is 262144 tokens. However, you requested 0 output",
                "type": "BadRequestError",
                "param": None,
                "code": 400,
            },
            "context_window",
            "BadRequestError",
        ),
        (
            422,
            {
                "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8192. Given: 6204",
                "error_type": "validation",
            },
            "context_window",
            "validation",
        ),
        (500, {"error": "Requested tokens (2285) exceed context window of 2048"}, "context_window", ""),
        (
            400,
            {"error": {"message": "Input length (265330) exceeds model's maximum context length (262144)."}},
            "context_window",
            "",
        ),
        (
            400,
            {"message": "Input length 131393 exceeds the maximum allowed input length of 131040 tokens."},
            "context_window",
            "",
        ),
        (
            400,
            {
                "error": {
                    "message": "Provider returned error",
                    "code": 400,
                    "metadata": {"raw": json.dumps(OPENAI_CONTEXT), "provider_name": "X"},
                }
            },
            "context_window",
            "context_length_exceeded",
        ),
        (400, AZURE_FILTER, "content_filter", "content_filter"),
        (
            400,
            anthropic("invalid_request_error", "Output blocked by content filtering policy"),
            "content_filter",
            "invalid_request_error",
        ),
        (
            400,
            {
                "error": {
                    "message": "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
                    "type": "invalid_request_error",
                    "param": None,
                    "code": "invalid_prompt",
                }
            },
            "content_filter",
            "invalid_prompt",
        ),
        (
            403,
            {
                "error": {
                    "code": 403,
                    "message": 'The model requires moderation. Your input was flagged for "violence".',
                    "metadata": {"reasons": ["violence"], "flagged_input": "…"},
                }
            },
            "content_filter",
            "",
        ),
        (429, GEMINI_QUOTA, "failure", "RESOURCE_EXHAUSTED"),
        (400, GEMINI_KEY, "failure", "INVALID_ARGUMENT"),
        (
            413,
            {
                "error": {
                    "message": "Request too large for model on tokens per minute (TPM): Limit 6000, Requested 8000, "
                    "please reduce the length of the messages",
                    "type": "tokens",
                    "code": "rate_limit_exceeded",
                }
            },
            "failure",
            "rate_limit_exceeded",
        ),
        (401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}, "failure", "invalid_api_key"),
        (
            400,
            anthropic("invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
            "failure",
            "invalid_request_error",
        ),
        (529, anthropic("overloaded_error", "Overloaded"), "failure", "overloaded_error"),
        (502, b"<html>bad gateway</html>", "failure", ""),
        (307, b"", "failure", ""),
        (404, {"error": "model 'llama9' not found, try pulling it first"}, "caller", ""),
        (
            422,
            {"detail": [{"loc": ["body", "messages"], "msg": "Field required", "type": "missing"}]},
            "caller",
            "missing",
        ),
        (
            400,
            {"error": {"message": "Unknown parameter: 'foo'.", "code": "unknown_parameter"}},
            "caller",
            "unknown_parameter",
        ),
    ],
)
def test_a_refusal_is_told_by_its_own_words(status: int, body: object, kind: RefusalKind, code: str) -> None:
    """Source: bodies that were reported to the makers: openai-python 331; google-gemini/gemini-cli 6678 and 27197;
    ggml-org/llama.cpp 15780; vllm-project/vllm 4667 and 37011; docker/docker-agent 569; anthropics/claude-code 62817;
    huggingface/chat-ui 1149; earendil-works/pi 4943, 5677 and 5929; compl-ai 20."""
    found = classify(status, body)

    assert (found.kind, found.code) == (kind, code)


@pytest.mark.parametrize(
    ("status", "error_type", "message", "kind", "is_retryable"),
    [
        (400, "ValidationException", "Input is too long for requested model.", "context_window", False),
        (
            400,
            "ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/",
            "The model returned the following errors: prompt is too long: 227255 tokens > 200000 maximum",
            "context_window",
            False,
        ),
        (400, "ValidationException", "The provided model identifier is invalid.", "caller", False),
        (429, "ThrottlingException", "Too many tokens, please wait before trying again.", "failure", True),
        (403, "AccessDeniedException", "You don't have access to the model with the specified ID.", "failure", False),
        (
            424,
            "ModelErrorException",
            "The request failed due to an error while processing the model.",
            "failure",
            False,
        ),
        (503, "ServiceUnavailableException", "Bedrock is unable to process your request.", "failure", True),
    ],
)
def test_a_refusal_of_bedrock_is_told_by_its_header_and_message(
    status: int, error_type: str, message: str, kind: RefusalKind, is_retryable: bool
) -> None:
    """Source: Amazon Bedrock API reference, Converse, "Errors"; aaif-goose/goose 7504."""
    found = classify(status, {"message": message}, x_amzn_ErrorType=error_type)

    expected = Refusal(message, error_type.partition(":")[0], kind, is_retryable, None)
    assert found == expected


def test_the_type_in_an_aws_body_is_its_code() -> None:
    found = classify(400, {"__type": "com.amazon.coral.service#ThrottlingException", "Message": "Rate exceeded"})

    assert (found.code, found.kind, found.message) == ("ThrottlingException", "failure", "Rate exceeded")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_retryable(status: int) -> None:
    found = classify(status)

    assert (found.kind, found.is_retryable) == ("failure", True)


@pytest.mark.parametrize("status", [401, 402, 403, 409, 424, 501, 505])
def test_another_upstream_may_help_where_another_try_does_not(status: int) -> None:
    found = classify(status)

    assert (found.kind, found.is_retryable) == ("failure", False)


@pytest.mark.parametrize("status", [400, 404, 405, 413, 415, 422])
def test_the_rest_is_the_callers_fault(status: int) -> None:
    found = classify(status)

    assert (found.kind, found.is_retryable) == ("caller", False)


def test_a_spent_quota_does_not_come_back_in_a_moment() -> None:
    found = classify(429, {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}})

    assert (found.kind, found.is_retryable) == ("failure", False)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (OPENAI_CONTEXT, OPENAI_CONTEXT["error"]["message"]),
        ({"error": "no such model"}, "no such model"),
        ({"detail": "Not Found"}, "Not Found"),
        ({"errors": [{"message": "bad", "code": 7003}]}, "bad"),
        (b"upstream connect error\n", "upstream connect error"),
        (b"", "the upstream answered with status 400 and no message"),
        ({}, "the upstream answered with status 400 and no message"),
        (b"x" * 5000, "x" * 2000),
    ],
)
def test_the_message_is_the_upstreams_own(body: object, message: str) -> None:
    assert classify(400, body).message == message


@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": format_datetime(NOW + timedelta(seconds=30), usegmt=True)}, 30),
        ({"Retry-After": format_datetime(NOW - timedelta(seconds=30), usegmt=True)}, 0),
        ({"retry-after-ms": "1500", "Retry-After": "2"}, 1.5),
        ({"Retry-After": "soon"}, None),
        ({"x-ratelimit-reset-requests": "6m0s"}, 360),
        ({"x-ratelimit-reset-tokens": "7.66s"}, 7.66),
        ({"x-ratelimit-reset-tokens": "120ms"}, 0.12),
        ({"x-ratelimit-reset-tokens": "1d2h3m4s"}, 93784),
        ({"x-ratelimit-reset-tokens": "12"}, 12),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 40)}, 40),
        ({"X-RateLimit-Reset": str((int(NOW.timestamp()) + 40) * 1000)}, 40),
        (
            {
                "anthropic-ratelimit-requests-reset": "2026-05-17T12:00:20Z",
                "anthropic-ratelimit-requests-remaining": "0",
            },
            20,
        ),
        (
            {
                "x-ratelimit-reset-requests": "9s",
                "x-ratelimit-remaining-requests": "40",
                "x-ratelimit-reset-tokens": "3s",
                "x-ratelimit-remaining-tokens": "0",
            },
            3,
        ),
        ({"x-ratelimit-reset-tokens": "9s", "x-ratelimit-remaining-tokens": "5"}, None),
    ],
)
def test_the_pause_is_read_in_every_form(headers: dict[str, str], pause_s: float | None) -> None:
    """Source: RFC 9110, section 10.2.3; OpenAI docs, rate limits; Anthropic docs, api/rate-limits."""
    found = classify_refusal(429, headers, b"", now_ns=NOW_NS).retry_after_s

    assert found == (None if pause_s is None else pytest.approx(pause_s))


def test_gemini_says_the_pause_in_the_body() -> None:
    assert classify(429, GEMINI_QUOTA).retry_after_s == pytest.approx(45.837906927)


def test_a_limits_reset_says_nothing_about_another_failure() -> None:
    assert classify(500, b"", x_ratelimit_reset_requests="9s").retry_after_s is None
    assert classify(503, b"", Retry_After="9").retry_after_s == 9


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "status", "details", "raw", "retryDelay"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    status=st.integers(300, 599),
    headers=st.dictionaries(
        st.sampled_from(["Retry-After", "retry-after-ms", "x-ratelimit-reset-tokens", "x-amzn-errortype"]), st.text()
    ),
    body=st.binary() | json_values.map(lambda value: json.dumps(value).encode()),
)
def test_any_refusal_is_classified(status: int, headers: dict[str, str], body: bytes) -> None:
    found = classify_refusal(status, headers, body, now_ns=NOW_NS)

    assert found.message
    assert not found.is_retryable or found.kind == "failure"
    assert found.retry_after_s is None or 0 <= found.retry_after_s < float("inf")


def test_json_nested_without_end_is_read_as_text() -> None:
    assert classify(400, b"[" * 30000).kind == "caller"
    assert classify(400, b'{"error":' * 5000 + b"1" + b"}" * 5000).kind == "caller"
