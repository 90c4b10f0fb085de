"""A plug-in of pytest: an evaluation's mean, with its bounds, as a test that passes or fails.

    @pytest.mark.zirkel(dataset="golden.jsonl", evaluators=["exact"], floor=0.9)
    def test_the_answers_are_good(zirkel_evaluate):
        zirkel_evaluate(answer)

Installed with Zirkel as the entry point ``pytest11``; it imports nothing of Zirkel until a test asks for the fixture.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from zirkel.client.evaluating import Result

Inconclusive = Literal["fail", "skip"]
ALPHA = 0.05
_MARK = (
    "zirkel(dataset, evaluators, floor=None, trials=1, concurrency=4, alpha=0.05, inconclusive='fail', name='', "
    "server=None): what zirkel_evaluate measures, and the mean that it asks for"
)


@dataclass(frozen=True)
class Wish:
    """What a mark says."""

    dataset: str | Path | Sequence[Mapping[str, object]] = ()
    evaluators: Sequence[object] | str | Path = ()
    floor: float | Mapping[str, float] | None = None
    """The mean that is asked of every evaluator, or of those that are named."""
    trials: int = 1
    concurrency: int = 4
    alpha: float = ALPHA
    """Error probability of each bound."""
    inconclusive: Inconclusive = "fail"
    """What becomes of a test that the items are too few to decide."""
    name: str = ""
    """What the system is called; the test's name by default."""
    server: str | bool | None = None


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", _MARK)


@pytest.fixture
def zirkel_evaluate(request: pytest.FixtureRequest) -> Callable[[Callable[..., object]], "Result"]:
    """Evaluate a function as the test's mark ``zirkel`` says, and fail unless its means are at least the floor.

    A mean passes if its lower bound is at least the floor, and fails if its upper bound is below; in between the items
    are too few to tell. A test fails, too, if an answer or a score is errored.
    """
    mark = request.node.get_closest_marker("zirkel")
    if mark is None:
        raise pytest.UsageError(f"{request.node.nodeid} needs @pytest.mark.zirkel(dataset=…, evaluators=…)")
    wish = Wish(*mark.args, **mark.kwargs)

    def run(function: Callable[..., object]) -> "Result":
        from zirkel.client.evaluating import evaluate  # noqa: PLC0415 (most runs of pytest do without it)

        result = evaluate(
            function,
            _near(wish.dataset, request.path),
            wish.evaluators if _is_listed(wish.evaluators) else _near_file(wish.evaluators, request.path),
            trials=wish.trials,
            concurrency=wish.concurrency,
            name=wish.name or request.node.name,
            server=wish.server,
        )
        check(result, wish)
        return result

    return run


def check(result: "Result", wish: Wish) -> None:
    """End the test if what was found is not what was asked for."""
    for count, what in ((result.errored, "answers"), (result.errored_scores, "scores")):
        if count:
            pytest.fail(f"{count} {what} are errored\n{result}", pytrace=False)
    floors = wish.floor if isinstance(wish.floor, Mapping) else dict.fromkeys(result.scores, wish.floor)
    unclear = []
    for evaluator, floor in floors.items():
        if floor is None:
            continue
        bounds = result.bounds(evaluator, wish.alpha)
        if bounds is None:
            unclear.append(f"{evaluator}: too few items were scored")
            continue
        said = (
            f"{evaluator}: mean {bounds.estimate:.3f} of {bounds.n} items, bounds {bounds.low:.3f} to {bounds.high:.3f}"
        )
        if bounds.high < floor:
            pytest.fail(f"{said}, below the floor {floor:g}\n{result}", pytrace=False)
        if bounds.low < floor:
            unclear.append(f"{said}: too few items to tell whether it is at least {floor:g}")
    if unclear:
        end = pytest.skip if wish.inconclusive == "skip" else pytest.fail
        end("inconclusive: " + "; ".join(unclear))


def _is_listed(evaluators: Sequence[object] | str | Path) -> bool:
    return not isinstance(evaluators, str | Path)


def _near(
    dataset: str | Path | Sequence[Mapping[str, object]], test: Path
) -> str | Path | Sequence[Mapping[str, object]]:
    return _near_file(dataset, test) if isinstance(dataset, str | Path) else dataset


def _near_file(name: object, test: Path) -> str | Path:
    """Return the file beside the test, if there is one; else the name as it is."""
    beside = test.parent / str(name)
    return beside if beside.is_file() else str(name)
