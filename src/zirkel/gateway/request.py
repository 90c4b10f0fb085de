"""The body of a chat completion as the caller sent it. Members that are not ours keep their original bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import msgspec

from zirkel.core import Invalid, Json

_TRUE = msgspec.Raw(b"true")
_USAGE_ASKED = msgspec.Raw(b'{"include_usage":true}')


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
    zirkel: _ZirkelPart | None = None


class _Part(msgspec.Struct, frozen=True):
    type: str
    text: str = ""


class _Message(msgspec.Struct, frozen=True):
    role: str = ""
    content: str | list[_Part] | None = None


_bodies = msgspec.json.Decoder(_Body)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_messages = msgspec.json.Decoder(list[_Message])


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A checked request body."""

    members: Mapping[str, msgspec.Raw]
    """Every top-level member but ``zirkel``, as its original bytes."""
    model: str
    is_stream: bool
    wants_usage: bool
    """The caller asked for the usage chunk of a stream."""
    user: str
    """``user``, else ``safety_identifier``, else empty."""
    variables: Mapping[str, Json] | None
    """``None`` if none were sent."""

    def raw_text(self, name: str) -> str:
        """Return a member as JSON text, empty if it was not sent."""
        found = self.members.get(name)
        return "" if found is None else bytes(found).decode()

    def streamed_members(self) -> dict[str, msgspec.Raw]:
        """Return the members to forward: those sent, and for a stream the wish for a usage chunk."""
        members = dict(self.members)
        if self.is_stream and not self.wants_usage:
            members["stream_options"] = _with_usage(members.get("stream_options"))
        return members

    def last_user_text(self) -> str | None:
        """Return the text of the last message, if there are messages and the last one is a user's text."""
        raw = self.members.get("messages")
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


def parse_request(body: bytes) -> ChatRequest:
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
        raise Invalid(f"the body is not a chat completion request: {error}", path=_field_path(error)) from None
    except msgspec.DecodeError as error:
        raise Invalid(f"the body is not JSON: {error}") from None
    members.pop("zirkel", None)
    return ChatRequest(
        members=members,
        model=parsed.model,
        is_stream=bool(parsed.stream),
        wants_usage=parsed.stream_options is not None and bool(parsed.stream_options.include_usage),
        user=parsed.user or parsed.safety_identifier or "",
        variables=None if parsed.zirkel is None else cast(Mapping[str, Json] | None, parsed.zirkel.variables),
    )


def _field_path(error: msgspec.ValidationError) -> str | None:
    """Return the field that msgspec names at the end of its message (``… - at `$.user` ``), if it names one."""
    _, found, path = str(error).rpartition(" - at `$.")
    return path.rstrip("`") if found else None


def _with_usage(options: msgspec.Raw | None) -> msgspec.Raw:
    if options is None or bytes(options) == b"null":
        return _USAGE_ASKED
    members = msgspec.json.decode(options, type=dict[str, msgspec.Raw])
    members["include_usage"] = _TRUE
    return msgspec.Raw(msgspec.json.encode(members))
