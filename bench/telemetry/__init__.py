"""How fast telemetry is taken in and read back, beside Arize Phoenix and MLflow on the same spans."""
