"""Where requests to OpenAI and its like go, and what no path may do."""

from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.gateway.dialects.base import Dialect, Endpoint
from zirkel.gateway.dialects.openai import OpenAIDialect
from zirkel.gateway.dialects.paths import base_address, header_credential, safe_path, safe_segment, with_query

BASE = "https://api.openai.com/v1"
DIALECT: Dialect = OpenAIDialect()


def endpoint(format_name: str, *, base_url: str = BASE, credential: str = "sk-1") -> Endpoint:
    return DIALECT.endpoint(
        base_url, credential, format_name=format_name, model="m", is_stream=False, body=b"{}", now_ns=0
    )


def passage(path: str, *, query: str = "", base_url: str = BASE) -> Endpoint:
    return DIALECT.passage(base_url, "sk-1", method="GET", path=path, query=query, body=b"", now_ns=0)


@pytest.mark.parametrize(
    ("format_name", "path"),
    [
        ("chat", "/chat/completions"),
        ("responses", "/responses"),
        ("completions", "/completions"),
        ("embeddings", "/embeddings"),
    ],
)
def test_each_format_has_its_path_below_the_address(format_name: str, path: str) -> None:
    assert format_name in DIALECT.formats
    assert endpoint(format_name).url == BASE + path
    assert endpoint(format_name, base_url=BASE + "/").url == BASE + path
    assert endpoint(format_name, base_url="http://[::1]:8080/v1?a=b").url == f"http://[::1]:8080/v1{path}?a=b"


def test_the_key_is_a_bearer_token_and_a_server_without_one_gets_no_header() -> None:
    assert endpoint("chat").headers == {"authorization": "Bearer sk-1"}
    assert endpoint("chat", credential="").headers == {}


def test_a_format_it_does_not_speak_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="messages"):
        endpoint("messages")


def test_what_is_passed_through_goes_below_the_address_with_its_query() -> None:
    assert passage("/files/f-1/content", query="limit=5&after=x").url == f"{BASE}/files/f-1/content?limit=5&after=x"
    assert passage("/v1/files").url == f"{BASE}/files"
    assert passage("/v2/files").url == f"{BASE}/v2/files"
    assert passage("/v1/files", base_url="https://models.test").url == "https://models.test/v1/files"
    assert passage("/files", query="b=c", base_url=BASE + "?a=b").url == f"{BASE}/files?a=b&b=c"


@pytest.mark.parametrize(
    "path",
    [
        "", "files", "/../admin", "/a/../../b", "/a/..", "/./a", "//evil.test/x", "/a//b", "/a\\b", "/a%2e%2e/b",
        "/%2E%2E/b", "/a%2fb", "/a%5Cb", "/a%252e%252e/b", "/a%25252fb", "/a%00", "/a%0d%0ab", "/a b", "/a?b", "/a#b",
        "/a\r\nx: y", "/ä", "/a%", "/a%2", "/a%zz",
    ],
)  # fmt: skip
def test_paths_that_could_lead_elsewhere_are_refused_without_being_quoted(path: str) -> None:
    with pytest.raises(ValueError, match="the path") as caught:
        passage(path)
    assert path == "" or path not in str(caught.value)


@pytest.mark.parametrize(
    "path", ["/", "/a", "/a/", "/v1beta/models/x.y-1.5:generateContent", "/m/a%3A0/invoke", "/a..b"]
)
def test_ordinary_paths_are_unchanged(path: str) -> None:
    assert safe_path(path) == path


@given(st.lists(st.sampled_from(["a", ".", "..", "/", "%2e", "%2F", "%25", "2e", "\\", "%5c", ":", "é"]), max_size=9))
def test_an_accepted_path_has_no_segments_to_normalise_however_often_it_is_decoded(pieces: list[str]) -> None:
    path = "/" + "".join(pieces)
    try:
        accepted = safe_path(path)
    except ValueError:
        return
    assert accepted == path
    for _ in range(9):
        segments = accepted.replace("\\", "/").split("/")
        assert not {".", ".."} & set(segments)
        assert len(segments) == len(path.split("/"))
        accepted = unquote(accepted)


@given(st.text())
def test_any_name_is_one_segment_or_is_refused(name: str) -> None:
    try:
        segment = safe_segment(name)
    except (ValueError, UnicodeEncodeError):
        assert name in ("", ".", "..") or not name.isprintable()
        return
    assert "/" not in segment
    assert unquote(segment) == name
    assert segment == quote(name, safe="")


@pytest.mark.parametrize("query", ["a b", "a#b", "a\r\nb", "ä", "%"])
def test_a_query_that_is_none_is_refused(query: str) -> None:
    with pytest.raises(ValueError, match="query"):
        passage("/files", query=query)


@pytest.mark.parametrize("credential", ["", "a b", "a\nb", "ä", "a\x00"])
def test_a_credential_that_no_header_can_carry_is_refused_without_being_quoted(credential: str) -> None:
    with pytest.raises(ValueError, match="the credential") as caught:
        header_credential(credential)
    assert credential == "" or credential not in str(caught.value)


@pytest.mark.parametrize(
    "base_url",
    ["", "api.openai.com", "ftp://e.test", "https://", "https://u:p@e.test", "https://e.test/#x", "https://e.test/a b",
     "https://e.test:x/", "https://e.test:99999", "https://[::1"],
)  # fmt: skip
def test_an_address_of_another_form_is_refused_without_being_quoted(base_url: str) -> None:
    with pytest.raises(ValueError, match="the upstream's address") as caught:
        base_address(base_url)
    assert base_url == "" or base_url not in str(caught.value)


@given(st.lists(st.from_regex(r"[a-z]{1,3}=[a-z]{0,3}", fullmatch=True), max_size=3))
def test_queries_are_joined_and_the_empty_ones_left_out(queries: list[str]) -> None:
    assert urlsplit(with_query("https://e.test/a", "", *queries, "")).query == "&".join(queries)
