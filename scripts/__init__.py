"""Commands around Roomcast, each runnable as ``python -m scripts.<name>`` from the repository's root."""
