"""What a gateway worker is told when it starts."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """The settings of one worker; everything that changes while it runs comes by the snapshot."""

    pepper: bytes = field(repr=False)
    """The installation's secret that API keys are hashed under (see ``hash_key``)."""
    worker: str = "gateway-0"
    max_body_bytes: int = 16 << 20
    """Longest request body; a longer one is answered with 413."""
    max_answer_bytes: int = 64 << 20
    """Longest answer taken from an upstream; a longer one counts as broken."""
    connect_s: float = 5.0
    """Until the connection to an upstream stands, TLS included."""
    first_byte_s: float = 120.0
    """Longest silence of an upstream, before its first byte and between any two."""
    total_s: float = 600.0
    """Longest duration of one attempt."""
    kept_answers_bytes: int = 256 << 20
    """What the answer cache of all workers may hold."""
    drain_s: float = 10.0
    """How long a shutdown waits for background work."""
