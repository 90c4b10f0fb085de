"""The words senders use for the same thing, and the one we keep."""

import re

from zirkel.core import SpanKind

_OPERATION_KINDS = {
    "chat": SpanKind.CHAT,
    "generate_content": SpanKind.CHAT,
    "generate": SpanKind.CHAT,
    "response": SpanKind.CHAT,
    "text_completion": SpanKind.COMPLETION,
    "completion": SpanKind.COMPLETION,
    "embeddings": SpanKind.EMBEDDING,
    "embedding": SpanKind.EMBEDDING,
    "retrieval": SpanKind.RETRIEVER,
    "search_memory": SpanKind.RETRIEVER,
    "vectordb": SpanKind.RETRIEVER,
    "rerank": SpanKind.RERANKER,
    "create_agent": SpanKind.AGENT,
    "invoke_agent": SpanKind.AGENT,
    "agent_step": SpanKind.AGENT,
    "plan": SpanKind.AGENT,
    "invoke_workflow": SpanKind.WORKFLOW,
    "execute_tool": SpanKind.TOOL,
    "fetch_response": SpanKind.SPAN,
    "create_memory": SpanKind.SPAN,
    "update_memory": SpanKind.SPAN,
    "upsert_memory": SpanKind.SPAN,
    "delete_memory": SpanKind.SPAN,
    "create_memory_store": SpanKind.SPAN,
    "delete_memory_store": SpanKind.SPAN,
}

_KIND_OPERATIONS = {
    SpanKind.CHAT: "chat",
    SpanKind.COMPLETION: "text_completion",
    SpanKind.EMBEDDING: "embeddings",
    SpanKind.RETRIEVER: "retrieval",
    SpanKind.RERANKER: "rerank",
    SpanKind.AGENT: "invoke_agent",
    SpanKind.WORKFLOW: "invoke_workflow",
    SpanKind.TOOL: "execute_tool",
}

_PROVIDERS = frozenset(
    {
        "openai",
        "gcp.gen_ai",
        "gcp.vertex_ai",
        "gcp.gemini",
        "anthropic",
        "cohere",
        "azure.ai.inference",
        "azure.ai.openai",
        "ibm.watsonx.ai",
        "aws.bedrock",
        "perplexity",
        "x_ai",
        "deepseek",
        "groq",
        "mistral_ai",
        "moonshot_ai",
    }
)

_PROVIDER_ALIASES = {
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "vertex": "gcp.vertex_ai",
    "google.vertex": "gcp.vertex_ai",
    "google_vertexai": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "google": "gcp.gen_ai",
    "google.generative-ai": "gcp.gemini",
    "google_genai": "gcp.gemini",
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure-openai": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "aws": "aws.bedrock",
    "amazon": "aws.bedrock",
    "amazon-bedrock": "aws.bedrock",
    "amazon_bedrock": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "xai": "x_ai",
    "watsonx": "ibm.watsonx.ai",
    "moonshot": "moonshot_ai",
    "moonshotai": "moonshot_ai",
    "google_genai.gemini": "gcp.gemini",
    "gcp": "gcp.gen_ai",
    "aws_bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "azure.openai": "azure.ai.openai",
    "azureopenai": "azure.ai.openai",
    "grok": "x_ai",
    "x-ai": "x_ai",
    "watsonx.ai": "ibm.watsonx.ai",
}

_MODEL_PREFIXES = (
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("text-embedding-3", "openai"),
    ("text-embedding-ada", "openai"),
    ("claude-", "anthropic"),
    ("gemini-", "gcp.gemini"),
    ("mistral-", "mistral_ai"),
    ("deepseek-", "deepseek"),
    ("command-", "cohere"),
    ("grok-", "x_ai"),
)

_FINISH_REASONS = {
    "tool_calls": "tool_call",
    "tool_use": "tool_call",
    "function_call": "tool_call",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "end_turn": "stop",
    "completed": "stop",
    "stop_sequence": "stop",
    "eos": "stop",
    "model_length": "length",
    "safety": "content_filter",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "refusal": "content_filter",
}

_CLASS_REPR = re.compile(r"<class '([^']+)'>")


def kind_of_operation(operation: str) -> SpanKind | None:
    """Return the kind of span that ``gen_ai.operation.name`` names, or ``None`` if it is not a known one."""
    return _OPERATION_KINDS.get(operation.lower())


def operation_of_kind(kind: SpanKind) -> str:
    """Return the ``gen_ai.operation.name`` for a kind whose dialect has no operations, or an empty string."""
    return _KIND_OPERATIONS.get(kind, "")


def normalise_provider(name: str) -> str:
    """Return the well-known ``gen_ai.provider.name`` for a sender's name of it, or that name in lower case.

    ``openai.chat`` (Vercel) loses its endpoint: the longest known beginning counts.

    Source: GenAI conventions, ``gen_ai.provider.name``; deprecated values of ``gen_ai.system``.
    """
    name = name.strip().lower()
    beginning = name
    while beginning:
        known = beginning if beginning in _PROVIDERS else _PROVIDER_ALIASES.get(beginning)
        if known:
            return known
        beginning = beginning.rpartition(".")[0]
    return name


def provider_of_model(model: str) -> str:
    """Return who makes a model, by its name, or an empty string: for dialects that do not say who served it."""
    model = model.lower()
    return next((provider for prefix, provider in _MODEL_PREFIXES if model.startswith(prefix)), "")


def normalise_finish_reason(reason: str) -> str:
    """Return one of the conventions' finish reasons, or the sender's own in lower case with underscores."""
    reason = reason.strip().lower().replace("-", "_")
    return _FINISH_REASONS.get(reason, reason)


def normalise_error_type(error_type: str) -> str:
    """Return an error type; ``<class 'package.Error'>`` becomes ``package.Error``."""
    match = _CLASS_REPR.fullmatch(error_type.strip())
    return match.group(1) if match else error_type
