"""What Zirkel's gateway costs beside nginx and LiteLLM, on one mock upstream, within one run."""
