"""Why a request got no answer, or not all of it. No message quotes an address, a header or a body."""


class HttpFailure(Exception):
    """Base of what the client raises."""


class NoConnection(HttpFailure):
    """No connection could be made; nothing was sent."""


class BrokenConnection(HttpFailure):
    """The connection ended, or what came over it is not HTTP."""


class TimedOut(HttpFailure):
    """The other side was silent for too long, or the whole took too long."""

    def __init__(self, message: str, *, is_total: bool) -> None:
        super().__init__(message)
        self.is_total = is_total
        """It was the whole that took too long."""


class MalformedRequest(HttpFailure):
    """The address or a header cannot be sent as it is."""
