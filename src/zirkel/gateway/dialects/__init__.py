"""Dialects: where an upstream's endpoints are, how requests are authorised, which wire formats it speaks."""

from collections.abc import Mapping

from zirkel.gateway.dialects.anthropic import AnthropicDialect
from zirkel.gateway.dialects.azure import AzureDialect
from zirkel.gateway.dialects.base import Dialect, Endpoint, Framing
from zirkel.gateway.dialects.bedrock import BedrockDialect
from zirkel.gateway.dialects.gemini import GeminiDialect
from zirkel.gateway.dialects.openai import OpenAIDialect

DIALECTS: Mapping[str, Dialect] = {
    "openai": OpenAIDialect(),
    "azure": AzureDialect(),
    "anthropic": AnthropicDialect(),
    "gemini": GeminiDialect(),
    "bedrock": BedrockDialect(),
}

__all__ = ["DIALECTS", "Dialect", "Endpoint", "Framing"]
