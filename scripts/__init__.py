"""Commands around Roomcast; run each as ``python -m scripts.<name>`` from the repository's root."""
