"""Malformed requests: a clear 4xx in one shape, never a 500, and nothing is changed."""

import json

import httpx
import pytest

from tests.flows.harness import Stack
from tests.flows.service_files import ServiceFolder

pytestmark = pytest.mark.flow

HALF_A_PAIR = r'"\ud800"'
BAD = (
    ("GET", "/api/v1/traces?limit=-1", ""),
    ("GET", "/api/v1/traces?limit=many", ""),
    ("GET", "/api/v1/evidence?limit=-1", ""),
    ("GET", "/api/v1/evidence?after=-1", ""),
    ("GET", f"/api/v1/evidence?after={10**30}", ""),
    ("POST", "/api/v1/keys", '{"label": "x", "roles": ["admin"], "expires_ns": 1' + "0" * 30 + "}"),
    ("POST", "/api/v1/keys", '{"label": "x", "roles": ["owner"]}'),
    ("POST", "/api/v1/keys", f'{{"label": {HALF_A_PAIR}, "roles": ["read"]}}'),
    ("POST", "/api/v1/keys", '{"label": "x", "roles": ["read"], "role": "admin"}'),
    ("POST", "/api/v1/services/push", "{"),
    ("POST", "/api/v1/services/push", '{"files": {"service.toml": "not base64"}}'),
    ("POST", "/api/v1/services/SERVICE/ship", f'{{"weight": 0.5, "break_glass": {HALF_A_PAIR}}}'),
    ("POST", "/api/v1/services/SERVICE/ship", '{"weight": NaN, "break_glass": "x"}'),
    ("POST", "/api/v1/services/SERVICE/experiments", '{"trials": 1000000}'),
    ("PUT", "/api/v1/upstreams/x", '{"base_url": "file:///etc/passwd"}'),
)


def test_malformed_requests_get_a_clear_400_and_change_nothing(stack: Stack, live: ServiceFolder) -> None:
    entries = len(stack.get_list("/api/v1/evidence", {"limit": 1000}))
    headers = {"authorization": f"Bearer {stack.key}", "content-type": "application/json"}
    with httpx.Client(base_url=stack.core_url, headers=headers) as http:
        for method, path, body in BAD:
            answer = http.request(method, path.replace("SERVICE", live.name), content=body)
            assert answer.status_code == 400, (method, path, body, answer.text)
            assert answer.json()["error"]["code"] == "invalid"
            assert answer.json()["error"]["message"]
    assert len(stack.get_list("/api/v1/evidence", {"limit": 1000})) == entries


def test_the_gateway_refuses_malformed_requests_in_the_shape_of_openai(stack: Stack, live: ServiceFolder) -> None:
    url = f"http://127.0.0.1:{stack.gateway_port}/v1/chat/completions"
    headers = {"authorization": f"Bearer {stack.key}", "content-type": "application/json"}
    message = [{"role": "user", "content": "x"}]
    variables = {"variables": {"no-such-variable": "x"}}
    bodies = (
        ("{", 400),
        ("[]", 400),
        ('{"model": 1}', 400),
        (json.dumps({"model": f"service:{live.name}", "messages": message, "stream": "yes"}), 400),
        (json.dumps({"model": f"service:{live.name}", "zirkel": variables}), 400),
        (json.dumps({"model": "service:nobody", "messages": message}), 404),
        (json.dumps({"model": "nowhere/model", "messages": message}), 404),
    )
    for body, status in bodies:
        answer = httpx.post(url, content=body, headers=headers)
        assert answer.status_code == status, (body, answer.text)
        assert set(answer.json()["error"]) == {"message", "type", "code", "param"}
