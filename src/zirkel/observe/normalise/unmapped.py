"""What looks like AI telemetry and was understood by nobody: it is shown, so that it is not missed."""

from itertools import islice

from zirkel.observe.normalise.attributes import Attributes

MOST_NAMES = 20
"""Of one span; more are not listed."""

_FAMILIES = frozenset(
    {
        "ai", "anthropic", "autogen", "bedrock", "cohere", "crewai", "dspy", "embedding", "gen_ai", "genai",
        "haystack", "helicone", "langchain", "langfuse", "langgraph", "langsmith", "litellm", "lk", "llama_index",
        "llm", "lmnr", "mcp", "mlflow", "ollama", "openai", "openinference", "openlit", "portkey", "promptlayer",
        "prompt", "pydantic_ai", "reranker", "retrieval", "semantic_kernel", "smolagents", "traceloop", "vercel",
        "weave",
    }
)  # fmt: skip
"""First segments of the attribute names of AI instrumentations."""
_PREFIXES = ("gcp.vertex.agent.", "genkit:", "spring.ai.", "aws.bedrock.")
"""The same where the first segment is everybody's."""
_KEPT = (
    "ai.model.",
    "ai.operationId",
    "ai.prompt.",
    "ai.request.",
    "ai.response.",
    "ai.schema",
    "ai.settings.",
    "ai.stream.",
    "ai.telemetry.",
    "ai.toolCall.",
    "ai.usage.inputTokenDetails.",
    "ai.usage.outputTokenDetails.",
    "ai.embedding",
    "aws.bedrock.guardrail.",
    "aws.bedrock.knowledge_base.",
    "embedding.embeddings.",
    "gen_ai.agent.",
    "gen_ai.aggregated_usage.",
    "gen_ai.application_name",
    "gen_ai.client.",
    "gen_ai.conversation.compacted",
    "gen_ai.data_source.",
    "gen_ai.embeddings.",
    "gen_ai.evaluation.",
    "gen_ai.execute_tool.",
    "gen_ai.invoke_agent.",
    "gen_ai.invoke_workflow.",
    "gen_ai.main_agent.",
    "gen_ai.memory.",
    "gen_ai.openai.",
    "gen_ai.prompt.variable.",
    "gen_ai.request.",
    "gen_ai.response.",
    "gen_ai.sdk.",
    "gen_ai.server.",
    "gen_ai.skill.",
    "gen_ai.tool.",
    "gen_ai.usage.details.",
    "gen_ai.workflow.",
    "langfuse.internal.",
    "langfuse.observation.metadata",
    "langfuse.trace.",
    "langfuse.version",
    "llm.headers",
    "llm.prompt_template.",
    "llm.token_count.completion_details.",
    "llm.token_count.prompt_details.",
    "mcp.",
    "mlflow.artifactLocation",
    "mlflow.experimentId",
    "mlflow.message.",
    "mlflow.span",
    "mlflow.trace",
    "openai.",
    "openlit.",
    "prompt.",
    "pydantic_ai.",
    "reranker.",
    "retrieval.",
    "traceloop.",
)
"""Beginnings of names that are understood and have no field of their own: their attributes are their place."""


def unmapped_names(attributes: Attributes) -> list[str]:
    """Return the names of AI attributes with a value that no field was read from, sorted, at most ``MOST_NAMES``."""
    odd = [name for name in attributes.families if ":" in name or name in ("gcp", "spring", "aws")]
    if not odd and attributes.families.isdisjoint(_FAMILIES):
        return []
    return list(islice(sorted(name for name in attributes.unused() if _is_unmapped(name)), MOST_NAMES))


def _is_unmapped(name: str) -> bool:
    if name.partition(".")[0] not in _FAMILIES and not name.startswith(_PREFIXES):
        return False
    return not name.startswith(_KEPT)
