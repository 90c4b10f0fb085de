"""From files to artefacts to a release: everything content-addressed, nothing else identifies it."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from zirkel.core import Json, ModelSpec, ServiceSpec, canonical_json, digest, sha256_hex
from zirkel.version.files import DATASET_FILE, GUARDRAILS_FILE, ServiceDefinition, ServiceFiles

MANIFEST_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Artefact:
    """A content-addressed part of a release."""

    kind: str
    """``prompt``, ``model``, ``context``, ``dataset``, ``evaluators``, ``gate``, ``prices`` or ``guardrails``."""
    name: str
    content: Json
    """What the digest is taken of; files appear by path and SHA-256."""

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of kind, name and content."""
        return digest({"kind": self.kind, "name": self.name, "content": self.content})


@dataclass(frozen=True, slots=True)
class Release:
    """An immutable bundle: its manifest names each artefact by digest."""

    service: str
    variant: str
    """``candidate`` or ``baseline``: which of the files' two releases this is. Not part of the digest."""
    artefacts: tuple[Artefact, ...]

    @property
    def manifest(self) -> dict[str, Json]:
        """What the release's digest is taken of."""
        parts: dict[str, Json] = {artefact.kind: artefact.digest for artefact in self.artefacts}
        return {"format": MANIFEST_FORMAT, "service": self.service, "artefacts": parts}

    @property
    def digest(self) -> str:
        """The release digest, 64 hex digits."""
        return digest(self.manifest)

    def artefact(self, kind: str) -> Artefact:
        """Return the artefact of a kind; each release has exactly one of each, and guardrails or none."""
        return next(artefact for artefact in self.artefacts if artefact.kind == kind)


def build_releases(files: ServiceFiles, definition: ServiceDefinition) -> list[Release]:
    """Return the candidate and, if ``service.toml`` declares one, the baseline. Pure."""
    spec = definition.service
    candidate = _build(files, definition, "candidate", definition.prompt_path, spec)
    if spec.baseline is None:
        return [candidate]
    model_spec = msgspec.structs.replace(spec, model=spec.baseline.model) if spec.baseline.model else spec
    prompt_path = spec.baseline.prompt or definition.prompt_path
    return [candidate, _build(files, definition, "baseline", prompt_path, model_spec)]


def _build(
    files: ServiceFiles, definition: ServiceDefinition, variant: str, prompt_path: str, spec: ServiceSpec
) -> Release:
    name = spec.name
    hashes = file_hashes(files)
    context = {path: sha for path, sha in hashes.items() if path.startswith("context/")}
    prices: Json = {"prices.toml": hashes["prices.toml"]} if definition.prices else {"table": "genai-prices"}
    return Release(
        service=name,
        variant=variant,
        artefacts=(
            Artefact("prompt", name, {prompt_path: hashes[prompt_path]}),
            Artefact("model", name, _model_content(spec)),
            Artefact("context", name, context),
            Artefact("dataset", name, {DATASET_FILE: hashes[DATASET_FILE]}),
            Artefact("evaluators", name, {"evaluators.toml": hashes["evaluators.toml"]}),
            Artefact("gate", name, {"gate.toml": hashes["gate.toml"]}),
            Artefact("prices", name, prices),
            *_guardrails(name, hashes),
        ),
    )


def _guardrails(name: str, hashes: Mapping[str, str]) -> tuple[Artefact, ...]:
    # Not an empty one for none: a release without guardrails keeps the digest it has always had.
    if GUARDRAILS_FILE not in hashes:
        return ()
    return (Artefact("guardrails", name, {GUARDRAILS_FILE: hashes[GUARDRAILS_FILE]}),)


def _model_content(spec: ServiceSpec) -> Json:
    content: dict[str, Json] = {
        "unit": spec.unit,
        "model": _plain_model(spec.model),
        "fallback": [_plain_model(link) for link in spec.fallback],
    }
    # As above: what is not set is not in the digest.
    if spec.resilience is not None:
        content["resilience"] = _plain(spec.resilience)
    if spec.cache is not None:
        content["cache"] = _plain(spec.cache)
    return content


def file_hashes(files: ServiceFiles) -> dict[str, str]:
    """Return the SHA-256 of each file by path."""
    return {path: sha256_hex(data) for path, data in sorted(files.contents.items())}


def artefact_files(artefact: Artefact) -> Mapping[str, str]:
    """Return the files an artefact is made of, path to SHA-256; empty for one that is not made of files."""
    if artefact.kind == "model" or not isinstance(artefact.content, Mapping):
        return {}
    return {path: str(sha) for path, sha in artefact.content.items() if path != "table"}


def _plain_model(model: ModelSpec) -> Json:
    # A field at its default is left out, but for these two, which were in the first format's digests.
    return {"name": model.name, "parameters": {}, **_plain(model)}


def _plain(value: msgspec.Struct) -> dict[str, Json]:
    plain: dict[str, Json] = msgspec.json.decode(canonical_json(msgspec.to_builtins(value)))
    return plain
