"""What a release is compared with. Pure."""

from zirkel.core import EnvironmentRecord


def baseline_of(live: EnvironmentRecord | None, declared: str | None, release: str) -> str | None:
    """Return the release to compare with: what is live, else what the service declares; never the release itself."""
    baseline = live.stable_release if live else declared
    return None if baseline == release else baseline
