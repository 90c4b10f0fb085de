"""What the API answers about labels."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from starlette.testclient import TestClient

from tests.unit.api.label_api import LabelApi, open_label_api
from tests.unit.evaluate.label_world import ANN, BEN, yes
from zirkel.core import Json, Role

PATH = "/api/v1/services/triage"
Object = dict[str, Json]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[LabelApi]:
    with open_label_api(tmp_path) as opened:
        yield opened


class Caller:
    """Sends requests with one key."""

    def __init__(self, api: LabelApi, name: str, *roles: Role) -> None:
        self._http = TestClient(api.app, raise_server_exceptions=False)
        self._headers = {"authorization": f"Bearer {api.key(name, *roles)}"}

    def send(self, method: str, path: str, body: Json = None, status: int = 200) -> Object:
        answer = self._http.request(method, path, headers=self._headers, json=body)
        assert answer.status_code == status, answer.text
        return cast(Object, answer.json())

    def send_bytes(self, path: str, data: bytes, status: int = 200) -> Object:
        answer = self._http.post(path, headers=self._headers, content=data)
        assert answer.status_code == status, answer.text
        return cast(Object, answer.json())

    def lines(self, path: str) -> list[Object]:
        answer = self._http.get(path, headers=self._headers)
        assert answer.status_code == 200, answer.text
        return [cast(Object, json.loads(line)) for line in answer.text.splitlines()]

    def next(self, *, disputed: bool = False) -> Object:
        turn = self.send("POST", f"{PATH}/labels/next?disputed={str(disputed).lower()}")
        return cast(Object, turn["task"])


def test_a_rater_draws_labels_corrects_and_takes_back(api: LabelApi) -> None:
    ann = Caller(api, "ann")
    drawn = ann.send("POST", f"{PATH}/labels/sample", {"answers": 4, "second_share": 0}, 201)
    assert drawn == {"evaluator": "quality", "drawn": 4}
    task = ann.next()
    assert cast(Object, task["question"])["items"] == [
        {"name": "helpful", "ask": "It helps.", "weight": 1.0, "must": False}
    ]
    path = f"/api/v1/label-tasks/{task['task_id']}/label"
    said: Json = {"items": {"helpful": True}, "comment": "so"}
    outcomes = [
        ann.send("PUT", path, said)["outcome"],
        ann.send("PUT", path, said)["outcome"],
        ann.send("PUT", path, {"items": {"helpful": False}})["outcome"],
        ann.send("DELETE", path)["outcome"],
    ]
    assert outcomes == ["accepted", "unchanged", "corrected", "withdrawn"]
    assert ann.next()["task_id"] == task["task_id"]


def test_nothing_in_a_raters_answers_names_an_experiment_or_a_score(api: LabelApi) -> None:
    ann = Caller(api, "ann")
    said = json.dumps(
        [
            ann.send("POST", f"{PATH}/labels/sample", {"answers": 4}, 201),
            ann.send("POST", f"{PATH}/labels/next"),
        ]
    )
    assert "cand" not in said
    assert "score" not in said


def test_a_skip_is_answered_and_the_next_one_comes(api: LabelApi) -> None:
    ann = Caller(api, "ann")
    ann.send("POST", f"{PATH}/labels/sample", {"answers": 2}, 201)
    first = ann.next()["task_id"]
    assert ann.send("POST", f"/api/v1/label-tasks/{first}/skip")["outcome"] == "skipped"
    assert ann.next()["task_id"] != first


def test_a_third_person_settles(api: LabelApi) -> None:
    api.world.draw(1, second_share=1.0)
    api.world.label_at_once(ANN, lambda _: yes(True))
    api.world.label_at_once(BEN, lambda _: yes(False))
    cleo = Caller(api, "cleo")
    task = cleo.next(disputed=True)
    assert [cast(Object, other)["items"] for other in cast("list[Json]", task["others"])] in (
        [{"helpful": True}, {"helpful": False}],
        [{"helpful": False}, {"helpful": True}],
    )
    settled = cleo.send("PUT", f"/api/v1/label-tasks/{task['task_id']}/decision", {"items": {"helpful": True}})
    assert settled["outcome"] == "settled"


@pytest.mark.parametrize(
    ("body", "status"),
    [({"items": {"helpful": True}, "score": 1}, 400), ({"value": 1}, 400), ([], 400), ({"comment": "x" * 70_000}, 413)],
)
def test_a_label_that_is_none_is_refused(api: LabelApi, body: Json, status: int) -> None:
    ann = Caller(api, "ann")
    api.world.draw(1)
    ann.send("PUT", f"/api/v1/label-tasks/{ann.next()['task_id']}/label", body, status)


def test_labels_go_out_and_come_in_as_lines(api: LabelApi) -> None:
    api.world.draw(4)
    api.world.label_at_once(ANN, lambda _: yes(True))
    admin = Caller(api, "admin", Role.ADMIN)
    lines = admin.lines(f"{PATH}/labels")
    assert [(line["rater"], line["items"], line["version"]) for line in lines] == [("ann", {"helpful": True}, 1)] * 4
    data = "\n".join(json.dumps(line) for line in lines).encode()
    assert admin.send_bytes(f"{PATH}/labels", data) == {"added": 0, "unchanged": 4, "refused": []}
    found = admin.send_bytes(f"{PATH}/labels", b"{}\n")
    assert cast("list[Object]", found["refused"])[0]["line"] == 1


def test_the_calibration_says_its_state_in_words(api: LabelApi) -> None:
    report = Caller(api, "reader", Role.READ).send("GET", f"{PATH}/calibration?evaluator=quality")
    assert report["state"] == "too_few_labels"
    assert "zirkel label triage" in str(report["reason"])


@pytest.mark.parametrize(
    ("method", "path", "roles"),
    [
        ("POST", f"{PATH}/labels/next", (Role.READ, Role.CALL, Role.INGEST)),
        ("POST", "/api/v1/label-tasks/x/skip", (Role.READ,)),
        ("DELETE", "/api/v1/label-tasks/x/label", (Role.READ,)),
        ("GET", f"{PATH}/labels", (Role.LABEL,)),
        ("GET", f"{PATH}/calibration", (Role.LABEL,)),
        ("POST", f"{PATH}/labels", (Role.LABEL, Role.READ)),
    ],
)
def test_each_route_asks_for_its_role(api: LabelApi, method: str, path: str, roles: tuple[Role, ...]) -> None:
    Caller(api, "somebody", *roles).send(method, path, None, 403)


def test_what_is_not_there_is_not_found(api: LabelApi) -> None:
    ann = Caller(api, "ann")
    ann.send("PUT", "/api/v1/label-tasks/unknown/label", {"items": {}}, 404)
    ann.send("POST", "/api/v1/services/unknown/labels/next", None, 404)
    ann.send("POST", f"{PATH}/labels/sample", {"evaluator": "unknown"}, 404)
