"""What can be wrong with an OTLP request, before anybody looks at what it says."""


class OtlpError(Exception):
    """Base of the errors here. ``str()`` says what was wrong, for the sender to read."""


class Malformed(OtlpError):
    """The body is not what its media type and encoding say (HTTP 400)."""


class TooLarge(OtlpError):
    """The body, as sent or decompressed, is over the limit (HTTP 413)."""


class UnsupportedMedia(OtlpError):
    """The media type or content encoding is not one of OTLP/HTTP (HTTP 415)."""
