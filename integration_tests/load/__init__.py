"""Load runs: thousands of clients, every message accounted for."""

from scripts import clients

__all__ = ["clients"]
"""Whose import lets the modules here find the Python client."""
