"""stagedoor: an API gateway with a durable API orchestrator behind the same door."""
