"""Reading the files that Inspect writes: ``.eval``, a ZIP archive of JSON, and ``.json``, the same as one document.

Newer ``.eval`` files are compressed with Zstandard, which Python's own ZIP reader does not know.

Source: Inspect's documentation, "Log files"; PKWARE APPNOTE 6.3.10, sections 4.3.7 (local file header) and 4.4.5.
"""

import io
import json
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from zirkel.core import Invalid, Json

_ZSTANDARD = 93
_LOCAL_HEADER = struct.Struct("<26xHH")
"""Of a local file header: the lengths of name and extra field at its end."""
LARGEST_MEMBER_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class InspectLog:
    """What a log says."""

    header: Mapping[str, Json]
    """``version``, ``status``, ``eval``, ``plan``, ``results`` and so on."""
    samples: tuple[Mapping[str, Json], ...]


def read_inspect_log(data: bytes) -> InspectLog:
    """Return a log.

    Raises:
        Invalid: If it is none, or was cut off before its header was written.
    """
    if not data.startswith(b"PK"):
        document = _object(data, "the file")
        samples = document.get("samples")
        listed = [one for one in samples if isinstance(one, dict)] if isinstance(samples, list) else []
        return _checked(document, listed)
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except zipfile.BadZipFile as error:
        raise Invalid(f"the file is no Inspect log: {error}") from error
    members = {member.filename: member for member in archive.infolist()}
    if "header.json" not in members:
        raise Invalid("the log has no header.json: the evaluation had not ended when it was written")
    header = _object(_member(data, archive, members["header.json"]), "header.json")
    return _checked(header, list(_samples(data, archive, members)))


def _samples(
    data: bytes, archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]
) -> Iterator[Mapping[str, Json]]:
    for name, member in members.items():
        if name.startswith("samples/") and name.endswith(".json"):
            yield _object(_member(data, archive, member), name)


def _checked(header: Mapping[str, Json], samples: Sequence[Mapping[str, Json]]) -> InspectLog:
    if not isinstance(header.get("eval"), dict) or header.get("version") != 2:
        raise Invalid(f"the file is no Inspect log of version 2; it says version {header.get('version')!r}")
    if not samples:
        raise Invalid("the log has no samples; write it with log_samples on")
    return InspectLog(header, tuple(samples))


def _member(data: bytes, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.file_size > LARGEST_MEMBER_BYTES:
        raise Invalid(f"{member.filename} is larger than {LARGEST_MEMBER_BYTES // 2**20} MiB")
    try:
        if member.compress_type != _ZSTANDARD:
            return archive.read(member)
        name_length, extra_length = _LOCAL_HEADER.unpack_from(data, member.header_offset)
        start = member.header_offset + _LOCAL_HEADER.size + name_length + extra_length
        packed = data[start : start + member.compress_size]
        plain: bytes = pa.decompress(packed, decompressed_size=member.file_size, codec="zstd", asbytes=True)
    except (zipfile.BadZipFile, NotImplementedError, struct.error, pa.ArrowException, OSError) as error:
        raise Invalid(f"{member.filename} cannot be read: {error}") from error
    return plain


def _object(data: bytes, name: str) -> Mapping[str, Json]:
    try:
        found: Json = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{name} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise Invalid(f"{name} holds no object")
    return found
