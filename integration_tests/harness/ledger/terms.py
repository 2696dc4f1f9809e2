"""The time that a run grants a stage."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Terms:
    """The time that a run grants a stage before it finds fault. All times in seconds.

    Attributes:
        transit: How long the frames of an acknowledged message may still take to a client.
        queued_within: The same for a message with a receipt that says only that it is queued.
        late_after: How long a delivery or an answer may take before it counts as late.
        patience: How long a message without a receipt is owed, and how long the run waits for anything.
        ordered: Whether the stage promises the order of a room's messages, so that it is checked.
    """

    transit: float = 2.0
    queued_within: float = 30.0
    late_after: float = math.inf
    patience: float = math.inf
    ordered: bool = False

    def scaled_by(self, factor: float) -> Terms:
        """Return the same terms with all times multiplied."""
        return replace(
            self,
            transit=factor * self.transit,
            queued_within=factor * self.queued_within,
            late_after=factor * self.late_after,
            patience=factor * self.patience,
        )
