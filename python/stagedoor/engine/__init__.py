"""Running machines durably: every outcome is in the event log before its machine hears of it."""
