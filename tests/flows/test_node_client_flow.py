"""The unmodified OpenAI package for Node on a running gateway, in front of every kind of upstream."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from tests.flows.client_stage import (
    ANTHROPIC,
    BEDROCK,
    GEMINI,
    OPENAI,
    PLACES,
    ROOT,
    Stage,
    failing,
    open_stage,
)
from tests.flows.harness import Object, Stack
from tests.flows.provider_script import CACHED_TOKENS, CITIES, INPUT_TOKENS, OUTPUT_TOKENS, TEXT, VECTOR
from zirkel.app.config import clean_environment

pytestmark = pytest.mark.flow

HOW_TO = ROOT / "docs" / "how-to" / "use-the-gateway.md"
FOLDER = Path(__file__).with_name("node_client")
INSTALL_S = 90


@pytest.fixture(scope="session")
def script() -> Path:
    """The client's script beside its installed package; skips where that cannot be installed."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node or npm is not on this machine")
    folder = _cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "client.cjs"):
        shutil.copy(FOLDER / name, folder / name)
    if not (folder / "node_modules" / "openai").is_dir():
        _install(folder)
    return folder / "client.cjs"


def _cache_folder() -> Path:
    """Return where the package stays from one run to the next; never inside the repository."""
    base = os.environ.get("XDG_CACHE_HOME")  # noqa: TID251 (no setting of ours)
    return (Path(base) if base else Path.home() / ".cache") / "zirkel-tests" / "node_client"


def _install(folder: Path) -> None:
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=INSTALL_S)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm install did not end within {INSTALL_S} s")
    if done.returncode:
        pytest.skip(f"npm install failed: {done.stderr.strip()[-300:]}")


@pytest.fixture(scope="module")
def stage(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with open_stage(stack, tmp_path_factory.mktemp("node"), "Node clients") as stage:
        yield stage


def converse(script: Path, stage: Stage, model: str, what: str, *, key: str = "", path: str = "/v1") -> Object:
    """Return what the client saw in one conversation."""
    command = ["node", str(script), stage.url + path, key or stage.key, model, what]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return cast(Object, json.loads(done.stdout))


@pytest.mark.parametrize("place", PLACES)
def test_a_chat_is_answered(script: Path, stage: Stage, place: str) -> None:
    seen = converse(script, stage, place, "plain")
    assert seen["text"] == TEXT
    assert _counts(seen) == (INPUT_TOKENS, OUTPUT_TOKENS, CACHED_TOKENS)
    assert float(str(seen["cost"])) > 0
    call, _ = stage.spans(str(seen["traceId"]))
    assert call["status"] == "ok"


@pytest.mark.parametrize("place", PLACES)
def test_a_chat_is_streamed(script: Path, stage: Stage, place: str) -> None:
    seen = converse(script, stage, place, "stream")
    pieces = cast("list[str]", seen["pieces"])
    assert (len(pieces), "".join(pieces)) == (3, TEXT)
    assert _counts(seen) == (INPUT_TOKENS, OUTPUT_TOKENS, CACHED_TOKENS)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("what", ["tools", "streamedTools"])
def test_tools_are_called_and_their_results_go_back(script: Path, stage: Stage, place: str, what: str) -> None:
    seen = converse(script, stage, place, what)
    assert seen == {"reason": "tool_calls", "cities": list(CITIES), "text": "The tools say: rain; sun"}


@pytest.mark.parametrize("place", [OPENAI, GEMINI])
def test_embeddings_come_as_numbers(script: Path, stage: Stage, place: str) -> None:
    assert converse(script, stage, place, "embeddings")["vectors"] == [list(VECTOR), list(VECTOR)]


@pytest.mark.parametrize("place", PLACES)
def test_a_response_is_answered_and_streamed(script: Path, stage: Stage, place: str) -> None:
    seen = converse(script, stage, place, "responses")
    assert (seen["text"], seen["streamed"]) == (TEXT, TEXT)
    kinds = cast("list[str]", seen["kinds"])
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    assert cast(Object, seen["usage"])["output_tokens"] == OUTPUT_TOKENS


def test_models_are_listed(script: Path, stage: Stage) -> None:
    assert converse(script, stage, "-", "models") == {"names": ["patient", "writer"]}


def test_refusals_are_the_clients_own_classes(script: Path, stage: Stage) -> None:
    key = stage.make_key(limits={"models": ["openai/gpt-4.1"], "requests_per_minute": 1})
    poor = stage.make_key(limits={"budget": [{"window": "day", "hard_usd": "0.000001"}]})
    wanted = [
        (OPENAI, "zk_wrong", "AuthenticationError", 401),
        ("nobody/none", "", "NotFoundError", 404),
        (ANTHROPIC, key, "PermissionDeniedError", 403),
        (OPENAI, poor, "APIError", 402),
        (failing(BEDROCK, "context"), "", "BadRequestError", 400),
        (failing(GEMINI, "overloaded"), "", "InternalServerError", 502),
    ]
    for model, used, kind, status in wanted:
        seen = converse(script, stage, model, "failure", key=used)
        assert (seen["kind"], seen["status"]) == (kind, status)
    assert converse(script, stage, OPENAI, "plain", key=key)["text"] == TEXT
    limited = converse(script, stage, OPENAI, "failure", key=key)
    assert (limited["kind"], limited["code"]) == ("RateLimitError", "rate_limited")
    assert int(str(limited["retryAfter"])) > 0


@pytest.mark.parametrize("place", PLACES)
def test_a_stream_that_fails_midway_is_an_api_error(script: Path, stage: Stage, place: str) -> None:
    seen = converse(script, stage, failing(place, "midway"), "streamFailure")
    assert 0 < len("".join(cast("list[str]", seen["pieces"]))) < len(TEXT)
    assert (seen["isApiError"], seen["code"]) == (True, "upstream_failed")
    responded = converse(script, stage, failing(place, "midway"), "responsesFailure")
    assert "response.output_text.delta" in cast("list[str]", responded["kinds"])
    assert (responded["isApiError"], responded["code"]) == (True, "upstream_failed")


def test_the_upstream_is_cancelled_when_the_client_leaves_a_stream(script: Path, stage: Stage) -> None:
    seen = converse(script, stage, "patient", "abort")
    assert seen["chunks"] == 3
    stage.wait_for_closed(str(seen["traceId"]))
    call, _ = stage.spans(str(seen["traceId"]))
    assert call["error_type"] == "client_disconnected"


def test_requests_passed_through_are_metered(script: Path, stage: Stage) -> None:
    seen = converse(script, stage, "gpt-4.1", "plain", path="/providers/openai")
    assert seen["text"] == TEXT
    _, attempt = stage.spans(str(seen["traceId"]))
    assert cast(Object, attempt["usage"])["output_tokens"] == OUTPUT_TOKENS


def test_the_example_of_the_documentation_runs(script: Path, stage: Stage) -> None:
    (code,) = re.findall(r"^```js\n(.*?)^```", HOW_TO.read_text(), re.MULTILINE | re.DOTALL)
    example = script.with_name("example.cjs")
    example.write_text(code.replace("http://localhost:4000", stage.url))
    environment = clean_environment({"ZIRKEL_KEY": stage.key})
    done = subprocess.run(["node", str(example)], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.strip() == TEXT, done.stderr


def _counts(seen: Object) -> tuple[object, object, object]:
    usage = cast(Object, seen["usage"])
    details = cast(Object, usage["prompt_tokens_details"])
    return usage["prompt_tokens"], usage["completion_tokens"], details["cached_tokens"]
