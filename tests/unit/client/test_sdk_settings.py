"""Where the SDK sends to and keeps things."""

from pathlib import Path

import pytest

from zirkel.client.settings import DEFAULT_URL, read_settings
from zirkel.core import Invalid


def test_what_is_given_wins_over_the_environment_and_that_over_the_default() -> None:
    variables = {"ZIRKEL_URL": "http://there/", "ZIRKEL_API_KEY": "zk_env", "XDG_CACHE_HOME": "/cache"}
    read = read_settings(variables=variables)
    assert (read.url, read.api_key, read.folder) == ("http://there", "zk_env", Path("/cache/zirkel"))
    given = read_settings(url="https://here", api_key="zk_given", folder=Path("/kept"), variables=variables)
    assert (given.url, given.api_key, given.folder) == ("https://here", "zk_given", Path("/kept"))
    assert read_settings(variables={"ZIRKEL_API_KEY": "zk_env"}).url == DEFAULT_URL


@pytest.mark.parametrize("key", ["", "zk_…", "zk_a\nb"])
def test_a_key_that_cannot_be_one_is_refused(key: str) -> None:
    with pytest.raises(Invalid, match="ZIRKEL_API_KEY"):
        read_settings(variables={"ZIRKEL_API_KEY": key})


def test_an_address_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(Invalid, match="ZIRKEL_URL"):
        read_settings(url="localhost:4040", api_key="zk_x", variables={})


def test_what_is_kept_for_one_key_address_or_service_is_not_sent_for_another() -> None:
    def folder(url: str, key: str, service: str) -> Path:
        return read_settings(url=url, api_key=key, service=service, folder=Path("/kept"), variables={}).spool_folder

    first = folder("http://a", "zk_1", "shop")
    others = {folder("http://b", "zk_1", "shop"), folder("http://a", "zk_2", "shop"), folder("http://a", "zk_1", "x")}
    assert folder("http://a/", "zk_1", "shop") == first
    assert len(others | {first}) == 4


def test_the_key_is_not_shown() -> None:
    assert "zk_secret" not in repr(read_settings(api_key="zk_secret", variables={}))
