"""Systems under test."""

from zirkel.evaluate.systems.gateway import GatewaySystem

__all__ = ["GatewaySystem"]
