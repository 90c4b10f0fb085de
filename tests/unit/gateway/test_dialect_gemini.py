import pytest

from zirkel.gateway.dialects.base import Dialect, Endpoint
from zirkel.gateway.dialects.gemini import GeminiDialect

BASE = "https://generativelanguage.googleapis.com/v1beta"


def endpoint(
    format_name: str = "gemini", model: str = "gemini-2.5-flash", *, is_stream: bool = False, base_url: str = BASE
) -> Endpoint:
    dialect: Dialect = GeminiDialect()
    return dialect.endpoint(
        base_url, "KEY", format_name=format_name, model=model, is_stream=is_stream, body=b"{}", now_ns=0
    )


def passage(path: str, query: str = "") -> Endpoint:
    return GeminiDialect().passage(BASE, "KEY", method="GET", path=path, query=query, body=b"", now_ns=0)


def test_a_plain_call_goes_to_generate_content_with_the_key_in_a_header() -> None:
    assert endpoint() == Endpoint(
        url=f"{BASE}/models/gemini-2.5-flash:generateContent", headers={"x-goog-api-key": "KEY"}
    )


def test_a_stream_is_asked_for_as_server_sent_events() -> None:
    assert endpoint(is_stream=True).url == f"{BASE}/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    assert GeminiDialect().framing == "sse"


def test_the_query_of_the_address_is_kept() -> None:
    assert endpoint(is_stream=True, base_url=f"{BASE}/?prettyPrint=false").url == (
        f"{BASE}/models/gemini-2.5-flash:streamGenerateContent?prettyPrint=false&alt=sse"
    )


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("models/gemini-2.5-pro", "/models/gemini-2.5-pro"),
        ("tunedModels/mine", "/tunedModels/mine"),
        ("a/b?c", "/models/a%2Fb%3Fc"),
        ("models/../x", "/models/..%2Fx"),
    ],
)
def test_a_model_stays_below_its_collection(model: str, path: str) -> None:
    assert endpoint(model=model).url == f"{BASE}{path}:generateContent"


def test_tokens_are_counted_by_the_model() -> None:
    assert endpoint("count_tokens").url == f"{BASE}/models/gemini-2.5-flash:countTokens"


def test_embeddings_go_to_the_openai_shaped_endpoint_as_a_bearer() -> None:
    assert endpoint("embeddings") == Endpoint(url=f"{BASE}/openai/embeddings", headers={"authorization": "Bearer KEY"})


def test_a_format_it_does_not_speak_is_refused() -> None:
    with pytest.raises(ValueError, match="formats gemini and embeddings"):
        endpoint("messages")


def test_what_is_passed_through_stays_below_the_address() -> None:
    assert passage("/models", "pageSize=5") == Endpoint(
        url=f"{BASE}/models?pageSize=5", headers={"x-goog-api-key": "KEY"}
    )
    assert passage("/openai/models").headers == {"authorization": "Bearer KEY"}
    with pytest.raises(ValueError, match="segment"):
        passage("/../v1/models")


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
def test_the_version_in_a_path_that_is_passed_through_counts(version: str) -> None:
    host = BASE.rpartition("/")[0]
    assert passage(f"/{version}/models").url == f"{host}/{version}/models"
    assert passage(f"/{version}/openai/models").headers == {"authorization": "Bearer KEY"}
    assert passage("/v2/models").url == f"{BASE}/v2/models"


def test_a_credential_that_no_header_can_carry_is_refused_and_not_quoted() -> None:
    with pytest.raises(ValueError, match="credential") as caught:
        GeminiDialect().endpoint(BASE, "KE\nY", format_name="gemini", model="m", is_stream=False, body=b"", now_ns=0)
    assert "KE" not in str(caught.value)
