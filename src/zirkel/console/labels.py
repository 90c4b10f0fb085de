"""The labelling queue: one answer after the other, by keyboard or as plain forms, blind."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from zirkel.console.forms import read_form
from zirkel.console.rendering import Pages
from zirkel.console.routing import page_route, redirect
from zirkel.console.services import ConsoleServices
from zirkel.console.session import SESSION_COOKIE, Sessions
from zirkel.console.text import LIMIT
from zirkel.console.viewer import Viewer, require_viewer
from zirkel.core import Forbidden, Invalid, Principal, Role, ZirkelError
from zirkel.evaluate import Judgement, LabelQuestion, LabelView, QueueOptions, QueueProgress

Form = Annotated[dict[str, str], Depends(read_form)]

DRAWN = 100
"""Answers that the page's button draws."""
_ITEM = "item:"
_LARGEST_SCALE_BY_KEY = 9


@dataclass(frozen=True, slots=True)
class Choice:
    """A button that says something of the answer."""

    value: str
    text: str
    key: str
    """That presses it; empty if none does."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A service and evaluator that answers were drawn for."""

    service: str
    evaluator: str
    progress: QueueProgress

    @property
    def path(self) -> str:
        """Where its answers are labelled."""
        return f"/label/{self.service}?{urlencode({'evaluator': self.evaluator})}"


@dataclass(frozen=True, slots=True)
class Passage:
    """A named text."""

    name: str
    text: str
    left_out: int


def labels_router(services: ConsoleServices, sessions: Sessions, pages: Pages) -> APIRouter:
    """Return the routes of the labelling queue."""
    router = APIRouter(route_class=page_route(pages), include_in_schema=False)
    viewed = Depends(require_viewer(services.access, sessions))

    @router.get("/label")
    def queues(viewer: Viewer = viewed) -> Response:
        who = viewer.principal
        found = [
            Queue(service, evaluator, services.labelling.queue.progress(who, service, evaluator))
            for service, evaluator in services.labelling.queue.services(who)
        ]
        others = _others(services, who, {queue.service for queue in found})
        return pages.render("labels.html", {"viewer": viewer, "queues": found, "others": others, "drawn": DRAWN})

    @router.get("/label/{service}")
    def label(
        service: str, evaluator: str = "", disputed: bool = False, done: str = "", viewer: Viewer = viewed
    ) -> Response:
        return _show(services, pages, viewer, _Place(service, evaluator, disputed, done))

    @router.post("/label/{service}")
    def answer(request: Request, service: str, *, viewer: Viewer = viewed, form: Form) -> Response:
        # The viewer stands before the form, and so is known before a stranger's form is read.
        if not sessions.accepts_form(request.cookies.get(SESSION_COOKIE, ""), form.get("form_token", "")):
            raise Forbidden("this form was not made for this session; load the page again and retry there")
        place = _Place(service, form.get("evaluator", ""), form.get("disputed") == "true", form.get("task_id", ""))
        try:
            after = _take(services, viewer.principal, place, form)
        except Forbidden:
            raise
        except ZirkelError as error:
            return _show(services, pages, viewer, place, str(error), error.http_status)
        return redirect(after.path)

    return router


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the queue somebody is."""

    service: str
    evaluator: str
    disputed: bool
    done: str
    """The task that was answered last, to be undone."""

    @property
    def path(self) -> str:
        wanted = {"evaluator": self.evaluator, "disputed": "true" if self.disputed else "", "done": self.done}
        query = urlencode({name: value for name, value in wanted.items() if value})
        return f"/label/{self.service}" + (f"?{query}" if query else "")


def _show(
    services: ConsoleServices, pages: Pages, viewer: Viewer, place: _Place, fault: str = "", status: int = 200
) -> Response:
    turn = services.labelling.queue.next(viewer.principal, place.service, place.evaluator, disputed=place.disputed)
    task = turn.task
    context = {
        "viewer": viewer,
        "place": place,
        "task": task,
        "progress": turn.progress,
        "passages": _passages(task) if task else (),
        "choices": _choices(task.question) if task else (),
        "others": [_said(task.question, other) for other in task.others] if task else (),
        "fault": fault,
        "drawn": DRAWN,
    }
    return pages.render("label.html", context, status)


def _take(services: ConsoleServices, who: Principal, place: _Place, form: Mapping[str, str]) -> _Place:
    """Do what a form says; return where to go then."""
    labelling = services.labelling
    match form.get("action", ""):
        case "draw":
            labelling.queue.draw(who, place.service, QueueOptions(place.evaluator, answers=DRAWN))
            return _Place(place.service, place.evaluator, disputed=False, done="")
        case "undo":
            labelling.labels.withdraw(who, form.get("done", ""))
            return _Place(place.service, place.evaluator, place.disputed, "")
        case "skip":
            labelling.queue.skip(who, place.done)
        case _ if place.disputed:
            labelling.labels.settle(who, place.done, _judgement(form))
        case _:
            labelling.labels.give(who, place.done, _judgement(form))
    return place


def _judgement(form: Mapping[str, str]) -> Judgement:
    """Return what a form says: the button that was pressed, or the answers to a rubric's items."""
    comment, said = form.get("comment", "").replace("\r\n", "\n"), form.get("said", "")
    items = {name.removeprefix(_ITEM): value == "y" for name, value in form.items() if name.startswith(_ITEM)}
    if items or not said:
        return Judgement(items=items, comment=comment)
    kind, _, value = said.partition(":")
    if kind == "category":
        return Judgement(category=value, comment=comment)
    try:
        return Judgement(value=float(value), comment=comment)
    except ValueError:
        raise Invalid(f"{value!r} is no number", path="said") from None


def _choices(question: LabelQuestion) -> Sequence[Choice]:
    match question.kind:
        case "binary":
            return [Choice("value:1", "Yes", "y"), Choice("value:0", "No", "n")]
        case "pair":
            return [
                Choice("category:first", "The first is better", "1"),
                Choice("category:second", "The second is better", "2"),
                Choice("category:tie", "Neither", "0"),
            ]
        case "category":
            return [
                Choice(f"category:{category.label}", category.label, str(number) if number <= 9 else "")
                for number, category in enumerate(question.categories, start=1)
            ]
        case "score":
            has_keys = question.low >= 0 and question.high <= _LARGEST_SCALE_BY_KEY
            return [
                Choice(f"value:{number}", str(number), str(number) if has_keys else "")
                for number in range(question.low, question.high + 1)
            ]
        case _:
            return []


def _passages(task: LabelView) -> Sequence[Passage]:
    found = [(name, value) for name, value in task.input.items()]
    if task.expected is not None:
        found.append(("expected", task.expected))
    found += [(f"context {number}", context) for number, context in enumerate(task.contexts, start=1)]
    if task.second_output is None:
        found.append(("answer", task.output))
    else:
        found += [("first answer", task.output), ("second answer", task.second_output)]
    return [_passage(name, value) for name, value in found]


def _passage(name: str, value: object) -> Passage:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return Passage(name, text[:LIMIT], max(len(text) - LIMIT, 0))


def _said(question: LabelQuestion, other: Judgement) -> str:
    """Return what a rater said, for people."""
    if question.kind == "rubric":
        said = ", ".join(f"{name}: {'yes' if is_so else 'no'}" for name, is_so in other.items.items())
    elif question.kind == "binary":
        said = "yes" if other.value else "no"
    else:
        said = other.category or (f"{other.value:g}" if other.value is not None else "")
    return f"{said} ({other.comment})" if other.comment else said


def _others(services: ConsoleServices, who: Principal, known: set[str]) -> list[str]:
    """Return the services that nothing was drawn for; none for those who may not see services."""
    if not who.roles & {Role.READ, Role.ADMIN}:
        return []
    return [service.name for service in services.registry.services(who) if service.name not in known]
