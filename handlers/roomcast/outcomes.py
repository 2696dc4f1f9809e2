"""Counts the outcomes of a fan-out, and hands recipients that were not reached back to the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast.recipients import Report
from roomcast.verdicts import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomcast.recipients import Callback, Recipient, Stragglers

BATCH = 50
"""Recipients per call of a callback: each has two items, and a DynamoDB transaction takes 100."""

MAXIMUM_MALFORMED = 50
"""Upper limit of malformed ids handed back, because API Gateway may object to the message instead."""


class Returns:
    """Recipients to be handed back through one of the caller's callbacks, once the fan-out has ended."""

    def __init__(self, callback: Callback | None) -> None:
        self._callback = callback
        self._recipients: list[Recipient] = []

    def add(self, recipient: Recipient) -> bool:
        """Keep a recipient, unless there is no callback for it; gives whether there is."""
        if self._callback is not None:
            self._recipients.append(recipient)
        return self._callback is not None

    def extend(self, recipients: Sequence[Recipient]) -> int:
        """As ``add``, for several; gives how many were kept."""
        if self._callback is None:
            return 0
        self._recipients.extend(recipients)
        return len(recipients)

    @property
    def count(self) -> int:
        """How many are kept."""
        return len(self._recipients)

    def take(self) -> list[Recipient]:
        """Keep none of them any more; gives them."""
        recipients, self._recipients = self._recipients, []
        return recipients

    def hand_back(self) -> Exception | None:
        """Call the callback, ``BATCH`` recipients at a time, until it fails; gives its exception."""
        recipients = self.take()
        if self._callback is not None:
            for start in range(0, len(recipients), BATCH):
                try:
                    self._callback(recipients[start : start + BATCH])
                except Exception as error:  # noqa: BLE001 - the engine raises it when the other callbacks have run
                    return error
        return None


class Outcomes:
    """The report of a fan-out, and the recipients that were not reached, by reason.

    Args:
        on_gone: As of ``Engine.deliver``.
        on_failed: As of ``Engine.deliver``.
        stragglers: As of ``Engine.deliver``.

    Attributes:
        report: The report.
    """

    def __init__(self, on_gone: Callback | None, on_failed: Callback | None, stragglers: Stragglers) -> None:
        self.report = Report()
        self.gone = Returns(on_gone)
        self.failed = Returns(on_failed)
        self.late = self.failed if stragglers.on_late is None else Returns(stragglers.on_late)
        self.silent = self.late if stragglers.on_silent is None else Returns(stragglers.on_silent)
        self.untried = self.late if stragglers.on_untried is None else Returns(stragglers.on_untried)
        self.refused = self.failed if stragglers.on_refused is None else Returns(stragglers.on_refused)
        self._copies = stragglers.copies
        self._malformed: list[Recipient] = []

    def count(self, recipient: Recipient, outcome: Outcome, copies: int | None, *, is_slow: bool = False) -> None:
        """Count the outcome for a recipient that was not reached.

        Args:
            recipient: The recipient.
            outcome: Why it was not reached.
            copies: How many copies it may have been sent without an answer; ``None`` if it had no turn at all.
            is_slow: Whether it alone is refused.
        """
        report = self.report
        if outcome is Outcome.LATE:
            report.failed += 1
            report.late += 1
            if self._late(copies).add(recipient):
                report.handed_back += 1
            else:
                report.slow += is_slow
        elif outcome is Outcome.FAILED:
            report.failed += 1
            report.slow += is_slow
            self.failed.add(recipient)
        elif outcome is Outcome.REFUSED:
            report.failed += 1
            self.refused.add(recipient)
        else:
            report.gone += 1
            if outcome is Outcome.DEAD:
                self.gone.add(recipient)
            elif outcome is Outcome.MALFORMED and len(self._malformed) < MAXIMUM_MALFORMED:
                self._malformed.append(recipient)

    def leave(self, recipients: Sequence[Recipient]) -> None:
        """Count recipients without a post, because no time is left for them."""
        report = self.report
        report.failed += len(recipients)
        report.late += len(recipients)
        report.unsent += len(recipients)
        report.handed_back += self.untried.extend(recipients)

    def _late(self, copies: int | None) -> Returns:
        if copies is None:
            return self.untried
        return self.silent if copies > self._copies else self.late

    def hand_back(self) -> Exception | None:
        """Call all callbacks; gives the first exception that one raised."""
        report = self.report
        if report.delivered:
            self.gone.extend(self._malformed)
        if self.refused is not self.failed:
            if report.delivered or report.gone:
                self.failed.extend(self.refused.take())
            else:
                report.handed_back += self.refused.count
        all_returns = (self.gone, self.failed, self.late, self.silent, self.untried, self.refused)
        errors = [returns.hand_back() for returns in all_returns]
        return next((error for error in errors if error is not None), None)
