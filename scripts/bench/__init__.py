"""Benchmark of the fan-out engine beside other clients, on one machine (``python -m scripts.bench``)."""
