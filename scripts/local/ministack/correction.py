"""One row of the table of corrections."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Correction:
    """One corrected difference.

    Attributes:
        name: Subject of the difference.
        aws: AWS's behaviour.
        ministack: Behaviour of the pinned MiniStack.
        source: Title of the AWS document that states it, or another source.
        module: Module of this package that corrects it.
        test: A test that fails without the correction, ``<file>::<function>``.
    """

    name: str
    aws: str
    ministack: str
    source: str
    module: str
    test: str
