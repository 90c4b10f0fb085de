"""Secrets at rest, and what a stranger gets."""

import json
import re
import secrets
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.flows.harness import Object, Stack, Upstream, ask
from tests.flows.service_files import ServiceFolder
from zirkel.app.config import clean_environment
from zirkel.client import Client

pytestmark = pytest.mark.flow

LIST_ROUTES = """
import json, os, sys
from pathlib import Path
from zirkel.app.config import load_config
from zirkel.app.wiring import build_core

def walk(routes, prefix=""):
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from walk(inner.routes, prefix + route.include_context.prefix)
        else:
            yield from ((method, prefix + route.path) for method in sorted(route.methods))

core = build_core(load_config({}, {"data_dir": Path(sys.argv[1])}))
print("ROUTES" + json.dumps(sorted(walk(core.app.routes))), flush=True)
os._exit(0)  # it was put together, not started
"""
PUBLIC = {
    ("GET", "/healthz"),
    ("GET", "/sign-in"),
    ("GET", "/static/{served_name}"),
    ("OPTIONS", "/api/v1/feedback"),  # a browser asks before it sends, and may not send a key yet
    ("POST", "/sign-in"),
}
OTLP = {f"/v1/{signal}{slash}" for signal in ("logs", "metrics", "traces") for slash in ("", "/")}
ELSEWHERE = {"/v1/{rest:path}", "/v1development/{rest:path}"}
OTHER_METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "PUT"}
REFUSED = {(method, path) for method in OTHER_METHODS for path in OTLP | ELSEWHERE}
REFUSED |= {("POST", path) for path in ELSEWHERE}
"""Answered as OTLP wants it, whoever asks: there is nothing."""
KNOWN = {("POST", path) for path in OTLP} | {
    ("DELETE", "/api/v1/datasets/{name}/labels/{label}"),
    ("DELETE", "/api/v1/keys/{key_id}"),
    ("DELETE", "/api/v1/label-tasks/{task_id}/label"),
    ("DELETE", "/api/v1/scores/{score_id}"),
    ("GET", "/api/v1/aggregates"),
    ("GET", "/api/v1/costs"),
    ("GET", "/api/v1/costs/change"),
    ("GET", "/api/v1/datasets"),
    ("GET", "/api/v1/datasets/{name}"),
    ("GET", "/api/v1/datasets/{name}/diff"),
    ("GET", "/api/v1/datasets/{name}/export/{form}"),
    ("GET", "/api/v1/datasets/{name}/health"),
    ("GET", "/api/v1/datasets/{name}/history"),
    ("GET", "/api/v1/datasets/{name}/history/{item_id:path}"),
    ("GET", "/api/v1/datasets/{name}/items"),
    ("GET", "/api/v1/datasets/{name}/versions"),
    ("GET", "/api/v1/erasures"),
    ("GET", "/api/v1/evidence"),
    ("GET", "/api/v1/evidence/pack"),
    ("GET", "/api/v1/experiments"),
    ("GET", "/api/v1/experiments/{experiment_id}"),
    ("GET", "/api/v1/experiments/{experiment_id}/spending"),
    ("GET", "/api/v1/export/{form}"),
    ("GET", "/api/v1/facets"),
    ("GET", "/api/v1/fields"),
    ("GET", "/api/v1/gateway"),
    ("GET", "/api/v1/gateway/history"),
    ("GET", "/api/v1/gateway/history/{version}"),
    ("GET", "/api/v1/health"),
    ("GET", "/api/v1/histogram"),
    ("GET", "/api/v1/keys"),
    ("GET", "/api/v1/keys/{key_id}"),
    ("GET", "/api/v1/limits"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/api/v1/prices"),
    ("GET", "/api/v1/prices/models"),
    ("GET", "/api/v1/privacy"),
    ("GET", "/api/v1/privacy/history"),
    ("GET", "/api/v1/privacy/history/{version}"),
    ("GET", "/api/v1/privacy/retention"),
    ("GET", "/api/v1/projects"),
    ("GET", "/api/v1/prompts/{service}"),
    ("GET", "/api/v1/scores"),
    ("GET", "/api/v1/scores/{score_id}/history"),
    ("GET", "/api/v1/services"),
    ("GET", "/api/v1/services/{service}/calibration"),
    ("GET", "/api/v1/services/{service}/comparison"),
    ("GET", "/api/v1/services/{service}/comparison/items"),
    ("GET", "/api/v1/services/{service}/estimate"),
    ("GET", "/api/v1/services/{service}/labels"),
    ("GET", "/api/v1/services/{service}/plan"),
    ("GET", "/api/v1/services/{service}/releases"),
    ("GET", "/api/v1/services/{service}/status"),
    ("GET", "/api/v1/sessions"),
    ("GET", "/api/v1/sessions/{session_id:path}"),
    ("GET", "/api/v1/spans"),
    ("GET", "/api/v1/traces"),
    ("GET", "/api/v1/traces/{trace_id}"),
    ("GET", "/api/v1/traces/{trace_id}/logs"),
    ("GET", "/api/v1/traces/{trace_id}/scores"),
    ("GET", "/api/v1/upstreams"),
    ("GET", "/api/v1/users"),
    ("GET", "/api/v1/verdicts/{verdict_id}"),
    ("GET", "/api/v1/verdicts/{verdict_id}/chart"),
    ("GET", "/api/v1/verdicts/{verdict_id}/junit"),
    ("GET", "/api/v1/verdicts/{verdict_id}/markdown"),
    ("GET", "/api/v1/verdicts/{verdict_id}/pack"),
    ("HEAD", "/api/v1/openapi.json"),
    ("POST", "/api/v1/dataset-items"),
    ("POST", "/api/v1/datasets/{name}/collect"),
    ("POST", "/api/v1/datasets/{name}/versions"),
    ("POST", "/api/v1/erasures"),
    ("POST", "/api/v1/experiments"),
    ("POST", "/api/v1/experiments/{experiment_id}/answers"),
    ("POST", "/api/v1/feedback"),
    ("POST", "/api/v1/gateway/check"),
    ("POST", "/api/v1/keys"),
    ("POST", "/api/v1/keys/{key_id}/rotate"),
    ("POST", "/api/v1/label-tasks/{task_id}/skip"),
    ("POST", "/api/v1/people"),
    ("POST", "/api/v1/prices"),
    ("POST", "/api/v1/privacy/check"),
    ("POST", "/api/v1/privacy/retention"),
    ("POST", "/api/v1/projects"),
    ("POST", "/api/v1/scores"),
    ("POST", "/api/v1/services/push"),
    ("POST", "/api/v1/services/{service}/experiments"),
    ("POST", "/api/v1/services/{service}/gate"),
    ("POST", "/api/v1/services/{service}/labels"),
    ("POST", "/api/v1/services/{service}/labels/next"),
    ("POST", "/api/v1/services/{service}/labels/sample"),
    ("POST", "/api/v1/services/{service}/promote"),
    ("POST", "/api/v1/services/{service}/rollback"),
    ("POST", "/api/v1/services/{service}/ship"),
    ("POST", "/api/v1/sql"),
    ("PUT", "/api/v1/datasets/{name}/labels/{label}"),
    ("PUT", "/api/v1/gateway"),
    ("PUT", "/api/v1/keys/{key_id}/policy"),
    ("PUT", "/api/v1/label-tasks/{task_id}/decision"),
    ("PUT", "/api/v1/label-tasks/{task_id}/label"),
    ("PUT", "/api/v1/privacy"),
    ("PUT", "/api/v1/upstreams/{name}"),
}


def _files_with(folder: Path, text: str) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_no_file_holds_an_upstreams_credential_or_a_key_and_no_answer_repeats_them(
    stack: Stack, own_upstream: Upstream, service: ServiceFolder
) -> None:
    credential = f"sk-{secrets.token_urlsafe(32)}"
    body = {"base_url": own_upstream.url, "credential": credential}
    with stack.client() as client:
        client.put("/api/v1/upstreams/sealed", dict(body))
    service.use_models("sealed/stub-1", "nowhere/stub-1")
    stack.adopt(service)
    call_key = stack.make_key("call")
    with stack.sdk(call_key) as sdk:
        good = ask(sdk, service.name, "unit-1")
        # An upstream that refuses may quote the credential; neither the caller nor the record may have it.
        own_upstream.control(status=400)
        refused = sdk.with_options(max_retries=0).chat.completions.with_raw_response
        with pytest.raises(Exception, match="refused") as caught:
            refused.create(model=f"service:{service.name}", messages=[{"role": "user", "content": "x"}])
    assert credential not in str(caught.value)
    assert [call["authorization"] for call in own_upstream.calls(service.name)] == [f"Bearer {credential}"] * 2
    stack.wait_for_spans(good.trace_id, 2)

    for path in ("/api/v1/upstreams", "/api/v1/keys", "/api/v1/traces", "/api/v1/evidence"):
        text = httpx.get(f"{stack.core_url}{path}", headers={"authorization": f"Bearer {stack.key}"}).text
        assert not any(secret in text for secret in [credential, *stack.secrets])
    assert len(stack.secrets) >= 2
    assert _files_with(stack.data_dir, service.name)  # the search does find what is there
    for secret in [credential, *stack.secrets]:
        assert _files_with(stack.data_dir, secret) == []
    assert (stack.data_dir / "secrets" / "master.key").stat().st_mode & 0o077 == 0


def _routes(folder: Path) -> set[tuple[str, str]]:
    command = [sys.executable, "-c", LIST_ROUTES, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment({}), check=True, timeout=60)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("ROUTES")]
    return {(method, path) for method, path in json.loads(line.removeprefix("ROUTES"))}


def test_everything_but_health_and_the_way_in_is_closed_to_strangers(stack: Stack, tmp_path: Path) -> None:
    routes = _routes(tmp_path / "data")
    assert routes >= KNOWN | PUBLIC | REFUSED
    api = {route for route in routes if route[1].startswith(("/api/", "/v1/"))}
    assert api - PUBLIC - REFUSED == KNOWN  # a new one must be added here, which means: looked at
    with httpx.Client(base_url=stack.core_url, follow_redirects=False) as http:
        for method, path in sorted(routes - PUBLIC):
            for headers in ({}, {"authorization": "Bearer zk_wrong"}, {"cookie": "zirkel_session=e30.00"}):
                sent = {"content-type": "application/json", **headers}
                answer = http.request(method, re.sub(r"{[^}]+}", "x", path), headers=sent)
                if (method, path) in REFUSED:
                    assert answer.status_code in (404, 405), (method, path, answer.text)
                elif path.startswith(("/api/", "/v1/")):
                    assert answer.status_code == 401, (method, path, answer.text)
                elif path == "/sign-out":
                    assert answer.status_code in (403, 415)
                else:
                    assert answer.status_code == 303, (method, path, answer.text)
                    assert answer.headers["location"].startswith("/sign-in")
        assert http.get("/healthz").json() == {"status": "ok"}
        assert http.get("/sign-in").status_code == 200
        for path in ("/docs", "/redoc", "/openapi.json"):
            assert http.get(path).status_code == 404


def test_the_gateway_answers_nobody_without_a_key(stack: Stack) -> None:
    base = f"http://127.0.0.1:{stack.gateway_port}"
    for headers in ({}, {"authorization": "Bearer zk_wrong"}, {"authorization": "Basic x"}):
        for method, path in (("GET", "/v1/models"), ("POST", "/v1/chat/completions")):
            answer = httpx.request(method, f"{base}{path}", headers=headers)
            assert answer.status_code == 401
            assert answer.json()["error"]["type"] == "authentication_error"


def test_only_an_admin_may_pin_a_release(stack: Stack, live: ServiceFolder) -> None:
    def pinned(key: str) -> httpx.Response:
        body: Object = {"model": f"service:{live.name}", "messages": [{"role": "user", "content": "x"}]}
        headers = {"authorization": f"Bearer {key}", "x-zirkel-release": "0" * 64}
        return httpx.post(f"http://127.0.0.1:{stack.gateway_port}/v1/chat/completions", json=body, headers=headers)

    assert pinned(stack.make_key("call")).status_code == 403
    assert pinned(stack.key).status_code == 404


def test_a_read_key_reads_and_does_nothing_else(stack: Stack, live: ServiceFolder) -> None:
    key = stack.make_key("read")
    with Client(stack.core_url, key) as client:
        assert client.get(f"/api/v1/services/{live.name}/status")["service"] == live.name
    for action in ("ship", "rollback", "promote", "gate", "experiments"):
        url = f"{stack.core_url}/api/v1/services/{live.name}/{action}"
        answer = httpx.post(url, json={}, headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == 403, action
