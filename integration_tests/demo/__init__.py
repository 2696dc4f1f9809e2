"""`make demo`: the guarantees, to watch."""
