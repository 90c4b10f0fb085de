"""What people use is documented, and the documents name only what exists.

The names are looked for in the source by other means than tools/reference.py uses, so that a fault there is found.
"""

import ast
import dataclasses
import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from zirkel.app.cli import app
from zirkel.app.config import ClientConfig, Config
from zirkel.version import build_releases, parse_service, read_service

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "zirkel"
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *(ROOT / name for name in ("AGENTS.md", "CHANGELOG.md", "README.md"))])
OURS = re.compile(r"(?:src|tests|docs|tools|examples|bench)/[\w./-]*[\w-]|[A-Z]+\.md|Makefile|pyproject\.toml")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _reference(name: str) -> str:
    return (DOCS / "reference" / name).read_text()


def _prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


def _code_spans(page: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", _prose(page))


def test_every_setting_is_documented() -> None:
    page = _reference("settings.md")
    settings = [setting.name for kind in (Config, ClientConfig) for setting in dataclasses.fields(kind)]
    assert [name for name in settings if f"`ZIRKEL_{name.upper()}`" not in page] == []


def _options(arguments: tuple[str, ...]) -> set[str] | None:
    """Return the options of the command that ``arguments`` begin with; None if there is no such command."""
    command: object = typer.main.get_command(app)
    for word in arguments:
        children = getattr(command, "commands", None)
        if children is None:
            break
        if word not in children:
            return None
        command = children[word]
    if getattr(command, "commands", None) is not None:
        return None
    parameters = getattr(command, "params", [])
    return {option for parameter in parameters for option in parameter.opts if option.startswith("-")}


def _command_names() -> Iterator[tuple[str, ...]]:
    for name, command in getattr(typer.main.get_command(app), "commands", {}).items():
        children = getattr(command, "commands", None)
        yield from [(name,)] if children is None else [(name, child) for child in children]


def test_every_command_and_option_is_documented() -> None:
    page = _reference("commands.md")
    for path in _command_names():
        _, heading, rest = page.partition(f"\n## zirkel {' '.join(path)}\n")
        assert heading, path
        section = rest.partition("\n## ")[0]
        assert [option for option in _options(path) or () if option not in section] == [], path


def test_every_route_is_documented() -> None:
    page = _reference("rest-api.md")
    declared = []
    for path in sorted((SOURCE / "api").rglob("*.py")):
        text = path.read_text()
        prefix = re.search(r'APIRouter\(prefix="([^"]*)"', text)
        for method, route in re.findall(r'@(?:router|app)\.(get|post|put|delete)\("([^"]+)"', text):
            address = f"{prefix.group(1) if prefix else ''}{route}".replace(":path}", "}")
            declared.append(f"| {method.upper()} | `{address}` |")
    assert len(declared) > 20
    assert [route for route in declared if route not in page] == []


def test_every_error_code_is_documented() -> None:
    page = _reference("errors.md")
    codes = set()
    for path in SOURCE.rglob("*.py"):
        codes |= set(re.findall(r'^    code(?:: ClassVar\[str\])? = "(\w+)"$', path.read_text(), re.M))
    assert {"internal", "invalid", "unreachable", "method_not_allowed"} <= codes
    assert [code for code in sorted(codes) if f"| `{code}` |" not in page] == []


def test_every_dependency_has_its_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["server"], *extras["demo"]]
    names = [re.split(r"[\[><=]", requirement)[0] for requirement in wanted]
    page = (DOCS / "design" / "0004-dependencies.md").read_text()
    assert [name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", page)] == []


def test_every_design_note_is_listed_and_short() -> None:
    notes = sorted(path for path in (DOCS / "design").glob("*.md") if path.name != "README.md")
    index = (DOCS / "design" / "README.md").read_text()
    assert notes
    for note in notes:
        assert f"]({note.name})" in index, note.name
        assert len(note.read_text().split()) <= 1000, f"{note.name} is longer than two pages"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(), re.M)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}, target


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_files_that_are_named_exist(page: Path) -> None:
    named = [span for span in _code_spans(page) if OURS.fullmatch(span) or OURS.fullmatch(span.rstrip("/"))]
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_code_that_the_architecture_names_exists() -> None:
    named = [span for span in _code_spans(DOCS / "architecture.md") if _is_code(span)]
    assert len(named) > 30
    assert [name for name in named if not _exists(name)] == []


def _is_code(span: str) -> bool:
    room = span.partition(".")[0]
    return (
        bool(re.fullmatch(r"[a-z]+(\.\w+)+", span))
        and (SOURCE / room).is_dir()
        and not span.endswith((".py", ".sqlite"))
    )


def _exists(name: str) -> bool:
    """Return whether ``room.module.thing`` or ``room.module.Class.method`` is defined, without importing it."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        module = f"zirkel.{'.'.join(parts[:length])}"
        try:
            spec = importlib.util.find_spec(module)
        except ModuleNotFoundError:
            continue
        if spec is not None and spec.origin is not None:
            return _defines(Path(spec.origin), parts[length:])
    return False


def _defines(file: Path, names: list[str]) -> bool:
    body: list[ast.stmt] = ast.parse(file.read_text()).body
    for name in names:
        found = next((node for node in body if _is_called(node, name)), None)
        if found is None:
            return False
        body = getattr(found, "body", [])
    return True


def _is_called(node: ast.stmt, name: str) -> bool:
    if isinstance(node, ast.ImportFrom):
        return any((alias.asname or alias.name) == name for alias in node.names)
    return isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_commands_in_examples_can_be_run(page: Path) -> None:
    lines = [
        line for language, block in FENCE.findall(page.read_text()) if language == "sh" for line in block.split("\n")
    ]
    for line in lines:
        found = re.search(r"(?:^|\$\()zirkel ([^)]*)", line.partition(" #")[0])
        if found is None:
            continue
        words = shlex.split(found.group(1))
        options = _options(tuple(word for word in words if not word.startswith("-")))
        assert options is not None, line
        named = [word for word in words if re.match("--?[a-z]", word)]  # `-24h` is a value
        assert [word for word in named if word not in options] == [], line


def test_the_first_service_of_the_how_to_is_a_service(tmp_path: Path) -> None:
    text = (DOCS / "how-to" / "first-service.md").read_text()
    named = re.findall(r"^`(ticket-topic/[^`]+)`(?:(?!```).)*?^```\w+\n(.*?)^```$", text, re.M | re.S)
    assert len(named) == 5
    for name, content in named:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    files = read_service(tmp_path / "ticket-topic")
    definition = parse_service(files)
    assert definition.service.name == "ticket-topic"
    assert len(definition.dataset) >= definition.gate.minimum_items
    assert len(build_releases(files, definition)) == 1


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_python_in_examples_compiles(page: Path) -> None:
    for language, block in FENCE.findall(page.read_text()):
        if language == "python":
            compile(block, _name(page), "exec")
        elif language == "toml":
            tomllib.loads(block)
