from datetime import UTC, datetime

import pytest

from zirkel.gateway.dialects.base import Dialect, Endpoint
from zirkel.gateway.dialects.bedrock import BedrockDialect
from zirkel.lib.sigv4 import AwsCredential, sign_request

BASE = "https://bedrock-runtime.eu-central-1.amazonaws.com"
MODEL = "anthropic.claude-3-5-sonnet-20241022-v2:0"
NOW_NS = int(datetime(2026, 5, 17, 12, 30, 5, tzinfo=UTC).timestamp()) * 1_000_000_000


def endpoint(
    base_url: str = BASE, credential: str = "AKID:se/cret+", *, format_name: str = "converse", model: str = MODEL,
    is_stream: bool = False,
) -> Endpoint:  # fmt: skip
    dialect: Dialect = BedrockDialect()
    return dialect.endpoint(
        base_url, credential, format_name=format_name, model=model, is_stream=is_stream, body=b"{}", now_ns=NOW_NS
    )


def scope(found: Endpoint) -> str:
    return found.headers["authorization"].split(",")[0]


def test_a_call_goes_to_converse_signed_for_the_region_of_the_host() -> None:
    url = f"{BASE}/model/anthropic.claude-3-5-sonnet-20241022-v2%3A0/converse"
    headers = sign_request(
        "POST", url, {}, b"{}", AwsCredential("AKID", "se/cret+"), region="eu-central-1", service="bedrock",
        now_ns=NOW_NS,
    )  # fmt: skip

    assert endpoint() == Endpoint(url=url, headers=headers)
    assert scope(endpoint()) == "AWS4-HMAC-SHA256 Credential=AKID/20260517/eu-central-1/bedrock/aws4_request"


def test_a_stream_goes_to_converse_stream_and_is_framed_as_an_event_stream() -> None:
    assert endpoint(is_stream=True).url.endswith("v2%3A0/converse-stream")
    assert BedrockDialect().framing == "eventstream"


def test_an_arn_is_one_segment() -> None:
    found = endpoint(model="arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.x")

    assert (
        found.url
        == f"{BASE}/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Ainference-profile%2Feu.x/converse"
    )


def test_tokens_are_counted_by_the_model() -> None:
    assert endpoint(format_name="count_tokens").url.endswith("v2%3A0/count-tokens")


def test_a_session_token_goes_along() -> None:
    assert endpoint(credential="AKID:secret:to:ken==").headers["x-amz-security-token"] == "to:ken=="


@pytest.mark.parametrize(
    "base_url",
    [
        "https://bedrock-runtime-fips.eu-central-1.amazonaws.com",
        "https://vpce-1.bedrock-runtime.eu-central-1.vpce.amazonaws.com",
        "https://bedrock-runtime.eu-central-1.api.aws/",
        "http://127.0.0.1:9000/aws?region=eu-central-1",
        "https://bedrock-runtime.us-east-1.amazonaws.com?region=eu-central-1",
    ],
)
def test_the_region_comes_from_the_address(base_url: str) -> None:
    found = endpoint(base_url)

    assert "/eu-central-1/bedrock/" in scope(found)
    assert found.url.startswith(base_url.partition("?")[0].rstrip("/") + "/model/")
    assert "region" not in found.url


@pytest.mark.parametrize(
    "base_url",
    [
        "https://proxy.example",
        "https://bedrock-runtime.eu-central-1.amazonaws.com.evil.example",
        "https://proxy.example/?region=",
        "https://proxy.example/?region=a&zone=b",
    ],
)
def test_an_address_without_a_region_is_refused(base_url: str) -> None:
    with pytest.raises(ValueError, match="region="):
        endpoint(base_url)


@pytest.mark.parametrize("credential", ["AKID", "AKID:", ":secret", "AKID:secret:", "AKID:sec ret"])
def test_a_credential_of_another_form_is_refused_and_not_quoted(credential: str) -> None:
    with pytest.raises(ValueError, match="credential") as caught:
        endpoint(credential=credential)
    assert "AKID" not in str(caught.value)


def test_a_format_it_does_not_speak_is_refused() -> None:
    with pytest.raises(ValueError, match="converse"):
        endpoint(format_name="chat")


def test_what_is_passed_through_is_signed_with_its_method_and_query() -> None:
    found = BedrockDialect().passage(
        BASE, "AKID:secret", method="GET", path="/async-invoke", query="maxResults=5", body=b"", now_ns=NOW_NS
    )

    url = f"{BASE}/async-invoke?maxResults=5"
    assert found == Endpoint(
        url=url,
        headers=sign_request(
            "GET", url, {}, b"", AwsCredential("AKID", "secret"), region="eu-central-1", service="bedrock",
            now_ns=NOW_NS,
        ),
    )  # fmt: skip


def test_what_is_passed_through_cannot_leave_the_address() -> None:
    with pytest.raises(ValueError, match="segment"):
        BedrockDialect().passage(BASE, "AKID:s", method="GET", path="/a/../b", query="", body=b"", now_ns=NOW_NS)
