"""Reading, signing and exporting the ledger."""

import pytest

from zirkel.core import Forbidden, ManualClock, Principal, Role, decode_pack, encode_pack, verify_pack
from zirkel.govern import Evidence
from zirkel.store.metadata import Metadata


def append(metadata: Metadata, count: int, project: str = "default") -> None:
    with metadata.transaction() as tx:
        for number in range(count):
            tx.ledger.append(project, "ann", "push", {"n": number})


def test_an_exported_pack_holds_and_is_signed_to_its_end(
    evidence: Evidence, metadata: Metadata, reader: Principal
) -> None:
    append(metadata, 3)
    append(metadata, 2, "another project")
    pack = decode_pack(encode_pack(evidence.export(reader)))
    found = verify_pack(pack)
    assert (found.problem, found.entries, found.signed_up_to, found.is_signature_checked) == ("", 3, 3, True)


def test_an_export_signs_what_is_new_and_keeps_the_signatures_before(
    evidence: Evidence, metadata: Metadata, clock: ManualClock, reader: Principal
) -> None:
    append(metadata, 2)
    first = evidence.export(reader)
    clock.advance(60)
    assert evidence.export(reader) == first
    append(metadata, 1)
    second = evidence.export(reader)
    assert second.checkpoints[0] == first.checkpoints[0]
    assert [checkpoint.sequence for checkpoint in second.checkpoints] == [2, 3]
    assert verify_pack(second).problem == ""


def test_an_empty_ledger_is_an_empty_pack(evidence: Evidence, reader: Principal) -> None:
    pack = evidence.export(reader)
    assert (pack.entries, pack.checkpoints) == ((), ())
    assert verify_pack(decode_pack(encode_pack(pack))).problem == ""


def test_entries_are_read_in_pages(evidence: Evidence, metadata: Metadata, reader: Principal) -> None:
    assert evidence.last_sequence(reader) == 0
    append(metadata, 5)
    assert evidence.last_sequence(reader) == 5
    assert [entry.sequence for entry in evidence.entries(reader, after=2, limit=2)] == [3, 4]


def test_who_may_not_read_sees_no_evidence(evidence: Evidence) -> None:
    caller = Principal("default", "k", "app", frozenset({Role.CALL}))
    with pytest.raises(Forbidden):
        evidence.entries(caller)
    with pytest.raises(Forbidden):
        evidence.export(caller)
    with pytest.raises(Forbidden):
        evidence.last_sequence(caller)
