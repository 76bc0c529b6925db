"""Consumers, keys and plans that are created while the gateway runs, beside those of the configuration."""
