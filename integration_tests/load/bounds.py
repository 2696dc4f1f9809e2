"""The bounds of a load run: what no client machine, no stage and no patience allows."""

from __future__ import annotations

from scripts.descriptors import allow_sockets

LONGEST_RUN = 30 * 86_400.0
"""Seconds, as far apart as messages and handshakes may be due: a month, longer than any sensible run."""
LARGEST_SIZE = 128 * 1024
"""Characters: a message on AWS has at most 128 KB, the JSON around its text included
(https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html)."""

MOST_MESSAGES = 100_000_000
"""Some ten a second for that month. The ledger takes 250 bytes for each, and so 25 GB for all."""
MOST_PROCESSES = 64
"""Client processes: each is a Python for a core of its own."""
SHORTEST_LIFETIME = 0.1
"""Seconds between two handshakes of a client; the second one could not be told from the first."""


class OptionsError(ValueError):
    """The options ask for something impossible; the message names the bounds."""


def check_length(option: str, seconds: float) -> None:
    """Refuse a run of months.

    Raises:
        OptionsError: It would take months.
    """
    if seconds > LONGEST_RUN:
        raise OptionsError(f"with this {option} the run would take more than {LONGEST_RUN / 86_400:g} days")


def check_messages(messages: int) -> None:
    """Refuse more messages than can be accounted for.

    Raises:
        OptionsError: They are too many.
    """
    if messages > MOST_MESSAGES:
        raise OptionsError(f"{messages:.0e} messages are more than the {MOST_MESSAGES:,} that a run can account for")


def check_processes(processes: int) -> None:
    """Refuse more client processes than a machine has cores.

    Raises:
        OptionsError: They are too many.
    """
    if processes > MOST_PROCESSES:
        raise OptionsError(
            f"{processes:,} client processes are more than {MOST_PROCESSES}: each is a Python for a core of its own"
        )


def check_lifetime(seconds: float) -> None:
    """Refuse connections that end while they begin.

    Raises:
        OptionsError: They would.
    """
    if seconds < SHORTEST_LIFETIME:
        raise OptionsError(f"--lifetime must be at least {SHORTEST_LIFETIME:g} s, as no handshake is faster")


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
