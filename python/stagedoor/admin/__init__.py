"""The admin endpoint: health, metrics and executions, for operators and their tools."""
