"""What a message costs: the fan-out engine beside others, in one run on one machine (``python -m scripts.bench``)."""
