"""The labelling queue's pages, as plain forms."""

import dataclasses
import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.unit.console.conftest import Browser, House, Page
from tests.unit.evaluate.label_world import ANN, BEN, PROJECT, LabelWorld, coin, helpful, yes
from zirkel.console import mount_console
from zirkel.core import Principal, Role
from zirkel.evaluate import Labelling
from zirkel.store.metadata import Metadata


@pytest.fixture
def world(house: House, tmp_path: Path) -> Iterator[LabelWorld]:
    metadata = Metadata.open(f"sqlite:///{tmp_path}/labels.sqlite", house.clock)
    made = LabelWorld(metadata, house.clock)
    made.evaluator()
    made.dataset(20)
    made.experiment("cand", lambda item, _: helpful(coin(item, 0.5)))
    yield made
    metadata.close()


def sign_in(house: House, world: LabelWorld, *roles: Role) -> Browser:
    """Return a browser of somebody with these roles; whoever labels, without any."""
    labelling = Labelling(world.queue, world.labels, world.transfer, world.calibration)
    app = FastAPI()
    mount_console(app, dataclasses.replace(house.rooms, labelling=labelling), b"k" * 32, house.clock)
    admin = Principal(PROJECT, "k0", "admin", frozenset({Role.ADMIN}))
    key = house.rooms.access.create_key(admin, "ann", frozenset(roles or {Role.LABEL}))
    browser = Browser(TestClient(app, follow_redirects=False))
    assert browser.sign_in({"key": key.text}).status == 303
    return browser


PATH = "/label/triage"


def send(browser: Browser, page: Page, **fields: str) -> Page:
    """Send the page's form; return where it leads."""
    hidden = dict(re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page.html))
    given = {name.replace("_item_", "item:"): value for name, value in fields.items()}
    answer = browser.post(PATH, {**{name: html.unescape(value) for name, value in hidden.items()}, **given})
    return browser.get(answer.headers["location"]) if answer.status == 303 else answer


def kept(world: LabelWorld) -> list[tuple[float | None, str, bool]]:
    with world.metadata.transaction() as tx:
        return [(said.value, said.comment, said.is_withdrawn) for said in tx.labels.list(PROJECT, "cand", "quality")]


def test_a_rubric_is_answered_and_the_next_answer_comes(house: House, world: LabelWorld) -> None:
    world.draw(4)
    browser = sign_in(house, world)
    page = browser.get(PATH)
    for part in ("It helps.", "question", "expected", "answer to i00"):
        assert part in page.words
    after = send(browser, page, _item_helpful="n", comment="too short\r\nby far")
    assert kept(world) == [(0.0, "too short\nby far", False)]
    assert "1 labelled by you, 3 left" in after.words
    assert after.hidden("task_id") != page.hidden("task_id")


def test_the_page_tells_neither_score_nor_release(house: House, world: LabelWorld) -> None:
    world.draw(4)
    page = sign_in(house, world).get(PATH)
    for hidden in ("cand", "c" * 12, "score"):
        assert hidden not in page.html


def test_undo_brings_the_last_answer_back(house: House, world: LabelWorld) -> None:
    world.draw(4)
    browser = sign_in(house, world)
    first = browser.get(PATH)
    second = send(browser, first, _item_helpful="y")
    back = send(browser, second, action="undo")
    assert back.hidden("task_id") == first.hidden("task_id")
    assert [said[2] for said in kept(world)] == [False, True]


def test_a_skipped_answer_does_not_come_again_until_it_is_undone(house: House, world: LabelWorld) -> None:
    world.draw(2)
    browser = sign_in(house, world)
    first = browser.get(PATH)
    second = send(browser, first, action="skip")
    assert second.hidden("task_id") != first.hidden("task_id")
    assert send(browser, second, action="undo").hidden("task_id") == first.hidden("task_id")


def test_an_unanswered_rubric_is_told_and_nothing_is_kept(house: House, world: LabelWorld) -> None:
    world.draw(2)
    browser = sign_in(house, world)
    page = browser.get(PATH)
    told = send(browser, page, comment="so")
    assert (told.status, kept(world)) == (400, [])
    assert "no answer to helpful" in told.words
    assert told.hidden("task_id") == page.hidden("task_id")


@pytest.mark.parametrize(
    ("kind", "options", "said", "value"),
    [
        ("judge", {"model": "m/x", "scale": {"min": 1, "max": 5}}, "value:4", 0.75),
        (
            "judge",
            {"model": "m/x", "categories": [{"label": "a:b", "value": 1.0}, {"label": "c"}]},
            "category:a:b",
            1.0,
        ),
        ("human", {"question": "Polite?"}, "value:0", 0.0),
    ],
)
def test_each_kind_of_question_has_its_buttons(
    house: House, world: LabelWorld, kind: str, options: dict[str, object], said: str, value: float
) -> None:
    world.evaluator(kind=kind, options=options)
    world.draw(1)
    browser = sign_in(house, world)
    page = browser.get(PATH)
    assert f'name="said" value="{said}"' in page.html
    send(browser, page, said=said)
    assert [one[0] for one in kept(world)] == [value]


def test_a_third_person_settles_and_sees_what_was_said(house: House, world: LabelWorld) -> None:
    world.draw(1, second_share=1.0)
    world.label_at_once(ANN, lambda _: yes(True))
    world.label_at_once(BEN, lambda _: yes(False))
    browser = sign_in(house, world)
    assert "1 wait to be settled" in browser.get(PATH).words
    page = browser.get(f"{PATH}?disputed=true")
    assert page.words.count("A rater says: helpful:") == 2
    assert "There is nothing to settle for you" in send(browser, page, _item_helpful="y").words
    assert len(world.ledger("label.settled")) == 1


def test_when_nothing_was_drawn_the_page_draws(house: House, world: LabelWorld) -> None:
    browser = sign_in(house, world)
    page = browser.get(PATH)
    assert "No answers were drawn" in page.words
    drawn = send(browser, page, action="draw")
    assert "It helps." in drawn.words
    assert len(world.ledger("label.drawn")) == 1


def test_when_nothing_is_left_the_page_says_so_and_the_last_can_be_undone(house: House, world: LabelWorld) -> None:
    world.draw(1)
    browser = sign_in(house, world)
    page = browser.get(PATH)
    end = send(browser, page, _item_helpful="y")
    assert "Nothing is left for you." in end.words
    assert send(browser, end, action="undo").hidden("task_id") == page.hidden("task_id")


def test_the_queues_are_listed_with_their_progress(house: House, world: LabelWorld) -> None:
    world.draw(4)
    page = sign_in(house, world).get("/label")
    assert re.search(r"triage quality 4 0 0 4 none", page.words)
    assert 'href="/label/triage?evaluator=quality"' in page.html


def test_without_a_queue_it_is_said_how_one_is_made(house: House, world: LabelWorld) -> None:
    assert "zirkel label SERVICE --draw 100" in sign_in(house, world).get("/label").words


def test_who_only_labels_is_led_to_the_queue(house: House, world: LabelWorld) -> None:
    home = sign_in(house, world).get("/")
    assert (home.status, home.headers["location"]) == (303, "/label")


def test_who_may_not_label_is_told(house: House, world: LabelWorld) -> None:
    world.draw(2)
    page = sign_in(house, world, Role.READ).get(PATH)
    assert page.status == 403
    assert "needs &#39;label&#39;" in page.html


def test_a_form_of_another_session_is_refused(house: House, world: LabelWorld) -> None:
    world.draw(2)
    browser = sign_in(house, world)
    page = browser.get(PATH)
    assert send(browser, page, _item_helpful="y", form_token="x").status == 403
    assert kept(world) == []


def test_markup_in_an_answer_is_text(house: House, world: LabelWorld) -> None:
    world.experiment("cand2", lambda *_: helpful(True), output=lambda *_: "<script>alert(1)</script>")
    world.draw(2)
    page = sign_in(house, world).get(PATH)
    assert "<script>alert" not in page.html
    assert "&lt;script&gt;alert" in page.html
