"""The gateway's documents in the how-tos can be applied, and do what the text says."""

import re
from pathlib import Path

from zirkel.app.litellm_import import translate_litellm
from zirkel.core.gateway_check import parse_gateway_config

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"


def block(page: str, language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", (HOW_TO / page).read_text(), re.M | re.S)
    assert found is not None
    return found.group(1)


def test_the_document_of_the_how_to_can_be_applied() -> None:
    config = parse_gateway_config(block("gateway-configuration.md", "toml"))
    assert [upstream.name for upstream in config.upstream] == ["openai", "openai-eu", "anthropic"]
    (fast,) = config.model
    assert [target.weight for target in fast.target[:1]] + [m.weight for m in fast.target[0].pool] == [3, 1]
    assert fast.target[1].on == ("failure", "context_window")


def test_litellms_example_becomes_what_the_how_to_says() -> None:
    text = block("coming-from-litellm.md", "yaml")
    found = translate_litellm(text, variable=lambda _name: "", today="2026-03-01")
    assert [upstream.name for upstream in found.config.upstream] == ["azure", "openai", "anthropic"]
    assert [model.name for model in found.config.model] == ["chat", "claude"]
    first = found.config.model[0].target[0]
    assert first.weight / (first.weight + first.pool[0].weight) == 0.9
    assert "litellm_settings.callbacks" in [lost.path for lost in found.not_taken]
