"""How often a semantic cache hits where it may, and where it must not, by threshold, with and without the guard.

    python bench/semantic_cache/run.py [--json]

Needs the extra ``semantic``. Prints one line for each threshold, then the false hits that are left at the default.
"""

import argparse
import csv
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from zirkel.core import CachePolicy
from zirkel.gateway.cache.guard import guard_signature
from zirkel.lib.minilm import MiniLmEmbedder
from zirkel.stats import wilson_interval

PAIRS = Path(__file__).with_name("pairs.tsv")
THRESHOLDS = (0.80, 0.85, 0.90, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99)
MAY_SHARE = "paraphrase"
WORST_ACCEPTED = 0.05
"""The default threshold is the lowest one whose interval of the false-hit rate, with the guard, ends below this."""


@dataclass(frozen=True)
class Pair:
    """Two texts, how near their vectors are, and whether the guard lets one answer for the other."""

    kind: str
    first: str
    second: str
    similarity: float
    is_guarded: bool

    def hits(self, threshold: float, *, with_guard: bool) -> bool:
        return self.similarity >= threshold and not (with_guard and self.is_guarded)


@dataclass(frozen=True)
class Row:
    """What one threshold does; rates from 0 to 1."""

    threshold: float
    with_guard: bool
    hit_rate: float
    false_hits: int
    near_misses: int
    false_hit_rate: float
    low: float
    high: float


def measure(pairs: Sequence[Pair], threshold: float, *, with_guard: bool) -> Row:
    """Return the row of a threshold."""
    good = [pair.hits(threshold, with_guard=with_guard) for pair in pairs if pair.kind == MAY_SHARE]
    bad = [pair.hits(threshold, with_guard=with_guard) for pair in pairs if pair.kind != MAY_SHARE]
    interval = wilson_interval(sum(bad), len(bad))
    return Row(
        threshold=threshold,
        with_guard=with_guard,
        hit_rate=sum(good) / len(good),
        false_hits=sum(bad),
        near_misses=len(bad),
        false_hit_rate=interval.estimate,
        low=interval.low,
        high=interval.high,
    )


def read_pairs(embedder: MiniLmEmbedder) -> tuple[list[Pair], float]:
    """Return the labelled pairs with their similarities, and the milliseconds that one text took."""
    with PAIRS.open(newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    begun = time.perf_counter()
    vectors = [embedder.embed([line["a"], line["b"]]) for line in lines]
    text_ms = (time.perf_counter() - begun) * 1000 / (2 * len(lines))
    pairs = [
        Pair(
            kind=line["kind"],
            first=line["a"],
            second=line["b"],
            similarity=float(first @ second),
            is_guarded=guard_signature(line["a"]) != guard_signature(line["b"]),
        )
        for line, (first, second) in zip(lines, vectors, strict=True)
    ]
    return pairs, text_ms


def choose_threshold(rows: Sequence[Row]) -> float:
    """Return the lowest threshold whose false-hit rate with the guard is surely small enough."""
    return min(row.threshold for row in rows if row.with_guard and row.high <= WORST_ACCEPTED)


def print_table(pairs: Sequence[Pair], rows: Sequence[Row], text_ms: float) -> None:
    """Print what a person reads."""
    print(f"{len(pairs)} pairs, {text_ms:.1f} ms for a text, model {MiniLmEmbedder.name}\n")
    print("threshold  guard  hits of paraphrases  false hits of near-misses (95 % interval)")
    for row in rows:
        print(
            f"{row.threshold:9.2f}  {'yes' if row.with_guard else 'no':>5}  {row.hit_rate:19.1%}  "
            f"{row.false_hits:3d}/{row.near_misses}  {row.false_hit_rate:6.1%} ({row.low:.1%} to {row.high:.1%})"
        )
    default = CachePolicy(ttl_s=1).threshold
    print(
        f"\nlowest threshold whose interval ends below {WORST_ACCEPTED:.0%}, with the guard: {choose_threshold(rows)}"
    )
    print(f"default of CachePolicy.threshold: {default}; false hits that are left there:")
    for pair in pairs:
        if pair.kind != MAY_SHARE and pair.hits(default, with_guard=True):
            print(f"  {pair.similarity:.3f}  {pair.kind}: {pair.first} / {pair.second}")


def main() -> int:
    """Measure and print; exit 1 if the program's default is not what the rule gives."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    as_json = bool(parser.parse_args().json)
    pairs, text_ms = read_pairs(MiniLmEmbedder())
    rows = [measure(pairs, threshold, with_guard=guard) for guard in (False, True) for threshold in THRESHOLDS]
    if as_json:
        print(json.dumps({"text_ms": text_ms, "pairs": len(pairs), "rows": [asdict(row) for row in rows]}, indent=1))
    else:
        print_table(pairs, rows, text_ms)
    return 0 if choose_threshold(rows) == CachePolicy(ttl_s=1).threshold else 1


if __name__ == "__main__":
    sys.exit(main())
