"""A mutant: a change that breaks the code in one small way, and the tests that must fail on it."""

from __future__ import annotations

from typing import NamedTuple


class Edit(NamedTuple):
    """One change of a file.

    Attributes:
        file: Path relative to the repository's root.
        old: A text that occurs exactly once in the file; applying the edit fails otherwise.
        new: The replacement.
    """

    file: str
    old: str
    new: str


class Mutant(NamedTuple):
    """One deliberate fault.

    Attributes:
        name: Wrong behaviour of the mutant, as the end of a sentence "a mutant that ...".
        edits: The changes that cause it.
        units: Tests of pytest that must fail, run in a copy of the repository with the edits.
        sockets: Integration tests that must fail, run against an instance with the edited handlers.
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
