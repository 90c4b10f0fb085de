"""Reading the console's own small forms."""

from urllib.parse import parse_qsl

from fastapi import Request

from zirkel.core import Invalid, TooLarge, Unsupported

MAX_FORM_BYTES = 16 * 1024
MAX_FIELDS = 16


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a posted form; of a field sent twice, the last.

    Raises:
        Unsupported: If the body is not ``application/x-www-form-urlencoded``.
        TooLarge: If it has more than ``MAX_FORM_BYTES``.
        Invalid: If it cannot be read.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise Unsupported("send the form as application/x-www-form-urlencoded")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise TooLarge(f"the form has more than {MAX_FORM_BYTES // 1024} KiB")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError as error:
        raise Invalid("the form cannot be read; load the page again and retry") from error
