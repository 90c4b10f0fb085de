"""Importing the SDK imports nothing that takes long, and names that rooms have too stay what they are."""

import json
import subprocess
import sys

import pytest

import zirkel
from zirkel import client

HEAVY = ("google", "httpx", "jinja2", "msgspec", "opentelemetry", "zirkel.core")


def _loaded_by(code: str) -> list[str]:
    report = f"import json, sys; {code}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True, timeout=60)
    return [str(name) for name in json.loads(done.stdout)]


def _heavy(code: str) -> set[str]:
    return {root for name in _loaded_by(code) for root in HEAVY if name == root or name.startswith(f"{root}.")}


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import zirkel", set()),
        ("import zirkel.client", set()),
        ("import zirkel; zirkel.observe(print)", set()),
        ("import zirkel; zirkel.score", {"opentelemetry", "msgspec", "zirkel.core", "google", "httpx"}),
    ],
)
def test_what_is_not_used_is_not_imported(code: str, heavy: set[str]) -> None:
    assert _heavy(code) == heavy


def test_the_first_call_of_an_observed_function_brings_no_more_than_opentelemetrys_api() -> None:
    loaded = _loaded_by("import zirkel; zirkel.observe(len)([])")
    assert "opentelemetry.trace" in loaded
    assert not [name for name in loaded if name.startswith(("opentelemetry.sdk", "zirkel.core", "httpx"))]


def test_every_public_name_is_there_and_says_what_it_does() -> None:
    for name in set(zirkel.__all__) - {"__version__"}:
        assert getattr(zirkel, name) is getattr(client, name)
        assert getattr(zirkel, name).__doc__
    assert set(zirkel.__all__) <= set(dir(zirkel))
    for package in (zirkel, client):
        with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
            _ = package.nonsense


def test_the_decorator_is_the_decorator_also_beside_the_room_of_its_name() -> None:
    code = (
        "import zirkel; from zirkel.observe.normalise import normalise_span; import zirkel.observe; "
        "assert callable(zirkel.observe) and zirkel.observe is zirkel.client.observe"
    )
    assert "zirkel.observe.normalise" in _loaded_by(code)
