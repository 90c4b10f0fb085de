"""Traffic with the unmodified OpenAI SDK."""

from collections import Counter
from dataclasses import dataclass

from openai import OpenAI

from zirkel.app.demo.setting import SERVICE, Setting

UNITS = 60
STREAMED = 20
REVIEWS = (
    "Stopped working after two days and nobody answers my mails.",
    "Exactly what I was looking for, and it arrived a day early.",
    "The strap broke on the first trip. Very disappointing.",
    "My daughter uses it every single day and loves it.",
)


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer and what its headers say."""

    text: str
    arm: str
    release: str
    fallback: int
    model: str
    trace_id: str


def ask_plain(demo: Setting, unit: str, headers: dict[str, str] | None = None) -> Answered:
    """Ask once, not streamed."""
    with _sdk(demo) as sdk:
        raw = sdk.chat.completions.with_raw_response.create(
            model=f"service:{SERVICE}",
            messages=[{"role": "user", "content": _review(unit)}],
            user=unit,
            extra_headers=headers or {},
        )
    return _answered(raw.parse().choices[0].message.content or "", dict(raw.headers))


def ask_streamed(demo: Setting, unit: str) -> tuple[Answered, int]:
    """Ask once, streamed; return the answer and the number of chunks with text."""
    with _sdk(demo) as sdk:
        raw = sdk.chat.completions.with_raw_response.create(
            model=f"service:{SERVICE}",
            messages=[{"role": "user", "content": _review(unit)}],
            user=unit,
            stream=True,
        )
        parts = [chunk.choices[0].delta.content or "" for chunk in raw.parse() if chunk.choices]
    return _answered("".join(parts), dict(raw.headers)), sum(1 for part in parts if part)


def call_both_arms(demo: Setting) -> None:
    """Each unit asks twice; it stays in its arm, and the arms get their share."""
    arms: dict[str, str] = {}
    requests: Counter[str] = Counter()
    for number in range(UNITS):
        unit = f"customer-{number}"
        first = ask_plain(demo, unit)
        arms[unit] = first.arm
        requests[first.arm] += 1
    for number in range(STREAMED):
        unit = f"customer-{number}"
        answer, chunks = ask_streamed(demo, unit)
        demo.require(answer.arm == arms[unit], f"{unit} stays in its arm, {arms[unit]}")
        demo.require(chunks > 1, "a streamed answer comes in several chunks")
        requests[answer.arm] += 1
    units = Counter(arms.values())
    # 60 units at one half: outside 15 to 45 once in 10,000 runs.
    demo.require(15 <= units["candidate"] <= 45, f"the candidate gets about half of {UNITS} units, got {dict(units)}")
    demo.facts.requests_per_arm = dict(sorted(requests.items()))
    demo.say(f"{UNITS} units: {units['stable']} stable, {units['candidate']} candidate; asked again, each stayed")


def fall_back(demo: Setting) -> None:
    """Stop the primary; the release's fallback chain answers, and says so."""
    if demo.options.upstream:
        demo.stack.run("upstreams", "set", "local", "--base-url", "http://127.0.0.1:9/v1")
    else:
        demo.stack.kill("model")
    for number in range(3):
        answer = ask_plain(demo, f"customer-{number}")
        demo.require(answer.fallback == 1, "the fallback answers and the response says so")
        demo.facts.fallback_answers += 1
    demo.say(f"x-zirkel-fallback: {answer.fallback}, x-zirkel-model: {answer.model}, answer {answer.text}")


def _sdk(demo: Setting) -> OpenAI:
    return OpenAI(base_url=demo.gateway_url, api_key=demo.gateway_key, max_retries=0, timeout=120)


def _answered(text: str, headers: dict[str, str]) -> Answered:
    return Answered(
        text=text,
        arm=headers["x-zirkel-arm"],
        release=headers["x-zirkel-release"],
        fallback=int(headers["x-zirkel-fallback"]),
        model=headers["x-zirkel-model"],
        trace_id=headers["x-zirkel-trace-id"],
    )


def _review(unit: str) -> str:
    return REVIEWS[sum(unit.encode()) % len(REVIEWS)]
