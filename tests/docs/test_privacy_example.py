"""The example of the page on privacy is a document that can be applied."""

import re
from pathlib import Path

from zirkel.govern.privacy import read_privacy
from zirkel.lib.recognisers import BUILT_IN

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "privacy.md").read_text()


def test_the_example_can_be_applied() -> None:
    found = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    config = read_privacy(found.group(1))
    assert len(config.mask) == 4
    assert config.retention.environments["staging"].spans_days == 30


def test_each_recogniser_is_on_the_page() -> None:
    assert [name for name in BUILT_IN if f"`{name}`" not in PAGE] == []
