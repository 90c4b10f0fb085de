"""A request's body as the caller sent it. Members that are not ours keep their original bytes."""

from collections.abc import Mapping
from typing import cast

import msgspec

from zirkel.core import Invalid, Json, JsonObject
from zirkel.gateway.surfaces import Surface

_TRUE = msgspec.Raw(b"true")
_NULL = msgspec.Raw(b"null")
_USAGE_ASKED = msgspec.Raw(b'{"include_usage":true}')
_ASKS_FOR_USAGE = frozenset({"chat", "completions"})
_SYSTEM_MEMBERS = {"messages": "system", "responses": "instructions"}

Members = dict[str, msgspec.Raw]


class _StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class _ZirkelPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    variables: dict[str, object] | None = None


class _Body(msgspec.Struct, frozen=True):
    model: str
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    user: str | None = None
    safety_identifier: str | None = None
    metadata: msgspec.Raw = _NULL
    zirkel: _ZirkelPart | None = None


class _Metadata(msgspec.Struct, frozen=True):
    user_id: str | None = None


class _Part(msgspec.Struct, frozen=True):
    type: str
    text: str = ""


class _Message(msgspec.Struct, frozen=True):
    role: str = ""
    content: str | list[_Part] | None = None


_bodies = msgspec.json.Decoder(_Body)
_members = msgspec.json.Decoder(Members)
_messages = msgspec.json.Decoder(list[_Message])
_objects = msgspec.json.Decoder(JsonObject)


class CallRequest(msgspec.Struct):
    """A checked request body."""

    surface: Surface
    members: Members
    """Every top-level member but ``zirkel``, as its original bytes."""
    size_bytes: int
    model: str
    is_stream: bool
    wants_usage: bool
    """The caller asked for the usage chunk of a stream."""
    user: str
    """Whom the call is for, as the body says; else empty."""
    variables: Mapping[str, Json] | None
    """``None`` if none were sent."""
    _native: JsonObject | None = None

    def raw_text(self, name: str) -> str:
        """Return a member as JSON text, empty if it was not sent."""
        found = self.members.get(name)
        return "" if found is None else str(found, "utf-8")

    @property
    def hides_usage(self) -> bool:
        """The usage chunk of a stream is asked for by the gateway alone, so the caller does not get it."""
        return self.is_stream and not self.wants_usage and self.surface.format_name in _ASKS_FOR_USAGE

    def streamed_members(self) -> Members:
        """Return the members to forward, not to be changed: those sent, and for a stream the wish for a usage chunk."""
        if not self.hides_usage:
            return self.members
        return self.members | {"stream_options": _with_usage(self.members.get("stream_options"))}

    def native(self) -> JsonObject:
        """Return the body, parsed, in the caller's own format."""
        if self._native is None:
            self._native = _objects.decode(msgspec.json.encode(self.members))
        return self._native

    def hub_members(self) -> Members:
        """Return the request in hub form, not to be changed; streams ask for usage in it.

        Raises:
            Invalid: If it says what the hub form cannot.
        """
        return self.streamed_members() if self.surface.format_name == "chat" else self._hub(self.native())

    def hub_parameters(self) -> Members:
        """Return the request in hub form, its messages apart: a caller of a prompt need not send any.

        Raises:
            Invalid: If it says what the hub form cannot.
        """
        if self.surface.format_name == "chat":
            return self.streamed_members()
        system = _SYSTEM_MEMBERS.get(self.surface.format_name)
        native = {name: value for name, value in self.native().items() if name != system}
        return self._hub({**native, self.surface.input_member: [{"role": "user", "content": "-"}]})

    def _hub(self, native: JsonObject) -> Members:
        hub = self.surface.caller.read_request(native)
        if self.is_stream:
            hub["stream_options"] = {"include_usage": True}
        return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in hub.items()}

    def input_text(self) -> str:
        """Return what is asked as JSON text, a system prompt that stands beside the messages before them."""
        asked = self.raw_text(self.surface.input_member)
        system_member = _SYSTEM_MEMBERS.get(self.surface.format_name)
        system = "" if system_member is None else self.raw_text(system_member)
        if system in ("", "null"):
            return asked
        first = f'{{"role":"system","content":{system}}}'
        if not asked.lstrip().startswith("["):
            return f'[{first},{{"role":"user","content":{asked or "null"}}}]'
        rest = asked.lstrip()[1:]
        return f"[{first}{rest}" if rest.lstrip().startswith("]") else f"[{first},{rest}"

    def last_user_text(self) -> str | None:
        """Return the text of the last message, if there are messages and the last one is a user's text."""
        raw = self.hub_members().get("messages")
        try:
            messages = _messages.decode(raw) if raw is not None else []
        except msgspec.DecodeError:
            return None
        if not messages or messages[-1].role != "user":
            return None
        content = messages[-1].content
        if isinstance(content, list):
            is_text = bool(content) and all(part.type == "text" for part in content)
            return "".join(part.text for part in content) if is_text else None
        return content


def parse_request(surface: Surface, body: bytes) -> CallRequest:
    """Return the request of a body.

    Raises:
        Invalid: If it is not a JSON object of the right shape; names the field.
    """
    try:
        body.decode()
        parsed = _bodies.decode(body)
        members = _members.decode(body)
    except UnicodeDecodeError as error:
        raise Invalid(f"the body is not UTF-8: {error.reason} at byte {error.start}") from None
    except RecursionError:
        raise Invalid("the body is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise Invalid(f"the body is not a {surface.format_name} request: {error}", path=_field_path(error)) from None
    except msgspec.DecodeError as error:
        raise Invalid(f"the body is not JSON: {error}") from None
    members.pop("zirkel", None)
    return CallRequest(
        surface=surface,
        members=members,
        size_bytes=len(body),
        model=parsed.model,
        is_stream=bool(parsed.stream),
        wants_usage=parsed.stream_options is not None and bool(parsed.stream_options.include_usage),
        user=parsed.user or parsed.safety_identifier or _user_in(surface, parsed.metadata),
        variables=None if parsed.zirkel is None else cast(Mapping[str, Json] | None, parsed.zirkel.variables),
    )


def _user_in(surface: Surface, metadata: msgspec.Raw) -> str:
    if surface.format_name != "messages" or metadata == _NULL:
        return ""
    try:
        return msgspec.json.decode(metadata, type=_Metadata).user_id or ""
    except msgspec.DecodeError:
        raise Invalid("metadata.user_id is a string", path="metadata.user_id") from None


def _field_path(error: msgspec.ValidationError) -> str | None:
    """Return the field that msgspec names in its message (``… - at `$.user` ``, or the one missing), if it does."""
    _, found, path = str(error).rpartition(" - at `$.")
    if found:
        return path.rstrip("`")
    _, found, path = str(error).rpartition("missing required field `")
    return path.rstrip("`") if found else None


def _with_usage(options: msgspec.Raw | None) -> msgspec.Raw:
    if options is None or options == _NULL:
        return _USAGE_ASKED
    members = msgspec.json.decode(options, type=Members)
    members["include_usage"] = _TRUE
    return msgspec.Raw(msgspec.json.encode(members))
