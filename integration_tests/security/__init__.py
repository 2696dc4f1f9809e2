"""Attacks and rights: actions that a client, a token or a function must not be able to carry out."""
