"""What the steps share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from zirkel.app.demo.facts import Facts
from zirkel.app.demo.processes import Stack, StepFailed, free_ports
from zirkel.client import Client

SERVICE = "review-triage"
EXAMPLE = Path("examples") / SERVICE


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """How to run the demo."""

    folder: Path = Path(".zirkel-demo")
    keep: bool = False
    upstream: str = ""
    """An OpenAI-compatible base URL instead of the local model; empty is the local model."""
    model: str = ""
    """The model's name at ``upstream``."""
    key_variable: str = ""
    """Environment variable that holds the upstream's key."""
    picture: Path | None = None
    """Where to save a picture of the console."""


@dataclass(slots=True)
class Setting:
    """The running demo."""

    options: DemoOptions
    stack: Stack
    say: Callable[[str], None]
    example: Path
    model_port: int
    backup_port: int
    core_port: int
    gateway_port: int
    otlp_port: int
    api_key: str = ""
    gateway_key: str = ""
    facts: Facts = field(default_factory=Facts)

    @property
    def core_url(self) -> str:
        """The core's address."""
        return f"http://127.0.0.1:{self.core_port}"

    @property
    def gateway_url(self) -> str:
        """The gateway's address for OpenAI clients."""
        return f"http://127.0.0.1:{self.gateway_port}/v1"

    def client(self) -> Client:
        """Return a client with the admin key."""
        return Client(self.core_url, self.api_key)

    def require(self, condition: bool, claim: str) -> None:
        """Return if a claim holds.

        Raises:
            StepFailed: If not.
        """
        if not condition:
            raise StepFailed(f"this does not hold: {claim}")


def make_setting(options: DemoOptions, stack: Stack, say: Callable[[str], None]) -> Setting:
    """Return the setting with free ports.

    Raises:
        StepFailed: If the example is not here.
    """
    if not (EXAMPLE / "service.toml").is_file():
        raise StepFailed(f"{EXAMPLE} is not here; run the demo in the folder of the project")
    model, backup, core, gateway, otlp = free_ports(5)
    return Setting(options, stack, say, EXAMPLE, model, backup, core, gateway, otlp)
