"""What evaluators are given to judge with."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from zirkel.core import Unsupported
from zirkel.evaluate.chat import Chat, ChatAnswer, ChatRequest
from zirkel.evaluate.code_runner import CodeAnswer, CodeSpec
from zirkel.evaluate.posting import Post


class Embedder(Protocol):
    """A local model of meanings."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector for each text; see ``evaluators.kind.Tools``."""
        ...


class RunsCode(Protocol):
    """Runs users' code."""

    def run(self, spec: CodeSpec, call: bytes) -> CodeAnswer:
        """Return what the code says of a call; see ``evaluators.kind.Tools``."""
        ...


class Posts(Protocol):
    """Asks web addresses."""

    def post(self, post: Post) -> bytes:
        """Return the body that is answered; see ``evaluators.kind.Tools``."""
        ...


class AllTools:
    """What there is on a server."""

    def __init__(self, chat: Chat, embedder: Embedder, code: RunsCode, poster: Posts) -> None:
        self._chat = chat
        self._embedder = embedder
        self._code = code
        self._poster = poster

    def chat(self, request: ChatRequest) -> ChatAnswer:
        """Ask a model; see ``evaluators.kind.Tools``."""
        return self._chat.chat(request)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector for each text; see ``evaluators.kind.Tools``."""
        return self._embedder.embed(texts)

    def run_code(self, spec: CodeSpec, call: bytes) -> CodeAnswer:
        """Return what a user's code says; see ``evaluators.kind.Tools``."""
        return self._code.run(spec, call)

    def post(self, post: Post) -> bytes:
        """Return the body that a web address answers; see ``evaluators.kind.Tools``."""
        return self._poster.post(post)


class NoTools:
    """For evaluators that need the answer alone."""

    def chat(self, request: ChatRequest) -> ChatAnswer:
        """Raise ``Unsupported``."""
        raise Unsupported(f"{request.purpose or 'this'} asks a model, and none can be asked here")

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Raise ``Unsupported``."""
        raise Unsupported(f"no local model is there to embed {len(texts)} texts")

    def run_code(self, spec: CodeSpec, call: bytes) -> CodeAnswer:
        """Raise ``Unsupported``."""
        raise Unsupported(f"no process is there to run code of {len(spec.source)} characters on {len(call)} bytes")

    def post(self, post: Post) -> bytes:
        """Raise ``Unsupported``."""
        raise Unsupported(f"nothing is there to ask {post.url}")
