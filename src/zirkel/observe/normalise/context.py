"""Whose span it is: session, user, tags, prompt and environment, under the names of every dialect.

The orders are those of Langfuse and Amplitude; Zirkel's own names come first.
"""

from zirkel.lib.otlp import JsonLike
from zirkel.observe.normalise.attributes import Attributes, as_mapping, as_text

_SESSION = (
    "langfuse.session.id",
    "session.id",
    "gen_ai.conversation.id",
    "gen_ai.session.id",
    "langfuse.trace.metadata.langfuse_session_id",
    "langfuse.observation.metadata.langfuse_session_id",
    "traceloop.association.properties.session_id",
    "traceloop.association.properties.session",
    "traceloop.association.properties.thread_id",
    "traceloop.association.properties.conversation_id",
    "traceloop.association.properties.chat_id",
    "ai.telemetry.metadata.sessionId",
    "ai.telemetry.metadata.session_id",
    "ai.telemetry.metadata.conversationId",
    "ai.telemetry.metadata.threadId",
    "ai.telemetry.metadata.chatId",
    "mlflow.trace.session",
)
_USER = (
    "langfuse.user.id",
    "user.id",
    "enduser.id",
    "langfuse.trace.metadata.langfuse_user_id",
    "langfuse.observation.metadata.langfuse_user_id",
    "traceloop.association.properties.user_id",
    "traceloop.association.properties.user",
    "ai.telemetry.metadata.userId",
    "ai.telemetry.metadata.user_id",
    "mlflow.trace.user",
    "gen_ai.request.user",
    "gen_ai.user",
    "gen_ai.user.id",
    "llm.user",
    "enduser.pseudo.id",
)
_TAGS = (
    "zirkel.tags",
    "langfuse.trace.tags",
    "tag.tags",
    "ai.telemetry.metadata.tags",
    "traceloop.association.properties.tags",
    "logfire.tags",
    "mlflow.trace.tags",
)
_ENVIRONMENT = (
    "zirkel.environment",
    "langfuse.environment",
    "deployment.environment.name",
    "deployment.environment",
    "gen_ai.environment",
)
_RELEASE = ("zirkel.release", "langfuse.release", "langfuse.version", "service.version")
_IN_METADATA = ("session_id", "thread_id", "conversation_id")
_PROMPT = (
    ("zirkel.prompt.name", "zirkel.prompt.version"),
    ("gen_ai.prompt.name", "gen_ai.prompt.version"),
    ("langfuse.observation.prompt.name", "langfuse.observation.prompt.version"),
    ("traceloop.prompt.key", "traceloop.prompt.version"),
    ("llm.prompt_template.name", "llm.prompt_template.version"),
    ("prompt.id", "prompt.version"),
)
_NESTED_PROMPT = ("ai.telemetry.metadata.langfusePrompt", "mlflow.linkedPrompts")
_ANY_PROMPT = frozenset([*(name for pair in _PROMPT for name in pair), *_NESTED_PROMPT])


def session_of(span: Attributes, resource: Attributes) -> str:
    """Return the session's id, or an empty string."""
    found = span.text(*_SESSION)
    if found:
        return found
    metadata = span.mapping("metadata")
    return next((text for key in _IN_METADATA if (text := as_text(metadata.get(key)))), "") or resource.text(*_SESSION)


def user_of(span: Attributes, resource: Attributes) -> str:
    """Return the end user's id, or an empty string. LangChain leaves it inside ``metadata``."""
    found = span.text(*_USER) or as_text(span.mapping("metadata").get("user_id"))
    return found or resource.text("user.id", "enduser.id")


def release_of(span: Attributes, resource: Attributes) -> str:
    """Return the release; what a span says wins over its resource."""
    return span.text(*_RELEASE) or resource.text(*_RELEASE)


def tags_of(span: Attributes) -> list[str]:
    """Return the tags, in the order sent."""
    return span.texts(*_TAGS)


def environment_of(span: Attributes, resource: Attributes) -> str:
    """Return the deployment environment; what a span says wins over its resource."""
    return span.text(*_ENVIRONMENT) or resource.text(*_ENVIRONMENT)


def prompt_of(span: Attributes) -> tuple[str, str]:
    """Return name and version of the prompt; both from the same dialect, either may be empty."""
    if not span.has_any(_ANY_PROMPT):
        return "", ""
    for name, version in _PROMPT:
        found = span.text(name), span.text(version)
        if any(found):
            return found
    nested = span.mapping(_NESTED_PROMPT[0]) or _first_object(span.json(_NESTED_PROMPT[1]))
    return as_text(nested.get("name")), as_text(nested.get("version"))


def own_attribute(name: str, span: Attributes, resource: Attributes) -> str:
    """Return ``zirkel.<name>`` of the span, else of its resource, else an empty string."""
    key = f"zirkel.{name}"
    return span.text(key) or resource.text(key)


def _first_object(value: JsonLike) -> dict[str, JsonLike]:
    return as_mapping(value[0]) if isinstance(value, list) and value else {}
