"""What a project's masking rules take out of the gateway's spans."""

import msgspec
import pytest

from zirkel.core import Span, SpanEvent, encode_spans
from zirkel.gateway.masking import mask_span, project_rules
from zirkel.lib.recognisers import RuleFault

MAIL = "anna@example.ch"
JSON = f'"{MAIL}"'
EMAIL = b'[{"recogniser":"email"}]'
SPAN = Span(
    project_id="p",
    trace_id="a" * 32,
    span_id="b" * 16,
    name="chat gpt-4o",
    source="gateway",
    start_ns=1,
    end_ns=2,
    service="support",
    environment="production",
    status_message=f"no such user: {MAIL}",
    input=f'[{{"role": "user", "content": "Hi\\n{MAIL}"}}]',
    output=JSON,
    tools=f"[{JSON}]",
    parameters={"stop": JSON, "temperature": "0.5"},
    events=[SpanEvent("zirkel.guardrail", 1, {"error": JSON})],
    user_id="u1",
)


def test_nothing_that_the_rules_mask_is_written() -> None:
    rules = project_rules(EMAIL)
    assert rules is not None
    masked = mask_span(SPAN, rules)
    assert MAIL.encode() not in encode_spans([masked])
    assert masked.parameters == {"stop": '"[email]"', "temperature": "0.5"}
    assert msgspec.json.decode(masked.input) == [{"role": "user", "content": "Hi\n[email]"}]
    assert (masked.user_id, masked.name, masked.start_ns) == ("u1", "chat gpt-4o", 1)


def test_a_rule_holds_in_the_services_and_fields_that_it_names() -> None:
    rules = project_rules(b'[{"recogniser":"email","services":["other"]},{"pattern":"user","fields":["output"]}]')
    assert rules is not None
    assert mask_span(SPAN, rules) == SPAN


def test_the_same_rules_are_compiled_once() -> None:
    assert project_rules(EMAIL) is project_rules(bytes(EMAIL))
    assert project_rules(b"[]") is None
    with pytest.raises(RuleFault):
        project_rules(b'[{"pattern":"("}]')
