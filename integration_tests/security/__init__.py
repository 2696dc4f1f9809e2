"""Attacks and rights: what a client, a token or a function must not be able to do."""
