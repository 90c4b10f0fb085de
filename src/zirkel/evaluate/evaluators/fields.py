"""Reading a field of a JSON output."""

import json


def read_field(output: str, field: str) -> str | None:
    """Return the output's field as text (the whole output if ``field`` is empty), or None if it has none."""
    if not field:
        return output.strip()
    try:
        parsed = json.loads(output)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parsed, dict) or field not in parsed:
        return None
    value = parsed[field]
    return value if isinstance(value, str) else json.dumps(value)
