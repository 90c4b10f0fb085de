"""Pushing services and opening releases again."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from zirkel.core import (
    CachePolicy,
    Clock,
    Conflict,
    DatasetItem,
    EvaluatorSpec,
    EvaluatorsSpec,
    GatePolicy,
    ModelSpec,
    NotFound,
    PricesSpec,
    Principal,
    ReleaseBundle,
    ReleaseRecord,
    Resilience,
    Role,
    ServiceRecord,
    UnitKind,
    canonical_json,
)
from zirkel.core.datasets import DatasetFacts
from zirkel.version.dataset_schema import encode_schema, infer_schema
from zirkel.version.files import (
    DATASET_FILE,
    EXAMPLES_FILE,
    ServiceFiles,
    parse_dataset,
    parse_evaluators,
    parse_examples,
    parse_guardrails,
    parse_prompt,
    parse_service,
    parse_toml,
    select_files,
)
from zirkel.version.masking import mask_items
from zirkel.version.ports import Blobs, ItemMaskers, VersionMetadata, VersionTransaction
from zirkel.version.release import Artefact, Release, artefact_files, build_releases


@dataclass(frozen=True, slots=True)
class PushedArtefact:
    """What became of one artefact."""

    kind: str
    digest: str
    version: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class PushResult:
    """What a push did."""

    service: str
    release: str
    release_number: int
    baseline: str | None
    artefacts: tuple[PushedArtefact, ...]
    is_changed: bool


class Registry:
    """Versions of services: push, list, open."""

    def __init__(
        self,
        metadata: VersionMetadata,
        blobs: Blobs,
        clock: Clock,
        maskers: ItemMaskers | None = None,
        check_evaluator: Callable[[EvaluatorSpec], None] = lambda _: None,
        check_policy: Callable[[GatePolicy, EvaluatorsSpec], None] = lambda _, __: None,
    ) -> None:
        """Prepare the registry.

        ``check_evaluator`` raises ``Invalid`` for a kind that is unknown, or wrong options; ``check_policy`` for bounds
        of a gate that lie where its metric never is.
        """
        self._metadata = metadata
        self._blobs = blobs
        self._clock = clock
        self._maskers = maskers
        self._check_evaluator = check_evaluator
        self._check_policy = check_policy

    def push(self, actor: Principal, contents: Mapping[str, bytes]) -> PushResult:
        """Register a service's files. The same files again change nothing.

        Where the project masks data sets, the data set is registered masked, and its digest is that of what was kept.

        Raises:
            Forbidden: If the actor is no admin.
            Invalid: If a file is malformed; nothing is registered then.
        """
        actor.require(Role.ADMIN)
        files = select_files(self._masked(actor.project_id, contents))
        definition = parse_service(files)
        for spec in definition.evaluators.evaluator:
            self._check_evaluator(spec)
        self._check_policy(definition.gate, definition.evaluators)
        releases = build_releases(files, definition)
        for data in files.contents.values():
            self._blobs.put(data)
        now_ns = self._clock.now_ns()
        with self._metadata.transaction() as tx:
            pushed = _add_artefacts(tx, actor.project_id, releases, now_ns)
            _describe_dataset(tx, actor, pushed, definition.dataset)
            # The baseline first: it is the older of the two, and its number should say so.
            fresh = [_add_release(tx, actor, release, now_ns) for release in reversed(releases)]
            candidate = releases[0]
            baseline = releases[1].digest if len(releases) > 1 else None
            before = tx.releases.service(actor.project_id, candidate.service)
            record = ServiceRecord(
                project_id=actor.project_id,
                name=candidate.service,
                description=definition.service.description,
                candidate_release=candidate.digest,
                baseline_release=baseline,
                updated_ns=now_ns,
            )
            moved = before is None or dataclasses.replace(before, updated_ns=now_ns) != record
            if moved:
                tx.releases.put_service(record)
            is_changed = any(fresh) or moved
            if is_changed:
                payload = {
                    "service": candidate.service,
                    "release": candidate.digest,
                    "baseline": baseline,
                    "artefacts": {artefact.kind: artefact.digest for artefact in candidate.artefacts},
                }
                tx.ledger.append(actor.project_id, actor.label, "push", payload)
            known = tx.releases.get(actor.project_id, candidate.digest)
            assert known is not None
        return PushResult(candidate.service, candidate.digest, known.number, baseline, tuple(pushed), is_changed)

    def _masked(self, project_id: str, contents: Mapping[str, bytes]) -> Mapping[str, bytes]:
        rules = self._maskers.dataset_masker(project_id) if self._maskers else None
        if rules is None or DATASET_FILE not in contents:
            return contents
        return {**contents, DATASET_FILE: mask_items(contents[DATASET_FILE], rules.mask_json)}

    def services(self, actor: Principal) -> list[ServiceRecord]:
        """Return the project's services by name."""
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            return list(tx.releases.services(actor.project_id))

    def releases(self, actor: Principal, service: str) -> list[ReleaseRecord]:
        """Return a service's releases, newest first.

        Raises:
            NotFound: If there is no such service.
        """
        actor.require(Role.READ)
        self.service(actor.project_id, service)
        with self._metadata.transaction() as tx:
            return list(tx.releases.history(actor.project_id, service))

    def service(self, project_id: str, service: str) -> ServiceRecord:
        """Return what was pushed last for a service.

        Raises:
            NotFound: If there is no such service.
        """
        with self._metadata.transaction() as tx:
            record = tx.releases.service(project_id, service)
        if record is None:
            raise NotFound(f"service {service!r} does not exist; register it with: zirkel push FOLDER")
        return record

    def resolve(self, project_id: str, service: str, reference: str) -> str:
        """Return the digest that ``reference`` names: ``candidate``, ``baseline``, a number or a digest's start.

        Raises:
            NotFound: If nothing matches.
            Conflict: If a prefix matches several releases.
        """
        record = self.service(project_id, service)
        if reference == "candidate":
            return record.candidate_release
        if reference == "baseline":
            if record.baseline_release is None:
                raise NotFound(f"service {service!r} declares no [baseline] in service.toml")
            return record.baseline_release
        with self._metadata.transaction() as tx:
            history = tx.releases.history(project_id, service)
            by_number = [found for found in history if str(found.number) == reference]
            found = by_number or list(tx.releases.find(project_id, service, reference))
        if not found:
            raise NotFound(f"service {service!r} has no release {reference!r}; see: zirkel releases {service}")
        if len(found) > 1:
            raise Conflict(f"{reference!r} names {len(found)} releases of {service!r}; give more digits")
        return found[0].digest

    def prompt_release(self, actor: Principal, service: str, environment: str, reference: str = "") -> str:
        """Return the digest of the release whose prompt a program gets: what ``reference`` names, else what is stable.

        Raises:
            Forbidden: If the actor may neither call nor read.
            NotFound: If there is no such service or release, or nothing of it was shipped to the environment.
            Conflict: If a prefix matches several releases.
        """
        if Role.CALL not in actor.roles:
            actor.require(Role.READ)
        if reference:
            return self.resolve(actor.project_id, service, reference)
        self.service(actor.project_id, service)
        with self._metadata.transaction() as tx:
            state = tx.environments.get(actor.project_id, service, environment)
        if state is None:
            raise NotFound(
                f"nothing of {service!r} was shipped to {environment!r} yet; start with: zirkel ship {service}"
            )
        return state.stable_release

    def open(self, project_id: str, digest: str) -> ReleaseBundle:
        """Return a release with its artefacts parsed from the stored, verified bytes.

        Raises:
            NotFound: If the release is unknown.
            Corrupt: If a stored blob is not what its digest says.
        """
        with self._metadata.transaction() as tx:
            record = tx.releases.get(project_id, digest)
            if record is None:
                raise NotFound(f"release {digest[:12]!r} is not known in this project")
            manifest = msgspec.json.decode(record.manifest)
            digests: dict[str, str] = manifest["artefacts"]
            artefacts = {
                kind: Artefact(kind, record.service, msgspec.json.decode(tx.artefacts.content(project_id, value)))
                for kind, value in digests.items()
            }
            prompt_version = tx.artefacts.version(project_id, digests["prompt"])
        return self._parse(record, artefacts, digests, prompt_version)

    def dataset(self, project_id: str, digest: str) -> list[DatasetItem]:
        """Return the items of a data set version."""
        path, files = self._artefact_file(project_id, "dataset", digest)
        return parse_dataset(files.text(path), path)

    def evaluators(self, project_id: str, digest: str) -> EvaluatorsSpec:
        """Return the evaluators of a version."""
        path, files = self._artefact_file(project_id, "evaluators", digest)
        return parse_evaluators(files, path)

    def _artefact_file(self, project_id: str, kind: str, digest: str) -> tuple[str, ServiceFiles]:
        with self._metadata.transaction() as tx:
            content = msgspec.json.decode(tx.artefacts.content(project_id, digest))
        ((path, sha),) = artefact_files(Artefact(kind, "", content)).items()
        return path, ServiceFiles({path: self._blobs.get(sha)})

    def _parse(
        self, record: ReleaseRecord, artefacts: Mapping[str, Artefact], digests: Mapping[str, str], prompt_version: int
    ) -> ReleaseBundle:
        paths = {path: sha for artefact in artefacts.values() for path, sha in artefact_files(artefact).items()}
        files = ServiceFiles({path: self._blobs.get(sha) for path, sha in paths.items()})
        model = msgspec.convert(artefacts["model"].content, _ModelContent)
        (prompt_path,) = artefact_files(artefacts["prompt"])
        context = artefact_files(artefacts["context"])
        return ReleaseBundle(
            project_id=record.project_id,
            digest=record.digest,
            service=record.service,
            number=record.number,
            unit=model.unit,
            prompt=parse_prompt(files, prompt_path),
            prompt_version=prompt_version,
            targets=(model.model, *(_inherit(link, model.model) for link in model.fallback)),
            examples=tuple(parse_examples(files)),
            documents={p.removeprefix("context/"): files.text(p) for p in context if p != EXAMPLES_FILE},
            dataset=tuple(parse_dataset(files.text(DATASET_FILE), DATASET_FILE)),
            evaluators=parse_evaluators(files),
            gate=parse_toml(files, "gate.toml", GatePolicy),
            prices=parse_toml(files, "prices.toml", PricesSpec) if "prices.toml" in paths else None,
            artefacts=dict(digests),
            resilience=model.resilience,
            cache=model.cache,
            guardrails=parse_guardrails(files),
        )


def _inherit(link: ModelSpec, primary: ModelSpec) -> ModelSpec:
    """Return a fallback with the primary's parameters where it names none of its own."""
    return msgspec.structs.replace(link, parameters={**primary.parameters, **link.parameters})


class _ModelContent(msgspec.Struct, frozen=True):
    unit: UnitKind
    model: ModelSpec
    fallback: list[ModelSpec]
    resilience: Resilience | None = None
    cache: CachePolicy | None = None


def _add_artefacts(
    tx: VersionTransaction, project_id: str, releases: list[Release], now_ns: int
) -> list[PushedArtefact]:
    pushed: dict[str, PushedArtefact] = {}
    for artefact in [artefact for release in reversed(releases) for artefact in release.artefacts]:
        if artefact.digest not in pushed:
            content = canonical_json(artefact.content).decode()
            added = tx.artefacts.add(project_id, artefact.kind, artefact.name, artefact.digest, content, now_ns)
            pushed[artefact.digest] = PushedArtefact(artefact.kind, artefact.digest, added.version, added.is_new)
    return list(pushed.values())


def _describe_dataset(
    tx: VersionTransaction, actor: Principal, pushed: list[PushedArtefact], items: list[DatasetItem]
) -> None:
    facts = DatasetFacts(encode_schema(infer_schema(items)), len(items), "service", actor.label)
    for artefact in pushed:
        if artefact.kind == "dataset" and artefact.is_new:
            tx.datasets.describe(actor.project_id, artefact.digest, facts)


def _add_release(tx: VersionTransaction, actor: Principal, release: Release, now_ns: int) -> bool:
    manifest = canonical_json(release.manifest).decode()
    record = ReleaseRecord(actor.project_id, release.digest, release.service, 0, manifest, now_ns, actor.label)
    return tx.releases.add(record)
