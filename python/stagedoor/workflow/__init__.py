"""The machine: a workflow document compiled once, and its state as a fold over events. No I/O, clock or randomness."""
