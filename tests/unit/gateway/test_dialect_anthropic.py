"""Where requests to Anthropic and its like go."""

import pytest

from zirkel.gateway.dialects.anthropic import AnthropicDialect
from zirkel.gateway.dialects.base import Dialect, Endpoint

BASES = ["https://api.anthropic.com", "https://api.anthropic.com/", "https://api.anthropic.com/v1"]
DIALECT: Dialect = AnthropicDialect()


def endpoint(base_url: str, format_name: str, *, credential: str = "k") -> Endpoint:
    return DIALECT.endpoint(
        base_url, credential, format_name=format_name, model="m", is_stream=True, body=b"{}", now_ns=0
    )


def passage(base_url: str, path: str, *, query: str = "") -> Endpoint:
    return DIALECT.passage(base_url, "k", method="GET", path=path, query=query, body=b"", now_ns=0)


@pytest.mark.parametrize("base_url", BASES)
def test_the_address_may_have_the_version_or_not(base_url: str) -> None:
    assert endpoint(base_url, "messages").url == "https://api.anthropic.com/v1/messages"
    assert endpoint(base_url, "count_tokens").url == "https://api.anthropic.com/v1/messages/count_tokens"


def test_a_path_before_the_version_is_kept() -> None:
    assert endpoint("https://e.test/anthropic", "messages").url == "https://e.test/anthropic/v1/messages"


def test_the_key_and_the_version_have_anthropics_headers() -> None:
    assert endpoint(BASES[0], "messages").headers == {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    assert endpoint(BASES[0], "messages", credential="").headers == {"anthropic-version": "2023-06-01"}


def test_a_chat_is_translated_to_messages_first() -> None:
    assert DIALECT.formats[0] == "messages"
    with pytest.raises(ValueError, match="chat"):
        endpoint(BASES[0], "chat")


@pytest.mark.parametrize("base_url", BASES)
@pytest.mark.parametrize("path", ["/v1/messages/batches", "/messages/batches"])
def test_what_is_passed_through_may_have_the_version_or_not(base_url: str, path: str) -> None:
    assert passage(base_url, path, query="limit=1").url == "https://api.anthropic.com/v1/messages/batches?limit=1"


@pytest.mark.parametrize("path", ["/v1/../x", "/../x", "/v1/%2e%2e/x", "v1/x", "/v1//x"])
def test_paths_that_could_lead_elsewhere_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="the path"):
        passage(BASES[0], path)
