"""What differs between two of the gateway's documents, for people to read. Pure."""

from collections.abc import Mapping, Sequence

from zirkel.core import GatewayConfig


def list_changes(before: GatewayConfig, after: GatewayConfig) -> tuple[str, ...]:
    """Return what differs between two documents, one line for each named thing, e.g. ``model fast changed``."""
    found = [f"{name} changed" for name in ("capture", "limits", "resilience") if _differs(name, before, after)]
    found += _named_changes("upstream", {u.name: u for u in before.upstream}, {u.name: u for u in after.upstream})
    found += _named_changes("model", {m.name: m for m in before.model}, {m.name: m for m in after.model})
    found += _named_changes("limits of", _subjects(before), _subjects(after))
    found += _named_changes("price of", _prices(before), _prices(after))
    return tuple(found)


def _differs(name: str, before: GatewayConfig, after: GatewayConfig) -> bool:
    old: object = getattr(before, name)
    return bool(old != getattr(after, name))


def _subjects(config: GatewayConfig) -> Mapping[str, object]:
    return {f"user {s.user}" if s.user else f"service {s.service}": s for s in config.limit}


def _prices(config: GatewayConfig) -> Mapping[str, object]:
    return {f"{p.model} from {p.effective}": p for p in config.price}


def _named_changes(what: str, before: Mapping[str, object], after: Mapping[str, object]) -> Sequence[str]:
    words = {name: "added" for name in after if name not in before}
    words |= {name: "removed" for name in before if name not in after}
    words |= {name: "changed" for name in after if name in before and before[name] != after[name]}
    return [f"{what} {name} {words[name]}" for name in sorted(words)]
