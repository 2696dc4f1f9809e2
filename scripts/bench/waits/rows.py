"""Rows of the table: scenarios."""

from __future__ import annotations

from typing import NamedTuple

DATABASE_SECONDS = 0.005
POST_SECONDS = 0.015
CONNECTION_SECONDS = 0.005
SLOW_WRITE_SECONDS = 0.025
TAIL_SHARE = 0.01

RATE = 10_000
"""Posts per second that an account may make
(https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html)."""
BURST = 5_000
"""Posts beyond that rate that an account may make at once."""


class Row(NamedTuple):
    """One row.

    Attributes:
        name: Its name.
        members: Size of the room, sender included.
        shards: Number of the room's partitions.
        queue: ``""`` for delivery by ``sendmessage``; ``standard`` or ``fifo`` for delivery by the queue worker.
        messages: Messages that one event of the queue worker holds.
        state: ``warm``; ``lukewarm``: the services have closed all connections; ``cold``: a new process.
        trouble: ``""``, ``tails``, ``full`` (some members are at 429), ``silent`` (some never answer) or ``dead``
            (half of the room is gone, and writes to the table are slow).
        stuck: How many members that trouble has.
        cpu: Share of one CPU that the function has.
        rounds: How often each contender takes its turn.
        ranks: Whether to count how often the same member is among the last.
        http2: Whether the host of ``@connections`` offers HTTP/2.
        compares: Whether the modes of sending take turns. Then waits begin with the sender's event, also with a queue.
    """

    name: str
    members: int
    shards: int = 1
    queue: str = ""
    messages: int = 1
    state: str = "warm"
    trouble: str = ""
    stuck: int = 1
    cpu: float = 1.0
    rounds: int = 7
    ranks: bool = False
    http2: bool = False
    compares: bool = False

    @property
    def floor(self) -> float:
        """Sum of the usual handler's round trips, in seconds, until the last post has been sent.

        One read of the sender and then one of the room; a queue worker reads the room only. New connections do not
        count. In large rooms the account's rate adds its time.
        """
        reads = 1 if self.queue else 2
        return reads * DATABASE_SECONDS + max(0, self.members * self.messages - BURST) / RATE

    @property
    def living(self) -> frozenset[int]:
        """Numbers of the members that a message must reach; the sender is number 0."""
        if self.trouble == "dead":
            return frozenset(range(0, self.members, 2))
        members = frozenset(range(self.members))
        first = min(self.members // 2, self.members - self.stuck)
        return members - set(range(first, first + self.stuck)) if self.trouble in {"full", "silent"} else members

    @property
    def troubled(self) -> list[int]:
        """Numbers of the other members."""
        return sorted(set(range(self.members)) - self.living)


SIZES = (10, 100, 1_000, 10_000)


def _rows() -> list[Row]:
    rows = [Row(f"warm-{size}", size, rounds=rounds) for size, rounds in zip(SIZES, (21, 15, 7, 3), strict=True)]
    rows += [Row(f"warm-{size}-shards-{shards}", size, shards) for shards in (4, 16) for size in SIZES[:3]]
    rows += [Row("warm-10000-shards-16", 10_000, 16, rounds=3)]
    rows += [Row(f"warm-{size}-cpu-0.29", size, cpu=0.29, rounds=5) for size in SIZES[:3]]
    rows += [Row(f"lukewarm-{size}", size, state="lukewarm", rounds=5) for size in SIZES[:3]]
    for cpu in (1.0, 0.29):
        suffix = "" if cpu == 1 else f"-cpu-{cpu}"
        rows += [Row(f"cold-{size}{suffix}", size, state="cold", cpu=cpu, rounds=5) for size in SIZES[:3]]
    rows += [Row("cold-10000", 10_000, state="cold", rounds=2)]
    rows += [
        Row(f"http2-{state}-{size}", size, state=state, rounds=rounds, http2=True)
        for state in ("warm", "cold")
        for size, rounds in zip(SIZES, (21, 15, 7, 3), strict=True)
    ]
    rows += [Row(f"queue-{size}", size, queue="standard") for size in SIZES[:3]]
    rows += [Row("queue-10000", 10_000, queue="standard", rounds=3), Row("queue-100-shards-16", 100, 16, "standard")]
    rows += [Row("queue-1000-lukewarm", 1_000, queue="standard", state="lukewarm", rounds=5)]
    rows += [Row("queue-100-cold", 100, queue="standard", state="cold", rounds=5)]
    rows += [Row("queue-100-cold-cpu-0.29", 100, queue="standard", state="cold", cpu=0.29, rounds=5)]
    rows += [Row(f"fifo-{size}", size, queue="fifo") for size in SIZES[1:3]]
    rows += [Row(f"{trouble}-1000", 1_000, trouble=trouble, rounds=5) for trouble in ("tails", "dead")]
    rows += [
        Row(f"{trouble}-{size}", size, trouble=trouble, rounds=2)
        for trouble in ("full", "silent")
        for size in (100, 1_000)
    ]
    for queue, name in (("standard", "queue"), ("fifo", "fifo")):
        rows += [Row(f"{name}-100-batch", 100, queue=queue, messages=10, rounds=3)]
        rows += [
            Row(f"{name}-100-batch-{trouble}", 100, queue=queue, messages=10, trouble=trouble, rounds=2)
            for trouble in ("full", "silent")
        ]
        rows += [
            Row(f"{name}-100-batch-{trouble}-{stuck}", 100, 1, queue, 10, trouble=trouble, stuck=stuck, rounds=2)
            for trouble in ("full", "silent")
            for stuck in (25, 60)
        ]
        rows += [Row(f"{name}-1000-dead", 1_000, queue=queue, trouble="dead", rounds=3)]
    rows += [Row("fairness-1000", 1_000, rounds=20, ranks=True)]
    rows += [
        Row(f"modes-{size}{suffix}", size, queue=queue, rounds=rounds, compares=True)
        for queue, suffix in (("", ""), ("standard", "-queue"))
        for size, rounds in zip(SIZES[:3], (21, 15, 9), strict=True)
    ]
    return rows


ROWS = _rows()
QUICK = (
    *("warm-10", "warm-100", "warm-1000", "warm-100-shards-16", "cold-100", "queue-100", "queue-100-batch-full"),
    *("modes-10", "modes-10-queue"),
)
"""Rows of a quick check."""
