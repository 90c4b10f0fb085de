"""What judges are told is part of the measure: other words need another revision of the kind that uses them."""

import json

import pytest

from tests.unit.evaluate.scripted_tools import ScriptedTools, findings, judge, subject_of
from zirkel.core import digest
from zirkel.evaluate.evaluators import known_kinds

CLAIMS = json.dumps({"claims": ["Bonn is in Germany."]})
RUBRIC = [{"name": "right", "ask": "It is right."}, {"name": "short", "ask": "It is short."}]
CATEGORIES = [{"label": "good", "value": 1.0, "means": "right"}, {"label": "bad"}]
MODES: list[dict[str, object]] = [
    {"rubric": RUBRIC},
    {"scale": {"meanings": {"1": "wrong"}}},
    {"categories": CATEGORIES, "contexts": "required"},
]
OPTIONS: dict[str, list[dict[str, object]]] = {
    "judge": MODES,
    "jury": [{"models": ["a/b", "c/d"], **mode} for mode in MODES],
}


@pytest.mark.parametrize(
    ("kind", "revision", "words"),
    [
        ("judge", 1, "029067dc0baf2de0babfde351fdda325e2fd11300b8ca6738951339c6fcaba90"),
        ("jury", 1, "428d70261734620194c0bae4d1516105441c57be6f28c53621f170d679f19877"),
        ("pairwise", 1, "b57feadb10f5385187864927ebba9a08f37581d453c61474623af15ad28e5511"),
        ("faithfulness", 1, "0adc290c04903089f9d15854804192b7c2d08d327a1b141dd1aea2c8907984aa"),
        ("context_recall", 1, "569affc244d3b783b3d3ab8acb9d578eb8c3085da0001b4e8480d4b31e774a06"),
        ("context_precision", 1, "f1cbde4c37f02c5f55b834ca46067615153ae6bebeb3f06ea1ad19dcc52a722a"),
        ("answer_relevance", 1, "6da87407c5dbf5a37a1220e61d95c0684cc7f55d77c9a7d7d2160c6b90e32daa"),
    ],
)
def test_the_words_of_a_revision_stay_the_same(kind: str, revision: int, words: str) -> None:
    subject = subject_of("Bonn: Germany.", other="France.", expected="Germany", contexts=["Bonn is in Germany."])
    told: list[list[str]] = []
    for options in OPTIONS.get(kind, [{}]):
        # The first answer is never of the form, so that what is said of that is among the words, too.
        tools = ScriptedTools("what?", CLAIMS, "what?", findings("claim", True))
        judge(kind, subject, tools, **options)
        told += [[message.content for message in asked.messages] for asked in tools.asked]
    assert len(told) >= 2
    assert (known_kinds()[kind].revision, digest(told)) == (revision, words)
