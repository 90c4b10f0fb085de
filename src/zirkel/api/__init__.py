"""HTTP in, service call, HTTP out."""

from zirkel.api.app import create_api
from zirkel.api.errors import install_error_handlers
from zirkel.api.services import Health, Services

__all__ = ["Health", "Services", "create_api", "install_error_handlers"]
