"""What is masked of a batch before it is kept, and what stays because it is needed."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from zirkel.core import (
    Batch,
    LogRecord,
    MetricPoint,
    ScoreKind,
    ScoreOrigin,
    ScoreRecord,
    Span,
    SpanEvent,
    encode_batch,
)
from zirkel.core.privacy import PrivacyRecord, parse_privacy, privacy_digest, privacy_json
from zirkel.lib.recognisers import Masker, compile_masker
from zirkel.observe.masking import ProjectMaskers, mask_batch

MAIL = "anna@example.ch"
JSON = f'"{MAIL}"'
EMAIL = '[[mask]]\nrecogniser = "email"\n'


def masker(text: str) -> Masker:
    return compile_masker(parse_privacy(text).mask)


def span(**changes: object) -> Span:
    found = Span(
        project_id="p",
        trace_id="a" * 32,
        span_id="b" * 16,
        name=f"write to {MAIL}",
        source="otlp",
        start_ns=1,
        end_ns=2,
        status_message=f"{MAIL} not found",
        tags=[MAIL, "beta"],
        parameters={"stop": f"[{JSON}]", "temperature": "0.5"},
        input=f'[{{"role": "user", "content": "Tel\\n079 123 45 67 {MAIL}"}}]',
        output=JSON,
        tools=f'[{{"description": {JSON}}}]',
        attributes={"user.email": JSON, "tokens": "1234567890"},
        resource={"owner": JSON},
        events=[SpanEvent("exception", 1, {"exception.message": JSON})],
        user_id="u1",
        session_id="s1",
    )
    return msgspec.structs.replace(found, **changes)


def score(kind: ScoreKind, label: str) -> ScoreRecord:
    return ScoreRecord(
        project_id="p",
        score_id="1",
        name="tone",
        kind=kind,
        label=label,
        trace_id="a" * 32,
        origin=ScoreOrigin.PERSON,
        author="ann",
        comment=f"asked {MAIL}",
        time_ns=1,
        metadata={"by": JSON},
    )


def everything() -> Batch:
    log = LogRecord(
        project_id="p", log_id="c", time_ns=1, body=f'{{"text": {JSON}}}', attributes={"a": JSON}, resource={"r": JSON}
    )
    point = MetricPoint(
        project_id="p",
        point_id="d",
        name="calls",
        kind="sum",
        time_ns=1,
        value=1.0,
        attributes={"a": JSON},
        resource={"r": JSON},
    )
    return Batch([span()], [log], [point], [score(ScoreKind.TEXT, MAIL)])


def test_nothing_of_a_batch_is_spooled_that_the_rules_mask() -> None:
    masked = mask_batch(everything(), masker(EMAIL))
    assert MAIL.encode() in encode_batch(everything())
    assert MAIL.encode() not in encode_batch(masked)
    assert masked.spans[0].input == '[{"role": "user", "content": "Tel\\n079 123 45 67 [email]"}]'
    assert masked.spans[0].parameters == {"stop": '["[email]"]', "temperature": "0.5"}
    assert masked.spans[0].tags == ["[email]", "beta"]
    assert masked.logs[0].body == '{"text": "[email]"}'


def test_ids_measures_and_names_of_attributes_stay() -> None:
    before, after = everything(), mask_batch(everything(), masker(EMAIL))
    for field in ("trace_id", "span_id", "user_id", "session_id", "start_ns", "usage"):
        assert getattr(after.spans[0], field) == getattr(before.spans[0], field)
    assert list(after.spans[0].attributes) == ["user.email", "tokens"]
    assert after.spans[0].attributes["tokens"] == "1234567890"
    assert (after.points[0].value, after.scores[0].author) == (1.0, "ann")


def test_a_category_of_a_score_is_no_free_text() -> None:
    batch = Batch(scores=[score(ScoreKind.CATEGORICAL, MAIL)])
    found = mask_batch(batch, masker(EMAIL)).scores[0]
    assert (found.label, found.comment) == (MAIL, "asked [email]")


def test_what_holds_nothing_to_mask_stays_equal() -> None:
    batch = mask_batch(everything(), masker(EMAIL))
    assert mask_batch(batch, masker(EMAIL + '[[mask]]\nrecogniser = "card"\n')) == batch


@pytest.mark.parametrize(
    ("fields", "masked"),
    [('["input"]', {"input"}), ('["name"]', {"name", "tags"}), ('["events", "resource"]', {"events", "resource"})],
)
def test_a_rule_for_fields_leaves_the_others(fields: str, masked: set[str]) -> None:
    after = mask_batch(Batch([span()]), masker(f"{EMAIL}fields = {fields}")).spans[0]
    assert {name for name in Span.__struct_fields__ if getattr(after, name) != getattr(span(), name)} == masked


@pytest.mark.parametrize(
    ("changes", "is_masked"),
    [
        ({"environment": "production"}, True),
        ({"environment": "staging"}, False),
        ({"resource": {"deployment.environment.name": '"staging"'}}, False),
        ({"environment": ""}, True),
        ({"service": "other"}, False),
    ],
)
def test_a_rule_for_places_holds_there_and_where_the_place_is_not_known(
    changes: dict[str, object], is_masked: bool
) -> None:
    rules = masker(f'{EMAIL}services = ["support"]\nenvironments = ["production"]\nfields = ["output"]')
    assert (mask_batch(Batch([span(**changes)]), rules).spans[0].output == '"[email]"') == is_masked


class Documents:
    """Projects' documents in memory, and how often they were read."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.reads = 0
        self.privacy = self

    def current(self, project_id: str) -> PrivacyRecord | None:
        self.reads += 1
        if project_id not in self.texts:
            return None
        config = parse_privacy(self.texts[project_id])
        return PrivacyRecord(project_id, 1, privacy_digest(config), "", privacy_json(config), 1, "ann")

    @contextmanager
    def transaction(self) -> Iterator["Documents"]:
        yield self


def test_rules_are_read_once_and_anew_when_they_changed() -> None:
    documents = Documents()
    maskers = ProjectMaskers(documents)
    batch = everything()
    assert maskers.mask("p", batch) is batch
    documents.texts["p"] = EMAIL
    assert maskers.masker("p") is None
    maskers.forget("p")
    assert MAIL.encode() not in encode_batch(maskers.mask("p", batch))
    assert maskers.mask("q", batch) is batch
    assert documents.reads == 3


def test_data_sets_are_masked_only_where_the_document_says_so() -> None:
    documents = Documents()
    documents.texts = {"p": EMAIL, "q": f"datasets = true\n{EMAIL}", "r": "datasets = true"}
    maskers = ProjectMaskers(documents)
    assert maskers.dataset_masker("p") is None
    assert maskers.dataset_masker("r") is None
    rules = maskers.dataset_masker("q")
    assert rules is not None
    assert rules.mask_json(JSON) == '"[email]"'
