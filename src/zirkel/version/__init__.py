"""Room: version."""
