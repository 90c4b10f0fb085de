"""Room: ship."""
