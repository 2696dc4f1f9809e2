"""Why a check could not be made."""

from __future__ import annotations


class NotMade(Exception):  # noqa: N818 - no fault of the program
    """A check could not be made; the text says why.

    Attributes:
        right: The right that is missing, if it is one.
        status: HTTP status of AWS's answer; 0 without one.
        message: AWS's own words.
    """

    def __init__(self, reason: str, *, right: str = "", status: int = 0, message: str = "") -> None:
        super().__init__(reason)
        self.right, self.status, self.message = right, status, message


class NotThere(NotMade):
    """What was asked for does not exist."""
