"""Each alarm of the backend: its fault is injected, its metrics appear as it names them, and it notifies its topic."""
