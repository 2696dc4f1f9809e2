"""What a scenario is about, and how much of it took place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from integration_tests.report.documents import Document


@dataclass
class Subject:
    """What a scenario is about.

    Attributes:
        what: Clients or messages, in words.
        due: How many the scenario is about.
        done: How many of them went through it.
    """

    what: str
    due: int
    done: int = 0

    @property
    def share(self) -> float:
        """The share of it that took place."""
        return min(1.0, self.done / self.due) if self.due else 0.0

    def document(self) -> Document:
        """Return this part of the document."""
        return {"what": self.what, "due": self.due, "done": self.done, "share": self.share}

    @staticmethod
    def read(part: Document) -> Subject:
        """Return the subject of a document."""
        return Subject(part["what"], part["due"], part["done"])
