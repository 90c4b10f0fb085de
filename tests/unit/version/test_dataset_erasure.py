"""Taking items out of a data set, and masking items before they are kept."""

import json

from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import ManualClock, Principal
from zirkel.core.privacy import MaskRule
from zirkel.lib.recognisers import TextMasker, compile_masker
from zirkel.store.blobs import Blobs
from zirkel.store.metadata import Metadata
from zirkel.version import Registry
from zirkel.version.erasure import EMPTIED, erase_items
from zirkel.version.files import DATASET_FILE, parse_dataset
from zirkel.version.masking import mask_items

MAIL = "anna@example.ch"


def line(item_id: str, **fields: object) -> bytes:
    return json.dumps({"id": item_id, "input": {"text": item_id}, **fields}).encode()


def rules() -> TextMasker:
    found = compile_masker([MaskRule(recogniser="email")]).at("datasets")
    assert found is not None
    return found


def test_items_that_come_from_a_subject_are_taken_out_and_the_others_stay_to_the_byte() -> None:
    lines = [
        line("1", metadata={"provenance": {"trace_id": "t1", "user_id": "u2"}}),
        b'{"id" : "2",   "input": {}, "cluster": "s1"}',
        line("3", metadata={"provenance": {"trace_id": "t2", "user_id": "u1"}}),
        b'{"id" : "4",   "input": {"x": 1.50}}',
        line("5", metadata={"notes": ["x", {"from": "u1"}]}),
        line("6", cluster="u10", metadata={"u1": "as a name it says nothing"}),
        b"no json",
        b"",
    ]
    erased = erase_items(b"\n".join(lines), {"t1", "s1", "u1"})
    assert list(erased.item_ids) == ["1", "2", "3", "5"]
    assert erased.data == b"\n".join([lines[3], *lines[5:]])


def test_a_data_set_without_such_items_comes_back_as_it_is() -> None:
    data = line("1") + b"\n"
    assert erase_items(data, {"u1"}).data is data
    assert not erase_items(data, set()).item_ids


def test_a_data_set_of_which_nothing_is_left_can_still_be_opened() -> None:
    erased = erase_items(line("1", cluster="s1") + b"\n", {"s1"})
    assert erased.data == EMPTIED
    assert [item.id for item in parse_dataset(erased.data.decode(), DATASET_FILE)] == ["[erased]"]


@given(st.lists(st.sampled_from(["u1", "u2", "s1", ""]), max_size=8), st.sets(st.sampled_from(["u1", "u2", "s1"])))
def test_what_is_left_holds_nobody_who_was_erased(clusters: list[str], ids: set[str]) -> None:
    data = b"\n".join(line(str(number), cluster=cluster) for number, cluster in enumerate(clusters))
    erased = erase_items(data, ids)
    left = [json.loads(found) for found in erased.data.split(b"\n") if found]
    assert not ids & {item.get("cluster", "") for item in left}
    assert len(erased.item_ids) == sum(cluster in ids for cluster in clusters)


def test_items_are_masked_but_for_ids_and_where_they_come_from() -> None:
    item = line(MAIL, cluster=MAIL, expected=MAIL, metadata={"provenance": {"user_id": MAIL}, "note": [MAIL]})
    clean = b'{"id":"2",  "input":{"text":"x"}}'
    masked, kept, broken = mask_items(b"\n".join([item, clean, b'{"id": ' + MAIL.encode()]), rules().mask_json).split(
        b"\n"
    )
    found = json.loads(masked)
    assert (found["id"], found["cluster"], found["metadata"]["provenance"]) == (MAIL, MAIL, {"user_id": MAIL})
    assert (found["input"], found["expected"], found["metadata"]["note"]) == (
        {"text": "[email]"},
        "[email]",
        ["[email]"],
    )
    assert (kept, broken) == (clean, b'{"id": ' + MAIL.encode())


class Rules:
    """Masks the data sets of one project."""

    def dataset_masker(self, project_id: str) -> TextMasker | None:
        return rules() if project_id == "p" else None


def test_a_pushed_data_set_is_kept_masked(
    metadata: Metadata, blobs: Blobs, clock: ManualClock, admin: Principal, contents: dict[str, bytes]
) -> None:
    registry = Registry(metadata, blobs, clock, Rules())
    contents[DATASET_FILE] = contents[DATASET_FILE].replace(b"Nice", MAIL.encode())
    contents["context/policy.md"] = MAIL.encode()
    pushed = registry.push(admin, contents)
    bundle = registry.open("p", pushed.release)
    assert bundle.dataset[0].input == {"review": "[email]"}
    assert bundle.documents["policy.md"] == MAIL
    assert not registry.push(admin, contents).is_changed
    elsewhere = Principal("q", "k", "bob", admin.roles)
    assert registry.open("q", registry.push(elsewhere, contents).release).dataset[0].input == {"review": MAIL}


def test_reference_contexts_are_masked_too() -> None:
    masked = mask_items(line("1", contexts=[f"write to {MAIL}", "no mail"]), rules().mask_json)
    contexts = json.loads(masked)["contexts"]
    assert MAIL not in contexts[0]
    assert contexts[1] == "no mail"
