"""What evaluators are given to judge with."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zirkel.core import Unsupported
from zirkel.evaluate.chat import ChatAnswer, ChatRequest


class NoTools:
    """For evaluators that need the answer alone."""

    def chat(self, request: ChatRequest) -> ChatAnswer:
        """Raise ``Unsupported``."""
        raise Unsupported(f"{request.purpose or 'this'} asks a model, and none can be asked here")

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Raise ``Unsupported``."""
        raise Unsupported(f"no local model is there to embed {len(texts)} texts")
