"""The gateway's document from the command line and from a file, against real processes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from tests.flows.harness import Stack, end_group, wait_for
from zirkel.app.config import clean_environment
from zirkel.app.demo.processes import free_ports
from zirkel.core import Json, Role

pytestmark = pytest.mark.flow

DOCUMENT = """
[[upstream]]
name = "house"
base_url = "http://127.0.0.1:9/v1"
credential_variable = "HOUSE_KEY"
prices = "openai"

[[model]]
name = "fast"
[[model.target]]
name = "house/gpt-4o-mini"
"""
LITELLM = """
model_list:
  - model_name: moved
    litellm_params: {model: openai/gpt-4o, api_base: "http://127.0.0.1:9/v1", rpm: 10}
litellm_settings: {callbacks: [langfuse]}
"""


def snapshot(stack: Stack) -> dict[str, dict[str, Json]]:
    """Return what every gateway worker serves from at its next request."""
    return cast("dict[str, dict[str, Json]]", json.loads((stack.data_dir / "snapshot.json").read_text()))


def run(stack: Stack, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run ``zirkel …`` with variables of the user's own."""
    environment = {**stack.environment(), **variables}
    command = [sys.executable, "-m", "zirkel.app", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_document_goes_from_a_file_to_the_gateway_and_back(own_stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(DOCUMENT)
    assert run(own_stack, "gateway", "check", str(file)).returncode == 0
    without = run(own_stack, "gateway", "apply", str(file))
    assert (without.returncode, "HOUSE_KEY" in without.stderr) == (2, True)
    done = run(own_stack, "gateway", "apply", str(file), HOUSE_KEY="sk-house-secret")
    assert done.returncode == 0, done.stderr
    assert "version 1 is in force" in done.stdout
    found = snapshot(own_stack)
    assert "default/fast" in found["models"]
    assert "default/house/gpt-4o" in found["prices"]
    assert run(own_stack, "gateway", "show").stdout.strip() == DOCUMENT.strip()
    for text in (json.dumps(found), own_stack.output(), done.stdout):
        assert "sk-house-secret" not in text


def test_a_bad_document_leaves_everything_as_it_is(own_stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(DOCUMENT.replace("house/gpt", "nowhere/gpt"))
    before = snapshot(own_stack)
    assert run(own_stack, "gateway", "check", str(file)).returncode == 0
    for command in (["check", "--server"], ["apply"]):
        refused = run(own_stack, "gateway", *command, str(file), HOUSE_KEY="sk")
        assert refused.returncode == 2
        assert "model[0].target[0].name" in refused.stderr
    assert snapshot(own_stack) == before


def test_two_who_started_from_one_version_do_not_overwrite_each_other(own_stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("# first\n")
    assert run(own_stack, "gateway", "apply", str(file), "--based-on", "0").returncode == 0
    file.write_text("# second\n")
    late = run(own_stack, "gateway", "apply", str(file), "--based-on", "0")
    assert (late.returncode, "version 1" in late.stderr) == (1, True)
    assert own_stack.get("/api/v1/gateway")["toml"] == "# first\n"


def test_a_price_table_is_loaded_and_quoted(own_stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text(
        '{"gpt-x": {"litellm_provider": "openai", "input_cost_per_token": 1.5e-07, "output_cost_per_image": 1}}'
    )
    loaded = run(own_stack, "prices", "load", str(file), "--effective", "2020-01-01")
    assert loaded.returncode == 0, loaded.stderr
    assert "1 models from 2020-01-01" in loaded.stdout
    assert "output_cost_per_image" in loaded.stdout
    assert "0.15 USD per million tokens" in run(own_stack, "prices", "show", "openai/gpt-x").stdout
    assert "unknown" in run(own_stack, "prices", "show", "openai/no-such").stdout
    assert "prices" in run(own_stack, "prices", "list").stdout


def test_litellms_configuration_is_taken_over_and_applied(own_stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(LITELLM)
    moved = run(own_stack, "import", "litellm", str(file), "--apply")
    assert moved.returncode == 0, moved.stderr
    assert "litellm_settings.callbacks" in moved.stderr
    assert "default/moved" in snapshot(own_stack)["models"]
    assert run(own_stack, "import", "litellm", str(file), "--strict").returncode == 1
    output = tmp_path / "gateway.toml"
    assert run(own_stack, "import", "litellm", str(file), "--output", str(output)).returncode == 0
    assert run(own_stack, "gateway", "check", str(output)).returncode == 0


def test_the_models_that_a_key_may_call_have_the_documents_names(own_stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(DOCUMENT)
    assert run(own_stack, "gateway", "apply", str(file), HOUSE_KEY="sk").returncode == 0
    names = {model.id for model in own_stack.sdk(own_stack.make_key(Role.CALL.value)).models.list()}
    assert "fast" in names


def test_a_watched_file_is_in_force_from_the_start_and_whenever_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(DOCUMENT)
    core, gateway = free_ports(2)
    settings = {
        "ZIRKEL_DATA_DIR": str(tmp_path / "data"),
        "ZIRKEL_CORE_PORT": str(core),
        "ZIRKEL_GATEWAY_PORT": str(gateway),
        "ZIRKEL_OTLP_PORT": "0",
        "ZIRKEL_OTLP_GRPC_PORT": "0",
        "ZIRKEL_GATEWAY_WORKERS": "1",
        "ZIRKEL_GATEWAY_FILE": str(file),
        "HOUSE_KEY": "sk-house",
    }
    log = tmp_path / "zirkel.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "zirkel.app", "up"],
            env=clean_environment(settings),
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    path = tmp_path / "data" / "snapshot.json"

    def models() -> set[str]:
        return set(json.loads(path.read_text())["models"]) if path.exists() else set()

    def replace(text: str) -> None:
        new = file.with_suffix(".new")
        new.write_text(text)
        os.replace(new, file)

    try:
        wait_for(lambda: models() == {"default/fast"}, "the file is in force", 60)
        replace(DOCUMENT.replace('name = "fast"', 'name = "bad/name"'))
        wait_for(lambda: "model[0].name" in log.read_text(errors="replace"), "the bad file is refused")
        assert models() == {"default/fast"}
        replace(DOCUMENT.replace('name = "fast"', 'name = "faster"'))
        wait_for(lambda: models() == {"default/faster"}, "the mended file is in force")
    finally:
        end_group(process)
