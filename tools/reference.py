"""``python tools/reference.py``: write docs/reference from the program itself; ``--check`` only compares.

What people need to look up is read from where the program reads it: settings from the dataclasses, commands from the
command line, routes from the HTTP application, errors, file formats, ledger actions and headers from the source.
"""

import argparse
import ast
import dataclasses
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import typer
from fastapi import FastAPI

from zirkel.api import Services, create_api
from zirkel.app.cli import app as command_line
from zirkel.app.cli.main import CHECK_FAILED
from zirkel.app.cli.output import EXIT_CHECK_FAILED, EXIT_UNREACHABLE, EXIT_USAGE
from zirkel.app.config import PREFIX, ClientConfig, Config
from zirkel.app.demo.processes import StepFailed
from zirkel.client import Unreachable
from zirkel.core import LimitReached, ZirkelError, definitions
from zirkel.evaluate.evaluators.describe import KindDescription, OptionDescription, describe_kind
from zirkel.evaluate.evaluators.kinds import built_in_kinds
from zirkel.gateway.errors import MethodNotAllowed
from zirkel.gateway.exposition import METRICS
from zirkel.gateway.exposition import PREFIX as METRICS_PREFIX

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "zirkel"
TARGET = ROOT / "docs" / "reference"
NOTICE = "<!-- Written by tools/reference.py from the program; change it there. -->"

# Which structure of core/definitions.py a file is, in the order in which a person writes them.
SERVICE_FILES: Mapping[str, Sequence[str]] = {
    "service.toml": ("ServiceSpec", "ModelSpec", "BaselineSpec"),
    "chat.toml": ("ChatPrompt", "MessageSpec"),
    "context/examples.jsonl": ("ExampleTurn",),
    "datasets/golden.jsonl": ("DatasetItem",),
    "evaluators.toml": ("EvaluatorsSpec", "EvaluatorSpec"),
    "gate.toml": ("GatePolicy", "MetricPolicy"),
    "prices.toml": ("PricesSpec", "PriceSpec"),
}

TYPES: Mapping[str, str] = {
    "UnitKind": "'user' | 'session' | 'key'",
    "VariableType": "'string' | 'number' | 'boolean' | 'json'",
    "JsonObject": "JSON object",
}

# The names are compared with those in the source: a missing or an extra one fails.
LEDGER_ACTIONS: Mapping[str, str] = {
    "push": "A push that changed something: the release, its artefacts, the declared baseline.",
    "experiment": "An experiment was planned: what is measured, on what, how often.",
    "dataset.pushed": "A version of a data set: its number, digest, how many items, which way they came.",
    "dataset.schema": "The schema of a version that was there already was changed, or such a version was pushed again.",
    "dataset.labelled": "A label of a data set points to a version.",
    "dataset.unlabelled": "A label of a data set was removed.",
    "experiment_stopped": "An experiment was decided before all items were asked: by which bound, after how many.",
    "experiment_uploaded": "An experiment that ran elsewhere was taken in: what was asked, of what, with which scores.",
    "label.drawn": "Answers were drawn for people to label: how many, from which experiments, by which chances.",
    "label.imported": "Labels of elsewhere were taken in.",
    "label.settled": "Raters differed, and somebody decided: whose word counts.",
    "label.unsettled": "Such a decision was taken back.",
    "gate": "A gate was asked: verdict, reason, and the digest of the report it rests on.",
    "ship.first": "The first release of an environment; with the verdict, and the reason if the glass was broken.",
    "ship.rollout": "A rollout began; with the verdict, and the reason if the glass was broken.",
    "ship.promote": "A rollout's candidate became the stable release.",
    "ship.rollback": "A rollout was ended, or the last promotion undone.",
    "key.created": "A key was made; its text is nowhere.",
    "key.rotated": "A key got a new secret; when the one before ends.",
    "key.policy_changed": "What a key may use was changed; the new policy.",
    "key.revoked": "A key was revoked.",
    "project.created": "A project was made; in its own chain and in the default project's.",
    "gateway.configured": "A gateway configuration was applied; its digest and what it has.",
    "prices.loaded": "A price table was loaded: name, first day, digest, models.",
    "person.set": "A person was added, or got a new password or other roles.",
    "upstream.set": "An upstream's address or credential was set; the credential is not in the ledger.",
    "privacy.configured": "Rules of privacy were applied: the document's version and digest.",
    "privacy.erased": "An end user or a session was erased: a keyed hash of the id, and what was removed where.",
    "privacy.retained": "Retention removed something: which class of content, which environment, up to when, how much.",
}
REQUEST_HEADERS: Mapping[str, str] = {
    "authorization": "`Bearer KEY`, or the key in `x-api-key`, `api-key` or `x-goog-api-key`; it needs `call`.",
    "traceparent": "W3C trace context: the call joins this trace.",
    "x-zirkel-cache": "`bypass` asks for a fresh answer; so does `Cache-Control: no-cache`.",
    "x-zirkel-unit": "What traffic is split by, if not the body's `user`.",
    "x-zirkel-session": "The session the call belongs to.",
    "x-zirkel-release": "Answer with this release, whatever is live (role `admin`).",
    "x-zirkel-experiment": "The experiment the call belongs to (role `admin`).",
    "x-zirkel-item": "The data set's item (role `admin`).",
    "x-zirkel-trial": "Which answer to the item, from 0 (role `admin`).",
    "x-zirkel-evaluator": "The call is a judge's: its span has the kind `evaluator` and this name (role `admin`).",
}
RESPONSE_HEADERS: Mapping[str, str] = {
    "x-zirkel-trace-id": "The call's trace; on every answer, also on errors.",
    "x-zirkel-release": "Digest of the release that answered.",
    "x-zirkel-arm": "`stable`, `candidate`, or `pinned` for a release that was asked for by header.",
    "x-zirkel-model": "`UPSTREAM/MODEL` that answered.",
    "x-zirkel-fallback": "0 if the primary model answered, 1 for the first fallback, and so on.",
    "x-zirkel-attempts": "How many attempts there were, if more than one.",
    "x-zirkel-cache": "`hit`, `semantic_hit`, `miss` or `bypass`, where the release keeps answers.",
    "x-zirkel-budget-warning": "Budgets whose soft level this call passed.",
    "x-zirkel-cost-usd": "Cost of all attempts together, or `unknown`; on errors, too. On a stream if it came at once.",
}

FAULT = "A fault of the program; its log tells more."


class Stale(Exception):
    """The tables of this script do not say what the source says."""


def settings_page() -> Iterator[str]:
    """Yield the lines of the settings' page."""
    yield "# Settings"
    yield ""
    yield from _prose(
        f"""
        Read from `zirkel.toml` in the data directory, then from `{PREFIX}…` variables, then from options of
        `zirkel up`; the last one counts. `data_dir` has no effect in the file. An unknown setting is an error.
        `zirkel config check` prints what is in force.
        """
    )
    yield from _settings_table(Config)
    yield ""
    yield "## The command line"
    yield ""
    yield "Where the other commands find the server:"
    yield from _settings_table(ClientConfig)


def _settings_table(kind: type[Config] | type[ClientConfig]) -> Iterator[str]:
    yield ""
    yield "| setting | variable | default | meaning |"
    yield "|---|---|---|---|"
    for setting in dataclasses.fields(kind):
        default = str(setting.default) or "(empty)"
        variable = f"`{PREFIX}{setting.name.upper()}`"
        yield f"| `{setting.name}` | {variable} | {_code(default)} | {_cell(str(setting.metadata['help']))} |"


def commands_page() -> Iterator[str]:
    """Yield the lines of the commands' page."""
    yield "# Commands"
    yield ""
    yield "Exit codes: 0 good, 1 the check failed, 2 wrong usage, 3 inconclusive, 4 the server could not be reached."
    for path, command in _commands(typer.main.get_command(command_line), ()):
        yield ""
        yield f"## zirkel {' '.join(path)}"
        yield ""
        yield " ".join(str(command.help or "").split())
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
        shown = [p.name if p.required else f"[{p.name}]" for p in arguments]
        yield ""
        yield "```"
        yield " ".join(["zirkel", *path, *shown, *(["[OPTIONS]"] if options else [])])
        yield "```"
        if arguments or options:
            yield ""
            yield "| | default | meaning |"
            yield "|---|---|---|"
        for parameter in [*arguments, *options]:
            name = parameter.name if parameter in arguments else ", ".join(parameter.opts)
            default = "required" if parameter.required else _code(_default(parameter.default))
            meaning = getattr(parameter, "help", None) or ""
            yield f"| `{name}` | {default} | {_cell(meaning)} |"


def _default(value: object) -> str:
    if value is None or value == "" or value is False:
        return "-"
    return str(value)


class _Parameter(msgspec.Struct):
    """Names what is used of a command's parameter; the library's own class is not public."""

    param_type_name: str
    name: str
    opts: list[str]
    required: bool
    default: object
    help: str | None


class _Command(msgspec.Struct):
    help: str | None
    params: list[_Parameter]
    commands: dict[str, "_Command"]


def _commands(command: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], _Command]]:
    seen = cast(_Command, command)
    children = getattr(seen, "commands", None)
    if children is None:
        yield path, seen
        return
    for name, child in children.items():
        yield from _commands(child, (*path, name))


def routes_page() -> Iterator[str]:
    """Yield the lines of the REST page."""
    schema = _api().openapi()
    yield "# HTTP API of the core"
    yield ""
    yield from _prose(
        """
        Send the key as `Authorization: Bearer KEY`. Reading needs the role `read`, changing anything and listing keys
        need `admin`, OTLP needs `ingest`; `admin` may do everything. Answers are JSON; errors are
        `{"error": {"code", "message", "path"}}` with the codes of [Errors](errors.md). An unknown field in a body is an
        error.
        """
    )
    yield ""
    yield "| method | path | what it does | query | body |"
    yield "|---|---|---|---|---|"
    for path, methods in schema["paths"].items():
        for method, found in methods.items():
            query = [p["name"] for p in found.get("parameters", []) if p["in"] == "query"]
            body = _body(schema, found)
            yield f"| {method.upper()} | `{path}` | {_cell(found['summary'])} | {_names(query)} | {_names(body)} |"
    yield "| GET | `/healthz` | Whether the process serves; needs no key | - | - |"
    yield ""
    yield from _prose(
        """
        Fields in brackets may be left out. The body of `/api/v1/services/push` holds the files as path to base64. The
        pages of the console are under `/`, and are no API.
        """
    )


def _api() -> FastAPI:
    # Routes are declared without being called, so what they call is not needed.
    names = ("intake", "search", "exports", "evaluation", "planning", "datasets", "dataset_health", "experiments")
    rooms = dict.fromkeys((*names, "estimates", "uploads"), None)
    labelling = SimpleNamespace(queue=None, labels=None, transfer=None, calibration=None)
    services = SimpleNamespace(access=SimpleNamespace(authenticate=None), labelling=labelling, **rooms)
    return create_api(cast(Services, services))


def _body(schema: Mapping[str, object], operation: Mapping[str, object]) -> list[str]:
    content = cast(
        "dict[str, dict[str, dict[str, str]]]",
        cast(dict[str, object], operation.get("requestBody", {})).get("content", {}),
    )
    reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
    if not reference:
        return []
    schemas = cast("dict[str, dict[str, dict[str, object]]]", cast(dict[str, object], schema["components"])["schemas"])
    found = schemas[reference.rpartition("/")[2]]
    required = found.get("required", {})
    return [name if name in required else f"[{name}]" for name in found["properties"]]


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "-"


def errors_page() -> Iterator[str]:
    """Yield the lines of the errors' page."""
    yield "# Errors"
    yield ""
    yield "Every error has a code that stays the same, and a message that says what was wrong and what to do."
    yield ""
    yield "| code | HTTP status | exit code | meaning |"
    yield "|---|---|---|---|"
    kinds: list[type[ZirkelError]] = [ZirkelError, *error_kinds()]
    for kind in kinds:
        meaning = FAULT if kind is ZirkelError else kind.__doc__ or ""
        yield f"| `{kind.code}` | {kind.http_status} | {_exit_code(kind)} | {_cell(meaning)} |"
    yield ""
    yield from _prose(
        """
        The gateway answers in the shape that OpenAI's clients read,
        `{"error": {"message", "type", "code", "param"}}`, with the same codes. A refusal of an upstream (4xx but 429)
        goes to the caller as it is.
        """
    )
    yield ""
    yield "## Error types of spans"
    yield ""
    names = ", ".join(f"`{name}`" for name in attempt_error_types())
    yield from _prose(
        f"""
        A call or an attempt that failed is recorded with one of the codes above, or with one of these in `error_type`:
        {names} and `http_STATUS`.
        """
    )


def error_kinds() -> list[type[ZirkelError]]:
    """Return the kinds of error that callers meet, by HTTP status and code."""
    kinds = {*ZirkelError.__subclasses__(), *LimitReached.__subclasses__(), MethodNotAllowed, StepFailed, Unreachable}
    return sorted(kinds, key=lambda kind: (kind.http_status, kind.code))


def _exit_code(kind: type[ZirkelError]) -> int:
    if issubclass(kind, Unreachable):
        return EXIT_UNREACHABLE
    return EXIT_CHECK_FAILED if issubclass(kind, CHECK_FAILED) else EXIT_USAGE


def attempt_error_types() -> list[str]:
    """Return the words that the gateway records for a failed attempt, in order."""
    found = {"client_disconnected", "cancelled", "internal"}
    for call in _calls("gateway"):
        if isinstance(call.func, ast.Name) and call.func.id == "UpstreamBroken":
            found |= {text for text in _strings(call.args[0]) if text.isidentifier() and text != "http_"}
    return sorted(found)


def files_page() -> Iterator[str]:
    """Yield the lines of the file formats' page."""
    yield "# Service files"
    yield ""
    yield from _prose(
        """
        A service is a folder. It has `service.toml`, `chat.toml` or `prompt.jinja`, `datasets/golden.jsonl`,
        `evaluators.toml` and `gate.toml`. `context/` and `prices.toml` are optional, `zirkel.lock` is written by
        `zirkel lock`. An unknown field and an unknown `*.toml` beside `service.toml` are errors; other files are left
        out.
        """
    )
    yield ""
    yield from _prose(
        """
        `prompt.jinja` is one Jinja template that becomes one user message; the names it uses are its variables, all
        text. Templates read a document of the context as `{{ context['policy.md'] }}`.
        """
    )
    for file, names in SERVICE_FILES.items():
        yield ""
        yield f"## {file}"
        for name in names:
            yield from _structure(getattr(definitions, name))


def _structure(kind: type[msgspec.Struct]) -> Iterator[str]:
    yield ""
    yield f"**{kind.__name__}**: {' '.join((kind.__doc__ or '').replace('``', '`').split())}"
    yield ""
    yield "| field | type | default | meaning |"
    yield "|---|---|---|---|"
    for name, annotation, default, meaning in _fields(kind):
        yield f"| `{name}` | {_code(annotation)} | {_code(default) if default else 'required'} | {_cell(meaning)} |"


def _fields(kind: type[msgspec.Struct]) -> Iterator[tuple[str, str, str, str]]:
    body = cast(ast.ClassDef, ast.parse(inspect.getsource(kind)).body[0]).body
    for statement, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign):
            default = ast.unparse(statement.value) if statement.value else ""
            is_docstring = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            meaning = str(cast(ast.Constant, cast(ast.Expr, following).value).value) if is_docstring else ""
            annotation = ast.unparse(statement.annotation)
            for alias, spelt_out in TYPES.items():
                annotation = annotation.replace(alias, spelt_out)
            yield ast.unparse(statement.target), annotation, default, " ".join(meaning.split())


def evaluators_page() -> Iterator[str]:
    """Yield the lines of the evaluators' page."""
    yield "# Evaluators"
    yield ""
    yield from _prose(
        """
        What `kind` in `evaluators.toml` may be, and what stands beside `name` and `kind` then. Installed packages bring
        more: [how to write one](../how-to/write-an-evaluator.md); `zirkel evaluators` lists what is there. A score is a
        share from 0 to 1 where nothing else is said. A failure of an evaluator is an error, never a score. An option
        whose default is `none` is left out for that.
        """
    )
    for kind in built_in_kinds():
        found = describe_kind(kind)
        yield ""
        yield f"## {found.name}"
        yield ""
        yield f"{found.summary[0].upper()}{_cell(found.summary[1:])}."
        for paragraph in found.text:
            yield ""
            yield _cell(paragraph)
        yield from _measure(found)
        yield from _options_table(found.options)
        for table in found.tables:
            yield ""
            yield f"**{table.name}**: {_cell(table.meaning)}"
            yield from _options_table(table.options)


def _measure(found: KindDescription) -> Iterator[str]:
    said = {"share": "", "ms": "In milliseconds", "usd": "In USD", "number": "A number of any size"}[found.unit]
    better = "" if found.is_higher_better else "lower is better"
    model = "it asks a model: its scores cost money, and have to be calibrated" if found.uses_model else ""
    remarks = [part for part in (said, better, model) if part]
    if remarks:
        line = "; ".join(remarks)
        yield ""
        yield f"{line[0].upper()}{line[1:]}."


def _options_table(options: Sequence[OptionDescription]) -> Iterator[str]:
    yield ""
    yield "| option | type | default | meaning |"
    yield "|---|---|---|---|"
    for option in options:
        default = _code(option.default) if option.default else "required"
        yield f"| `{option.name}` | {_cell(option.type)} | {default} | {_cell(option.meaning)} |"


def ledger_page() -> Iterator[str]:
    """Yield the lines of the ledger's page."""
    _require_same("ledger actions", LEDGER_ACTIONS, ledger_actions())
    yield "# Ledger"
    yield ""
    yield from _prose(
        """
        Each decision is one entry: `project_id`, `sequence` (from 1, without gaps), `at_ns`, `actor`, `action`,
        `payload` (canonical JSON), `previous_hash`, `hash`. The hash is SHA-256 over the canonical JSON of all other
        fields; the first entry's previous hash is 64 zeros. See
        [how to verify it](../how-to/verify-evidence-offline.md).
        """
    )
    yield ""
    yield "| action | what was decided |"
    yield "|---|---|"
    for action, meaning in LEDGER_ACTIONS.items():
        yield f"| `{action}` | {_cell(meaning)} |"


def ledger_actions() -> set[str]:
    """Return the actions that the source appends."""
    found: set[str] = set()
    for room in ("version", "evaluate", "ship", "govern", "observe"):
        for call in _calls(room):
            if (
                isinstance(call.func, ast.Attribute)
                and call.func.attr == "append"
                and "ledger" in ast.unparse(call.func)
            ):
                found |= set(_strings(call.args[2]))
    return found | {text for tree in _trees("ship") for text in _strings(tree) if text.startswith("ship.")}


def gateway_page() -> Iterator[str]:
    """Yield the lines of the gateway's page."""
    response = {text for text in _strings(_module("gateway/facts.py")) if text.startswith("x-zirkel-")}
    _require_same("response headers", RESPONSE_HEADERS, response)
    request = {text for text in _strings(_module("gateway/admission.py")) if text.startswith("x-zirkel-")}
    _require_same("request headers", REQUEST_HEADERS, request | {"authorization", "traceparent"})
    yield "# Gateway"
    yield ""
    yield "| method | path | what it does |"
    yield "|---|---|---|"
    yield "| POST | `/v1/chat/completions` | OpenAI's Chat Completions, plain or streamed |"
    yield "| POST | `/v1/responses` | OpenAI's Responses, plain or streamed |"
    yield "| POST | `/v1/messages` | Anthropic's Messages, plain or streamed |"
    yield "| POST | `/v1/messages/count_tokens` | How long a request is |"
    yield "| POST | `/v1/completions` | OpenAI's legacy completions, for upstreams that speak them |"
    yield "| POST | `/v1/embeddings` | Embeddings, for upstreams that speak them |"
    yield "| GET | `/v1/models`, `/v1/models/NAME` | The services and models that the key may call |"
    yield "| any | `/providers/NAME/…` | Passed through to the upstream NAME; authenticated, priced, recorded |"
    yield "| GET | `/metrics` | Figures of all workers for Prometheus; needs the role `read` |"
    yield "| GET | `/healthz` | The worker's state; needs no key |"
    yield ""
    yield from _prose(
        """
        `model` is `service:NAME` (production), `service:NAME@ENVIRONMENT`, a model of the gateway's configuration, or
        `UPSTREAM/MODEL`. Variables of a service's prompt are sent in the body as `zirkel.variables`.
        """
    )
    yield ""
    yield "## Request headers"
    yield from _headers(REQUEST_HEADERS)
    yield ""
    yield "## Response headers"
    yield from _headers(RESPONSE_HEADERS)


def metrics_page() -> Iterator[str]:
    """Yield the lines of the metrics' page."""
    yield "# Metrics"
    yield ""
    yield from _prose(
        """
        `GET /metrics` on the gateway's port. Units are seconds, bytes and US dollars. `service_or_model` is
        `service:NAME` or a configured model's name, else empty.
        [How to watch the gateway](../how-to/watch-the-gateway.md) says how counters behave and what is worth an alert.
        """
    )
    yield ""
    yield "| metric | kind | labels | meaning |"
    yield "|---|---|---|---|"
    for metric in METRICS:
        names = (*metric.labels, "worker") if metric.join == "worker" else metric.labels
        labels = ", ".join(f"`{name}`" for name in names) or "-"
        yield f"| `{METRICS_PREFIX}{metric.name}` | {metric.kind} | {labels} | {_cell(metric.help)} |"


def _headers(table: Mapping[str, str]) -> Iterator[str]:
    yield ""
    yield "| header | meaning |"
    yield "|---|---|"
    for name, meaning in table.items():
        yield f"| `{name}` | {_cell(meaning)} |"


def index_page() -> Iterator[str]:
    """Yield the lines of the index."""
    yield "# Reference"
    yield ""
    yield "These pages are written from the program by `python tools/reference.py`, and a test compares them."
    yield ""
    for name, page in PAGES.items():
        if name != "README.md":
            yield f"- [{next(iter(page())).removeprefix('# ')}]({name})"


PAGES: Mapping[str, Callable[[], Iterator[str]]] = {
    "README.md": index_page,
    "settings.md": settings_page,
    "commands.md": commands_page,
    "rest-api.md": routes_page,
    "gateway.md": gateway_page,
    "metrics.md": metrics_page,
    "errors.md": errors_page,
    "service-files.md": files_page,
    "evaluators.md": evaluators_page,
    "ledger.md": ledger_page,
}


def _require_same(what: str, table: Mapping[str, str], found: set[str]) -> None:
    if set(table) != found:
        missing, extra = sorted(found - set(table)), sorted(set(table) - found)
        raise Stale(f"{what}: tools/reference.py lacks {missing} and has {extra}, which the source has not")


def _trees(room: str) -> Iterator[ast.Module]:
    for path in sorted((SOURCE / room).rglob("*.py")):
        yield ast.parse(path.read_text())


def _module(path: str) -> ast.Module:
    return ast.parse((SOURCE / path).read_text())


def _calls(room: str) -> Iterator[ast.Call]:
    for tree in _trees(room):
        yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _strings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _prose(text: str) -> Iterator[str]:
    yield from inspect.cleandoc(text).splitlines()


def _cell(text: str) -> str:
    return " ".join(text.replace("``", "`").split()).replace("|", "\\|")


def _code(text: str) -> str:
    return "-" if text == "-" else "`" + text.replace("|", "\\|") + "`"


def main() -> int:
    """Write the pages, or compare them; exit 1 if one is not up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 and name the pages that differ")
    is_check = bool(parser.parse_args().check)
    TARGET.mkdir(parents=True, exist_ok=True)
    stale = []
    for name, page in PAGES.items():
        text = "\n".join([NOTICE, "", *page()]) + "\n"
        path = TARGET / name
        if not path.is_file() or path.read_text() != text:
            stale.append(name)
            if not is_check:
                path.write_text(text)
    done = "not up to date; run: python tools/reference.py" if is_check else "written"
    sys.stdout.write("".join(f"docs/reference/{name}: {done}\n" for name in stale))
    return 1 if stale and is_check else 0


if __name__ == "__main__":
    sys.exit(main())
