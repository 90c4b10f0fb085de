"""Several results in one record."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from zirkel.stats.result import PlainValue, Result

Plain = PlainValue | Mapping[str, "Plain"] | list["Plain"]
"""What a field of a report is in JSON."""


@dataclass(frozen=True, slots=True)
class Report:
    """Base of records that are made of results: a frozen dataclass whose fields have a plain form."""

    def to_dict(self) -> dict[str, Plain]:
        """Return the fields as plain JSON values, results and reports in it as objects, tuples as lists."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def _plain(value: object) -> Plain:
    if isinstance(value, Report | Result):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a {type(value).__name__} has no plain form")
