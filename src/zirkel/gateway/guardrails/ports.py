"""What guardrails need of the gateway."""

from collections.abc import Mapping
from typing import Protocol

from zirkel.core import Json


class GuardPorts(Protocol):
    """Where the checks that cannot decide by themselves ask. Each call is cancelled when its time is over."""

    async def ask_model(self, model: str, prompt: str) -> str:
        """Return what ``model`` (``UPSTREAM/MODEL``) answers to ``prompt`` as a user message.

        Raises:
            UpstreamBroken: If there is no answer.
        """
        ...

    async def post_json(self, url: str, body: Mapping[str, Json], timeout_s: float) -> Mapping[str, object]:
        """Return the JSON object that is answered to ``body``.

        Raises:
            UpstreamBroken: If there is no answer, it is no success (2xx), or no JSON object.
        """
        ...
