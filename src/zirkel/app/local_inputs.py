"""What callers of a local evaluation name: data sets, evaluators, systems, in whichever form they have them."""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast
from urllib.parse import quote

import msgspec

from zirkel.client import Client
from zirkel.core import (
    DatasetItem,
    EvaluatorSpec,
    Invalid,
    Score,
    Scored,
    Unscored,
)
from zirkel.evaluate import check_evaluator
from zirkel.evaluate.evaluators import known_kinds
from zirkel.evaluate.scoring import LocalJudge
from zirkel.evaluate.subject import Subject
from zirkel.version.dataset_items import DraftItem, Drafts, read_lines, whole_items
from zirkel.version.files import ServiceFiles, parse_evaluators

ItemLike = Mapping[str, object] | DatasetItem
DatasetLike = str | Path | Sequence[ItemLike]
Judge = Callable[..., object]
EvaluatorLike = str | Path | Mapping[str, object] | EvaluatorSpec | Judge

_TABLES = {".csv": "csv", ".parquet": "parquet"}


def open_dataset(given: DatasetLike, client: Client | None) -> list[DatasetItem]:
    """Return items: given ones, those of a file, or those of a server's data set ``NAME`` or ``NAME@VERSION``.

    Raises:
        Invalid: With the place of what is wrong, or if there is neither such a file nor a server to ask.
    """
    if isinstance(given, str | Path):
        path = Path(given)
        if path.is_file():
            return list(whole_items(_read_file(path)).items)
        if isinstance(given, Path) or client is None:
            hint = "" if isinstance(given, Path) else ", and no server is set to have a data set of that name"
            raise Invalid(f"there is no file {given}{hint}", path="dataset")
        return _fetched(client, given)
    drafts = [_draft(item, number) for number, item in enumerate(given, start=1)]
    return list(whole_items(Drafts(drafts, [f"item {number}" for number in range(1, len(drafts) + 1)])).items)


def open_evaluators(given: Sequence[EvaluatorLike] | str | Path) -> tuple[list[EvaluatorSpec], dict[str, LocalJudge]]:
    """Return evaluators as specs, and the caller's functions among them by name.

    Args:
        given: An ``evaluators.toml``, or a list of kinds' names, tables as in that file, and functions: of the output,
            and if they take two arguments of the item.

    Raises:
        Invalid: If one will not do, or two have one name.
    """
    if isinstance(given, str | Path):
        path = Path(given)
        files = ServiceFiles({path.name: path.read_bytes()}) if path.is_file() else ServiceFiles({})
        specs, judges = parse_evaluators(files, path.name).evaluator, dict[str, LocalJudge]()
    else:
        specs, judges = [], {}
        for one in given:
            spec, judge = _evaluator(one)
            specs.append(spec)
            if judge is not None:
                judges[spec.name] = judge
    names = [spec.name for spec in specs]
    if not names or len(set(names)) < len(names):
        raise Invalid("evaluators need names, each another one", path="evaluators")
    for spec in specs:
        check_evaluator(spec)
    return list(specs), judges


def _read_file(path: Path) -> Drafts:
    form = _TABLES.get(path.suffix.lower())
    if form is None:
        return read_lines(path.read_bytes())
    from zirkel.version.dataset_tables import DatasetForm, read_items  # noqa: PLC0415 (tables need pyarrow)

    return read_items(cast(DatasetForm, form), path.read_bytes())


def _fetched(client: Client, name: str) -> list[DatasetItem]:
    name, _, version = name.partition("@")
    parameters = {"version": version} if version else {}
    data = b"".join(client.download(f"/api/v1/datasets/{quote(name, safe='')}/export/jsonl", parameters))
    return list(whole_items(read_lines(data)).items)


def _draft(item: ItemLike, number: int) -> DraftItem:
    if isinstance(item, DatasetItem):
        return msgspec.convert(msgspec.to_builtins(item), DraftItem)
    fields = dict(item)
    if isinstance(fields.get("input"), str):
        # A text alone is the one variable that is called so.
        fields["input"] = {"input": fields["input"]}
    if fields.get("expected") is not None and not isinstance(fields["expected"], str):
        fields["expected"] = json.dumps(fields["expected"], ensure_ascii=False)
    try:
        return msgspec.convert(fields, DraftItem)
    except msgspec.ValidationError as error:
        raise Invalid(f"item {number}: {error}", path="dataset") from error


def _evaluator(given: EvaluatorLike) -> tuple[EvaluatorSpec, LocalJudge | None]:
    if isinstance(given, EvaluatorSpec):
        return given, None
    if isinstance(given, str):
        if given not in known_kinds():
            known = ", ".join(sorted(known_kinds()))
            raise Invalid(f"evaluator {given!r} is no kind; known are {known}", path="evaluators")
        return EvaluatorSpec(name=given, kind=given), None
    if isinstance(given, Mapping):
        fields = {str(name): value for name, value in given.items()}
        kind = str(fields.pop("kind", ""))
        return EvaluatorSpec(name=str(fields.pop("name", kind)), kind=kind, options=fields), None
    if not callable(given):
        raise Invalid(f"{given!r} is no evaluator: give a kind's name, a table or a function", path="evaluators")
    name = getattr(given, "__name__", type(given).__name__)
    source = f"{getattr(given, '__module__', '')}:{getattr(given, '__qualname__', name)}"
    return EvaluatorSpec(name=name, kind="reported", options={"source": source}), _judge(given)


def _judge(function: Judge) -> LocalJudge:
    takes_item = len(inspect.signature(function).parameters) > 1

    def judge(subject: Subject) -> Score:
        found = function(subject.output, subject.item) if takes_item else function(subject.output)
        return to_score(found)

    return judge


def to_score(found: object) -> Score:
    """Return what an evaluating function says as a score: a number or truth value, a mapping, or ``None`` for none.

    Raises:
        TypeError: If it says something else.
    """
    if isinstance(found, Scored | Unscored):
        return found
    if found is None:
        return Unscored("the evaluator says nothing of it")
    if isinstance(found, bool | int | float):
        return Scored(float(found))
    if isinstance(found, Mapping) and isinstance(found.get("value"), bool | int | float):
        return Scored(float(found["value"]), str(found.get("label", "")), str(found.get("reason", "")))
    raise TypeError(f"an evaluator says a number, a truth value, a mapping with value, or None; this is {found!r:.100}")
