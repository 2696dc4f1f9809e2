"""One row of the table of what is corrected."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Correction:
    """One difference that is closed.

    Attributes:
        name: What it is about.
        aws: What AWS does.
        ministack: What the pinned MiniStack does.
        source: Title of the AWS document that says so; or where else it is known from.
        module: Module of this package that closes it.
        test: A test that fails without it, ``<file>::<function>``.
    """

    name: str
    aws: str
    ministack: str
    source: str
    module: str
    test: str
