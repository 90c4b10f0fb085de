"""Shapes of the hub request that several formats read.

Source: OpenAI API reference, chat/create.
"""

from typing import Literal

import msgspec

from zirkel.core import JsonObject

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class ImageUrl(msgspec.Struct, frozen=True):
    """An image's address, maybe a ``data:`` URL."""

    url: str


class File(msgspec.Struct, frozen=True):
    """A file; ``file_data`` is a ``data:`` URL."""

    file_data: str | None = None
    filename: str | None = None


class TextPart(msgspec.Struct, frozen=True, tag="text"):
    """A piece of text."""

    text: str
    cache_control: JsonObject | None = None


class RefusalPart(msgspec.Struct, frozen=True, tag="refusal"):
    """A refusal of an earlier answer."""

    refusal: str


class ImagePart(msgspec.Struct, frozen=True, tag="image_url"):
    """An image."""

    image_url: ImageUrl
    cache_control: JsonObject | None = None


class FilePart(msgspec.Struct, frozen=True, tag="file"):
    """A file."""

    file: File
    cache_control: JsonObject | None = None


class Function(msgspec.Struct, frozen=True):
    """A function that the model may call."""

    name: str
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class Tool(msgspec.Struct, frozen=True):
    """A tool."""

    type: Literal["function"]
    function: Function
    cache_control: JsonObject | None = None


class NamedFunction(msgspec.Struct, frozen=True):
    """A function by its name."""

    name: str


class NamedTool(msgspec.Struct, frozen=True):
    """The one tool to call."""

    type: Literal["function"]
    function: NamedFunction


class JsonSchema(msgspec.Struct, frozen=True):
    """The schema of the answer."""

    schema: JsonObject
    name: str | None = None
    description: str | None = None


class TextFormat(msgspec.Struct, frozen=True, tag="text"):
    """Any text."""


class JsonObjectFormat(msgspec.Struct, frozen=True, tag="json_object"):
    """Some JSON object."""


class JsonSchemaFormat(msgspec.Struct, frozen=True, tag="json_schema"):
    """JSON of a schema."""

    json_schema: JsonSchema
