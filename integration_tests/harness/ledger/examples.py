"""Sentences about the faults of a run."""

from __future__ import annotations

from collections import Counter

EXAMPLES = 10
"""Sentences for each kind of finding."""


class Examples:
    """Sentences about faults, a few of each kind.

    Args:
        began_at: When the run began, monotonic seconds.
    """

    def __init__(self, began_at: float) -> None:
        self.sentences: list[str] = []
        self._began_at = began_at
        self._counts: Counter[str] = Counter()

    def wanted(self, finding: str) -> bool:
        """Whether one more of this kind would be kept."""
        return self._counts[finding] < EXAMPLES

    def add(self, finding: str, sentence: str) -> None:
        """Keep a sentence about a finding, unless there are enough."""
        if self.wanted(finding):
            self._counts[finding] += 1
            self.sentences.append(f"{finding.replace('_', ' ')}: {sentence}")

    def clock(self, at: float) -> str:
        """Write a monotonic time as one since the start of the run."""
        return f"at {at - self._began_at:.3f} s"
