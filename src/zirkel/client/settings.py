"""Where the SDK sends to and keeps things. The client's only reader of the environment."""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zirkel.core import Invalid

DEFAULT_URL = "http://127.0.0.1:4040"


@dataclass(frozen=True, slots=True)
class SdkSettings:
    """What ``init`` was told."""

    url: str
    """The core's address, without a slash at its end."""
    api_key: str = field(repr=False)
    service: str
    """Under which name spans are listed; empty leaves it to OpenTelemetry's settings."""
    environment: str
    folder: Path
    """Where prompts, and what could not be sent, are kept."""

    @property
    def target_folder(self) -> Path:
        """The folder of this address and key: what was meant for one project never gets into another."""
        target = hashlib.sha256(f"{self.url}\x00{self.api_key}".encode()).hexdigest()[:16]
        return self.folder / target

    @property
    def spool_folder(self) -> Path:
        """Where what could not be sent waits, for any process of the same service."""
        service = hashlib.sha256(self.service.encode()).hexdigest()[:16]
        return self.target_folder / "spool" / service

    @property
    def prompts_folder(self) -> Path:
        """Where the last known prompts are kept."""
        return self.target_folder / "prompts"


def read_settings(
    *,
    url: str = "",
    api_key: str = "",
    service: str = "",
    environment: str = "",
    folder: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> SdkSettings:
    """Return the settings; what is not given is read from ``ZIRKEL_URL`` and ``ZIRKEL_API_KEY``.

    Args:
        url: The core's address.
        api_key: A key with the role ``ingest``; with ``call`` or ``read`` too, to get prompts.
        service: See ``SdkSettings``.
        environment: Name of the deployment environment, e.g. ``production``.
        folder: Where to keep files; by default ``zirkel`` in the user's cache folder.
        variables: The environment; the process's own if None.

    Raises:
        Invalid: If there is no key, or key or address cannot be one.
    """
    found = os.environ if variables is None else variables  # noqa: TID251 (the client's one place)
    key = api_key or found.get("ZIRKEL_API_KEY", "")
    if not key:
        raise Invalid("zirkel.init needs a key: set ZIRKEL_API_KEY, or pass api_key", path="api_key")
    if not key.isascii() or not key.isprintable():
        raise Invalid("the API key has characters that no key has; set the whole key as ZIRKEL_API_KEY", path="api_key")
    address = (url or found.get("ZIRKEL_URL", "") or DEFAULT_URL).rstrip("/")
    if not address.startswith(("http://", "https://")):
        raise Invalid(f"{address!r} is not an address; set one like {DEFAULT_URL} with ZIRKEL_URL", path="url")
    return SdkSettings(address, key, service, environment, folder or _cache_folder(found))


def _cache_folder(variables: Mapping[str, str]) -> Path:
    """Return the user's cache folder for Zirkel; a user without a home gets one among the temporary files.

    Source: XDG Base Directory Specification 0.8 (``XDG_CACHE_HOME`` counts if it is absolute).
    """
    configured = Path(variables.get("XDG_CACHE_HOME", ""))
    if configured.is_absolute():
        return configured / "zirkel"
    try:
        return Path.home() / ".cache" / "zirkel"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"zirkel-{os.getuid()}"
