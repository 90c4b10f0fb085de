"""Keys with two secrets for a while."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zirkel.core import Invalid, ManualClock, NotFound, Principal, Role, Unauthenticated
from zirkel.govern import Access, Vault
from zirkel.store.metadata import Metadata

CALL = frozenset({Role.CALL})


def test_a_rotated_key_keeps_its_id_and_takes_both_secrets_until_the_overlap_ends(
    access: Access, clock: ManualClock, admin: Principal
) -> None:
    first = access.create_key(admin, "app", CALL)
    second = access.rotate_key(admin, first.record.key_id, 60)
    assert second.text != first.text
    assert second.record.hint == f"…{second.text[-4:]}"
    assert second.record.previous_expires_ns == clock.now_ns() + 60 * 10**9
    clock.advance(59)
    assert access.authenticate(first.text) == access.authenticate(second.text)
    clock.advance(1)
    with pytest.raises(Unauthenticated, match="was rotated"):
        access.authenticate(first.text)
    assert access.authenticate(second.text).principal_id == first.record.key_id


def test_without_an_overlap_the_secret_before_ends_at_once(access: Access, admin: Principal) -> None:
    first = access.create_key(admin, "app", CALL)
    second = access.rotate_key(admin, first.record.key_id, 0)
    with pytest.raises(Unauthenticated, match="not known"):
        access.authenticate(first.text)
    assert access.authenticate(second.text).label == "app"


def test_rotating_again_ends_the_earliest_secret_at_once(access: Access, admin: Principal) -> None:
    first = access.create_key(admin, "app", CALL)
    second = access.rotate_key(admin, first.record.key_id, 3600)
    third = access.rotate_key(admin, first.record.key_id, 3600)
    with pytest.raises(Unauthenticated):
        access.authenticate(first.text)
    assert access.authenticate(second.text) == access.authenticate(third.text)


def test_revoking_ends_both_secrets(access: Access, admin: Principal) -> None:
    first = access.create_key(admin, "app", CALL)
    second = access.rotate_key(admin, first.record.key_id, 3600)
    access.revoke_key(admin, first.record.key_id)
    for text in (first.text, second.text):
        with pytest.raises(Unauthenticated, match="not known"):
            access.authenticate(text)
    assert access.get_key(admin, first.record.key_id).secret_ends() == {}


def test_an_overlap_does_not_outlive_the_key(access: Access, clock: ManualClock, admin: Principal) -> None:
    end_ns = clock.now_ns() + 10 * 10**9
    first = access.create_key(admin, "app", CALL, end_ns)
    second = access.rotate_key(admin, first.record.key_id, 3600)
    assert set(second.record.secret_ends().values()) == {end_ns}
    clock.advance(10)
    for text in (first.text, second.text):
        with pytest.raises(Unauthenticated, match="expired"):
            access.authenticate(text)


@pytest.mark.parametrize("overlap_s", [-1, 365 * 86_400 + 1])
def test_an_overlap_out_of_bounds_is_told(access: Access, admin: Principal, overlap_s: int) -> None:
    made = access.create_key(admin, "app", CALL)
    with pytest.raises(Invalid) as raised:
        access.rotate_key(admin, made.record.key_id, overlap_s)
    assert raised.value.path == "overlap_s"
    assert access.get_key(admin, made.record.key_id) == made.record


@pytest.mark.parametrize("state", ["unknown", "revoked", "expired", "another project's"])
def test_only_a_valid_key_of_the_project_is_rotated(access: Access, admin: Principal, state: str) -> None:
    made = access.create_key(admin, "app", CALL, 1 if state == "expired" else None)
    key_id = "unknown" if state == "unknown" else made.record.key_id
    if state == "revoked":
        access.revoke_key(admin, key_id)
    who = Principal("other", "k9", "eve", admin.roles) if state == "another project's" else admin
    with pytest.raises(NotFound, match="no valid key"):
        access.rotate_key(who, key_id, 60)
    assert access.get_key(admin, made.record.key_id).key_hash == made.record.key_hash


@contextmanager
def opened(folder: Path, clock: ManualClock) -> Iterator[Access]:
    class Silent:
        def publish(self) -> None:
            pass

    metadata = Metadata.open(f"sqlite:///{folder}/metadata.sqlite", clock)
    try:
        yield Access(metadata, Silent(), Vault(bytes(32)), lambda t: hashlib.sha256(t.encode()).hexdigest(), clock)
    finally:
        metadata.close()


def is_taken(access: Access, text: str) -> bool:
    try:
        access.authenticate(text)
    except Unauthenticated:
        return False
    return True


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("rotate"), st.sampled_from([0, 5, 10, 100])),
        st.tuples(st.just("wait"), st.integers(1, 12)),
        st.tuples(st.just("revoke"), st.just(0)),
    ),
    max_size=8,
)


@settings(max_examples=25, deadline=None)
@given(steps=STEPS)
def test_a_secret_is_taken_exactly_as_long_as_its_rotations_say(steps: list[tuple[str, int]]) -> None:
    clock, admin = ManualClock(), Principal("default", "k1", "ann", frozenset({Role.ADMIN}))
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder), clock) as access:
        made = access.create_key(admin, "app", CALL)
        # The slow obvious version: the end of each secret there ever was, in seconds since the beginning.
        ends: dict[str, float] = {made.text: float("inf")}
        newest, now_s = made.text, 0
        for step, seconds in steps:
            is_valid = ends[newest] > now_s
            if step == "wait":
                now_s += seconds
                clock.advance(seconds)
            elif step == "revoke" and is_valid:
                access.revoke_key(admin, made.record.key_id)
                ends = dict.fromkeys(ends, 0)
            elif step == "rotate" and is_valid:
                rotated = access.rotate_key(admin, made.record.key_id, seconds)
                ends = dict.fromkeys(ends, 0) | {newest: now_s + seconds, rotated.text: float("inf")}
                newest = rotated.text
            assert {text: is_taken(access, text) for text in ends} == {text: now_s < end for text, end in ends.items()}
