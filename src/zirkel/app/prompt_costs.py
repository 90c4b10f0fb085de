"""What prompts are long and models cost, for estimates: the gateway's rendering and counting, the project's prices."""

from typing import cast

from zirkel.app.publish_release import release_parts
from zirkel.core import Clock, DatasetItem, Invalid, Json, ReleaseBundle
from zirkel.evaluate.estimate import TokenPrice
from zirkel.gateway.prompt import CompiledPrompt, compile_prompt, render_messages
from zirkel.gateway.tokens import count_request, count_tokens
from zirkel.observe.book_pricer import BookSource
from zirkel.observe.prices import ModelPrices


class GatewayPromptCosts:
    """A ``PromptCosts`` of the same parts that a call goes through."""

    def __init__(self, books: BookSource, clock: Clock) -> None:
        self._books = books
        self._clock = clock
        self._compiled: tuple[str, CompiledPrompt] | None = None

    def input_tokens(self, release: ReleaseBundle, item: DatasetItem) -> int:
        """Return how many tokens the release's prompt has for an item; 0 if it cannot be rendered for it."""
        if self._compiled is None or self._compiled[0] != release.digest:
            self._compiled = (release.digest, compile_prompt(release_parts(release).release))
        try:
            messages = render_messages(self._compiled[1], cast("dict[str, Json]", item.input))
        except Invalid:
            # The call would be refused, and cost nothing.
            return 0
        return count_request(messages, b"", release.targets[0].name)

    def count_tokens(self, text: str, model: str) -> int:
        """Return how many tokens a text is."""
        return count_tokens(text, model)

    def price(self, project_id: str, model: str, release: ReleaseBundle) -> TokenPrice | None:
        """Return what input and output cost now; of prices by length that for short inputs."""
        now_ns = self._clock.now_ns()
        own = release.prices.price if release.prices else ()
        for prices in self._books.book(project_id).prices(model, now_ns, own):
            if prices.effective_ns <= now_ns:
                return _token_price(prices)
        return None


def _token_price(prices: ModelPrices) -> TokenPrice | None:
    given, answered = prices.buckets.get("input"), prices.buckets.get("output")
    if not given or not answered:
        return None
    return TokenPrice(given[0].usd_per_million, answered[0].usd_per_million)
