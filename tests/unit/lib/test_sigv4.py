from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from zirkel.lib.sigv4 import AwsCredential, sign_request

EXAMPLE = AwsCredential("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
EXAMPLE_NS = int(datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()) * 1_000_000_000

words = st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=12)
segments = st.one_of(
    words.filter(lambda word: word not in (".", "..")).map(lambda word: quote(word, safe="")),
    st.sampled_from(
        [
            "anthropic.claude-3-5-sonnet-20241022-v2%3A0",
            "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx",
            "a:0",
        ]
    ),
)
VANILLA = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"

paths = st.tuples(st.lists(segments, max_size=4), st.sampled_from(["", "/"])).map(
    lambda parts: "/" + "/".join(parts[0]) + (parts[1] if parts[0] else "")
)
queries = st.lists(st.tuples(words, st.text(st.characters(codec="utf-8"), max_size=8)), max_size=4).map(
    lambda pairs: "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
)
visible = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
header_names = st.from_regex(r"x-[a-z0-9-]{1,12}", fullmatch=True).filter(lambda name: not name.startswith("x-am"))
hosts = st.sampled_from(
    ["https://bedrock-runtime.us-east-1.amazonaws.com", "https://Proxy.example:8443", "http://127.0.0.1:9000",
     "https://host.example:443", "http://[::1]:8080"]
)  # fmt: skip


class SignedAtOneTime(SigV4Auth):  # type: ignore[misc]
    """The oracle, with the time given: it signs with the date that the request's context names."""

    def __init__(self, credentials: Credentials, service: str, region: str, moment: str) -> None:
        super().__init__(credentials, service, region)
        self.moment = moment

    def add_auth(self, request: AWSRequest) -> None:
        request.context["timestamp"] = self.moment
        self._modify_request_before_signing(request)
        to_sign = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(to_sign, request))


def oracle(
    method: str, url: str, headers: Mapping[str, str], body: bytes, credential: AwsCredential, region: str, moment: str
) -> dict[str, str]:
    request = AWSRequest(method, url, dict(headers), body)
    keys = Credentials(credential.access_key, credential.secret_key, credential.session_token or None)
    SignedAtOneTime(keys, "bedrock", region, moment).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items() if name.lower() not in headers}


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    host=hosts,
    path=paths,
    query=queries,
    headers=st.dictionaries(header_names, visible, max_size=3),
    body=st.binary(max_size=50),
    access_key=visible,
    secret_key=visible,
    session_token=st.one_of(st.just(""), visible),
    region=st.sampled_from(["us-east-1", "eu-central-2"]),
    moment=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001
)
def test_the_signature_is_that_of_another_implementation(
    method: str,
    host: str,
    path: str,
    query: str,
    headers: dict[str, str],
    body: bytes,
    access_key: str,
    secret_key: str,
    session_token: str,
    region: str,
    moment: datetime,
) -> None:
    url = f"{host}{path}" + (f"?{query}" if query else "")
    credential = AwsCredential(access_key, secret_key, session_token)
    now_ns = int(moment.replace(tzinfo=UTC).timestamp()) * 1_000_000_000

    found = sign_request(method, url, headers, body, credential, region=region, service="bedrock", now_ns=now_ns)

    assert found == oracle(method, url, headers, body, credential, region, moment.strftime("%Y%m%dT%H%M%SZ"))


@pytest.mark.parametrize(
    ("method", "target", "headers", "body", "signature"),
    [
        ("GET", "/", {}, b"", VANILLA),
        ("POST", "/", {}, b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "GET",
            "/?Param2=value2&Param1=value1",
            {},
            b"",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        ("GET", "//", {}, b"", VANILLA),
        ("GET", "/example/..", {}, b"", VANILLA),
        ("GET", "/example1/example2/../..", {}, b"", VANILLA),
        ("GET", "/./", {}, b"", VANILLA),
        ("GET", "/ሴ", {}, b"", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
        (
            "POST",
            "/",
            {"Content-Type": "application/x-www-form-urlencoded"},
            b"Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ],
)  # fmt: skip
def test_the_published_examples_are_signed_as_published(
    method: str, target: str, headers: dict[str, str], body: bytes, signature: str
) -> None:
    """Source: AWS Signature Version 4 test suite: get-vanilla, post-vanilla, get-vanilla-query-order-key-case,
    normalize-path (get-slash, get-relative, get-relative-relative, get-slash-dot-slash), get-utf8,
    post-x-www-form-urlencoded."""
    found = sign_request(
        method, f"https://example.amazonaws.com{target}", headers, body, EXAMPLE,
        region="us-east-1", service="service", now_ns=EXAMPLE_NS,
    )  # fmt: skip

    assert found["x-amz-date"] == "20150830T123600Z"
    assert found["authorization"].endswith(f"Signature={signature}")


def test_spaces_around_and_inside_a_header_do_not_count() -> None:
    def sign(value: str) -> str:
        signed = sign_request(
            "GET", "https://example.amazonaws.com/", {"My-Header1": value}, b"", EXAMPLE,
            region="us-east-1", service="service", now_ns=EXAMPLE_NS,
        )  # fmt: skip
        return signed["authorization"]

    assert sign("  a   b   c ") == sign("a b c") != sign("abc")


def test_a_query_that_is_not_escaped_is_signed_as_if_it_were() -> None:
    def sign(query: str) -> str:
        url = f"https://example.amazonaws.com/?{query}"
        signed = sign_request("GET", url, {}, b"", EXAMPLE, region="us-east-1", service="service", now_ns=EXAMPLE_NS)
        return signed["authorization"]

    assert sign("name=a:b") == sign("name=a%3ab") == sign("name=a%3Ab")


def test_a_credential_does_not_show_its_secrets() -> None:
    assert repr(AwsCredential("AKID", "hidden", "token")) == "AwsCredential(access_key='AKID')"
