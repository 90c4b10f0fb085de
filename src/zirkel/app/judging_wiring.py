"""What evaluators are given to judge with, put together."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from time import sleep

from zirkel.app.judge_answers import JudgeAnswers
from zirkel.evaluate import AllTools, CachedChat, GatewayChat, RetryingChat, RetryPolicy
from zirkel.evaluate.code_runner import CodeRunner
from zirkel.evaluate.embedding import LocalEmbedder
from zirkel.evaluate.evaluators import Tools
from zirkel.evaluate.posting import Poster


@dataclass(frozen=True, slots=True)
class Judging:
    """The tools, and how they are put away."""

    tools: Tools
    close: Callable[[], None]


def build_judging(gateway_url: str, api_key: Callable[[str], str], answers: JudgeAnswers) -> Judging:
    """Return the tools of a server.

    Args:
        gateway_url: Where the gateway listens, without a path.
        api_key: Gives the key that Zirkel itself holds for a project.
        answers: Where judges' answers are kept; closed with the tools.
    """
    gateway = GatewayChat(gateway_url, api_key)
    random = Random()  # noqa: S311 (spreads load, guards nothing)
    chat = CachedChat(RetryingChat(gateway, RetryPolicy(), sleep, random), answers)
    code, poster = CodeRunner(), Poster()

    def close() -> None:
        code.close()
        poster.close()
        gateway.close()
        answers.close()

    return Judging(AllTools(chat, LocalEmbedder(), code, poster), close)
