"""Zirkel: AI in production, measurable, repeatable and auditable."""

__version__ = "0.1.0"
