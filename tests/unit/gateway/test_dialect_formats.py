"""The document's dialects are the gateway's."""

import pytest

from zirkel.core import Invalid
from zirkel.core.gateway_check import convert_gateway_config
from zirkel.core.gateway_config import DIALECT_FORMATS
from zirkel.gateway.dialects import DIALECTS


def test_the_document_knows_the_dialects_and_formats_that_the_gateway_speaks() -> None:
    assert {name: dialect.formats for name, dialect in DIALECTS.items()} == DIALECT_FORMATS


AZURE = {
    "https://r.openai.azure.com/openai/v1": True,
    "https://r.openai.azure.com?api-version=2024-10-21": True,
    "https://r.openai.azure.com/?x=1&api-version=2024-10-21": True,
    "https://r.openai.azure.com": False,
    "https://r.openai.azure.com?api-version=": False,
}


@pytest.mark.parametrize("base_url", AZURE)
def test_an_address_of_azures_is_taken_if_the_gateway_can_use_it(base_url: str) -> None:
    def endpoint() -> str:
        arguments = {"format_name": "chat", "model": "m", "is_stream": False, "body": b"", "now_ns": 0}
        return DIALECTS["azure"].endpoint(base_url, "key", **arguments).url  # type: ignore[arg-type]

    upstream = {"name": "a", "base_url": base_url, "dialect": "azure"}
    if AZURE[base_url]:
        assert endpoint()
        convert_gateway_config({"upstream": [upstream]})
        return
    with pytest.raises(ValueError, match="api-version"):
        endpoint()
    with pytest.raises(Invalid, match="api-version"):
        convert_gateway_config({"upstream": [upstream]})
