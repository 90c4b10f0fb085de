"""How much an experiment costs beside its calls."""
