"""JSON as the SDK builds it."""

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
"""A JSON value. Not ``core.Json``: importing ``core`` takes longer than all that ``observe`` needs."""
