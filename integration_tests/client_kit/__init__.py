"""Conformance kit for clients of ``roomcast.v1``."""

from scripts import clients

__all__ = ["clients"]
"""Whose import lets the modules here find the client."""
