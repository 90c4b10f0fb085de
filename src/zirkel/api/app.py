"""The core's HTTP application."""

from fastapi import FastAPI, Response

from zirkel import __version__
from zirkel.api.auth import Guard, guarded_principal
from zirkel.api.errors import install_error_handlers
from zirkel.api.otlp import otlp_router
from zirkel.api.rest import (
    costs_router,
    datasets_router,
    experiments_router,
    export_router,
    feedback_router,
    gates_router,
    gateway_router,
    keys_router,
    labels_router,
    limits_router,
    loop_router,
    observe_router,
    privacy_router,
    prompts_router,
    scores_router,
    search_router,
    services_router,
    verdicts_router,
)
from zirkel.api.services import Services


def create_api(services: Services) -> FastAPI:
    """Return the application with REST, OTLP and health; everything but ``/healthz`` needs a key."""
    app = FastAPI(
        title="Zirkel",
        version=__version__,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    install_error_handlers(app)
    app.add_middleware(Guard, authenticate=services.access.authenticate)
    for router in (
        services_router,
        experiments_router,
        gates_router,
        verdicts_router,
        loop_router,
        keys_router,
        gateway_router,
        limits_router,
        search_router,
        export_router,
        datasets_router,
        labels_router,
        costs_router,
        observe_router,
        scores_router,
        privacy_router,
        prompts_router,
    ):
        app.include_router(router(services, guarded_principal))
    app.include_router(feedback_router(services))
    app.include_router(otlp_router(services.intake, services.access.authenticate))

    @app.get("/healthz", include_in_schema=False)
    def healthz() -> Response:
        return Response('{"status":"ok"}', media_type="application/json")

    return app
