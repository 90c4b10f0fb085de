"""The privacy document over a real database: whole or not at all, every version kept."""

import msgspec
import pytest

from zirkel.core import Conflict, Forbidden, Invalid, ManualClock, NotFound, Principal
from zirkel.core.privacy import parse_privacy, privacy_digest
from zirkel.govern.privacy import PrivacyConfiguration, read_privacy
from zirkel.observe.masking import ProjectMaskers
from zirkel.store.metadata import Metadata

EMAIL = '[[mask]]\nrecogniser = "email"\n'
SECRET_NAMES = '[[mask]]\nnames = ["Anna Meier"]\n[[mask]]\npattern = "ORD-[0-9]+"\n[retention]\ncontent_days = 30\n'


class CountingPublisher:
    """Counts how often the gateway was told."""

    def __init__(self) -> None:
        self.published = 0

    def publish(self) -> None:
        self.published += 1


@pytest.fixture
def publisher() -> CountingPublisher:
    return CountingPublisher()


@pytest.fixture
def maskers(metadata: Metadata) -> ProjectMaskers:
    return ProjectMaskers(metadata)


@pytest.fixture
def privacy(
    metadata: Metadata, maskers: ProjectMaskers, publisher: CountingPublisher, clock: ManualClock
) -> PrivacyConfiguration:
    return PrivacyConfiguration(metadata, maskers, publisher, clock)


def entries(metadata: Metadata) -> list[dict[str, object]]:
    with metadata.transaction() as tx:
        found = tx.ledger.entries("default")
    return [msgspec.json.decode(entry.payload) for entry in found if entry.action == "privacy.configured"]


def test_a_document_holds_at_once_for_what_comes_in(
    privacy: PrivacyConfiguration, maskers: ProjectMaskers, admin: Principal, publisher: CountingPublisher
) -> None:
    assert maskers.masker("default") is None
    done = privacy.apply(admin, EMAIL)
    assert (done.record.version, done.is_new, done.changes) == (1, True, ("mask email added",))
    found = maskers.masker("default")
    assert found is not None
    assert found.mask_text("a@b.ch") == "[email]"
    privacy.apply(admin, "")
    assert maskers.masker("default") is None
    assert publisher.published == 2


def test_every_version_is_kept_and_the_same_again_is_none(
    privacy: PrivacyConfiguration, metadata: Metadata, admin: Principal, reader: Principal
) -> None:
    first = privacy.apply(admin, EMAIL).record
    assert not privacy.apply(admin, EMAIL).is_new
    second = privacy.apply(admin, SECRET_NAMES, based_on=1).record
    assert privacy.current(reader) == second
    assert privacy.history(reader) == [second, first]
    assert privacy.version(reader, 1) == first
    assert first.digest == privacy_digest(parse_privacy(EMAIL))
    assert len(entries(metadata)) == 2
    with pytest.raises(NotFound, match="version 3"):
        privacy.version(reader, 3)


def test_the_ledger_says_which_kinds_of_rules_there_are_and_not_what_they_look_for(
    privacy: PrivacyConfiguration, metadata: Metadata, admin: Principal
) -> None:
    privacy.apply(admin, EMAIL + SECRET_NAMES)
    (entry,) = entries(metadata)
    assert entry["masks"] == ["email", "names", "pattern"]
    assert entry["retention"] == {"content_days": 30}
    assert "Anna" not in str(entry)
    assert "ORD" not in str(entry)


def test_a_document_made_from_an_older_version_is_a_conflict(privacy: PrivacyConfiguration, admin: Principal) -> None:
    privacy.apply(admin, EMAIL, based_on=0)
    with pytest.raises(Conflict, match="version 1"):
        privacy.apply(admin, "", based_on=0)
    assert privacy.current(admin) is not None


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('[[mask]]\nrecogniser = "email"\n[[mask]]\npattern = "("', "mask[1].pattern"),
        ('[[mask]]\npattern = "a*"', "mask[0].pattern"),
        ('[[mask]]\npattern = "(?=x)"', "mask[0].pattern"),
        ("[retention]\ncontent_days = -1", "retention.content_days"),
    ],
)
def test_a_document_that_cannot_be_used_changes_nothing(
    privacy: PrivacyConfiguration, metadata: Metadata, admin: Principal, text: str, path: str
) -> None:
    for attempt in (privacy.apply, privacy.check):
        with pytest.raises(Invalid) as refusal:
            attempt(admin, text)
        assert refusal.value.path == path
    assert privacy.current(admin) is None
    assert entries(metadata) == []


def test_checking_says_what_applying_would_change(
    privacy: PrivacyConfiguration, admin: Principal, reader: Principal
) -> None:
    privacy.apply(admin, EMAIL)
    found = privacy.check(reader, "")
    assert (found.version, found.changes) == (1, ("mask email removed",))
    assert found.digest == privacy_digest(read_privacy(""))


def test_only_an_admin_may_apply(privacy: PrivacyConfiguration, reader: Principal) -> None:
    with pytest.raises(Forbidden):
        privacy.apply(reader, EMAIL)
