"""A promptfoo configuration as the files of a service; what cannot be said here is listed.

Source: promptfoo's documentation, "Configuration reference".
"""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import yaml

from zirkel.app.promptfoo_asserts import METADATA, Assertion, Mapped, map_assertions
from zirkel.core import Invalid, Json, JsonObject
from zirkel.core.gateway_text import write_toml

_KNOWN = frozenset({"description", "providers", "targets", "prompts", "tests", "defaultTest"})
_TEST_KEYS = frozenset({"description", "vars", "assert", "metadata", "options"})
_FILE = "file://"
_PARAMETERS = ("temperature", "max_tokens", "max_completion_tokens", "top_p", "seed", "stop", "frequency_penalty",
               "presence_penalty", "response_format", "reasoning_effort")  # fmt: skip

ReadFile = Callable[[str], str]
"""Returns the text of a file that the configuration names, relative to it; raises ``OSError``."""


@dataclass(frozen=True, slots=True)
class ImportedService:
    """What came of a configuration."""

    files: Mapping[str, str]
    """The service's files by path."""
    not_taken: tuple[tuple[str, str], ...]
    """Place and reason of what could not be taken over."""


@dataclass(slots=True)
class _Import:
    read: ReadFile
    lost: list[tuple[str, str]] = field(default_factory=list)

    def lose(self, place: str, reason: str) -> None:
        self.lost.append((place, reason))


def translate_promptfoo(text: str, name: str, *, judge: str, read: ReadFile) -> ImportedService:
    """Return the files of a service that says what a promptfoo configuration says, as far as that can be said.

    Args:
        text: The configuration's YAML.
        name: What the service is called.
        judge: ``UPSTREAM/MODEL`` that judges rubrics; empty leaves rubrics out.
        read: Gives files that the configuration names.

    Raises:
        Invalid: If it is no such configuration, or has no prompt, provider or test that can be taken over.
    """
    config = _parse(text)
    work = _Import(read)
    for key in sorted(set(config) - _KNOWN):
        work.lose(key, "it has no counterpart")
    files: dict[str, str] = {}
    model, parameters = _provider(config, work)
    baseline = _prompts(config, work, files)
    tests = list(_tests(config, work))
    mapped = map_assertions([assertions for _, assertions in tests], judge)
    service: JsonObject = {"name": name, "description": str(config.get("description", ""))}
    service["model"] = {"name": model, **({"parameters": parameters} if parameters else {})}
    if baseline:
        service["baseline"] = {"prompt": baseline}
    if not mapped.evaluators:
        raise Invalid("no assertion can be taken over, so that nothing would be measured", path="tests")
    files["service.toml"] = write_toml(service)
    files["evaluators.toml"] = write_toml({"evaluator": mapped.evaluators})
    files["datasets/golden.jsonl"] = "".join(_lines(tests, mapped))
    metrics = [
        {"evaluator": evaluator["name"], "margin": 0.05} for evaluator in mapped.evaluators if _is_share(evaluator)
    ]
    files["gate.toml"] = write_toml({"metric": metrics or [{"evaluator": mapped.evaluators[0]["name"], "floor": 0.5}]})
    return ImportedService(dict(sorted(files.items())), tuple(work.lost + mapped.lost))


def _parse(text: str) -> Mapping[str, Json]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Invalid(f"the file is no YAML: {error}") from error
    if not isinstance(found, dict) or "prompts" not in found:
        raise Invalid("the file is no promptfoo configuration: it has no prompts", path="prompts")
    return cast("dict[str, Json]", found)


def _provider(config: Mapping[str, Json], work: _Import) -> tuple[str, JsonObject]:
    """Return the first provider as ``UPSTREAM/MODEL`` with its parameters."""
    listed = config.get("providers", config.get("targets"))
    providers = listed if isinstance(listed, list) else [listed] if listed else []
    if not providers:
        raise Invalid("the configuration has no providers", path="providers")
    for number in range(1, len(providers)):
        work.lose(f"providers[{number}]", "a service has one model; push another service, or name it in [baseline]")
    first = providers[0]
    identity, options = first, cast("Json", {})
    if isinstance(first, dict):
        if "id" in first:
            identity, options = first["id"], first.get("config", {})
        else:
            # ``- openai:gpt-4o: {config: …}``
            ((identity, inner),) = first.items()
            options = inner.get("config", {}) if isinstance(inner, dict) else {}
    parameters: JsonObject = {}
    for key, value in options.items() if isinstance(options, dict) else ():
        if key in _PARAMETERS:
            parameters[key] = value
        else:
            work.lose(f"providers[0].config.{key}", "set upstreams, keys and other options in gateway.toml")
    return _model(str(identity), work), parameters


def _model(identity: str, work: _Import) -> str:
    parts = identity.split(":")
    if len(parts) < 2 or parts[0] in ("file", "exec", "python", "http", "https", "webhook"):
        work.lose("providers[0]", f"{identity!r} is no model behind a gateway; see: zirkel eval --system")
        return "set-upstream/set-model"
    kinds = ("chat", "completion", "messages", "responses", "deployment")
    return f"{parts[0]}/{':'.join(parts[2:] if parts[1] in kinds and len(parts) > 2 else parts[1:])}"


def _prompts(config: Mapping[str, Json], work: _Import, files: dict[str, str]) -> str:
    """Write the first prompt, and the second as the baseline's; return the baseline's path."""
    listed = config["prompts"]
    prompts = listed if isinstance(listed, list) else [listed]
    baseline = ""
    for number, prompt in enumerate(prompts):
        place = f"prompts[{number}]"
        raw = prompt.get("raw", prompt.get("id")) if isinstance(prompt, dict) else prompt
        text = _content(str(raw), place, work)
        if text is None:
            continue
        path = _write_prompt(text, "chat" if not files else "baseline", "prompt" if not files else "baseline", files)
        if len(files) == 2:
            baseline = path
            for rest in range(number + 1, len(prompts)):
                work.lose(f"prompts[{rest}]", "a service has one prompt, and one baseline to compare it with")
            break
    if not files:
        raise Invalid("no prompt can be taken over", path="prompts")
    return baseline


def _write_prompt(text: str, chat: str, plain: str, files: dict[str, str]) -> str:
    messages = _messages(text)
    if messages is None:
        path = f"{plain}.jinja"
        files[path] = text
        return path
    names = sorted({name for message in messages for name in _variables(str(message["content"]))})
    path = f"{chat}.toml"
    files[path] = write_toml({"variables": dict.fromkeys(names, "string"), "messages": messages})
    return path


def _messages(text: str) -> list[JsonObject] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    is_chat = isinstance(found, list) and all(
        isinstance(one, dict) and isinstance(one.get("content"), str) for one in found
    )
    return (
        [{"role": one.get("role", "user"), "content": one["content"]} for one in found] if is_chat and found else None
    )


def _variables(text: str) -> Iterator[str]:
    for part in text.split("{{")[1:]:
        name = part.partition("}}")[0].strip().partition("|")[0].strip()
        if name.isidentifier():
            yield name


def _content(text: str, place: str, work: _Import) -> str | None:
    if not text.startswith(_FILE):
        return text
    name = text.removeprefix(_FILE)
    if name.endswith((".py", ".js", ".ts", ".mjs", ".cjs")):
        work.lose(place, "it is a program; write its text, or evaluate it with: zirkel eval --system")
        return None
    try:
        return work.read(name)
    except OSError as error:
        work.lose(place, f"{name} cannot be read: {error.strerror}")
        return None


def _tests(config: Mapping[str, Json], work: _Import) -> Iterator[tuple[JsonObject, list[Assertion]]]:
    """Yield each test's item, without what assertions add, and its assertions, the common ones included."""
    default = config.get("defaultTest")
    common = default if isinstance(default, dict) else {}
    count = 0
    for number, test in enumerate(_listed_tests(config.get("tests"), work)):
        place = f"tests[{number}]"
        for key in sorted(set(test) - _TEST_KEYS):
            work.lose(f"{place}.{key}", "it has no counterpart")
        assertions = [*_assertions(common, "defaultTest", work), *_assertions(test, place, work)]
        for variables in _expanded({**_mapping(common, "vars"), **_mapping(test, "vars")}):
            count += 1
            metadata = {**_mapping(common, "metadata"), **_mapping(test, "metadata")}
            if test.get("description"):
                metadata["description"] = test["description"]
            yield {"id": f"test-{count}", "input": variables, "metadata": metadata}, assertions
    if not count:
        raise Invalid("the configuration has no tests that can be taken over", path="tests")


def _listed_tests(listed: Json, work: _Import) -> Iterator[Mapping[str, Json]]:
    if isinstance(listed, str):
        listed = [listed]
    for number, test in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(test, dict):
            yield test
        elif isinstance(test, str) and test.removeprefix(_FILE).endswith((".yaml", ".yml", ".json")):
            text = _content(_FILE + test.removeprefix(_FILE), f"tests[{number}]", work)
            found = yaml.safe_load(text) if text is not None else []
            yield from (one for one in found if isinstance(one, dict)) if isinstance(found, list) else ()
        else:
            work.lose(f"tests[{number}]", "tests are taken from YAML and JSON; import tables with: zirkel dataset push")


def _expanded(variables: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    """Yield every combination of variables that are lists."""
    choices: Sequence[Sequence[Json]] = [value if isinstance(value, list) else [value] for value in variables.values()]
    for chosen in itertools.product(*choices):
        yield {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in zip(variables, chosen, strict=True)
        }


def _assertions(test: Mapping[str, Json], place: str, work: _Import) -> Iterator[Assertion]:
    listed = test.get("assert")
    for number, found in enumerate(listed if isinstance(listed, list) else []):
        where = f"{place}.assert[{number}]"
        if not isinstance(found, dict):
            work.lose(where, "it is no assertion")
            continue
        if found.get("weight", 1) != 1:
            work.lose(f"{where}.weight", "evaluators are looked at one by one; the gate says what each must reach")
        for key in sorted(set(found) - {"type", "value", "threshold", "metric", "weight", "provider"}):
            work.lose(f"{where}.{key}", "it has no counterpart")
        threshold = found.get("threshold")
        number_or_none = float(threshold) if isinstance(threshold, int | float) else None
        yield Assertion(
            str(found.get("type", "")), found.get("value"), number_or_none, str(found.get("metric", "")), where
        )


def _mapping(test: Mapping[str, Json], key: str) -> dict[str, Json]:
    found = test.get(key)
    return dict(found) if isinstance(found, dict) else {}


def _lines(tests: Sequence[tuple[JsonObject, list[Assertion]]], mapped: Mapped) -> Iterator[str]:
    for number, (item, _) in enumerate(tests):
        metadata = dict(cast("dict[str, Json]", item["metadata"]))
        if number in mapped.own:
            metadata[METADATA] = mapped.own[number]
        line: JsonObject = {"id": item["id"], "input": item["input"]}
        if number in mapped.expected:
            line["expected"] = mapped.expected[number]
        if metadata:
            line["metadata"] = metadata
        yield json.dumps(line, ensure_ascii=False) + "\n"


def _is_share(evaluator: Mapping[str, object]) -> bool:
    return evaluator["kind"] not in ("latency", "cost") or "limit" in evaluator
