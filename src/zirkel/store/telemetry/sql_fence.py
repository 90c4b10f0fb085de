"""What a reader may write in SQL: one SELECT over views of the project, of parts that are known to be harmless. Pure.

First the text is cut into tokens and written anew from them, so that the engine sees nothing that was read differently
here: no comments, no second statement, no settings. Then the engine's own parser says what it understood, and each node
of that must be on a list; and at last it says which tables it would read.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from zirkel.core import Invalid
from zirkel.store.telemetry.sql_functions import MEMBERSHIP, is_allowed

MAX_LENGTH = 20_000
"""Characters of a query."""

_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+|--[^\n]*|/\*(?:[^*/]|\*(?!/)|/(?!\*))*\*/)"
    r"|(?P<string>'(?:[^'\\]|''|\\.)*')"
    r'|(?P<quoted>"[^"\\`]+"|`[^"\\`]+`)'
    r"|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![A-Za-z_0-9]))"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign><=>|->|::|<=|>=|<>|!=|==|\|\||[-+*%=<>().,:?]|/(?!\*)|\[|\])"
    r"|(?P<end>;)",
    re.ASCII,
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_ .-]{0,99}\Z", re.ASCII)
_REFUSED = frozenset(
    {"settings", "format", "into", "outfile", "infile", "recursive", "window", "sample", "interpolate", "explain"}
)

_NODE = re.compile(r"(?P<depth> *)(?P<kind>\w+)(?: (?P<rest>.*))?\Z", re.DOTALL)
_PLAIN_NODES = frozenset(
    {
        *("SelectWithUnionQuery", "SelectIntersectExceptQuery", "SelectQuery", "ExpressionList", "WithElement"),
        *("TablesInSelectQuery", "TablesInSelectQueryElement", "TableExpression", "TableJoin", "ArrayJoin"),
        *("Subquery", "Identifier", "Literal", "Asterisk", "QualifiedAsterisk", "ColumnsTransformerList"),
        *("ColumnsExceptTransformer", "OrderByElement", "WindowDefinition", "DataType"),
    }
)
_ADDITION = re.compile(r" \((?:alias .*|children \d+)\)\Z", re.DOTALL)
_TABLE = re.compile(r"^ *TABLE id: .*table_name: (?P<name>.+)$", re.MULTILINE)
_TABLE_FUNCTION = re.compile(r"^ *TABLE_FUNCTION id: ", re.MULTILINE)


@dataclass(slots=True)
class _Node:
    """A line of the engine's tree."""

    kind: str
    name: str
    children: int = 0
    """How many of them were seen."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A query written anew."""

    sql: str
    skeleton: str
    """The same with empty texts, so that what the engine says of its form has nothing that a reader wrote freely."""


def rewrite(sql: str, other_tables: Collection[str]) -> Rewritten:
    """Return the query written anew from its tokens, without comments.

    Args:
        sql: What a reader wrote.
        other_tables: Tables of the database that no reader may see; their names are refused wherever they stand.

    Raises:
        Invalid: If it is not one SELECT, or has a sign or word that is not allowed.
    """
    if len(sql) > MAX_LENGTH:
        raise _refused(f"it is longer than {MAX_LENGTH} characters")
    written = list(_written(sql, {name.lower() for name in other_tables}))
    if not written or written[0].lower() not in ("select", "with"):
        raise _refused("it must be one SELECT, which may begin with WITH")
    return Rewritten(" ".join(written), " ".join("''" if token.startswith("'") else token for token in written))


def check_tree(tree: str) -> None:
    """Return if the answer to ``EXPLAIN AST`` has nothing but what is known to be harmless.

    Raises:
        Invalid: If it calls a function that is not allowed, names a table of a database, or has an unknown part.
    """
    path: list[_Node] = []
    for line in tree.splitlines():
        match = _NODE.match(line)
        if match is None:
            raise _refused(f"a part of it is not understood: {line.strip()!r}")
        path = path[: len(match["depth"])]
        if path:
            path[-1].children += 1
        path.append(_Node(match["kind"], _bare(match["rest"] or "")))
        _check_node(path)
    if not path:
        raise _refused("the engine understood nothing of it")


def check_tables(tree: str, allowed: Collection[str]) -> None:
    """Return if the answer to ``EXPLAIN QUERY TREE`` reads no other tables than ``allowed``, each as ``base.table``.

    Raises:
        Invalid: If it does.
    """
    if _TABLE_FUNCTION.search(tree):
        raise _refused("table functions are not allowed")
    for match in _TABLE.finditer(tree):
        if match["name"].partition(",")[0].strip() not in allowed:
            raise _refused("it reads a table that it may not see")


def _written(sql: str, hidden: Collection[str]) -> Iterator[str]:
    place = 0
    is_over = False
    while place < len(sql):
        match = _TOKEN.match(sql, place)
        if match is None:
            raise _refused(f"{sql[place : place + 20]!r} at character {place + 1} is not allowed")
        place = match.end()
        kind, text = match.lastgroup, match.group()
        if kind == "space":
            continue
        if is_over:
            raise _refused("there is something behind its end; only one statement is allowed")
        is_over = kind == "end"
        if not is_over:
            yield _token(str(kind), text, hidden)


def _token(kind: str, text: str, hidden: Collection[str]) -> str:
    if kind == "word":
        if text.lower() in _REFUSED:
            raise _refused(f'{text.upper()} is not allowed; a column of this name is written "{text}"')
        return _visible(text, text, hidden)
    if kind == "quoted":
        if not _NAME.match(text[1:-1]):
            raise _refused(f"the name {text} has signs that are not allowed")
        return _visible(f"`{text[1:-1]}`", text[1:-1], hidden)
    return _literal(text[1:-1]) if kind == "string" else text


def _visible(written: str, name: str, hidden: Collection[str]) -> str:
    if any(part.strip().lower() in hidden for part in name.split(".")):
        raise _refused(f"the name {name!r} is not allowed here; there are the tables spans, logs, points and scores")
    return written


def _literal(inside: str) -> str:
    """Return a string literal with the same value, in which nothing could be taken for a parameter."""
    if "\\{" in inside or "\\}" in inside or any(sign < " " and sign not in "\t\n" for sign in inside):
        raise _refused("a text has a sign or escape that is not allowed")
    inside = inside.replace("''", "\\'")
    return "'" + inside.replace("{", "\\x7B").replace("}", "\\x7D") + "'"


def _check_node(path: Sequence[_Node]) -> None:
    node = path[-1]
    if node.kind == "TableIdentifier":
        if "." in node.name:
            raise _refused(f"the table {node.name!r} is named with its database; leave that out")
    elif node.kind == "Function":
        if len(path) > 1 and path[-2].kind == "TableExpression":
            raise _refused(f"the table function {node.name!r} is not allowed")
        if not is_allowed(node.name):
            raise _refused(f"the function {node.name!r} is not allowed")
    elif node.kind not in _PLAIN_NODES:
        raise _refused(f"{node.kind} is not allowed")
    elif node.kind == "Identifier" and _is_set(path):
        raise _refused(f"IN {node.name} is not allowed; write IN (SELECT …) instead")


def _is_set(path: Sequence[_Node]) -> bool:
    """Return whether the last node is what IN looks into, where a name can be a table's."""
    if len(path) < 3:
        return False
    function, arguments = path[-3], path[-2]
    return function.kind == "Function" and function.name.lower() in MEMBERSHIP and arguments.children == 2


def _bare(rest: str) -> str:
    """Return the name in a line of the tree, without what the engine says of it in parentheses."""
    while match := _ADDITION.search(rest):
        rest = rest[: match.start()]
    return "" if rest.startswith("(") else rest


def _refused(why: str) -> Invalid:
    return Invalid(f"the query is refused: {why}", path="sql")
