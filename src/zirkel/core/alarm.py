"""What is wrong with a process, for people who run it."""

from dataclasses import dataclass
from typing import Literal

AlarmLevel = Literal["warning", "problem"]
"""A warning needs a look today; a problem means that something is not recorded, or may get lost, now."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that is wrong."""

    name: str
    """Of its kind: there is one alarm of a kind at a time."""
    level: AlarmLevel
    text: str
    what_to_do: str
    since_ns: int = 0
    """When it began, UTC nanoseconds; 0 if only who sees it begin can say."""
