"""Benchmark of waiting: from the moment a function has its event to the moment a post has arrived."""
