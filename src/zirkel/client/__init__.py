"""The SDK: light imports only."""

from zirkel.client.http import Client, Unreachable

__all__ = ["Client", "Unreachable"]
