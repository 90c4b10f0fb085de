"""What the recognisers find in a labelled corpus, and what they leave alone.

Numbers are published examples: SWIFT's IBAN registry, the card networks' test numbers, the Swiss Central Compensation
Office, RFC 5737 and 3849 for addresses, and numbers that regulators reserve for fiction where there are such.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.lib.masking_rules import KINDS, RuleOf
from zirkel.lib.recognisers import BUILT_IN, compile_masker
from zirkel.lib.recognisers.check_digits import accept_ahv, accept_card
from zirkel.lib.recognisers.phones import accept_international

FOUND: Mapping[str, Sequence[str]] = {
    "email": (
        "write to «anna.meier@example.ch» today",
        "mail «a+b_c%d@sub.example.co.uk», please",
        "<«jürgen@exämple.de»>",
        "mailto:«x.y@example.museum»?subject=hi",
        "From: Anna <«ANNA@EXAMPLE.COM»>",
        "cc «r@example.org»;«s@example.org»",
        "„«leo@example.it»“",
        "user=«first.last@example.travel»&x=1",
    ),
    "phone": (
        "ruf mich an: «079 123 45 67»",
        "Tel. «044 268 12 12», Büro",
        "«0791234567» ist meine Nummer",
        "«079/123 45 67» oder «079-123-45-67»",
        "«(044) 123 45 67»",
        "gratis: «0800 123 456»",
        "«+41 79 123 45 67»",
        "«+41 (0)44 123 45 67»",
        "«0041 44 123 45 67»",
        "«+49 30 23125 123» in Berlin",
        "Berlin «030 23125 123»",
        "Handy «0171 3920123»",
        "«01713920123»",
        "«+49 (0) 171-3920123»",
        "«089/23125-123»",
        "call «415-555-0132» now",
        "call «(415) 555-0132»",
        "«1-415-555-0132»",
        "«+1 (415) 555-0132»",
        "«+14155550132»",
        "«415.555.0132»",
        "London «020 7946 0958», «+44 20 7946 0958»",
        "Paris «01 99 00 12 34»",
        "tel:«+33199001234»",
        "Wien «+43 1 234567890»",
    ),
    "iban": (
        "IBAN «CH93 0076 2011 6238 5295 7»",
        "«DE89370400440532013000»",
        "to «GB29 NWBK 6016 1331 9268 19» please",
        "(«FR1420041010050500013M02606»)",
        "«LI21 0881 0000 2324 013A A», Vaduz",
        "«at61 1904 3002 3457 3201»",
        "Konto:«IT60X0542811101000000123456».",
        "«NO9386011117947»",
    ),
    "card": (
        "Visa «4111 1111 1111 1111»",
        "«4111111111111111» exp 12/30",
        "«5555-5555-5555-4444»",
        "amex «3782 822463 10005»",
        "«6011111111111117».",
        "JCB «3530111333300000»",
        "Diners «30569309025904»",
        "«2223003122003222»",
        "card=«4242424242424242»&cvc=1",
        "«6200000000000005»",
    ),
    "ahv": (
        "AHV «756.9217.0769.85»",
        "Nr. «7569217076985»",
        "AVS: «756 9217 0769 85»,",
        "(«756.9217.0769.85»)",
    ),
    "ip": (
        "from «192.0.2.17»:443",
        "«198.51.100.255», «203.0.113.1»",
        "[«2001:db8::8a2e:370:7334»]:80",
        "at «2001:db8:85a3::8a2e:370:7334» and «::ffff:192.0.2.128»",
        "host=«fe80::1%eth0»".replace("%eth0»", "»%eth0"),
    ),
    "names": (
        "Guten Tag, «Anna Meier», wie geht es?",
        "«ANNA MEIER» und «müller»",
        "«Müller»s Auto".replace("»s", "»'s"),
        "«Özil», «Anna\nMeier»; «李小龙»!",
        "von «Anna Meier-Huber» an",
    ),
}

LEFT_ALONE: Mapping[str, Sequence[str]] = {
    "email": ("a@b", "@scope/package@1.2.3", "user at example dot org", "logo@2x.png and icon@3x.webp", "x @ y.com"),
    "phone": (
        "2024-05-01T12:00:00.123456Z",
        "1700000000",
        "1700000000123",
        "1700000000123456789",
        "0.0791234567 and 12.0441234567",
        "550e8400-e29b-41d4-a716-446655440000",
        "12345678-0441-4234-8567-412345678901",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "00f067aa0ba902b7",
        "prompt_tokens: 1234567, total 2345678901",
        "200 300 4000, 415 555 0132 units",
        "order 0012345678, invoice 00123456789012",
        "01.02.2024, 01/02/2024, 2024-01-02 03:04:05",
        "version 1.2.3-0441234567",
        "/files/0123/456789/2024",
        "+20240101123000",
        "+1 23 45",
        "€ 1,234,567.89",
        "-0.0123456789",
        "0x0791234567",
        "abc0791234567",
        "id-0791234567",
        "12 345 678 901",
        "99999999999999999999",
    ),
    "iban": (
        "CH93 0076 2011 6238 5295 8",
        "DE88 3704 0044 0532 0130 00",
        "ab12cd34ef567890ab12cd34ef567890",
        "XX89 3704 0044 0532 0130 00",
        "model gpt4 turbo preview 2024 version 12",
    ),
    "card": (
        "4111 1111 1111 1112",
        "1234567890123452",
        "1700000000123456789",
        "4012888888881",
        "4006381333931",
        "550e8400-e29b-4111-8111-111111111111",
        "12345678-4111-1111-1111-111111111111",
        "41111111111111111111111",
        "0.4111111111111111",
        "9999999999999995",
    ),
    "ahv": ("756.9217.0769.84", "757.9217.0769.85", "7569217076985123", "1756921707698"),
    "ip": ("256.1.1.1", "1.3.6.1.4.1.311", "12:30:45", "00:1a:2b:3c:4d:5e", "std::vector", "1.2.3", "a::b"),
    "names": ("Müllerin", "Annameier", "Anna Meierhof", "emüller", "müller_id", "Anna, Meier"),
}
NAMES = ("Anna Meier", "Anna Meier-Huber", "Müller", "Özil", "李小龙")


@dataclass(frozen=True)
class Counted:
    """How a recogniser did over the corpus."""

    found: int
    missed: int
    wrong: int

    @property
    def precision(self) -> float:
        return self.found / (self.found + self.wrong)

    @property
    def recall(self) -> float:
        return self.found / (self.found + self.missed)


def rule(kind: str) -> RuleOf:
    return RuleOf(names=NAMES, placeholder="«»") if kind == "names" else RuleOf(kind, placeholder="«»")


def count(kind: str) -> Counted:
    masker = compile_masker([rule(kind)])
    found = missed = wrong = 0
    for text in FOUND[kind]:
        wanted, plain = text.count("«"), text.replace("«", "").replace("»", "")
        hits = masker.mask_text(plain).count("«»")
        is_right = masker.mask_text(plain) == _masked(text)
        found += wanted if is_right else min(wanted, hits) // 2
        missed += 0 if is_right else wanted - min(wanted, hits) // 2
        wrong += 0 if is_right else max(1, hits - wanted)
    wrong += sum(masker.mask_text(text).count("«»") for text in LEFT_ALONE[kind])
    return Counted(found, missed, wrong)


def _masked(text: str) -> str:
    pieces = text.split("«")
    return "«»".join([pieces[0], *(piece.partition("»")[2] for piece in pieces[1:])])


@pytest.mark.parametrize("kind", [*FOUND])
def test_each_recogniser_finds_what_is_labelled_and_nothing_else(kind: str) -> None:
    counted = count(kind)
    print(f"{kind}: precision {counted.precision:.3f}, recall {counted.recall:.3f} of {counted.found} found")
    assert counted.precision >= 0.97
    assert counted.recall >= 0.95


def test_all_recognisers_together_find_what_each_finds_alone() -> None:
    masker = compile_masker([RuleOf(kind, placeholder="«»") for kind in KINDS] + [rule("names")])
    for kind in FOUND:
        for text in FOUND[kind]:
            assert masker.mask_text(text.replace("«", "").replace("»", "")) == _masked(text)


def test_no_recogniser_touches_what_another_must_leave_alone() -> None:
    # What looks like one kind and is none must not be taken for another kind either.
    masker = compile_masker([RuleOf(kind) for kind in ("email", "phone", "iban", "card", "ahv")])
    for text in (*LEFT_ALONE["phone"], *LEFT_ALONE["card"], *LEFT_ALONE["ahv"], *LEFT_ALONE["names"]):
        assert masker.mask_text(text) == text


def test_what_is_documented_can_be_named() -> None:
    assert set(KINDS) <= set(BUILT_IN)
    assert compile_masker([RuleOf("secret")]).mask_text(f"key sk-ant-{'a1B2' * 10}!") == "key [secret]!"


@given(st.integers(0, 10**9 - 1), st.integers(0, 11), st.integers(1, 9))
def test_any_wrong_digit_of_an_ahv_number_is_noticed(serial: int, position: int, change: int) -> None:
    (valid,) = [text for check in range(10) if accept_ahv(text := f"756{serial:09}{check}")]
    wrong = str((int(valid[position]) + change) % 10)
    assert accept_ahv(valid[:position] + wrong + valid[position + 1 :]) == 0


@given(st.from_regex(r"\A(?:4[0-9]{15}|5[1-5][0-9]{14}|3[47][0-9]{13})\Z"))
def test_of_ten_card_numbers_that_differ_in_the_last_digit_one_is_accepted(number: str) -> None:
    accepted = [check for check in range(10) if accept_card(number[:-1] + str(check)) == len(number)]
    assert len(accepted) == 1


@pytest.mark.parametrize(
    ("text", "length"),
    [("+41 79 123 45 67 2024", 16), ("+41791234567 ext", 12), ("+999 123 456 789", 0), ("+41 79", 0)],
)
def test_an_international_number_ends_where_its_country_says(text: str, length: int) -> None:
    assert accept_international(text) == length
