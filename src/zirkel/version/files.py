"""A service as files: which files belong to it, and what they say."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

import msgspec
from jinja2 import Environment, TemplateSyntaxError, meta

from zirkel.core import (
    ChatPrompt,
    DatasetItem,
    EvaluatorSpec,
    EvaluatorsSpec,
    ExampleTurn,
    GatePolicy,
    Invalid,
    JsonObject,
    MessageSpec,
    NotFound,
    PricesSpec,
    ServiceSpec,
    VariableType,
)
from zirkel.core.gateway_check import PRICE_BUCKETS
from zirkel.core.guardrails import GuardrailsSpec
from zirkel.version.gate_check import check_gate
from zirkel.version.guardrails import check_guardrails
from zirkel.version.service_check import check_service

T = TypeVar("T")


class _EvaluatorsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    evaluator: list[JsonObject]


LOCK_FILE = "zirkel.lock"
DATASET_FILE = "datasets/golden.jsonl"
EXAMPLES_FILE = "context/examples.jsonl"
GUARDRAILS_FILE = "guardrails.toml"
KNOWN_TOML = frozenset({"service.toml", "chat.toml", "evaluators.toml", "gate.toml", "prices.toml", GUARDRAILS_FILE})
MAX_FILE_BYTES = 64 * 1024 * 1024
_DATE = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", re.ASCII)
_DECIMAL = re.compile(r"\d{1,12}(\.\d{1,18})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ServiceFiles:
    """The files of one service, by path relative to its folder (with ``/``)."""

    contents: Mapping[str, bytes]

    def text(self, path: str) -> str:
        """Return a file's text.

        Raises:
            Invalid: If the file is missing or not UTF-8.
        """
        if path not in self.contents:
            raise Invalid(f"{path} is missing; a service needs it", path=path)
        try:
            return self.contents[path].decode()
        except UnicodeDecodeError as error:
            raise Invalid(f"{path} is not UTF-8 at byte {error.start}", path=path) from error


@dataclass(frozen=True, slots=True)
class ServiceDefinition:
    """What the files say."""

    service: ServiceSpec
    prompts: Mapping[str, ChatPrompt]
    """By path: the candidate's prompt, and the baseline's if there is one."""
    prompt_path: str
    examples: list[ExampleTurn]
    documents: Mapping[str, str]
    dataset: list[DatasetItem]
    evaluators: EvaluatorsSpec
    gate: GatePolicy
    prices: PricesSpec | None
    guardrails: GuardrailsSpec | None


def read_service(folder: Path) -> ServiceFiles:
    """Return the files of the service in ``folder``; hidden files, the lock and other documents are left out.

    Raises:
        NotFound: If the folder has no ``service.toml``.
        Invalid: If a file is too large, or a ``*.toml`` beside ``service.toml`` has an unknown name.
    """
    return select_files(read_folder(folder))


def read_folder(folder: Path) -> dict[str, bytes]:
    """Return every file below ``folder`` by relative path, hidden ones left out.

    Raises:
        NotFound: If the folder has no ``service.toml``.
        Invalid: If a file is too large.
    """
    if not (folder / "service.toml").is_file():
        raise NotFound(f"{folder} has no service.toml; name the folder of a service")
    contents: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        if path.is_file() and not any(part.startswith(".") for part in PurePosixPath(relative).parts):
            if path.stat().st_size > MAX_FILE_BYTES:
                raise Invalid(f"{relative} is larger than {MAX_FILE_BYTES // 2**20} MiB", path=relative)
            contents[relative] = path.read_bytes()
    return contents


def select_files(contents: Mapping[str, bytes]) -> ServiceFiles:
    """Return those of ``contents`` that make up the service.

    Raises:
        Invalid: If ``service.toml`` is missing or malformed, a named prompt is missing, or a top-level
            ``*.toml`` has an unknown name (most likely a misspelling that would be silently ignored).
    """
    spec = parse_toml(ServiceFiles(contents), "service.toml", ServiceSpec)
    prompts = {_prompt_path(contents)} | ({spec.baseline.prompt} if spec.baseline and spec.baseline.prompt else set())
    unknown = {path for path in contents if path.endswith(".toml") and "/" not in path} - KNOWN_TOML - prompts
    if unknown:
        name = min(unknown)
        raise Invalid(f"{name} is not a file Zirkel knows; known are {', '.join(sorted(KNOWN_TOML))}", path=name)
    missing = prompts - set(contents)
    if missing:
        raise Invalid(f"service.toml names the prompt {min(missing)!r}, which does not exist", path=min(missing))
    single = prompts | {"service.toml", "evaluators.toml", "gate.toml", "prices.toml", GUARDRAILS_FILE, DATASET_FILE}
    chosen = {path: data for path, data in contents.items() if path in single or path.startswith("context/")}
    return ServiceFiles(dict(sorted(chosen.items())))


def parse_service(files: ServiceFiles) -> ServiceDefinition:
    """Return what the files say, checked as a whole.

    Raises:
        Invalid: With the file and field that is wrong.
    """
    service = parse_toml(files, "service.toml", ServiceSpec)
    prompt_path = _prompt_path(files.contents)
    paths = {prompt_path} | ({service.baseline.prompt} if service.baseline and service.baseline.prompt else set())
    evaluators = parse_evaluators(files)
    gate = parse_toml(files, "gate.toml", GatePolicy)
    names = [evaluator.name for evaluator in evaluators.evaluator]
    _require_unique(names, "evaluators.toml", "evaluator name")
    check_service(service)
    check_gate(gate, names)
    dataset = parse_dataset(files.text(DATASET_FILE), DATASET_FILE)
    prompts = {path: parse_prompt(files, path) for path in sorted(paths)}
    _check_inputs(dataset, prompts)
    return ServiceDefinition(
        service=service,
        prompts=prompts,
        prompt_path=prompt_path,
        examples=parse_examples(files),
        documents={
            path.removeprefix("context/"): files.text(path)
            for path in files.contents
            if path.startswith("context/") and path != EXAMPLES_FILE
        },
        dataset=dataset,
        evaluators=evaluators,
        gate=gate,
        prices=_parse_prices(files),
        guardrails=parse_guardrails(files),
    )


def _check_inputs(dataset: list[DatasetItem], prompts: Mapping[str, ChatPrompt]) -> None:
    """Raise ``Invalid`` if an item could not be asked, because a variable of a prompt is not in its input."""
    for path, prompt in prompts.items():
        for item in dataset:
            missing = set(prompt.variables) - set(item.input)
            if missing:
                said = f"item {item.id!r} has no {min(missing)!r}, which {path} asks for"
                raise Invalid(f"{DATASET_FILE}: {said}", path=DATASET_FILE)


def _parse_prices(files: ServiceFiles) -> PricesSpec | None:
    if "prices.toml" not in files.contents:
        return None
    prices = parse_toml(files, "prices.toml", PricesSpec)
    for price in prices.price:
        where = f"prices.toml: {price.model!r}"
        if "/" not in price.model:
            raise Invalid(f"{where} is not of the form UPSTREAM/MODEL", path="prices.toml")
        if not _DATE.fullmatch(price.effective):
            raise Invalid(f"{where}: effective {price.effective!r} is not YYYY-MM-DD", path="prices.toml")
        for bucket in PRICE_BUCKETS:
            value = getattr(price, bucket)
            if value is not None and not _DECIMAL.fullmatch(value):
                raise Invalid(f"{where}: {bucket} {value!r} is not a decimal of at least 0", path="prices.toml")
    return prices


def parse_guardrails(files: ServiceFiles) -> GuardrailsSpec | None:
    """Return the checks before and after the model, ``None`` if there is no such file.

    Raises:
        Invalid: With the field that is wrong.
    """
    if GUARDRAILS_FILE not in files.contents:
        return None
    spec = parse_toml(files, GUARDRAILS_FILE, GuardrailsSpec)
    check_guardrails(spec, GUARDRAILS_FILE)
    return spec


def parse_evaluators(files: ServiceFiles, path: str = "evaluators.toml") -> EvaluatorsSpec:
    """Return the evaluators; whatever stands beside ``name`` and ``kind`` are options, which the kind checks.

    Raises:
        Invalid: If the file is malformed, or an evaluator has no name or kind.
    """
    listed = parse_toml(files, path, _EvaluatorsFile).evaluator
    for table in listed:
        missing = [key for key in ("name", "kind") if not isinstance(table.get(key), str) or not table[key]]
        if missing:
            raise Invalid(f"{path}: an evaluator has no {missing[0]}: {dict(table)}", path=path)
    own = ("name", "kind")
    return EvaluatorsSpec(
        evaluator=[
            EvaluatorSpec(
                name=str(table["name"]),
                kind=str(table["kind"]),
                options={key: value for key, value in table.items() if key not in own},
            )
            for table in listed
        ]
    )


def parse_dataset(text: str, path: str) -> list[DatasetItem]:
    """Return the items of a JSONL data set.

    Raises:
        Invalid: With the line that is wrong, or the id that occurs twice.
    """
    items = _parse_lines(text, path, DatasetItem)
    _require_unique([item.id for item in items], path, "item id")
    if not items:
        raise Invalid(f"{path} has no items", path=path)
    return items


def parse_toml(files: ServiceFiles, path: str, kind: type[T]) -> T:
    """Return the TOML file ``path`` as a ``kind``.

    Raises:
        Invalid: With the file and the field that is wrong.
    """
    text = files.text(path)
    try:
        return msgspec.toml.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise Invalid(f"{path}: {error}", path=path) from error


def _prompt_path(contents: Mapping[str, bytes]) -> str:
    present = [path for path in ("chat.toml", "prompt.jinja") if path in contents]
    if len(present) != 1:
        found = " and ".join(present) or "neither"
        raise Invalid(f"a service has either chat.toml or prompt.jinja; here is {found}", path="chat.toml")
    return present[0]


def parse_prompt(files: ServiceFiles, path: str) -> ChatPrompt:
    """Return the prompt in ``path``: chat TOML, or a Jinja text that becomes one user message.

    The variables of a text prompt are the names its template uses; they are strings.

    Raises:
        Invalid: If the file or a template is malformed, or a message uses a variable that is not declared.
    """
    if not path.endswith(".toml"):
        text = files.text(path)
        variables: dict[str, VariableType] = dict.fromkeys(sorted(_template_variables(text, path)), "string")
        return ChatPrompt(variables=variables, messages=[MessageSpec(role="user", content=text)])
    prompt = parse_toml(files, path, ChatPrompt)
    if not prompt.messages:
        raise Invalid(f"{path}: messages is empty; a prompt needs at least one", path=path)
    for index, message in enumerate(prompt.messages):
        undeclared = _template_variables(message.content, f"{path}: messages[{index}].content") - set(prompt.variables)
        if undeclared:
            raise Invalid(f"{path}: messages[{index}] uses {min(undeclared)!r}, which [variables] lacks", path=path)
    return prompt


def _template_variables(text: str, place: str) -> set[str]:
    # Compiled by the gateway, in a sandbox; here it is only read.
    environment = Environment(autoescape=False)  # noqa: S701 (the output is text for a model, not HTML)
    try:
        names = meta.find_undeclared_variables(environment.parse(text))
    except TemplateSyntaxError as error:
        path = place.partition(":")[0]
        raise Invalid(f"{place}, line {error.lineno}: {error.message}", path=path) from error
    return names - {"context"} - set(environment.globals)


def parse_examples(files: ServiceFiles) -> list[ExampleTurn]:
    """Return the few-shot turns of the context, none if there is no such file."""
    if EXAMPLES_FILE not in files.contents:
        return []
    return _parse_lines(files.text(EXAMPLES_FILE), EXAMPLES_FILE, ExampleTurn)


def _parse_lines(text: str, path: str, kind: type[T]) -> list[T]:
    decoder = msgspec.json.Decoder(kind)
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                records.append(decoder.decode(line.encode()))
            except msgspec.DecodeError as error:
                raise Invalid(f"{path}, line {number}: {error}", path=path) from error
    return records


def _require_unique(names: list[str], path: str, what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise Invalid(f"{path}: {what} {name!r} occurs twice", path=path)
        seen.add(name)
