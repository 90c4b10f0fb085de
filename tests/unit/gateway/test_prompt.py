import json

import pytest

from zirkel.core import Corrupt, Invalid, Json
from zirkel.gateway import MessageTemplate, SnapshotRelease
from zirkel.gateway.prepared import Prepared
from zirkel.gateway.prompt import compile_prompt, render_messages
from zirkel.gateway.snapshot import Snapshot


def release(template: str, variables: dict[str, str], digest: str = "d") -> SnapshotRelease:
    return SnapshotRelease(
        digest, "s", "greet", "3", [MessageTemplate("user", template)], variables, [], {"policy.md": "Be kind."}
    )


def render(template: str, variables: dict[str, Json], kinds: dict[str, str]) -> str:
    messages = json.loads(render_messages(compile_prompt(release(template, kinds)), variables))
    return str(messages[0]["content"])


def test_variables_and_documents_are_put_in_unescaped() -> None:
    text = render("{{ context['policy.md'] }} {{ a }} {{ n + 1 }} {{ j.x[0] }}", {"a": "<b>&", "n": 1, "j": {"x": [2]}},
                  {"a": "string", "n": "number", "j": "json"})  # fmt: skip

    assert text == "Be kind. <b>& 2 2"


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [("string", "x", 1), ("number", 1.5, True), ("number", 1, "1"), ("boolean", False, 0), ("boolean", True, None)],
)
def test_types_are_checked_without_conversion(kind: str, good: Json, bad: Json) -> None:
    render("{{ v }}", {"v": good}, {"v": kind})
    with pytest.raises(Invalid, match="'v'") as caught:
        render("{{ v }}", {"v": bad}, {"v": kind})
    assert caught.value.path == "zirkel.variables.v"


@pytest.mark.parametrize("value", [None, 1, "x", True, [], {}])
def test_json_takes_every_value(value: Json) -> None:
    render("{{ v }}", {"v": value}, {"v": "json"})


@pytest.mark.parametrize(
    "template",
    [
        "{{ j.absent }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ j.__init__.__globals__ }}",
        "{{ context.clear() }}",
        "{{ 1 / 0 }}",
        "{% for i in range(10**9) %}{% endfor %}",
    ],
)
def test_what_a_template_may_not_or_cannot_do_is_the_callers_error(template: str) -> None:
    with pytest.raises(Invalid, match="greet"):
        render(template, {"j": {}}, {"j": "json"})


def test_a_template_that_does_not_compile_is_corrupt() -> None:
    with pytest.raises(Corrupt, match="message 0 of prompt 'greet'"):
        compile_prompt(release("{{ oops", {}))


def test_compiled_prompts_are_kept_and_bounded() -> None:
    prepared = Prepared(Snapshot(1, 0, {}, {}, {}, {}), lambda sealed: sealed)
    first = prepared.prompt("p", release("a", {}, "0"))

    assert prepared.prompt("p", release("a", {}, "0")) is first
    assert prepared.prompt("q", release("a", {}, "0")) is not first
    for number in range(1, 300):
        prepared.prompt("p", release("a", {}, str(number)))
    assert prepared.prompt("p", release("a", {}, "0")) is not first
