"""Room: observe."""
