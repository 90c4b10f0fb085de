"""An evidence pack: whatever is changed in it, checking it offline names the place."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from zirkel.core import (
    GENESIS_HASH,
    Checkpoint,
    EvidencePack,
    Invalid,
    Json,
    LedgerEntry,
    canonical_json,
    checkpoint_message,
    decode_pack,
    encode_pack,
    entry_hash,
    verify_pack,
)

SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEY = SIGNER.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def chain(payloads: list[Json], project: str = "default") -> tuple[LedgerEntry, ...]:
    entries: list[LedgerEntry] = []
    for sequence, payload in enumerate(payloads, start=1):
        previous = entries[-1].hash if entries else GENESIS_HASH
        text = canonical_json(payload).decode()
        draft = LedgerEntry(project, sequence, 10**18 + sequence, "ann\x1f", "push", text, previous, "")
        entries.append(replace(draft, hash=entry_hash(draft)))
    return tuple(entries)


def sign(entry: LedgerEntry) -> Checkpoint:
    at_ns = entry.at_ns + 5
    message = checkpoint_message(entry.project_id, entry.sequence, at_ns, entry.hash)
    return Checkpoint(entry.project_id, entry.sequence, at_ns, entry.hash, SIGNER.sign(message).hex(), PUBLIC_KEY)


ENTRIES = chain([{"release": "a" * 64, "n": 1.5}, {"reason": 'said "ü"\n\\', "ok": True}, [None, 0]])
PACK = EvidencePack("default", ENTRIES, (sign(ENTRIES[0]), sign(ENTRIES[2])))
ENCODED = encode_pack(PACK)


def problem_of(data: bytes) -> str:
    """Return what reading and checking a pack complains about; empty if it holds."""
    try:
        return verify_pack(decode_pack(data)).problem
    except Invalid as error:
        return str(error)


def names_a_place(problem: str) -> bool:
    return any(word in problem for word in ("entry ", "header"))


def test_a_whole_pack_holds_and_comes_back_as_it_was() -> None:
    assert decode_pack(ENCODED) == PACK
    found = verify_pack(PACK)
    assert (found.entries, found.problem, found.signed_up_to, found.is_signature_checked) == (3, "", 3, True)


@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers() | st.none()), max_size=4))
def test_every_pack_holds_and_comes_back_as_it_was(payloads: list[dict[str, Json]]) -> None:
    entries = chain(list(payloads))
    pack = EvidencePack("default", entries, tuple(sign(entry) for entry in entries[-1:]))
    assert decode_pack(encode_pack(pack)) == pack
    assert verify_pack(pack).problem == ""


@settings(max_examples=400)
@given(st.integers(0, len(ENCODED) - 1), st.integers(1, 255))
def test_any_byte_changed_to_any_other_is_found_and_placed(position: int, change: int) -> None:
    data = bytearray(ENCODED)
    data[position] ^= change
    assert names_a_place(problem_of(bytes(data))), (position, change)


@pytest.mark.parametrize("change", [0x01, 0x20])
def test_every_byte_changed_in_a_bit_is_found_and_placed(change: int) -> None:
    # 0x20 turns small letters into capitals, which hex forgives.
    for position in range(len(ENCODED)):
        data = bytearray(ENCODED)
        data[position] ^= change
        assert names_a_place(problem_of(bytes(data))), position


@given(st.integers(0, len(ENCODED) - 1))
def test_any_byte_removed_is_found_and_placed(position: int) -> None:
    assert names_a_place(problem_of(ENCODED[:position] + ENCODED[position + 1 :]))


@given(st.integers(0, len(ENCODED)), st.sampled_from([b" ", b"\n", b"\r", b"0", b'"', b"\x00"]))
def test_any_byte_added_is_found(position: int, extra: bytes) -> None:
    assert names_a_place(problem_of(ENCODED[:position] + extra + ENCODED[position:]))


@given(st.integers(0, len(ENCODED) - 1))
def test_a_file_cut_short_is_found(length: int) -> None:
    assert names_a_place(problem_of(ENCODED[:length]))


def test_a_chain_cut_short_is_found_by_its_checkpoint() -> None:
    cut = replace(PACK, entries=ENTRIES[:2])
    found = verify_pack(decode_pack(encode_pack(cut)))
    assert "signs entry 3, which is missing: the pack was cut short" in found.problem
    assert found.entries == 2


def test_a_chain_rewritten_from_the_first_entry_on_is_found_by_its_checkpoint() -> None:
    forged = replace(PACK, entries=chain([{"release": "b" * 64}, {}, {}]))
    found = verify_pack(forged)
    assert (found.entries, found.problem) == (0, "entry 1: differs from what its checkpoint signed")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"payload": "{}"}, "entry 2: (push) is not what its hash says"),
        ({"sequence": 7}, "entry 2: has the sequence 7"),
        ({"project_id": "other"}, "entry 2: belongs to the project 'other'"),
        ({"previous_hash": "0" * 64}, "entry 2: does not follow"),
    ],
)
def test_the_first_broken_entry_is_named(changes: dict[str, str], said: str) -> None:
    broken = replace(ENTRIES[1], **changes)  # type: ignore[arg-type]
    found = verify_pack(replace(PACK, entries=(ENTRIES[0], broken, ENTRIES[2])))
    assert found.problem.startswith(said)
    assert found.entries == 1


@pytest.mark.parametrize("changes", [{"signature": "00" * 64}, {"signature": "no hex"}, {"at_ns": 1}])
def test_a_wrong_signature_is_named(changes: dict[str, str]) -> None:
    broken = replace(PACK.checkpoints[1], **changes)  # type: ignore[arg-type]
    found = verify_pack(replace(PACK, checkpoints=(PACK.checkpoints[0], broken)))
    assert found.problem == "entry 3: the signature of its checkpoint is wrong"
    assert found.entries == 2


@pytest.mark.parametrize("other", [PUBLIC_KEY.upper(), "00" * 32])
def test_a_checkpoint_of_another_signer_is_named(other: str) -> None:
    foreign = replace(PACK.checkpoints[1], public_key=other)
    found = verify_pack(replace(PACK, checkpoints=(PACK.checkpoints[0], foreign)))
    assert found.problem == f"entry 3: its checkpoint is signed with another key, {other}"


def test_a_pack_that_is_rewritten_and_signed_anew_is_found_by_the_key_one_knows() -> None:
    assert verify_pack(PACK, PUBLIC_KEY.upper()).problem == ""
    assert verify_pack(PACK).public_key == PUBLIC_KEY
    assert verify_pack(PACK, "11" * 32).problem.startswith("entry 1: its checkpoint is signed with another key")
    assert verify_pack(replace(PACK, checkpoints=()), PUBLIC_KEY).problem == "the pack is not signed at all"


def test_an_unsigned_chain_says_so() -> None:
    found = verify_pack(replace(PACK, checkpoints=()))
    assert (found.problem, found.signed_up_to, found.is_signature_checked) == ("", 0, False)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "line 1"),
        (b"[]\n", "line 1 .* not an object"),
        (b'{"pack":"zirkel-evidence-2"}\n', "line 1: .* not the header"),
        (ENCODED.split(b"\n")[0] + b'\n{"other":1}\n', "line 2 .* neither an entry nor a checkpoint"),
        (ENCODED.split(b"\n")[0] + b'\n{"entry":{"sequence":"x"}}\n', r"line 2 \(entry 1\)"),
        (ENCODED.split(b"\n")[0] + b"\n", "header promises 3 entries, the pack holds 0"),
        (b"[" * 100_000, "line 1"),
    ],
)
def test_a_file_that_is_no_pack_is_refused_with_its_line(data: bytes, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        decode_pack(data)
