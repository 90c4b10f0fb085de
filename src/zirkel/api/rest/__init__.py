"""REST under ``/api/v1``: one resource a file."""

from zirkel.api.rest.costs import costs_router
from zirkel.api.rest.datasets import datasets_router
from zirkel.api.rest.experiments import experiments_router
from zirkel.api.rest.export import export_router
from zirkel.api.rest.feedback import feedback_router
from zirkel.api.rest.gates import gates_router
from zirkel.api.rest.gateway import gateway_router
from zirkel.api.rest.keys import keys_router
from zirkel.api.rest.labels import labels_router
from zirkel.api.rest.limits import limits_router
from zirkel.api.rest.loop import loop_router
from zirkel.api.rest.observe import observe_router
from zirkel.api.rest.privacy import privacy_router
from zirkel.api.rest.prompts import prompts_router
from zirkel.api.rest.scores import scores_router
from zirkel.api.rest.search import search_router
from zirkel.api.rest.services import services_router
from zirkel.api.rest.verdicts import verdicts_router

__all__ = [
    "costs_router",
    "datasets_router",
    "experiments_router",
    "export_router",
    "feedback_router",
    "gates_router",
    "gateway_router",
    "keys_router",
    "labels_router",
    "limits_router",
    "loop_router",
    "observe_router",
    "privacy_router",
    "prompts_router",
    "scores_router",
    "search_router",
    "services_router",
    "verdicts_router",
]
