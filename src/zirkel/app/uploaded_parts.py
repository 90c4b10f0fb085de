"""What uploaded experiments are about, kept as artefacts like those of a pushed service."""

import re
from collections.abc import Sequence

import msgspec

from zirkel.core import Clock, DatasetItem, EvaluatorsSpec, Principal, canonical_json
from zirkel.core.gateway_text import write_toml
from zirkel.store.metadata import Metadata
from zirkel.version.dataset_items import DraftItem
from zirkel.version.datasets import Datasets
from zirkel.version.ports import Blobs
from zirkel.version.release import Artefact

_FILE = "evaluators.toml"
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME = 128


class ArtefactParts:
    """An ``UploadParts`` over data sets and artefacts."""

    def __init__(self, metadata: Metadata, blobs: Blobs, datasets: Datasets, clock: Clock) -> None:
        self._metadata = metadata
        self._blobs = blobs
        self._datasets = datasets
        self._clock = clock

    def keep_dataset(self, actor: Principal, name: str, items: Sequence[DatasetItem]) -> str:
        """Keep items as a version of the data set ``uploaded-NAME``, and return its digest."""
        called = _NOT_IN_NAME.sub("-", f"uploaded-{name}")[:_LONGEST_NAME]
        drafts = [msgspec.convert(msgspec.to_builtins(item), DraftItem) for item in items]
        return self._datasets.push_items(actor, called, drafts).digest

    def keep_evaluators(self, actor: Principal, name: str, evaluators: EvaluatorsSpec) -> str:
        """Keep evaluators, and return their digest."""
        tables = [{"name": spec.name, "kind": spec.kind, **spec.options} for spec in evaluators.evaluator]
        artefact = Artefact("evaluators", name, {_FILE: self._blobs.put(write_toml({"evaluator": tables}).encode())})
        content = canonical_json(artefact.content).decode()
        with self._metadata.transaction() as tx:
            kept = (actor.project_id, artefact.kind, artefact.name, artefact.digest, content, self._clock.now_ns())
            tx.artefacts.add(*kept)
        return artefact.digest
