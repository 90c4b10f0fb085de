"""What the pages say, and what they never do."""

import re
from decimal import Decimal
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from zirkel.console.rendering import CONTENT_SECURITY_POLICY
from zirkel.console.search import ROWS

if TYPE_CHECKING:
    from tests.unit.console.conftest import Browser, House

SERVICE = "review-triage"

PAGES = [
    "/", f"/services/{SERVICE}", "/traces", f"/traces/{1:032x}", "/sessions", "/sessions/good", "/costs", "/evidence",
    "/nothing",
]  # fmt: skip
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
    narrowed = re.findall(r'href="(/traces\?[^"]*)"', browser.get("/traces").html)
    assert narrowed == ["/traces?filter=service+%3D+%22review-triage%22&amp;order=start"]
    page = browser.get(unescape(narrowed[0]))
    assert f'href="/traces/{1:032x}"' in page.html
    assert re.findall(r'aria-current="page">(\S+)</a>', page.html) == ["Traces", SERVICE]
    (all_of_it,) = re.findall(r'href="(/traces\?[^"]*)"', browser.get(f"/services/{SERVICE}").html)
    assert re.findall(r'aria-current="page">(\S+)</a>', browser.get(all_of_it).html) == ["Traces", SERVICE]
    other = browser.get("/traces", {"filter": 'service = "other"'})
    assert f'href="/traces/{1:032x}"' not in other.html
    assert "Nothing matches" in other.words


@pytest.mark.parametrize("path", ["/traces", "/sessions"])
def test_a_filter_that_cannot_be_read_is_kept_for_correcting_with_its_fault(
    house: "House", browser: "Browser", path: str
) -> None:
    house.fill()
    page = browser.get(path, {"filter": 'service = "open', "since": "-7d"})
    assert page.status == 200
    assert 'value="service = &#34;open"' in page.html
    assert '<option value="-7d" selected>' in page.html
    assert re.search(r'role="alert">[^<]*column 11', page.html)
    assert f'href="/traces/{1:032x}"' not in page.html


def test_older_traces_are_on_the_next_page(house: "House", browser: "Browser") -> None:
    house.record_many(ROWS + 1)
    first = browser.get("/traces", {"filter": f'service = "{SERVICE}"'})
    assert first.html.count('href="/traces/0') == ROWS
    (older,) = re.findall(r'<a href="([^"]*)" rel="next">', first.html)
    second = browser.get(unescape(older))
    assert re.findall(r'href="/traces/(0[^"]*)"', second.html) == [f"{ROWS + 1:032x}"]
    assert 'rel="next"' not in second.html


def test_a_session_is_listed_and_read_as_a_conversation(house: "House", browser: "Browser") -> None:
    assert "No sessions yet" in browser.get("/sessions").words
    house.fill("ticket/7 ?")
    (link,) = re.findall(r'href="(/sessions/[^"]*)"', browser.get("/sessions").html)
    page = browser.get(link)
    assert (page.status, "Session ticket/7 ?" in page.words) == (200, True)
    assert f'href="/traces/{1:032x}"' in page.html
    assert browser.get("/sessions/none").status == 404


def test_a_change_of_costs_is_shown_with_its_causes(house: "House", browser: "Browser") -> None:
    assert "Nothing was spent in either time" in browser.get("/costs").words
    house.fill()
    page = browser.get("/costs", {"since": "-1h", "by": "service"})
    assert "0.00 → 0.0000123 USD" in page.words
    assert "0 calls; then to" in page.words
    assert f"{SERVICE} +0.0000123" in page.words
    assert "zirkel costs --why --by service --since -1h" in page.words


@pytest.mark.parametrize("asked", [{"since": "soon"}, {"by": "weather"}])
def test_costs_that_cannot_be_explained_so_are_a_fault_on_the_page(browser: "Browser", asked: dict[str, str]) -> None:
    page = browser.get("/costs", asked)
    assert (page.status, page.html.count('role="alert"')) == (200, 1)


def test_scores_are_beside_what_they_judge(house: "House", browser: "Browser") -> None:
    house.fill()
    house.judge("helpful", 0.75)
    for path in ("/traces", f"/traces/{1:032x}"):
        assert re.search(r"helpful\b.* 0\.75", browser.get(path).words), path


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
    paths = ["/", f"/services/{SERVICE}", "/traces", f"/traces/{1:032x}", "/sessions", "/costs"]
    house.fill()
    harmless = [Markup(browser.get(path).html).shape() for path in paths]
    house.record(text, house.telemetry.usage[0].release)
    pages = [browser.get(path).html for path in paths]
    shapes = [Markup(page).shape() for page in pages]
    speakers = int(text.startswith('{"role"')) * 2
    grown = [len(shape) - len(before) for shape, before in zip(shapes, harmless, strict=True)]
    assert grown == [0, 0, 0, speakers, 0, 0]
    assert all(text in unescape(page) for page in pages[1:4])


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


@pytest.mark.parametrize("path", PAGES)
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
