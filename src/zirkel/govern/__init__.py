"""Room: govern."""
