"""Benchmark part "what a member waits": from the moment a function has its event to the moment a post has arrived."""
