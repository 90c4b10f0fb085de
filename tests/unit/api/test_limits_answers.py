"""What the route for limits answers."""

from decimal import Decimal
from typing import cast

from fastapi import FastAPI
from starlette.testclient import TestClient

from zirkel.api.errors import install_error_handlers
from zirkel.api.rest import limits_router
from zirkel.api.services import Services
from zirkel.core import Principal, Role
from zirkel.govern.limits_view import LimitsView, WindowView

WHO = Principal("default", "k", "ann", frozenset({Role.READ}))
VIEW = LimitsView(
    subject="default/key/k",
    kind="key",
    name="k",
    label="web shop",
    state="ok",
    running=1,
    concurrency=None,
    requests_last_minute=2,
    requests_per_minute=60,
    tokens_last_minute=3,
    tokens_per_minute=None,
    windows=(WindowView("month", Decimal("10.500000000000"), Decimal("0E-12"), None, "100", 0.105, 7, "ok"),),
)


class OneKey:
    """Notes what was asked for; satisfies what the route needs of the services."""

    def __init__(self) -> None:
        self.limits = self
        self.asked: list[tuple[Principal, str, int]] = []

    def page(self, actor: Principal, after: str = "", limit: int = 1000) -> list[LimitsView]:
        self.asked.append((actor, after, limit))
        return [VIEW]


def test_amounts_are_plain_decimals_and_no_limit_is_null() -> None:
    services = OneKey()
    app = FastAPI(openapi_url=None)
    install_error_handlers(app)
    app.include_router(limits_router(cast(Services, services), lambda: WHO))
    with TestClient(app) as http:
        answer = http.get("/api/v1/limits?after=default/key/a&limit=5")
        assert http.get("/api/v1/limits?limit=-1").status_code == 400
    assert services.asked == [(WHO, "default/key/a", 5)]
    (row,) = answer.json()
    assert (row["requests_per_minute"], row["tokens_per_minute"]) == (60, None)
    assert row["windows"] == [
        {
            "window": "month",
            "spent_usd": "10.5",
            "held_usd": "0",
            "soft_usd": None,
            "hard_usd": "100",
            "share": 0.105,
            "ends_ns": 7,
            "state": "ok",
        }
    ]
