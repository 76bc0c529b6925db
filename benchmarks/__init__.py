"""Figures beside nginx, HAProxy and Envoy: `python -m benchmarks.run`, from the root of the repository."""
