"""The bounds of a load run: what no client machine, no stage and no patience allows."""

from __future__ import annotations

from scripts.descriptors import allow_sockets

LONGEST_RUN = 30 * 86_400.0
"""Seconds, as far apart as messages and handshakes may be due: a month, longer than any sensible run."""
LARGEST_SIZE = 128 * 1024
"""Characters: a message on AWS has at most 128 KB, the JSON around its text included
(https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html)."""


class OptionsError(ValueError):
    """The options ask for something impossible; the message names the bounds."""


def check_length(option: str, seconds: float) -> None:
    """Refuse a run of months.

    Raises:
        OptionsError: It would take months.
    """
    if seconds > LONGEST_RUN:
        raise OptionsError(f"with this {option} the run would take more than {LONGEST_RUN / 86_400:g} days")


def check_size(size: int) -> None:
    """Refuse messages that AWS refuses.

    Raises:
        OptionsError: They are too large, so that every stage would lose them.
    """
    if size > LARGEST_SIZE:
        raise OptionsError(f"messages of {size:,} characters are more than the {LARGEST_SIZE:,} that AWS takes")


def check_sockets(each: int) -> None:
    """Refuse more sockets in a process than the system allows.

    Raises:
        OptionsError: They are too many.
    """
    if each > (most := allow_sockets()):
        raise OptionsError(
            f"{each} sockets in one process are more than the {most} that its limit on open files leaves: "
            "use more processes or raise the limit (ulimit -n)"
        )
