"""REST under ``/api/v1``: one resource a file."""

from zirkel.api.rest.gateway import gateway_router
from zirkel.api.rest.keys import keys_router
from zirkel.api.rest.limits import limits_router
from zirkel.api.rest.loop import loop_router
from zirkel.api.rest.observe import observe_router
from zirkel.api.rest.services import services_router

__all__ = ["gateway_router", "keys_router", "limits_router", "loop_router", "observe_router", "services_router"]
