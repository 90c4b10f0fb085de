"""A service as files, and a registry over a real database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from zirkel.core import ManualClock, Principal, Role
from zirkel.store.blobs import Blobs
from zirkel.store.metadata import Metadata
from zirkel.version import Registry

SERVICE: dict[str, bytes] = {
    "service.toml": b"""name = "triage"
description = "Sorts reviews."

[model]
name = "openai/gpt-4o"

[model.parameters]
temperature = 0.5
stop = ["\\n"]

[[fallback]]
name = "azure/gpt-4o"

[baseline]
prompt = "baseline.toml"
""",
    "chat.toml": b"""[variables]
review = "string"

[[messages]]
role = "system"
content = "Policy: {{ context['policy.md'] }}"

[[messages]]
role = "user"
content = "Review: {{ review }}"
""",
    "baseline.toml": b"""[variables]
review = "string"

[[messages]]
role = "user"
content = "Good or bad? {{ review }}"
""",
    "context/examples.jsonl": b'{"user": "Great", "assistant": "good"}\n\n{"user": "Broken", "assistant": "bad"}\n',
    "context/policy.md": "Sei höflich.\n".encode(),
    "datasets/golden.jsonl": b'{"id": "1", "input": {"review": "Nice"}, "expected": "good", "cluster": "a"}\n'
    b'{"id": "2", "input": {"review": "Bad"}, "metadata": {"source": "shop"}}\n',
    "evaluators.toml": b'[[evaluator]]\nname = "match"\nkind = "exact"\n',
    "gate.toml": b'alpha = 0.1\n\n[[metric]]\nevaluator = "match"\nmargin = 0.05\nfloor = 0.8\n',
    "prices.toml": b'[[price]]\nmodel = "openai/gpt-4o"\neffective = "2026-01-01"\ninput = "2.5"\noutput = "10"\n',
}


@pytest.fixture
def contents() -> dict[str, bytes]:
    """The files of a service that uses everything there is."""
    return dict(SERVICE)


@pytest.fixture
def folder(tmp_path: Path, contents: dict[str, bytes]) -> Path:
    """The same files in a folder."""
    root = tmp_path / "triage"
    for path, data in contents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def metadata(tmp_path: Path, clock: ManualClock) -> Iterator[Metadata]:
    opened = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", clock)
    yield opened
    opened.close()


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs.open(f"memory://{tmp_path}")


@pytest.fixture
def registry(metadata: Metadata, blobs: Blobs, clock: ManualClock) -> Registry:
    return Registry(metadata, blobs, clock)


@pytest.fixture
def admin() -> Principal:
    return Principal("p", "k1", "ann", frozenset({Role.ADMIN}))
