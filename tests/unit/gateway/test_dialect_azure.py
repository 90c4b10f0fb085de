"""Where requests to Azure OpenAI go, in both of its APIs."""

import pytest

from zirkel.gateway.dialects.azure import AzureDialect
from zirkel.gateway.dialects.base import Dialect, Endpoint

V1 = "https://r.openai.azure.com/openai/v1"
DATED = "https://r.openai.azure.com?api-version=2024-10-21"
DIALECT: Dialect = AzureDialect()


def endpoint(base_url: str, format_name: str, *, model: str = "my-gpt", credential: str = "k") -> Endpoint:
    return DIALECT.endpoint(
        base_url, credential, format_name=format_name, model=model, is_stream=True, body=b"{}", now_ns=0
    )


def passage(base_url: str, path: str, *, query: str = "") -> Endpoint:
    return DIALECT.passage(base_url, "k", method="GET", path=path, query=query, body=b"", now_ns=0)


@pytest.mark.parametrize("base_url", [V1, V1 + "/"])
def test_the_v1_api_has_openais_paths(base_url: str) -> None:
    assert endpoint(base_url, "chat").url == f"{V1}/chat/completions"
    assert endpoint(base_url, "responses").url == f"{V1}/responses"
    assert endpoint(V1 + "?api-version=preview", "chat").url == f"{V1}/chat/completions?api-version=preview"


@pytest.mark.parametrize("base_url", [DATED, DATED.replace("?", "/?"), DATED.replace("?", "/openai?")])
def test_dated_versions_have_the_deployment_in_the_path(base_url: str) -> None:
    deployment = "https://r.openai.azure.com/openai/deployments/my-gpt"
    assert endpoint(base_url, "chat").url == f"{deployment}/chat/completions?api-version=2024-10-21"
    assert endpoint(base_url, "embeddings").url == f"{deployment}/embeddings?api-version=2024-10-21"
    responses = "https://r.openai.azure.com/openai/responses?api-version=2024-10-21"
    assert endpoint(base_url, "responses").url == responses


def test_a_deployments_name_stays_one_segment() -> None:
    assert "/deployments/a%2F..%2Fb/chat/" in endpoint(DATED, "chat", model="a/../b").url
    with pytest.raises(ValueError, match="model's name"):
        endpoint(DATED, "chat", model="..")


def test_the_key_has_azures_own_header_and_must_be_there() -> None:
    assert endpoint(V1, "chat").headers == {"api-key": "k"}
    with pytest.raises(ValueError, match="credential"):
        endpoint(V1, "chat", credential="")


def test_an_address_that_is_neither_api_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="api-version"):
        endpoint("https://r.openai.azure.com", "chat")


def test_what_is_passed_through_keeps_the_addresss_version() -> None:
    assert passage(V1, "/files", query="limit=1").url == f"{V1}/files?limit=1"
    passed = passage(DATED, "/openai/files", query="limit=1")
    assert passed.url == "https://r.openai.azure.com/openai/files?api-version=2024-10-21&limit=1"
    with pytest.raises(ValueError, match="api-version"):
        passage(DATED, "/openai/files", query="api-version=2020-01-01")
    with pytest.raises(ValueError, match="the path"):
        passage(V1, "/../../secrets")
