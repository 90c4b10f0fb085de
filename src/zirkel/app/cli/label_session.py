"""Labelling in a terminal, key by key. Knows nothing of terminals: keys come in, lines go out."""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, Protocol, cast

import msgspec

from zirkel.core import Conflict, Invalid, Json

Object = dict[str, Json]

HELP = {
    "binary": "y yes, n no",
    "rubric": "y yes, n no, item by item",
    "score": "the number",
    "category": "the number of the category",
    "pair": "1 the first, 2 the second, t or 0 neither",
}
COMMON = "s skip, u undo, c comment, q quit"
UNDO, SKIP, COMMENT, QUIT = "u", "s", "c", "q"
LONGEST_SHOWN = 20_000


class Asked(msgspec.Struct, frozen=True):
    """A rubric's item (``name``, ``ask``) or a category (``label``, ``means``)."""

    name: str = ""
    ask: str = ""
    label: str = ""
    means: str = ""


class Question(msgspec.Struct, frozen=True):
    """What is asked, as the server tells it."""

    kind: Literal["binary", "rubric", "score", "category", "pair"]
    text: str
    low: int = 0
    high: int = 1
    meanings: dict[str, str] = {}
    categories: list[Asked] = []
    items: list[Asked] = []


class Keys(Protocol):
    """Where keys come from."""

    def key(self) -> str:
        """Return the next key; empty when there are no more."""
        ...

    def line(self) -> str:
        """Return a line of text, without its end."""
        ...


class LabelDesk(Protocol):
    """What labels are asked of: the server."""

    def next(self, disputed: bool) -> Object: ...
    def give(self, task_id: str, said: Object, disputed: bool) -> Object: ...
    def skip(self, task_id: str) -> None: ...
    def undo(self, task_id: str) -> None: ...


class LabelSession:
    """Shows one answer after the other and takes what somebody says."""

    def __init__(self, desk: LabelDesk, keys: Keys, say: Callable[[str], None], *, disputed: bool = False) -> None:
        self._desk = desk
        self._keys = keys
        self._say = say
        self._disputed = disputed
        # Each task with the labels it counts for: a skip for none.
        self._done: list[tuple[str, int]] = []
        self._comment = ""

    def run(self) -> int:
        """Go on until somebody quits or nothing is left; return how many labels stand."""
        labelled = 0
        while True:
            turn = self._desk.next(self._disputed)
            task = cast("Object | None", turn["task"])
            progress = cast(Object, turn["progress"])
            if task is None:
                self._say(_nothing_left(progress, disputed=self._disputed))
                if not self._wants_undo():
                    return labelled
                labelled += self._undo()
                continue
            question = msgspec.convert(task["question"], Question)
            for text in show_task(task, question, progress):
                self._say(text)
            change = self._take(task, question)
            if change is None:
                return labelled
            labelled += change

    def _wants_undo(self) -> bool:
        """Return whether the last label is to be taken back, although nothing is left."""
        if not self._done:
            return False
        self._say("[u undo, any other key quits]")
        return self._keys.key() == UNDO

    def _take(self, task: Object, question: Question) -> int | None:
        """Return by how many the labels grew; None to quit."""
        task_id = str(task["task_id"])
        while True:
            self._say(f"[{HELP[question.kind]}; {COMMON}]")
            judgement = self._read(question)
            if isinstance(judgement, dict):
                return self._give(task_id, judgement)
            if judgement in ("", QUIT):
                return None
            if judgement == UNDO:
                return self._undo()
            if judgement == SKIP:
                self._desk.skip(task_id)
                self._done.append((task_id, 0))
                self._say("skipped")
                return 0
            if judgement == COMMENT:
                self._say("comment:")
                self._comment = self._keys.line()

    def _give(self, task_id: str, judgement: Object) -> int:
        said: Object = {**judgement, "comment": self._comment}
        self._comment = ""
        try:
            given = self._desk.give(task_id, said, self._disputed)
        except (Conflict, Invalid) as error:
            self._say(str(error))
            return 0
        self._done.append((task_id, 1))
        self._say(str(given["outcome"]))
        return 1

    def _undo(self) -> int:
        if not self._done:
            self._say("there is nothing to undo in this session")
            return 0
        task_id, count = self._done.pop()
        self._desk.undo(task_id)
        self._say("taken back; it comes again")
        return -count

    def _read(self, question: Question) -> Object | str:
        """Return what was said, or a key that means something else; other keys are passed over."""
        for key in iter(self._keys.key, ""):
            if key in (UNDO, SKIP, COMMENT, QUIT):
                return key
            found = self._rubric(question, key) if question.kind == "rubric" else read_key(question, key, self._keys)
            if found is not None:
                return found
        return ""

    def _rubric(self, question: Question, first: str) -> Object | str | None:
        """Return the answers to all items; a key that means something else begins anew."""
        said: Object = {}
        key = first
        for item in question.items:
            while key not in ("y", "n"):
                key = self._keys.key()
                if key in (UNDO, SKIP, COMMENT, QUIT, ""):
                    return key
            said[item.name] = key == "y"
            self._say(f"  {item.name}: {'yes' if said[item.name] else 'no'}")
            key = ""
        return {"items": said}


def read_key(question: Question, key: str, keys: Keys) -> Object | None:
    """Return what a key says in answer to a question; None if it says nothing."""
    if question.kind == "binary":
        return {"value": float(key == "y")} if key in ("y", "n") else None
    if question.kind == "pair":
        chosen = {"1": "first", "2": "second", "t": "tie", "0": "tie"}.get(key)
        return {"category": chosen} if chosen else None
    highest = question.high if question.kind == "score" else len(question.categories)
    lowest = question.low if question.kind == "score" else 1
    # One key is enough as long as every number has one digit.
    text = key if lowest >= 0 and highest <= 9 else (key + keys.line()).strip()
    if not text.lstrip("-").isdecimal() or not lowest <= int(text) <= highest:
        return None
    number = int(text)
    if question.kind == "score":
        return {"value": number}
    return {"category": question.categories[number - 1].label}


def show_task(task: Mapping[str, Json], question: Question, progress: Mapping[str, Json]) -> Iterator[str]:
    """Yield what a rater reads of a task."""
    waiting = f", {progress['disputed']} to be settled" if progress["disputed"] else ""
    yield f"\n=== {progress['mine']} labelled by you, {progress['left']} left{waiting}"
    for name, value in cast(Object, task["input"]).items():
        yield f"--- {name}\n{_text(value)}"
    if task["expected"] is not None:
        yield f"--- expected\n{_text(task['expected'])}"
    for number, context in enumerate(cast("list[Json]", task["contexts"]), start=1):
        yield f"--- context {number}\n{_text(context)}"
    second = task["second_output"]
    yield f"--- {'answer' if second is None else 'first answer'}\n{_text(task['output'])}"
    if second is not None:
        yield f"--- second answer\n{_text(second)}"
    for number, other in enumerate(cast("list[Object]", task["others"]), start=1):
        yield f"--- rater {number} says\n{_other(question, other)}"
    yield f"--- {question.text}"
    for item in question.items:
        yield f"  {item.name}: {item.ask}"
    for number, category in enumerate(question.categories, start=1):
        yield f"  {number} {category.label}" + (f": {category.means}" if category.means else "")
    for number_text, meaning in sorted(question.meanings.items(), key=lambda pair: int(pair[0])):
        yield f"  {number_text}: {meaning}"


def _other(question: Question, said: Mapping[str, Json]) -> str:
    comment = f" ({said['comment']})" if said["comment"] else ""
    if question.kind == "rubric":
        items = cast("dict[str, bool]", said["items"])
        return ", ".join(f"{name}: {'yes' if is_so else 'no'}" for name, is_so in items.items()) + comment
    if question.kind == "binary":
        return f"{'yes' if said['value'] == 1 else 'no'}{comment}"
    return f"{said['category'] or said['value']}{comment}"


def _text(value: Json) -> str:
    text = value if isinstance(value, str) else msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    # A terminal obeys control characters, and an answer may hold any.
    shown = "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text[:LONGEST_SHOWN])
    return shown if len(text) <= LONGEST_SHOWN else f"{shown}\n… {len(text) - LONGEST_SHOWN} characters more"


def _nothing_left(progress: Mapping[str, Json], *, disputed: bool) -> str:
    if not progress["drawn"]:
        return "no answers were drawn yet; draw some with --draw 100"
    if disputed:
        return "there is nothing to settle"
    waiting = (
        f"; {progress['disputed']} wait to be settled by somebody who did not label them"
        if progress["disputed"]
        else ""
    )
    return f"nothing is left for you: {progress['resolved']} of {progress['drawn']} answers have their label{waiting}"
