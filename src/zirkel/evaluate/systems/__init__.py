"""Systems under test, one file each."""

from zirkel.evaluate.systems.function import FunctionSystem, load_function
from zirkel.evaluate.systems.gateway import GatewaySystem
from zirkel.evaluate.systems.http import HttpSystem
from zirkel.evaluate.systems.openai import OpenAiSystem

__all__ = ["FunctionSystem", "GatewaySystem", "HttpSystem", "OpenAiSystem", "load_function"]
