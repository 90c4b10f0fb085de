"""What a person would read of inputs and outputs: the text of a message among messages.

Two steps, because the engine works a nested expression out again wherever it stands: pick the message, take its text.
"""

_TEXT = """if(
    JSONHas(MESSAGE, 'parts'),
    arrayStringConcat(
        arrayMap(
            part -> JSONExtractString(part, 'content'),
            arrayFilter(part -> JSONExtractString(part, 'type') = 'text', JSONExtractArrayRaw(MESSAGE, 'parts'))
        ),
        '\\n'
    ),
    if(
        JSONType(MESSAGE, 'content') = 'Array',
        arrayStringConcat(
            arrayMap(part -> JSONExtractString(part, 'text'), JSONExtractArrayRaw(MESSAGE, 'content')), '\\n'
        ),
        JSONExtractString(MESSAGE, 'content')
    )
)"""


def asked_message(column: str) -> str:
    """Return the last message of a user in a column of JSON text, as SQL for JSON text; empty if there is none."""
    return f"arrayLast(message -> JSONExtractString(message, 'role') = 'user', JSONExtractArrayRaw({column}))"


def last_message(column: str) -> str:
    """Return the last message in a column of JSON text."""
    return f"JSONExtractArrayRaw({column})[-1]"


def readable(message: str, column: str, length: str) -> str:
    """Return the text of ``message``, or what else the column has, of at most ``length`` characters."""
    plain = f"if(startsWith({column}, '\"'), JSONExtractString({column}), {column})"
    text = _TEXT.replace("MESSAGE", message)
    return f"leftUTF8(coalesce(nullIf({text}, ''), {plain}), {length})"
