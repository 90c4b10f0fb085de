"""Programs that use the SDK as a user's would, each a process of its own; what they find is one line of JSON."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import zirkel

FOLDER = Path(sys.argv[2])
"""Where the SDK keeps things."""
ARGUMENTS = sys.argv[3:]


@zirkel.observe(kind="retriever")
def find(query: str) -> list[str]:
    """Find what is asked for."""
    return [f"{query} is 40 CHF"]


@zirkel.observe(kind="tool", name="price")
def price(article: str) -> dict[str, object]:
    """Look a price up."""
    return {"article": article, "found": find(article)}


@zirkel.observe
def write(found: dict[str, object]) -> Iterator[str]:
    """Say it, piece by piece."""
    yield "It is "
    yield str(found["article"])


@zirkel.observe(kind="agent", name="shop")
def answer(question: str) -> str:
    """Answer a question, and score the answer."""
    zirkel.update_current(session_id="session-1", user_id="user-1", tags=["shop"])
    zirkel.score("helpful", value=True, comment="as asked")
    return "".join(write(price(question))) + " " + zirkel.current_trace_id()


def traced() -> object:
    """Answer once; return the trace."""
    _init()
    trace_id = answer("kettle").rpartition(" ")[2]
    return {"trace_id": trace_id, "is_sent": zirkel.flush(20)}


def many() -> object:
    """Answer as often as told, and end without waiting; return the traces."""
    _init()
    return {"trace_ids": [answer(f"kettle {n}").rpartition(" ")[2] for n in range(int(ARGUMENTS[0]))]}


def sending() -> object:
    """Send what is on disk; return whether that was everything."""
    _init()
    return {"is_sent": zirkel.flush(30), "waiting": zirkel.delivery().waiting}


def outage() -> object:
    """Answer while the server is there, while it is not, and when it is back; the caller says when on stdin."""
    _init()
    found = []
    for _ in range(3):
        found.append(answer("kettle").rpartition(" ")[2])
        is_sent = zirkel.flush(20)
        _say({"trace_ids": found, "is_sent": is_sent, "waiting": zirkel.delivery().waiting})
        sys.stdin.readline()
    return {"is_sent": zirkel.flush(30), "sent": zirkel.delivery().sent}


def prompted() -> object:
    """Render a service's prompt; return how long the SDK took for it, without its set-up."""
    _init()
    started_s = time.perf_counter()
    prompt = zirkel.prompt(ARGUMENTS[0], environment="production")
    took_ms = (time.perf_counter() - started_s) * 1000
    return {"version": prompt.version, "messages": prompt.render(review="fine"), "took_ms": round(took_ms, 2)}


def asked() -> object:
    """Ask the gateway with OpenAI's client inside of an observed function that uses the service's prompt."""
    from openai import OpenAI  # noqa: PLC0415 (of the other programs nobody needs it)

    _init()
    url, key, service = ARGUMENTS

    @zirkel.observe(kind="workflow")
    def sort(review: str) -> str:
        zirkel.prompt(service, environment="production")
        with OpenAI(base_url=url, api_key=key, max_retries=0) as client:
            raw = client.chat.completions.with_raw_response.create(
                model=f"service:{service}",
                messages=[{"role": "user", "content": review}],
                extra_headers=zirkel.trace_headers(),
            )
        return str(raw.headers["x-zirkel-trace-id"])

    return {"trace_id": sort("fine"), "is_sent": zirkel.flush(20)}


def forked() -> object:
    """Answer before and after a fork, in both processes; return the traces."""
    _init()
    before = answer("parent").rpartition(" ")[2]
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, answer("child").rpartition(" ")[2].encode())
        os._exit(0 if zirkel.flush(20) else 1)
    _, status = os.waitpid(child, 0)
    after = answer("parent").rpartition(" ")[2]
    trace_ids = [before, os.read(reader, 100).decode(), after]
    return {"trace_ids": trace_ids, "child": os.waitstatus_to_exitcode(status), "is_sent": zirkel.flush(20)}


def _init() -> None:
    zirkel.init(service="shop", environment="staging", folder=FOLDER)


def _say(found: object) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


PROGRAMS: tuple[Callable[[], object], ...] = (traced, many, sending, outage, prompted, asked, forked)

if __name__ == "__main__":
    _say(next(program for program in PROGRAMS if program.__name__ == sys.argv[1])())
