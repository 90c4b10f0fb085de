"""What the pages say, and what they never do."""

import re
from decimal import Decimal
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from zirkel.console.rendering import CONTENT_SECURITY_POLICY

if TYPE_CHECKING:
    from tests.unit.console.conftest import Browser, House

SERVICE = "review-triage"

QUESTIONS = ["Which version is running?", "How good is it really?", "What does it cost?", "Does it drift?"]
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "</pre></td></table><h1>mine</h1>",
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    "<!-- ]]> --> &lt;b&gt; &amp;",
    "javascript:alert(1)",
    '<style>*{display:none}</style><a href="https://evil.example">x</a>',
    "\u202egnp.exe \x00 \x1b[31m \u2028",
    '{"role": "<b>user</b>", "content": "<i>hi</i>"}',
]


class Markup(HTMLParser):
    """The elements of a page, and whether they are closed."""

    VOID = frozenset({"meta", "link", "input", "img", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def shape(self) -> list[str]:
        return [tag for tag, _ in self.elements]


def test_an_installation_without_services_says_how_to_push_one(browser: "Browser") -> None:
    page = browser.get("/").words
    assert "zirkel push FOLDER" in page
    assert "zirkel demo" in page


def test_each_question_of_a_new_service_says_the_next_command(house: "House", browser: "Browser") -> None:
    house.push()
    page = browser.get("/").words
    for expected in (*QUESTIONS, "Nothing is live yet", f"zirkel ship {SERVICE}", f"zirkel eval {SERVICE}"):
        assert expected in page
    assert f'model="service:{SERVICE}"' in page


def test_the_first_page_answers_the_four_questions(house: "House", browser: "Browser") -> None:
    candidate, baseline = house.fill()
    page = browser.get("/").words
    for expected in (
        *QUESTIONS,
        "Release 1 in production, 25 % on release 2",
        f"1 stable {baseline[:12]} 75 %",
        f"2 candidate {candidate[:12]} 25 %",
        "by first admin key never asked",
        "label_match 0.692 (0.621 to 0.763)",
        "0.840 0.781 to 0.898 120 × 2",
        "too few items for an interval",
        "0.602 USD for 1,204 requests",
        "USD per request 0.000500",
        "Errors 3",
        "Fallback answers 41",
        "Latency p50, p95 0 ms, 0 ms",
        "No drift in 2 of 3 measures",
        "Latency not enough data 37 of 100 37 of 100",
    ):
        assert expected in page


def test_a_warning_about_intervals_is_shown_once_for_each_metric(house: "House", browser: "Browser") -> None:
    house.fill()
    assert browser.get("/").words.count("few clusters") == 0
    for found in house.telemetry.findings.values():
        found["metrics"]["label_match"]["interval"]["warnings"] = ["few clusters"]  # type: ignore[index,call-overload]
    assert browser.get("/").words.count("few clusters") == 1


def test_each_service_has_its_card(house: "House", browser: "Browser") -> None:
    house.push("alpha")
    house.push("beta")
    page = browser.get("/").html
    assert re.findall(r'<h2 id="[^"]*"><a href="([^"]*)">', page) == ["/services/alpha", "/services/beta"]


@pytest.mark.parametrize(
    ("known", "unknown", "said", "per_request"),
    [
        ("0", 10, "Unknown for 10 requests", "unknown"),
        ("0.5", 2, "At least 0.500 USD for 10 requests", "unknown"),
        ("0", 0, "0.00 USD for 10 requests", "0.00"),
    ],
)
def test_an_unknown_price_is_never_shown_as_nothing(
    house: "House", browser: "Browser", known: str, unknown: int, said: str, per_request: str
) -> None:
    _, baseline = house.push()
    house.ship("baseline")
    house.use(baseline, requests=10, cost_usd=Decimal(known), unknown_costs=unknown)
    page = browser.get("/").words
    assert said in page
    assert f"USD per request {per_request} Errors" in page


def test_drift_is_named_first(house: "House", browser: "Browser") -> None:
    house.fill()
    house.telemetry.earlier = {"output_length": [value + 5 for value in house.telemetry.values["output_length"]]}
    page = browser.get("/").words
    assert "Does it drift? Drift in output length" in page
    assert "p < 0.0001, shift" in page


def test_a_service_page_lists_releases_and_traces(house: "House", browser: "Browser") -> None:
    candidate, baseline = house.fill()
    page = browser.get(f"/services/{SERVICE}").words
    assert f"2 {candidate[:12]} candidate in production pushed last" in page
    assert f"1 {baseline[:12]} stable in production baseline" in page
    assert f"{1:032x}"[:12] in page


def test_an_unknown_service_and_trace_are_pages_not_json(house: "House", browser: "Browser") -> None:
    for path, said in [("/services/none", "zirkel push FOLDER"), (f"/traces/{9:032x}", "is not stored")]:
        answer = browser.get(path)
        assert answer.status == 404
        assert said in answer.words


def test_traces_can_be_narrowed_to_a_service(house: "House", browser: "Browser") -> None:
    house.fill()
    assert f'href="/traces/{1:032x}"' in browser.get("/traces", {"service": SERVICE}).html
    assert f'href="/traces/{1:032x}"' not in browser.get("/traces", {"service": "other"}).html


def test_a_trace_shows_its_spans_with_what_went_in_and_came_out(house: "House", browser: "Browser") -> None:
    house.fill("The parcel arrived late")
    page = browser.get(f"/traces/{1:032x}")
    assert re.findall(r'<li class="(depth-\d+)">', page.html) == ["depth-0", "depth-1"]
    assert "user The parcel arrived late Output" in page.words
    assert "Input tokens 120 Output tokens 9" in page.words


def test_evidence_is_shown_newest_first_and_can_be_paged(house: "House", browser: "Browser") -> None:
    house.fill()
    page = browser.get("/evidence").words
    assert page.index("ship.rollout") < page.index("ship.first") < page.index("push") < page.index("key.created")
    assert browser.get("/evidence", {"after": "3"}).words.count("ship.") == 1
    wrong = browser.get("/evidence", {"after": "x"})
    assert (wrong.status, "after:" in wrong.words) == (400, True)


@pytest.mark.parametrize("text", HOSTILE)
def test_recorded_text_is_never_markup(house: "House", browser: "Browser", text: str) -> None:
    paths = ["/", f"/services/{SERVICE}", "/traces", f"/traces/{1:032x}"]
    house.fill()
    harmless = [Markup(browser.get(path).html).shape() for path in paths]
    house.record(text, house.telemetry.usage[0].release)
    pages = [browser.get(path).html for path in paths]
    shapes = [Markup(page).shape() for page in pages]
    speakers = int(text.startswith('{"role"')) * 2
    assert [len(shape) for shape in shapes[:3]] == [len(shape) for shape in harmless[:3]]
    assert len(shapes[3]) == len(harmless[3]) + speakers
    assert all(text in unescape(page) for page in pages[1:])


def unescape(page: str) -> str:
    """Return what the escapes of the templates stand for."""
    for entity, character in [("&lt;", "<"), ("&gt;", ">"), ("&#34;", '"'), ("&#39;", "'"), ("&amp;", "&")]:
        page = page.replace(entity, character)
    return page


def test_text_that_utf_8_cannot_hold_does_not_break_its_page(house: "House", browser: "Browser") -> None:
    house.fill()
    first, second = house.record("fine")
    house.telemetry.spans = [first, replace(second, output='"\\ud800 half"')]
    answer = browser.get(f"/traces/{1:032x}")
    assert answer.status == 200
    assert "? half" in answer.html


def test_a_hostile_label_and_reason_are_text(house: "House", browser: "Browser") -> None:
    house.rooms.access.create_key(house.admin, HOSTILE[0], house.admin.roles)
    page = browser.get("/evidence").html
    assert HOSTILE[0] not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.parametrize("path", ["/", f"/services/{SERVICE}", "/traces", f"/traces/{1:032x}", "/evidence", "/nothing"])
def test_a_page_has_nothing_inline_and_nothing_of_another_host(house: "House", browser: "Browser", path: str) -> None:
    house.fill()
    answer = browser.get(path if path != "/nothing" else "/services/nothing")
    for tag, attributes in Markup(answer.html).elements:
        assert tag != "style"
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        for name in ("href", "src", "action"):
            assert attributes.get(name, "/").startswith(("/", "#"))
        assert tag != "script" or attributes["src"].startswith("/static/")
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"


def test_static_files_are_kept_by_browsers_and_named_by_content(house: "House") -> None:
    client = house.browser()
    page = client.get("/sign-in").html
    found = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert {path.rpartition(".")[2] for path in found} == {"css", "js", "svg"}
    for path in found:
        answer = client.get(path)
        assert answer.status == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert re.fullmatch(r"/static/[a-z]+\.[0-9a-f]{12}\.[a-z]+", path)


@pytest.mark.parametrize("name", ["console.css", "console.000000000000.css", "..%2F__init__.py", "%2e%2e/pages.py"])
def test_nothing_else_is_served_as_static(house: "House", name: str) -> None:
    assert house.browser().get(f"/static/{name}").status == 404


def test_the_console_leaves_the_api_alone(house: "House") -> None:
    client = house.browser()
    for path in ("/api/v1/services", "/v1/traces", "/healthz"):
        assert client.get(path).html == '{"detail":"Not Found"}'
