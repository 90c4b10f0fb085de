"""Room: lib."""
