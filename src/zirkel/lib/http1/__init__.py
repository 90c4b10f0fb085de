"""A lean HTTP/1.1 client: kept-alive connections, streams, time-outs, back-pressure, cancellation."""

from zirkel.lib.http1.client import HttpClient, Timeouts
from zirkel.lib.http1.connection import Answer
from zirkel.lib.http1.failures import BrokenConnection, HttpFailure, MalformedRequest, NoConnection, TimedOut

__all__ = [
    "Answer",
    "BrokenConnection",
    "HttpClient",
    "HttpFailure",
    "MalformedRequest",
    "NoConnection",
    "TimedOut",
    "Timeouts",
]
