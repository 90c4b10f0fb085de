"""How much to think: OpenAI's ``reasoning_effort`` and Anthropic's two ways to say it.

Models up to Claude 4.5, and other makers' models behind this format, are given a budget of tokens to think with. Claude
4.6 and later are told ``thinking: {"type": "adaptive"}`` and ``output_config.effort``; most of them refuse a budget.

Source: Anthropic docs, build-with-claude/thinking and build-with-claude/effort.
"""

import re

from zirkel.core import JsonObject
from zirkel.gateway.formats import messages_wire as wire
from zirkel.gateway.formats.hub_request import Effort

_BUDGETS: tuple[tuple[Effort, int], ...] = (("low", 1024), ("medium", 4096), ("high", 16384), ("xhigh", 32768))
_LEAST_BUDGET = 1024
_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_FIRST_ADAPTIVE = (4, 6)


def is_adaptive(model: str) -> bool:
    """Return whether a model is told an effort rather than given a budget; judged by its name."""
    name = model.lower()
    found = _VERSION.search(name)
    if found is None:
        return "claude" in name
    return (int(found[1]), int(found[2] or 0)) >= _FIRST_ADAPTIVE


def adaptive_effort(effort: Effort) -> str:
    """Return Anthropic's word for an effort; ``low`` is the least there is."""
    return "low" if effort in ("none", "minimal") else effort


def budget_tokens(effort: Effort, max_tokens: int | None) -> int:
    """Return how many tokens to think with: at most half of ``max_tokens``, 0 for not at all."""
    if effort in ("none", "minimal"):
        return 0
    wanted = dict(_BUDGETS).get(effort, _BUDGETS[-1][1])
    allowed = wanted if max_tokens is None else min(wanted, max_tokens // 2)
    return allowed if allowed >= _LEAST_BUDGET else 0


def thinking_member(budget: int, *, adaptive: bool) -> JsonObject:
    """Return the member ``thinking`` of a request."""
    return {"type": "adaptive"} if adaptive else {"type": "enabled", "budget_tokens": budget}


def effort_of(thinking: wire.Thinking | None, config: wire.OutputConfig | None) -> Effort | None:
    """Return the effort that a request asks for.

    ``output_config.effort`` counts first. A budget is the greatest effort whose own budget it covers: ``low`` from
    1,024 tokens, ``medium`` from 4,096, ``high`` from 16,384, ``xhigh`` from 32,768. Adaptive thinking without an
    effort leaves it to the model, and so does thinking that is switched off: many models know no such effort and
    would refuse it.
    """
    if config is not None and config.effort is not None:
        return config.effort
    if thinking is None or thinking.type != "enabled":
        return None
    reached = [effort for effort, budget in _BUDGETS if budget <= (thinking.budget_tokens or 0)]
    return reached[-1] if reached else "low"
