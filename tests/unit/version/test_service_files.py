"""A service's files: what they say, and that anything wrong is told with its file and field."""

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zirkel.core import ChatPrompt, DatasetItem, ExampleTurn, Invalid, MessageSpec, NotFound, PriceSpec
from zirkel.version import parse_dataset, parse_service, read_service, select_files

Contents = dict[str, bytes]


def parse(contents: Contents) -> None:
    parse_service(select_files(contents))


def test_everything_the_files_say_is_read(contents: Contents) -> None:
    definition = parse_service(select_files(contents))
    assert definition.service.name == "triage"
    assert definition.service.model.parameters == {"temperature": 0.5, "stop": ["\n"]}
    assert definition.prompt_path == "chat.toml"
    assert set(definition.prompts) == {"chat.toml", "baseline.toml"}
    assert definition.examples == [
        ExampleTurn(user="Great", assistant="good"),
        ExampleTurn(user="Broken", assistant="bad"),
    ]
    assert definition.documents == {"policy.md": "Sei höflich.\n"}
    assert definition.dataset[0] == DatasetItem(id="1", input={"review": "Nice"}, expected="good", cluster="a")
    assert definition.dataset[1].expected is None
    assert definition.gate.metric[0].floor == 0.8
    assert definition.prices is not None
    assert definition.prices.price == [
        PriceSpec(model="openai/gpt-4o", effective="2026-01-01", input="2.5", output="10")
    ]


def test_context_prices_and_baseline_may_be_left_out(contents: Contents) -> None:
    small = {path: data for path, data in contents.items() if not path.startswith(("context", "prices", "baseline"))}
    small["service.toml"] = b'name = "small"\n[model]\nname = "openai/gpt-4o"\n'
    small["chat.toml"] = b'[[messages]]\nrole = "user"\ncontent = "hello"\n'
    definition = parse_service(select_files(small))
    assert (definition.examples, definition.documents, definition.prices) == ([], {}, None)
    assert set(definition.prompts) == {"chat.toml"}


def test_a_text_prompt_is_one_user_message_whose_variables_are_the_names_it_uses(contents: Contents) -> None:
    text = "{% for n in range(2) %}{{ review }} {{ tone }} {{ context['policy.md'] }}{% endfor %}"
    del contents["chat.toml"]
    contents["prompt.jinja"] = text.encode()
    contents["datasets/golden.jsonl"] = b'{"id": "1", "input": {"review": "Nice", "tone": "dry"}}'
    prompt = parse_service(select_files(contents)).prompts["prompt.jinja"]
    assert prompt == ChatPrompt(
        variables={"review": "string", "tone": "string"}, messages=[MessageSpec(role="user", content=text)]
    )


SERVICE_START = b'name = "triage"\n[model]\nname = "openai/gpt-4o"\n'
GATE = '[[metric]]\nevaluator = "match"\n'

WRONG: list[tuple[str, bytes, str]] = [
    ("service.toml", b"name = ", "service.toml: "),
    ("service.toml", SERVICE_START + b"temperature = 1\n", r"service.toml: .*unknown field `temperature` .*\$.model"),
    ("service.toml", b'name = "x"\nmodle = 1\n', "service.toml: .*`modle`"),
    ("service.toml", b"name = 3\n", r"service.toml: .*`str`, got `int` - at `\$.name`"),
    ("service.toml", b'name = "a/b"\n[model]\nname = "openai/gpt-4o"\n', "service.toml: name 'a/b'"),
    ("service.toml", b'name = ""\n[model]\nname = "openai/gpt-4o"\n', "service.toml: name ''"),
    ("service.toml", b'name = "x"\n[model]\nname = "gpt-4o"\n', "service.toml: model 'gpt-4o'"),
    ("service.toml", b'name = "x"\n[model]\nname = "openai/"\n', "service.toml: model 'openai/'"),
    ("service.toml", SERVICE_START + b'[[fallback]]\nname = "gpt-4o"\n', "service.toml: model 'gpt-4o'"),
    ("service.toml", SERVICE_START + b'[baseline.model]\nname = "gpt-4"\n', "service.toml: model 'gpt-4'"),
    ("service.toml", SERVICE_START + b"[model.parameters]\ntemperature = nan\n", "service.toml: parameters"),
    ("service.toml", SERVICE_START + b'[baseline]\nprompt = "absent.toml"\n', "the prompt 'absent.toml'"),
    ("chat.toml", b"messages = []\n", "chat.toml: messages is empty"),
    (
        "chat.toml",
        b'[[messages]]\nrole = "robot"\ncontent = ""\n',
        r"chat.toml: .*'robot' - at `\$.messages\[0\].role`",
    ),
    ("chat.toml", b'[[messages]]\nrole = "user"\ncontent = "{{ a"\n', r"chat.toml: messages\[0\].content, line 1"),
    ("chat.toml", b'[[messages]]\nrole = "user"\ncontent = "{{ a }}"\n', r"chat.toml: messages\[0\] uses 'a'"),
    ("chat.toml", b'[variables]\na = "date"\n', r"chat.toml: .*'date' - at `\$.variables"),
    ("baseline.toml", b"\xff", "baseline.toml is not UTF-8 at byte 0"),
    ("context/examples.jsonl", b'{"user": "a"}\n', "context/examples.jsonl, line 1: .*`assistant`"),
    ("context/policy.md", b"ok \xff", "context/policy.md is not UTF-8 at byte 3"),
    ("datasets/golden.jsonl", b"\n", "datasets/golden.jsonl has no items"),
    ("datasets/golden.jsonl", b'{"id": "1", "input": {}}\n{"id": "2"}', "datasets/golden.jsonl, line 2: .*`input`"),
    ("datasets/golden.jsonl", b'{"id": "1", "input": {}}\n' * 2, "datasets/golden.jsonl: item id '1' occurs twice"),
    ("datasets/golden.jsonl", b'{"id": "1", "input": {}, "expcted": "x"}\n', "line 1: .*`expcted`"),
    ("evaluators.toml", b'[[evaluator]]\nname = "match"\nkind = "exact"\n' * 2, "evaluator name 'match' occurs twice"),
    ("gate.toml", b"metric = []\n", r"gate.toml: a gate without a \[\[metric\]\]"),
    ("gate.toml", f"alpha = 0.5\n{GATE}margin = 0.1\n".encode(), "gate.toml: alpha 0.5"),
    ("gate.toml", f"alpha = nan\n{GATE}margin = 0.1\n".encode(), "gate.toml: alpha nan"),
    ("gate.toml", b'[[metric]]\nevaluator = "mtach"\nfloor = 0.1\n', "gate.toml: evaluator 'mtach'"),
    ("gate.toml", GATE.encode(), "gate.toml: 'match' needs a margin, a floor, or both"),
    ("gate.toml", f"{GATE}floor = 0.5\nmust_be_superior = true\n".encode(), "gate.toml: 'match' must be superior"),
    ("gate.toml", f"{GATE}margin = 0.1\nrelative_margin = 0.1\n".encode(), "gate.toml: 'match' has a margin and a"),
    ("gate.toml", f"{GATE}relative_margin = 1.5\n".encode(), "gate.toml: relative_margin 1.5 of 'match'"),
    ("gate.toml", f"{GATE}floor = 0.5\nsegment = 'refund'\n".encode(), "gate.toml: segment 'refund' of 'match'"),
    ("gate.toml", f"{GATE}floor = 0.5\nminimum_items = 0\n".encode(), "gate.toml: minimum_items 0 of 'match'"),
    ("gate.toml", f"{GATE}floor = 0.5\n{GATE}floor = 0.6\n".encode(), "gate.toml: metric 'match' occurs twice"),
    *[
        ("gate.toml", f"{GATE}margin = {margin}\n".encode(), "gate.toml: margin .* of 'match'")
        for margin in ("0.0", "-0.1", "nan", "inf")
    ],
    *[("gate.toml", f"{GATE}floor = {floor}\n".encode(), "gate.toml: floor .* of 'match'") for floor in ("nan", "inf")],
    ("prices.toml", b'[[price]]\nmodel = "a/b"\n', "prices.toml: .*`effective`"),
    ("gaet.toml", b"", "gaet.toml is not a file Zirkel knows"),
    ("prompt.jinja", b"hello", "either chat.toml or prompt.jinja; here is chat.toml and prompt.jinja"),
]


@pytest.mark.parametrize(("path", "data", "said"), WRONG)
def test_what_is_wrong_is_told_with_its_file_and_field(contents: Contents, path: str, data: bytes, said: str) -> None:
    if path == "service.toml":
        del contents["baseline.toml"]  # which the broken file does not name
    contents[path] = data
    with pytest.raises(Invalid, match=said):
        parse(contents)


@pytest.mark.parametrize("path", ["service.toml", "evaluators.toml", "gate.toml", "datasets/golden.jsonl"])
def test_a_missing_file_is_named(contents: Contents, path: str) -> None:
    del contents[path]
    with pytest.raises(Invalid, match=f"{path} is missing") as raised:
        parse(contents)
    assert raised.value.path == path


def test_a_service_without_a_prompt_is_refused(contents: Contents) -> None:
    del contents["chat.toml"]
    with pytest.raises(Invalid, match="here is neither"):
        parse(contents)


def test_a_text_prompt_with_a_broken_template_is_refused_with_its_line(contents: Contents) -> None:
    del contents["chat.toml"]
    contents["prompt.jinja"] = b"one\n{% if %}\n"
    with pytest.raises(Invalid, match=r"prompt\.jinja, line 2"):
        parse(contents)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_bytes_a_file_has_it_is_read_or_refused(contents: Contents, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(contents)))
    original = contents[path]
    start = data.draw(st.integers(0, len(original)))
    end = data.draw(st.integers(start, min(len(original), start + 8)))
    changed = original[:start] + data.draw(st.binary(max_size=4)) + original[end:]
    said = ""
    try:
        parse({**contents, path: changed})
    except Invalid as error:
        said = error.path or "nothing"
    assert said in {"", *contents} or said.endswith(".toml"), "a refusal names the file"


def test_the_folder_of_a_service_is_read_without_what_does_not_belong_to_it(folder: Path, contents: Contents) -> None:
    (folder / ".hidden").write_text("x")
    (folder / "context" / ".cache").mkdir()
    (folder / "context" / ".cache" / "x").write_text("x")
    (folder / "README.md").write_text("# read me")
    (folder / "zirkel.lock").write_text("{}")
    (folder / "notes").mkdir()
    (folder / "notes" / "todo.toml").write_text("not even TOML")
    assert read_service(folder).contents == contents


def test_a_folder_without_a_service_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no service\.toml"):
        read_service(tmp_path)


def test_a_file_that_is_too_large_is_named(folder: Path) -> None:
    with (folder / "context" / "huge.bin").open("wb") as file:
        file.truncate(64 * 1024 * 1024 + 1)
    with pytest.raises(Invalid, match=r"context/huge\.bin is larger than 64 MiB"):
        read_service(folder)


@given(st.lists(st.builds(DatasetItem, id=st.uuids().map(str), input=st.just({}), expected=st.text()), min_size=1))
def test_a_data_set_comes_back_line_by_line(items: list[DatasetItem]) -> None:
    text = "\n".join(msgspec.json.encode(item).decode() for item in items)
    assert parse_dataset(text, "x.jsonl") == items


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('model = "small"\neffective = "2026-01-01"', "UPSTREAM/MODEL"),
        ('model = "a/b"\neffective = "2026-1-1"', "YYYY-MM-DD"),
        ('model = "a/b"\neffective = "yesterday"', "YYYY-MM-DD"),
        ('model = "a/b"\neffective = "2026-01-01"\ninput = "cheap"', "input 'cheap' is not a decimal"),
        ('model = "a/b"\neffective = "2026-01-01"\noutput = "-1"', "output '-1' is not a decimal"),
        ('model = "a/b"\neffective = "2026-01-01"\noutput = "NaN"', "output 'NaN' is not a decimal"),
    ],
)
def test_a_price_that_cannot_be_charged_is_refused(contents: Contents, line: str, said: str) -> None:
    with pytest.raises(Invalid, match=re.escape(said)) as caught:
        parse_service(select_files({**contents, "prices.toml": f"[[price]]\n{line}\n".encode()}))
    assert caught.value.path == "prices.toml"


def test_an_item_that_a_prompt_cannot_ask_is_refused_at_once(contents: Contents) -> None:
    with pytest.raises(Invalid, match=r"item 'x' has no 'review', which baseline\.toml asks for"):
        parse_service(select_files({**contents, "datasets/golden.jsonl": b'{"id": "x", "input": {}}\n'}))
