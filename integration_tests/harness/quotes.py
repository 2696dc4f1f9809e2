"""Texts that a stage sent, as reports, messages and terminals may show them: without the token, and cut only then."""

from __future__ import annotations

from integration_tests.harness import credentials

LONGEST = 80
"""Characters of a text that are shown."""


def beginning(text: str) -> str:
    """Return the beginning of a text without the token."""
    return credentials.hidden(text)[:LONGEST]


def printable(text: str) -> str:
    """Return the beginning of a text without the token, with escapes for characters that terminals or files refuse."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in beginning(text))
