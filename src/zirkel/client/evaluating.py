"""``zirkel.evaluate``: measuring code that is not behind the gateway. When called it needs the server's libraries."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from zirkel.core import Invalid

if TYPE_CHECKING:
    from decimal import Decimal


class Bounded(Protocol):
    """A mean with an interval."""

    estimate: float
    low: float
    high: float
    n: int


class Result(Protocol):
    """What an evaluation found."""

    experiment_id: str
    """Of the server that has it too; empty if none has."""
    upload_error: str
    """Why the server does not have it, though it should."""

    @property
    def scores(self) -> Mapping[str, Bounded | None]:
        """Each evaluator's mean over the items, with its 95 % interval; ``None`` below two items."""
        ...

    @property
    def errored(self) -> int:
        """Answers that there are none of."""
        ...

    @property
    def errored_scores(self) -> int:
        """Scores that evaluators failed to give."""
        ...

    @property
    def cost_usd(self) -> "Decimal | None":
        """What system and judges cost; ``None`` if any price is unknown."""
        ...

    def bounds(self, evaluator: str, alpha: float = 0.05) -> Bounded | None:
        """Return an evaluator's mean with bounds that are each wrong with probability ``alpha``."""
        ...

    def compare(self, other: "Result") -> Mapping[str, object]:
        """Return each shared evaluator's difference, this one minus the other, paired by item."""
        ...

    def to_dict(self) -> dict[str, object]:
        """Return the summary as plain JSON values."""
        ...


def evaluate(
    fn: Callable[[Mapping[str, object]], object] | str | object,
    dataset: str | Path | Sequence[Mapping[str, object]],
    evaluators: Sequence[object] | str | Path,
    *,
    trials: int = 1,
    concurrency: int = 4,
    name: str = "",
    server: str | bool | None = None,
    version: str = "",
    release: str = "",
    gateway_url: str = "",
    requests_per_s: float | None = None,
    tokens_per_min: int | None = None,
) -> Result:
    """Ask a function every item of a data set, judge its answers, and return scores with intervals.

    Args:
        fn: Takes an item's input, a mapping, and returns the answer: a text, or a mapping with ``output`` and, if they
            are known, ``cost_usd``, ``contexts``, ``tool_calls``, ``input_tokens`` and ``output_tokens``. It may be
            asynchronous; one that is not runs in threads. Also the import path of one, ``package.module:function``.
        dataset: Items (``input``, and ``id``, ``expected``, ``contexts``, ``cluster``, ``tags`` if they have them), the
            path of a JSONL, CSV or Parquet file, or the name of a server's data set, ``NAME`` or ``NAME@VERSION``.
        evaluators: Names of kinds, tables as in ``evaluators.toml``, functions ``(output)`` or ``(output, item)`` that
            return a number, a truth value, a mapping with ``value`` and ``reason``, or ``None``; or the path of an
            ``evaluators.toml``.
        trials: Answers per item.
        concurrency: Calls at once.
        name: What the system is called; the function's name by default.
        server: The server that keeps the experiment too: its address, or ``False`` for none. By default the one of
            ``ZIRKEL_URL``, if ``ZIRKEL_API_KEY`` is set.
        version: Of the system, e.g. a commit; another version is another release for the server.
        release: A pushed release of the service ``name`` that the answers are taken for, e.g. ``candidate``.
        gateway_url: Where judges ask their models, e.g. ``http://127.0.0.1:4000``.
        requests_per_s: Calls a second at most.
        tokens_per_min: Tokens a minute at most, by what the answers report.

    Raises:
        Invalid: If something given will not do, or the server's libraries are not installed.
    """
    missing = next((module for module in ("numpy", "scipy", "httptools") if find_spec(module) is None), None)
    if missing is not None:
        raise Invalid(
            f"zirkel.evaluate needs the server's libraries ({missing} is missing): pip install 'zirkel[server]'"
        )
    local = import_module("zirkel.app.local_evaluation")
    options = local.LocalOptions(
        trials=trials,
        concurrency=concurrency,
        name=name,
        version=version,
        release=release,
        server=server,
        gateway_url=gateway_url,
        requests_per_s=requests_per_s,
        tokens_per_min=tokens_per_min,
    )
    return cast(Result, local.evaluate_locally(fn, dataset, evaluators, options))
