"""What counts as personal data, a secret or a word, and what does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core.guardrails import PiiEntity
from zirkel.gateway.guardrails.check_digits import accept_credit_card, accept_iban
from zirkel.gateway.guardrails.personal_data import personal_data_matchers
from zirkel.gateway.guardrails.scanner import Matcher, Scanner, compile_matchers
from zirkel.gateway.guardrails.secret_forms import secret_matchers
from zirkel.gateway.guardrails.wording import word_matchers


def find(matchers: list[Matcher], text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []

    def keep(label: str, value: str) -> str:
        found.append((label, value))
        return value

    scanner = Scanner(compile_matchers(matchers), keep)
    scanner.feed(text)
    scanner.finish()
    return found


@pytest.mark.parametrize(
    ("entity", "text", "value"),
    [
        ("email", "Write to <ann.o'neil@sub.example.co.uk>.", "neil@sub.example.co.uk"),
        ("email", "mailto:jürgen@exämple.de?subject=x", "jürgen@exämple.de"),
        ("phone", "(+1 (555) 123-4567)", "+1 (555) 123-4567"),
        ("phone", "Tel. 0049/30/1234567.", "0049/30/1234567"),
        # The example of the IBAN registry (SWIFT), and one written together.
        ("iban", "to DE89 3704 0044 0532 0130 00 please", "DE89 3704 0044 0532 0130 00"),
        ("iban", "GB29NWBK60161331926819", "GB29NWBK60161331926819"),
        # Test numbers that card networks publish.
        ("credit_card", "4111-1111-1111-1111", "4111-1111-1111-1111"),
        ("credit_card", "amex 378282246310005 12", "378282246310005"),
        ("ipv4", "at 192.168.0.1:80", "192.168.0.1"),
        ("ipv6", "[fe80::1]", "fe80::1"),
        ("ipv6", "::ffff:10.0.0.1 is", "::ffff:10.0.0.1"),
        ("us_ssn", "SSN 219-09-9999", "219-09-9999"),
        # The examples of the Bundeszentralamt für Steuern and of the Deutsche Rentenversicherung.
        ("de_tax_id", "IdNr. 86 095 742 719", "86 095 742 719"),
        ("de_social_security", "SV-Nr. 15070649C103", "15070649C103"),
    ],
)
def test_personal_data_is_found(entity: PiiEntity, text: str, value: str) -> None:
    assert find(personal_data_matchers([entity]), text) == [(entity, value)]


@pytest.mark.parametrize(
    ("entity", "text"),
    [
        ("email", "ann at example.org, @ann, a@b"),
        ("phone", "+1 23, 2024-01-01, 1+1234567"),
        ("iban", "DE88 3704 0044 0532 0130 00"),
        ("credit_card", "4111 1111 1111 1112, 1234567890123456789012"),
        ("ipv4", "256.1.1.1"),
        ("ipv6", "std::vector a::b 12:30:45 00:1a:2b:3c:4d:5e"),
        ("us_ssn", "000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000 123-45 6789"),
        ("de_tax_id", "86095742718 12345678901"),
        ("de_social_security", "15070649C104"),
    ],
)
def test_what_only_looks_like_personal_data_is_not_found(entity: PiiEntity, text: str) -> None:
    assert find(personal_data_matchers([entity]), text) == []


@given(st.lists(st.integers(0, 9), min_size=15, max_size=15), st.integers(0, 14), st.integers(1, 9))
def test_any_wrong_digit_of_a_card_is_noticed(digits: list[int], position: int, change: int) -> None:
    numbers = ["".join(map(str, [*digits, check])) for check in range(10)]
    (valid,) = [number for number in numbers if accept_credit_card(number) == 16]
    wrong = str((int(valid[position]) + change) % 10)
    assert accept_credit_card(valid[:position] + wrong + valid[position + 1 :]) != 16


@given(st.text("0123456789ABCXYZ", min_size=18, max_size=18), st.sampled_from(["DE", "GB", "Ie"]))
def test_of_all_check_digits_an_iban_has_one_that_is_accepted(account: str, country: str) -> None:
    numbers = [f"{country}{check:02}{account}" for check in range(2, 99)]
    assert [accept_iban(number) for number in numbers if accept_iban(number)] == [22]


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("DE89 3704 0044 0532 0130 00 and more", 27),
        ("DE89 3704 0044 0532 0130 001", 0),
        ("DE89 3704 0044 0532 0130 0", 0),
        ("XX89 3704 0044 0532 0130 00", 0),
    ],
)
def test_an_iban_has_its_countrys_length(text: str, length: int) -> None:
    assert accept_iban(text) == length


@pytest.mark.parametrize(
    ("text", "label", "value"),
    [
        (f"key sk-ant-{'a1B2' * 10}.", "anthropic", f"sk-ant-{'a1B2' * 10}"),
        (f"key sk-proj-{'a1B2' * 10}.", "openai", f"sk-proj-{'a1B2' * 10}"),
        ("AKIAABCDEFGHIJKLMNOP", "aws", "AKIAABCDEFGHIJKLMNOP"),
        (f"github_pat_{'a1' * 20}", "github", f"github_pat_{'a1' * 20}"),
        ("xoxb-123456789012-abcdef", "slack", "xoxb-123456789012-abcdef"),
        (f"AIza{'a1B2C' * 7}", "google", f"AIza{'a1B2C' * 7}"),
        (f"sk_live_{'a1' * 12}", "stripe", f"sk_live_{'a1' * 12}"),
        ("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "jwt", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc"),
        ("DB_PASSWORD='Tr0ub4dor&3xyzKq'", "assigned", "Tr0ub4dor&3xyzKq"),
        ('{"client_secret": "q7Wm2Zx9Lk4Pn8Vt"}', "assigned", "q7Wm2Zx9Lk4Pn8Vt"),
    ],
)
def test_secrets_are_found_whole(text: str, label: str, value: str) -> None:
    assert find(secret_matchers(), text) == [(label, value)]


@pytest.mark.parametrize(
    "text",
    [
        "sk-short",
        "the token: tokenization-is-fun",
        "password = aaaaaaaaaaaaaaaaaaaa1",
        "secret: short1",
        "BEGIN PRIVATE KEY",
        "commit 0123456789abcdef0123456789abcdef01234567",
    ],
)
def test_what_only_looks_like_a_secret_is_not_found(text: str) -> None:
    assert find(secret_matchers(), text) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("DAMN, damn", ["DAMN", "damn"]),
        ("damned goddamn damn_it dämn", []),
        ("Größe GRÖßE gro\u0308ße", ["Größe", "GRÖßE", "gro\u0308ße"]),
        ("Acme\n  Rocket", ["Acme\n  Rocket"]),
        ("acme rockets, acmes, acme", ["acme", "acme"]),
        ("C++ und c++!", ["C++", "c++"]),
        ("damn\u0301", []),
    ],
)
def test_words_are_found_whole_and_in_any_case(text: str, found: list[str]) -> None:
    words = word_matchers(["damn", "größe", "acme rocket", "acme", "c++"])
    assert [value for _, value in find(words, text)] == found
