"""Masking the items of a data set before its file is kept. Pure."""

from collections.abc import Callable

import msgspec

PROVENANCE = "provenance"
"""The member of an item's metadata that says where it came from: it must be found when that is erased."""

_Members = dict[str, msgspec.Raw]


def mask_items(data: bytes, mask_json: Callable[[str], str]) -> bytes:
    """Return a JSONL data set with input, expected output, contexts and metadata of each item masked.

    Its provenance, id and cluster stay. So do lines in which nothing is found, and lines that cannot be read.
    """
    return b"\n".join(_masked_line(line, mask_json) for line in data.split(b"\n"))


def _masked_line(line: bytes, mask_json: Callable[[str], str]) -> bytes:
    try:
        item = msgspec.json.decode(line, type=_Members)
        metadata = msgspec.json.decode(item.get("metadata", msgspec.Raw(b"{}")), type=_Members)
        changes = _masked({name: item[name] for name in ("input", "expected", "contexts") if name in item}, mask_json)
        noted = _masked({name: raw for name, raw in metadata.items() if name != PROVENANCE}, mask_json)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Whoever checks the file says what is wrong with it, and then it is not kept.
        return line
    if noted:
        changes["metadata"] = msgspec.Raw(msgspec.json.encode({**metadata, **noted}))
    return msgspec.json.encode({**item, **changes}) if changes else line


def _masked(members: _Members, mask_json: Callable[[str], str]) -> _Members:
    """Return those members that masking changes."""
    texts = {name: bytes(raw).decode() for name, raw in members.items()}
    masked = {name: mask_json(text) for name, text in texts.items()}
    return {name: msgspec.Raw(text.encode()) for name, text in masked.items() if text != texts[name]}
