"""``privacy.toml``: what a project masks before it is kept, and how long what is kept may stay. Read and checked."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from zirkel.core.canonical import Json, canonical_json, sha256_hex
from zirkel.core.errors import Invalid

MAX_PRIVACY_BYTES = 4 * 1024 * 1024
LONGEST_DAYS = 36_500

KnownRecogniser = Literal[
    "", "email", "phone", "iban", "card", "ahv", "ip", "us_ssn", "de_tax_id", "de_social_security", "secret"
]
MaskedField = Literal[
    "input",
    "output",
    "tools",
    "parameters",
    "status_message",
    "name",
    "attributes",
    "resource",
    "events",
    "logs",
    "scores",
    "datasets",
]
"""Where a text stands. ``name`` is a span's name and its tags, ``events`` what happened within it, ``logs`` a log
record's body, ``scores`` comments, text labels and metadata."""

_Name = Annotated[str, msgspec.Meta(min_length=2, max_length=100)]
_Days = Annotated[int, msgspec.Meta(ge=1, le=LONGEST_DAYS)]
_PLACEHOLDER = re.compile(r"[^\"\\\x00-\x1f\x7f]{1,100}")
_AT = re.compile(r"(?P<said>.*?)(?: - at `(?:key in )?\$(?P<at>[^`]*)`)?", re.DOTALL)
_NAMED = re.compile(r"(?:unknown|missing required) field `([^`]*)`")


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class MaskRule(_Strict, frozen=True, kw_only=True):
    """What is masked, and where. Exactly one of ``recogniser``, ``pattern`` and ``names`` says what."""

    recogniser: KnownRecogniser = ""
    pattern: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    """A regular expression in RE2's syntax."""
    names: Annotated[list[_Name], msgspec.Meta(max_length=5000)] = []
    """Whole words in any case."""
    placeholder: Annotated[str, msgspec.Meta(max_length=100)] = ""
    """What stands in its place; by default the recogniser's name in brackets, e.g. ``[email]``."""
    fields: list[MaskedField] = []
    """Everywhere if empty."""
    services: list[str] = []
    """Only there, and where the service is not known; everywhere if empty."""
    environments: list[str] = []
    """Only there, and where the environment is not known; everywhere if empty."""


class EnvironmentRetention(_Strict, frozen=True, kw_only=True):
    """How long one environment's telemetry is kept, in days; ``None`` is as long as the project's."""

    content_days: _Days | None = None
    spans_days: _Days | None = None


class Retention(_Strict, frozen=True, kw_only=True):
    """How long telemetry is kept, in whole days (UTC); ``None`` is for good."""

    content_days: _Days | None = None
    """Texts: input, output, tools, messages of errors, events, attribute values, log bodies, comments of scores."""
    spans_days: _Days | None = None
    """Spans with their logs and scores: what was measured."""
    metrics_days: _Days | None = None
    """Points of OpenTelemetry's metrics."""
    environments: dict[str, EnvironmentRetention] = {}
    """Environments that keep less, by name."""


class PrivacyConfig(_Strict, frozen=True, kw_only=True):
    """The whole document."""

    datasets: bool = False
    """Mask the items of data sets that are pushed, too."""
    mask: Annotated[list[MaskRule], msgspec.Meta(max_length=100)] = []
    retention: Retention = Retention()


@dataclass(frozen=True, slots=True)
class PrivacyRecord:
    """One version of a project's document, as it was applied."""

    project_id: str
    version: int
    """Counts a project's versions from 1."""
    digest: str
    """SHA-256 of the document's canonical JSON."""
    text: str
    """TOML, as it was written."""
    config: str
    """Canonical JSON of the document; what is left at its default is left out."""
    applied_ns: int
    applied_by: str

    def decode(self) -> PrivacyConfig:
        """Return the document."""
        return msgspec.json.decode(self.config, type=PrivacyConfig)


def parse_privacy(text: str) -> PrivacyConfig:
    """Return the document that a TOML text says. Whether patterns compile is not looked at here.

    Raises:
        Invalid: With the path of the fault, e.g. ``mask[2].names[0]``; with a line for what is no TOML.
    """
    if len(text.encode()) > MAX_PRIVACY_BYTES:
        raise Invalid(f"the document has more than {MAX_PRIVACY_BYTES // 2**20} MiB")
    try:
        plain: object = msgspec.toml.decode(text)
    except msgspec.DecodeError as error:
        raise Invalid(f"this is no TOML: {error}") from error
    try:
        config = msgspec.convert(plain, PrivacyConfig)
    except msgspec.ValidationError as error:
        found = _AT.fullmatch(str(error))
        said, at = (found["said"], found["at"] or "") if found else (str(error), "")
        named = _NAMED.search(said)
        raise invalid_at(".".join(filter(None, [at.lstrip("."), named.group(1) if named else ""])), said) from error
    for index, rule in enumerate(config.mask):
        _check_rule(rule, f"mask[{index}]")
    _check_retention(config.retention)
    return config


def privacy_json(config: PrivacyConfig) -> str:
    """Return the document's canonical JSON; what is left at its default is left out."""
    plain: dict[str, Json] = msgspec.to_builtins(config)
    return canonical_json({name: value for name, value in plain.items() if value}).decode()


def privacy_digest(config: PrivacyConfig) -> str:
    """Return what identifies a document by its content: SHA-256 of its canonical JSON, 64 hex digits."""
    return sha256_hex(privacy_json(config).encode())


def privacy_changes(before: PrivacyConfig, after: PrivacyConfig) -> tuple[str, ...]:
    """Return what differs between two documents, for people to read, e.g. ``mask email added``."""
    old, new = ({_described(rule): rule for rule in config.mask} for config in (before, after))
    found = [f"mask {name} added" for name in new if name not in old]
    found += [f"mask {name} removed" for name in old if name not in new]
    found += [f"mask {name} changed" for name in new if name in old and old[name] != new[name]]
    found += ["masking of data sets " + ("on" if after.datasets else "off")] * (before.datasets != after.datasets)
    return (*found, *["retention changed"] * (before.retention != after.retention))


def invalid_at(path: str, said: str) -> Invalid:
    """Return the error for a fault at a path of the document."""
    return Invalid(f"{path}: {said}" if path else said, path=path or None)


def _check_rule(rule: MaskRule, path: str) -> None:
    if sum(map(bool, (rule.recogniser, rule.pattern, rule.names))) != 1:
        raise invalid_at(path, "name either a recogniser, a pattern or names")
    for index, name in enumerate(rule.names):
        if len(name.strip()) < 2 or not any(character.isalpha() for character in name):
            raise invalid_at(f"{path}.names[{index}]", f"{name!r} is no name of at least two letters")
    if rule.placeholder and not _PLACEHOLDER.fullmatch(rule.placeholder):
        raise invalid_at(f"{path}.placeholder", "a placeholder has no quotes, backslashes and control characters")


def _check_retention(retention: Retention) -> None:
    for path, content, others in _content_bounds(retention):
        for name, days in others.items():
            if content is not None and days is not None and content > days:
                raise invalid_at(path, f"content is kept for {content} days, longer than {name}, {days} days")
    for name, own in retention.environments.items():
        path = f"retention.environments.{name}"
        if not name:
            raise invalid_at(path, "an environment has a name")
        for field in ("content_days", "spans_days"):
            days, common = getattr(own, field), getattr(retention, field)
            if days is not None and common is not None and days > common:
                raise invalid_at(
                    f"{path}.{field}", f"{days} days is more than the project's {common}; an environment may keep less"
                )


def _content_bounds(retention: Retention) -> Iterator[tuple[str, int | None, Mapping[str, int | None]]]:
    """Yield each content_days with its path, and what must not be kept for a shorter time than it."""
    common = {"spans_days": retention.spans_days, "metrics_days": retention.metrics_days}
    yield "retention.content_days", retention.content_days, common
    for name, own in retention.environments.items():
        path = f"retention.environments.{name}.content_days"
        yield path, own.content_days, {"spans_days": own.spans_days}


def _described(rule: MaskRule) -> str:
    what = rule.recogniser or ("names" if rule.names else rule.pattern)
    places = [*rule.fields, *rule.services, *rule.environments]
    return f"{what} in {', '.join(places)}" if places else what
