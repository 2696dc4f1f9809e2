"""Every correction against a running MiniStack, and the same probe against a MiniStack left as it is."""
