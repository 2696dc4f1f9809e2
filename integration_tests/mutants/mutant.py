"""What a mutant is: a change that makes the code wrong in one small way, and the tests that must fail because of it."""

from __future__ import annotations

from typing import NamedTuple


class Edit(NamedTuple):
    """One change of a file.

    Attributes:
        file: Below the repository's root.
        old: A text that occurs there once; where the code has changed so that it does not, applying fails.
        new: What is written in its place.
    """

    file: str
    old: str
    new: str


class Mutant(NamedTuple):
    """One way to be wrong.

    Attributes:
        name: What the broken code does.
        edits: The changes that make it do so.
        units: Tests of pytest that must fail, run in a copy of the repository with the changes in it.
        sockets: Integration tests that must fail, run against an instance with the changed handlers.
        terraform: Runs of ``terraform test`` that must fail, each as ``<file>::<name of the run>``.
    """

    name: str
    edits: tuple[Edit, ...]
    units: tuple[str, ...] = ()
    sockets: tuple[str, ...] = ()
    terraform: tuple[str, ...] = ()

    @property
    def tests(self) -> tuple[str, ...]:
        """All tests that must fail."""
        return (*self.units, *self.sockets, *self.terraform)
