"""A verdict's evidence as one file: its inputs, its report, and the ledger that both are entered in by digest."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from zirkel.core import (
    EvidencePack,
    Invalid,
    Json,
    Verification,
    canonical_json,
    decode_pack,
    digest,
    encode_pack,
    verify_pack,
)
from zirkel.evaluate.recompute import Recomputation, recompute

GATE_PACK_FORMAT = "zirkel-gate-1"


@dataclass(frozen=True, slots=True)
class GatePack:
    """What is needed to reach a verdict again, and to see that it is the one that was reached."""

    verdict_id: str
    inputs: Mapping[str, Json]
    report: Mapping[str, Json]
    evidence: EvidencePack


@dataclass(frozen=True, slots=True)
class PackCheck:
    """What checking a pack found."""

    recomputation: Recomputation | None
    """None if the pack itself does not hold."""
    chain: Verification
    problem: str = ""
    """What is wrong first; empty if the verdict was reached again from what the ledger names."""


def encode_gate_pack(pack: GatePack) -> bytes:
    """Return the pack as JSON lines: a header, the inputs, the report, then the ledger as an evidence pack."""
    header: Json = {"pack": GATE_PACK_FORMAT, "verdict_id": pack.verdict_id}
    lines: list[Json] = [header, {"inputs": pack.inputs}, {"report": pack.report}]
    return b"".join(canonical_json(line) + b"\n" for line in lines) + encode_pack(pack.evidence)


def decode_gate_pack(data: bytes) -> GatePack:
    """Return the pack of a file.

    Raises:
        Invalid: If it is none, or its ledger cannot be read.
    """
    parts = data.split(b"\n", 3)
    if len(parts) < 4:
        raise Invalid(f"this is no pack of a verdict: it has {len(parts) - 1} of the 4 lines that one begins with")
    header, inputs, report = (_object(line, number) for number, line in enumerate(parts[:3], start=1))
    if header.get("pack") != GATE_PACK_FORMAT:
        raise Invalid(f"line 1: this is not the header of a verdict's pack of the format {GATE_PACK_FORMAT!r}")
    return GatePack(
        str(header.get("verdict_id")), _part(inputs, "inputs", 2), _part(report, "report", 3), decode_pack(parts[3])
    )


def check_gate_pack(data: bytes, public_key: str = "") -> PackCheck:
    """Check a pack offline: the ledger's chain, that it names these inputs and this report, and the verdict anew.

    Args:
        data: The file.
        public_key: The key that must have signed the ledger, as hex; empty takes the one that signed first.

    Raises:
        Invalid: If it is no such pack.
        Incompatible: If it was computed with statistics of another major version.
    """
    pack = decode_gate_pack(data)
    chain = verify_pack(pack.evidence, public_key)
    problem = chain.problem and f"the ledger does not hold: {chain.problem}"
    problem = problem or _entry_problem(pack)
    if problem:
        return PackCheck(None, chain, problem)
    found = recompute(pack.inputs, pack.report)
    return PackCheck(found, chain, found.difference)


def _entry_problem(pack: GatePack) -> str:
    """Return what of the pack is not what the ledger's entry of the verdict names."""
    payloads = [json.loads(entry.payload) for entry in pack.evidence.entries if entry.action == "gate"]
    entry = next((payload for payload in payloads if payload.get("verdict_id") == pack.verdict_id), None)
    if entry is None:
        return f"the ledger has no verdict {pack.verdict_id}"
    for name, part in (("inputs", pack.inputs), ("report", pack.report)):
        if digest(part) != entry.get(f"{name}_digest"):
            return f"the {name} are not those that the ledger names; they were changed after the verdict"
    return ""


def _object(line: bytes, number: int) -> dict[str, Json]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"line {number} of the verdict's pack cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise Invalid(f"line {number} of the verdict's pack is not an object")
    return cast("dict[str, Json]", found)


def _part(line: Mapping[str, Json], name: str, number: int) -> Mapping[str, Json]:
    part = line.get(name)
    if not isinstance(part, Mapping):
        raise Invalid(f"line {number} of the verdict's pack has no {name}")
    return part
