"""Reading the console's own small forms."""

from urllib.parse import parse_qsl

from fastapi import Request

from zirkel.core import Invalid, TooLarge, Unsupported

MAX_FORM_BYTES = 16 * 1024
MAX_DOCUMENT_BYTES = 2 * 1024 * 1024
MAX_FIELDS = 64


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a posted form; of a field sent twice, the last.

    Raises:
        Unsupported: If the body is not ``application/x-www-form-urlencoded``.
        TooLarge: If it has more than ``MAX_FORM_BYTES``.
        Invalid: If it cannot be read.
    """
    return await _read(request, MAX_FORM_BYTES)


async def read_document_form(request: Request) -> dict[str, str]:
    """Return the fields of a form that holds a document; as ``read_form``, but up to ``MAX_DOCUMENT_BYTES``."""
    return await _read(request, MAX_DOCUMENT_BYTES)


async def _read(request: Request, most_bytes: int) -> dict[str, str]:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise Unsupported("send the form as application/x-www-form-urlencoded")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise TooLarge(f"the form has more than {most_bytes // 1024} KiB")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError as error:
        raise Invalid("the form cannot be read; load the page again and retry") from error
