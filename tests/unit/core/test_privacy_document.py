"""The privacy document: what it may say, and where it says why not."""

import pytest

from zirkel.core import Invalid
from zirkel.core.privacy import (
    MaskRule,
    PrivacyConfig,
    parse_privacy,
    privacy_changes,
    privacy_digest,
    privacy_json,
)

DOCUMENT = """
datasets = true

[[mask]]
recogniser = "email"

[[mask]]
recogniser = "phone"
fields = ["input", "output"]
services = ["support"]
environments = ["production"]

[[mask]]
names = ["Anna Meier", "李小龙"]
placeholder = "[person]"

[[mask]]
pattern = "ORD-[0-9]{6}"

[retention]
content_days = 30
spans_days = 400
metrics_days = 400

[retention.environments.staging]
content_days = 7
spans_days = 30
"""


def test_a_document_says_what_is_masked_and_how_long_things_are_kept() -> None:
    config = parse_privacy(DOCUMENT)
    assert config.datasets
    assert [rule.recogniser for rule in config.mask] == ["email", "phone", "", ""]
    assert config.mask[1] == MaskRule(
        recogniser="phone", fields=["input", "output"], services=["support"], environments=["production"]
    )
    assert (config.retention.content_days, config.retention.environments["staging"].spans_days) == (30, 30)


def test_an_empty_document_masks_nothing_and_keeps_everything() -> None:
    assert parse_privacy("") == PrivacyConfig()
    assert privacy_json(parse_privacy("[retention]\n")) == "{}"


def test_what_is_left_at_its_default_does_not_change_the_digest() -> None:
    assert privacy_digest(parse_privacy("datasets = false\nmask = []\n")) == privacy_digest(PrivacyConfig())
    assert privacy_digest(parse_privacy(DOCUMENT)) != privacy_digest(PrivacyConfig())


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("datasets = 1", "datasets"),
        ("masks = []", "masks"),
        ('[[mask]]\nrecogniser = "passport"', "mask[0].recogniser"),
        ('[[mask]]\nrecogniser = "email"\nfield = "input"', "mask[0].field"),
        ('[[mask]]\nrecogniser = "email"\n[[mask]]\nfields = ["input"]', "mask[1]"),
        ('[[mask]]\nrecogniser = "email"\npattern = "x"', "mask[0]"),
        ('[[mask]]\nnames = ["Anna", "a"]', "mask[0].names[1]"),
        ('[[mask]]\nnames = ["  a"]', "mask[0].names[0]"),
        ('[[mask]]\nnames = ["12345"]', "mask[0].names[0]"),
        ('[[mask]]\nrecogniser = "email"\nplaceholder = "\\""', "mask[0].placeholder"),
        ('[[mask]]\nrecogniser = "email"\nfields = ["body"]', "mask[0].fields[0]"),
        ("[retention]\ncontent_days = 0", "retention.content_days"),
        ("[retention]\ncontent_days = 31\nspans_days = 30", "retention.content_days"),
        ("[retention]\ncontent_days = 31\nmetrics_days = 30", "retention.content_days"),
        (
            "[retention]\nspans_days = 9\n[retention.environments.x]\nspans_days = 10",
            "retention.environments.x.spans_days",
        ),
        (
            "[retention.environments.x]\nspans_days = 10\ncontent_days = 11",
            "retention.environments.x.content_days",
        ),
        ('[retention.environments.""]\nspans_days = 10', "retention.environments."),
    ],
)
def test_a_fault_is_told_with_its_path(text: str, path: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_privacy(text)
    assert refusal.value.path == path
    assert str(refusal.value).startswith(path)


def test_what_is_no_toml_or_too_long_is_refused() -> None:
    with pytest.raises(Invalid, match="line 2"):
        parse_privacy('datasets = true\nmask = ["\n')
    with pytest.raises(Invalid, match="4 MiB"):
        parse_privacy("# " + "x" * (4 << 20))


def test_changes_name_what_differs() -> None:
    before = parse_privacy('[[mask]]\nrecogniser = "email"\n[[mask]]\nrecogniser = "ip"\nfields = ["resource"]')
    after = parse_privacy(
        'datasets = true\n[[mask]]\nrecogniser = "email"\nplaceholder = "@"\n[[mask]]\npattern = "x"\n'
        "[retention]\ncontent_days = 1"
    )
    assert privacy_changes(before, after) == (
        "mask x added",
        "mask ip in resource removed",
        "mask email changed",
        "masking of data sets on",
        "retention changed",
    )
    assert privacy_changes(before, before) == ()
