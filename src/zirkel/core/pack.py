"""An evidence pack: a project's whole ledger as one file that anybody can check offline."""

import json
from dataclasses import asdict, dataclass

import msgspec

from zirkel.core.canonical import Json, canonical_json
from zirkel.core.errors import Invalid
from zirkel.core.ledger import GENESIS_HASH, entry_hash
from zirkel.core.records import Checkpoint, LedgerEntry

PACK_FORMAT = "zirkel-evidence-1"


@dataclass(frozen=True, slots=True)
class EvidencePack:
    """Entries in order and the signatures over them."""

    project_id: str
    entries: tuple[LedgerEntry, ...]
    checkpoints: tuple[Checkpoint, ...]


@dataclass(frozen=True, slots=True)
class Verification:
    """What checking a pack found."""

    entries: int
    """Entries that hold, counted from the first."""
    problem: str = ""
    """Empty if the chain holds; otherwise what is wrong with the first broken entry, which is named."""
    signed_up_to: int = 0
    """The last entry under a checkpoint."""
    is_signature_checked: bool = False
    """False where no Ed25519 library is installed; the chain itself was checked all the same."""
    public_key: str = ""
    """The key that signed; whoever rewrites a whole pack signs it with another one, so compare it with a known one."""


def encode_pack(pack: EvidencePack) -> bytes:
    """Return the pack as JSON lines: a header, then entries and checkpoints."""
    header: Json = {
        "pack": PACK_FORMAT,
        "project_id": pack.project_id,
        "entries": len(pack.entries),
        "checkpoints": len(pack.checkpoints),
    }
    lines = [header]
    lines += [{"entry": asdict(entry)} for entry in pack.entries]
    lines += [{"checkpoint": asdict(checkpoint)} for checkpoint in pack.checkpoints]
    return b"".join(canonical_json(line) + b"\n" for line in lines)


def decode_pack(data: bytes) -> EvidencePack:
    """Return the pack of a file. Only the bytes that ``encode_pack`` gives are a pack: no change goes unseen.

    Raises:
        Invalid: With the line that cannot be read, and the entry it holds where that can be told.
    """
    lines = data.split(b"\n")
    header = _line(lines[0], 1)
    if header.get("pack") != PACK_FORMAT:
        raise Invalid(f"line 1: this is not the header of an evidence pack of the format {PACK_FORMAT!r}")
    entries: list[LedgerEntry] = []
    checkpoints: list[Checkpoint] = []
    for number, line in enumerate(lines[1:-1], start=2):
        fields = _line(line, number)
        try:
            if set(fields) == {"entry"}:
                entries.append(msgspec.convert(fields["entry"], LedgerEntry))
            elif set(fields) == {"checkpoint"}:
                checkpoints.append(msgspec.convert(fields["checkpoint"], Checkpoint))
            else:
                raise Invalid(f"line {number} (entry {number - 1}): neither an entry nor a checkpoint")
        except msgspec.ValidationError as error:
            raise Invalid(f"line {number} (entry {number - 1}): {error}") from error
    promised = header.get("entries"), header.get("checkpoints")
    if promised[0] != len(entries):
        raise Invalid(f"the header promises {promised[0]} entries, the pack holds {len(entries)}; it was cut")
    if promised[1] != len(checkpoints):
        raise Invalid(f"the header promises {promised[1]} checkpoints, the pack holds {len(checkpoints)}; it was cut")
    pack = EvidencePack(str(header.get("project_id")), tuple(entries), tuple(checkpoints))
    _require_same_text(data, encode_pack(pack))
    return pack


def verify_pack(pack: EvidencePack, public_key: str = "") -> Verification:
    """Recompute the chain and check the signatures; stop at the first broken entry and name it.

    Args:
        pack: What to check.
        public_key: The key that must have signed, as hex; empty takes the one that signed first.
    """
    previous = GENESIS_HASH
    for position, entry in enumerate(pack.entries, start=1):
        problem = _entry_problem(entry, position, previous, pack.project_id)
        if problem:
            return Verification(entries=position - 1, problem=f"entry {position}: {problem}")
        previous = entry.hash
    return _verify_checkpoints(pack, public_key.lower())


def checkpoint_message(project_id: str, sequence: int, at_ns: int, entry_hash_hex: str) -> bytes:
    """Return the bytes that a checkpoint's signature is over."""
    return canonical_json({"project_id": project_id, "sequence": sequence, "at_ns": at_ns, "hash": entry_hash_hex})


def _entry_problem(entry: LedgerEntry, position: int, previous: str, project_id: str) -> str:
    if entry.sequence != position:
        return f"has the sequence {entry.sequence}; an entry is missing, doubled or out of order"
    if entry.project_id != project_id:
        return f"belongs to the project {entry.project_id!r}"
    if entry.previous_hash != previous:
        return "does not follow from the entry before it"
    if entry.hash != entry_hash(entry):
        return f"({entry.action}) is not what its hash says; it was changed after it was written"
    return ""


def _verify_checkpoints(pack: EvidencePack, public_key: str) -> Verification:
    total = len(pack.entries)
    signer = public_key or (pack.checkpoints[0].public_key if pack.checkpoints else "")
    signed_up_to = 0
    is_checked = True
    for checkpoint in pack.checkpoints:
        if not 1 <= checkpoint.sequence <= total:
            problem = f"a checkpoint signs entry {checkpoint.sequence}, which is missing: the pack was cut short"
            return Verification(entries=total, problem=problem)
        if checkpoint.hash != pack.entries[checkpoint.sequence - 1].hash:
            problem = f"entry {checkpoint.sequence}: differs from what its checkpoint signed"
            return Verification(entries=checkpoint.sequence - 1, problem=problem)
        if checkpoint.public_key != signer:
            problem = f"entry {checkpoint.sequence}: its checkpoint is signed with another key, {checkpoint.public_key}"
            return Verification(entries=checkpoint.sequence - 1, problem=problem)
        holds = _signature_holds(checkpoint)
        if holds is False:
            problem = f"entry {checkpoint.sequence}: the signature of its checkpoint is wrong"
            return Verification(entries=checkpoint.sequence - 1, problem=problem)
        is_checked = is_checked and holds is True
        signed_up_to = max(signed_up_to, checkpoint.sequence)
    if public_key and not pack.checkpoints:
        return Verification(entries=total, problem="the pack is not signed at all")
    is_signed = signed_up_to > 0
    return Verification(
        total, signed_up_to=signed_up_to, is_signature_checked=is_checked and is_signed, public_key=signer
    )


def _signature_holds(checkpoint: Checkpoint) -> bool | None:
    """Return whether the signature is right, or None where it cannot be checked here."""
    try:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 (the light client may lack it)
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    except ImportError:
        return None
    message = checkpoint_message(checkpoint.project_id, checkpoint.sequence, checkpoint.at_ns, checkpoint.hash)
    try:
        public_key = Ed25519PublicKey.from_public_bytes(_from_hex(checkpoint.public_key))
        public_key.verify(_from_hex(checkpoint.signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _from_hex(text: str) -> bytes:
    data = bytes.fromhex(text)
    if data.hex() != text:
        raise ValueError(f"{text!r} is not lower-case hex")
    return data


def _require_same_text(data: bytes, canonical: bytes) -> None:
    """Return if both are the same; what they hold is known to be.

    Raises:
        Invalid: Naming the first line that differs.
    """
    if data == canonical:
        return
    pairs = zip(data.split(b"\n"), canonical.split(b"\n"), strict=False)
    number = next((number for number, (ours, theirs) in enumerate(pairs, start=1) if ours != theirs), 1)
    place = "line 1 (the header)" if number == 1 else f"line {number} (entry {number - 1})"
    raise Invalid(f"{place} is not in canonical form; it was changed after it was written")


def _line(line: bytes, number: int) -> dict[str, object]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"line {number} (entry {number - 1}) cannot be read: {error}") from error
    if not isinstance(fields, dict):
        raise Invalid(f"line {number} (entry {number - 1}) is not an object")
    return fields
