"""What a stage costs a month, and which quota it reaches first, from how it is used. Nothing here calls AWS.

Each term is a quantity times a price, and each quantity follows from a few numbers that were measured: the time and
memory of functions, the units of the table, the bytes of log lines and frames. ``Measured`` holds them; tests compare
them with the handlers and the Terraform modules.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MONTH = 2_592_000
"""Seconds of a month of 30 days."""
MILLION = 1_000_000
GB = 1e9
"""Bytes: AWS bills logs and transfer by the GB."""
ROLLOVER_SECONDS = 6_000
"""Clients open their next connection after 100 minutes, because API Gateway closes each after two hours
(https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html)."""
LONGEST_HEARTBEAT = 480
"""Seconds: API Gateway closes a connection that is idle for ten minutes (same page)."""
LONGEST_SPREAD = 600
"""Seconds: the most that ``client_limits`` takes."""
MESSAGE_BYTES = 32 * 1024
"""API Gateway counts a message for each 32 KB of a frame (https://aws.amazon.com/api-gateway/pricing/)."""
READ_BYTES = 4096
"""A strongly consistent read takes a unit for each 4 KB
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html)."""
WRITE_BYTES = 1024
"""A write takes a unit for each 1 KB (same page)."""
SQS_BYTES = 64 * 1024
"""SQS counts a request for each 64 KB (https://aws.amazon.com/sqs/pricing/)."""
APPSYNC_BYTES, AZURE_BYTES = 5 * 1024, 2 * 1024
"""Bytes of a message that these services count once."""
ENOUGH = 0.8
"""Share of a quota up to which a stage fits: what is left is for peaks."""
FUNCTION_SECONDS = 27
"""Timeout of ``sendmessage``: API Gateway waits 29 s at most for an answer."""
FANOUT_SECONDS = FUNCTION_SECONDS - 3.0
"""What a fan-out has of that: the function keeps 0.5 s to end in time, 2 s for its answer, and 0.5 s for what it gives
up."""
ENGINE_POSTS = 12_000
"""Posts a second of one invocation of the engine with one virtual CPU."""
CENSUS_SECONDS = 300
"""The sweeper's schedule."""
SWEEP_PACE, SWEEP_SECONDS = 125.0, 60.0
"""Connections a second that the sweeper asks for: the modules' share, 0.05, of the 2,500 requests a second that they
reckon with. A run asks for so many seconds at most, and the next one goes on."""
IDLE_POLLS = 650_000
"""Receives a month of a queue that is empty: Lambda keeps five pollers that wait 20 s each."""


class UsageError(ValueError):
    """A number that no stage can have."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of one message, ping or handshake.

    Attributes:
        envelope: Bytes of a ``message`` of ``roomcast.v1`` beside its data.
        pong: Bytes of a ``pong``.
        frame_overhead: Bytes of WebSocket, TLS and TCP around a frame.
        member_bytes: Bytes of a member's item, which a message reads.
        send_seconds, send_seconds_per_member: Time of a fan-out; the benchmark's ``warm`` rows.
        enqueue_seconds: Time of ``sendmessage`` where a worker delivers; the benchmark's ``queue`` rows.
        ping_seconds, handshake_seconds: Time of a ping; of a handshake and its end together.
        small_gb: Memory of every function but those that fan out, in GB.
        handshake_writes, handshake_reads: Units of a handshake and its end together.
        post_overhead: Bytes of a post's request and answer beside the frame, in both directions.
        task_overhead: Bytes of a task beside the message.
        send_log, handshake_log, ping_log: Bytes of log lines: the function's own, Lambda's and the access log's.
        connection_bytes, token_bytes: Bytes of a connection's items in one room, which a census reads; with a token so
            many more.
        sweeper_seconds: Time of a run of the sweeper beside its questions.
        sweeper_writes: Units of a run: its lease, and how far it came.
        metrics, alarm_metrics, dashboards: Of one stage in CloudWatch. Metrics are those of a stage without trouble.
        sweeper_metrics: Of the sweeper, besides.
        authorizer_alarms, queue_alarms, sweeper_alarms: Metrics of alarms, besides.
    """

    envelope: int = 150
    pong: int = 100
    frame_overhead: int = 80
    member_bytes: int = 100
    send_seconds: float = 0.042
    send_seconds_per_member: float = 0.00008
    enqueue_seconds: float = 0.015
    ping_seconds: float = 0.015
    handshake_seconds: float = 0.065
    small_gb: float = 0.25
    handshake_writes: int = 8
    handshake_reads: int = 1
    post_overhead: int = 1_000
    task_overhead: int = 400
    send_log: int = 1_210
    handshake_log: int = 1_500
    ping_log: int = 590
    connection_bytes: int = 215
    token_bytes: int = 220
    sweeper_seconds: float = 0.5
    sweeper_writes: int = 2
    metrics: int = 4
    sweeper_metrics: int = 2
    alarm_metrics: int = 31
    authorizer_alarms: int = 2
    queue_alarms: int = 4
    sweeper_alarms: int = 4
    dashboards: int = 1


@dataclass(frozen=True, slots=True)
class Usage:
    """How a stage is used.

    Attributes:
        connections: Open connections.
        room_size: Members of a room, of the largest one if they differ.
        messages_per_second: Messages that clients send, in the whole stage.
        bytes: Bytes of a message's data.
        heartbeat: Seconds between two pings of a client; 0 for clients in text mode, which send none.
        hours_a_day: Hours in which clients are connected.
        ids: Whether messages have an ``id``: the sender gets a receipt, and a room that keeps messages stores one once.
        history: Whether rooms keep messages.
        queued, fifo: Whether messages pass through a queue, which keeps their order.
        authorizer: Whether an authorizer checks tokens.
        sweeper: Whether a function counts the connections, and deletes items of those that are gone.
        nat_zones: Zones with a NAT gateway, through which functions in a VPC post.
        memory: Memory of the functions that fan out, in MB.
        shards: Partitions of a room.
        spread: Seconds over which clients return after a lost connection.
        pace: Posts a second of one invocation; 0 for no limit.

    Raises:
        UsageError: A number is out of its range.
    """

    connections: float
    room_size: float
    messages_per_second: float
    bytes: int = 500
    heartbeat: float = 270
    hours_a_day: float = 24
    ids: bool = False
    history: bool = False
    queued: bool = False
    fifo: bool = False
    authorizer: bool = False
    sweeper: bool = False
    nat_zones: int = 0
    memory: float = 1024
    shards: int = 1
    spread: float = 5
    pace: float = 0
    measured: Measured = field(default_factory=Measured)

    def __post_init__(self) -> None:
        for name, least, most in (
            ("connections", 1, 1e9),
            ("room_size", 1, 1e9),
            ("messages_per_second", 0, 1e9),
            ("bytes", 1, 131_072),
            ("heartbeat", 0, LONGEST_HEARTBEAT),
            ("hours_a_day", 0.1, 24),
            ("nat_zones", 0, 10),
            ("memory", 128, 10_240),
            ("shards", 1, 100),
            ("spread", 0, LONGEST_SPREAD),
            ("pace", 0, 1e9),
        ):
            if not least <= getattr(self, name) <= most:  # false for a number that is none
                raise UsageError(f"{name.replace('_', '-')} must be {least:,} to {most:,.0f}")
        if 0 < self.heartbeat < 30:
            raise UsageError(f"heartbeat must be 0, for clients in text mode, or 30 to {LONGEST_HEARTBEAT}")
        if self.room_size > self.connections:
            raise UsageError("room-size must be connections at most, because a member is a connection")

    @property
    def sends(self) -> float:
        """Messages a second that clients send."""
        return self.messages_per_second

    @property
    def deliveries(self) -> float:
        """Posts a second that bring messages to members, the sender included."""
        return self.messages_per_second * self.room_size

    @property
    def receipts(self) -> float:
        """Posts a second that tell senders what became of their message."""
        return self.messages_per_second if self.ids else 0.0

    @property
    def pings(self) -> float:
        """Pings a second, each of which is answered with a post."""
        return self.connections / self.heartbeat if self.heartbeat else 0.0

    @property
    def handshakes(self) -> float:
        """Handshakes a second by which clients replace their connections."""
        return self.connections / ROLLOVER_SECONDS

    @property
    def censuses(self) -> float:
        """Runs a second of the sweeper."""
        return 1 / CENSUS_SECONDS if self.sweeper else 0.0

    @property
    def questions(self) -> float:
        """Connections that a run of the sweeper asks for."""
        return min(self.connections, SWEEP_PACE * SWEEP_SECONDS)

    @property
    def frame(self) -> int:
        """Bytes of a message as a member receives it; in text mode nothing surrounds the data."""
        return self.bytes + (self.measured.envelope if self.heartbeat else 0)

    @property
    def room_read_units(self) -> int:
        """Read units of the members of a room."""
        return self.shards * _units(self.room_size / self.shards * self.measured.member_bytes, READ_BYTES)

    @property
    def fanout_seconds(self) -> float:
        """Time of a fan-out, in seconds."""
        return self.measured.send_seconds + self.measured.send_seconds_per_member * self.room_size


def _units(size: float, unit: int) -> int:
    return max(1, math.ceil(size / unit))


# Cost


class Line(NamedTuple):
    """A term of a month's cost.

    Attributes:
        service: As AWS bills it.
        item: The quantity's name, the same words every time.
        quantity: Of a month; what is free is not taken off.
        unit: Of the quantity.
        usd: Cost of a month.
        price: Name of the price.
    """

    service: str
    item: str
    quantity: float
    unit: str
    usd: float
    price: str


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a month.

    Attributes:
        lines: The terms, in the order in which they are shown.
        message_parts: API Gateway's messages of a month by their cause.
    """

    lines: tuple[Line, ...]
    message_parts: Mapping[str, float]

    @property
    def usd(self) -> float:
        """All terms together."""
        return sum(line.usd for line in self.lines)


def cost(usage: Usage, prices: Mapping[str, float], *, free_tier: bool = False) -> Cost:
    """Return what a month costs.

    Args:
        usage: How the stage is used.
        prices: Values of ``prices.json`` by name.
        free_tier: Whether to take off what AWS gives an account for free each month, as if nothing else used it.
    """
    month = MONTH * usage.hours_a_day / 24
    parts = {name: rate * month for name, rate in _messages(usage).items()}
    lines = [_message_line(sum(parts.values()), prices)]
    for service, item, quantity, unit, price, scale in _terms(usage, month):
        free = prices.get(f"{price.removesuffix('_fifo')}_free", 0.0) * scale if free_tier else 0.0
        usd = max(0.0, quantity - free) / scale * prices[price]
        if quantity:
            lines.append(Line(service, item, quantity, unit, usd, price))
    return Cost(tuple(lines), parts)


def _messages(usage: Usage) -> dict[str, float]:
    """Return API Gateway's messages a second by their cause.

    The handshake, its end, the sweeper's questions, and pings of the WebSocket protocol itself are believed to be free.
    """
    return {
        "sends": usage.sends * _units(usage.bytes, MESSAGE_BYTES),
        "deliveries": usage.deliveries * _units(usage.frame, MESSAGE_BYTES),
        "heartbeat": 2 * usage.pings,
        "receipts": usage.receipts,
    }


def _message_line(messages: float, prices: Mapping[str, float]) -> Line:
    first = min(messages, prices["apigateway_first_tier"] * MILLION)
    usd = first * prices["apigateway_messages"] + (messages - first) * prices["apigateway_messages_above"]
    return Line("apigateway", "API Gateway messages", messages, "message", usd / MILLION, "apigateway_messages")


def _terms(usage: Usage, month: float) -> Iterator[tuple[str, str, float, str, str, float]]:
    """Yield service, item, quantity, unit, name of the price, and how many units the price is for."""
    measured = usage.measured
    sends, pings, handshakes = usage.sends * month, usage.pings * month, usage.handshakes * month
    deliveries, tasks = usage.deliveries * month, usage.sends * month * usage.shards if usage.queued else 0.0
    yield "apigateway", "connection minutes", usage.connections * month / 60, "minute", "apigateway_minutes", MILLION

    requests = sends + pings + 2 * handshakes + (handshakes if usage.authorizer else 0.0) + tasks
    requests += usage.censuses * month
    yield "lambda", "Lambda requests", requests, "request", "lambda_requests", MILLION
    yield "lambda", "Lambda compute", _compute(usage) * month, "GB-second", "lambda_compute", MILLION

    reads, writes = _table_units(usage)
    yield "dynamodb", "DynamoDB reads", reads * month, "read unit", "dynamodb_reads", MILLION
    yield "dynamodb", "DynamoDB writes", writes * month, "write unit", "dynamodb_writes", MILLION

    # A message is sent to the queue, received and deleted. Batches of several would cost less.
    tasks *= 3 * _units(usage.bytes + measured.task_overhead, SQS_BYTES)
    polls = IDLE_POLLS if usage.queued else 0.0
    price = "sqs_requests_fifo" if usage.fifo else "sqs_requests"
    yield "sqs", "SQS requests", tasks + polls, "request", price, MILLION

    logs = sends * measured.send_log + handshakes * measured.handshake_log + pings * measured.ping_log
    yield "cloudwatch", "logs", logs / GB, "GB", "logs", 1
    metrics = measured.metrics + (measured.sweeper_metrics if usage.sweeper else 0)
    yield "cloudwatch", "metrics", metrics, "metric", "metrics", 1
    alarms = measured.alarm_metrics + (measured.authorizer_alarms if usage.authorizer else 0)
    alarms += (measured.queue_alarms if usage.queued else 0) + (measured.sweeper_alarms if usage.sweeper else 0)
    yield "cloudwatch", "alarms", alarms, "metric", "alarms", 1
    yield "cloudwatch", "dashboard", measured.dashboards, "dashboard", "dashboards", 1

    out = deliveries * (usage.frame + measured.frame_overhead) + pings * (measured.pong + measured.frame_overhead)
    yield "transfer", "data transfer out", out / GB, "GB", "transfer", 1
    yield "nat", "NAT gateways", usage.nat_zones, "zone", "nat_zones", 1
    posted = deliveries * (usage.frame + measured.post_overhead) + pings * (measured.pong + measured.post_overhead)
    yield "nat", "NAT data", posted / GB if usage.nat_zones else 0.0, "GB", "nat_data", 1


def _compute(usage: Usage) -> float:
    """Return the GB-seconds of a second."""
    measured = usage.measured
    seconds = usage.fanout_seconds + (measured.enqueue_seconds if usage.queued else 0.0)
    small = usage.pings * measured.ping_seconds + usage.handshakes * measured.handshake_seconds
    small += usage.censuses * (measured.sweeper_seconds + usage.questions / SWEEP_PACE)
    return usage.sends * seconds * usage.memory / 1024 + small * measured.small_gb


def _table_units(usage: Usage) -> tuple[float, float]:
    """Return the read and write units of a second."""
    reads = usage.sends * (1 + usage.room_read_units) + usage.pings
    reads += usage.handshakes * usage.measured.handshake_reads
    writes = usage.handshakes * usage.measured.handshake_writes
    # A census reads all connections, eventually consistent, and a sweep those that it asks for.
    size = usage.measured.connection_bytes + (usage.measured.token_bytes if usage.authorizer else 0)
    scanned = (usage.connections + usage.questions) * size
    reads += usage.censuses * (1 + scanned / READ_BYTES / 2)
    writes += usage.censuses * usage.measured.sweeper_writes
    if usage.history:
        writes += usage.sends * (history_writes(usage.ids) + _units(usage.bytes, WRITE_BYTES) - 1)
        reads += usage.sends if usage.ids else 0.0
    return reads, writes


def history_writes(ids: bool) -> int:
    """Return the writes of a message of up to 1 KB to a room that keeps messages."""
    return 4 if ids else 2


# Other services


class Alternative(NamedTuple):
    """What another service costs.

    Attributes:
        service: Its name.
        usd: Cost of a month; ``None`` where the price is agreed on by contract.
        price: Name of the price that stands for the others.
    """

    service: str
    usd: float | None
    price: str


def alternatives(usage: Usage, prices: Mapping[str, float], plans: list[list[float]]) -> list[Alternative]:
    """Return what the same connections and messages cost elsewhere, without recovery and presence.

    Args:
        usage: How the stage is used.
        prices: Values of ``prices.json`` by name.
        plans: Of Pusher: USD a month, million messages a day, connections.
    """
    month = MONTH * usage.hours_a_day / 24
    minutes = usage.connections * month / 60
    sends, deliveries = usage.sends * month, usage.deliveries * month
    operations = (sends + deliveries) * _units(usage.bytes, APPSYNC_BYTES)
    appsync = operations * prices["appsync_operations"] + minutes * prices["appsync_minutes"]

    units = math.ceil(usage.connections / 1_000)
    of_unit = prices["azure_standard_unit" if units <= 100 else "azure_premium_unit"]
    outbound = deliveries * _units(usage.bytes, AZURE_BYTES) - units * 30 * MILLION
    azure = units * of_unit + max(0.0, outbound) / MILLION * prices["azure_messages"]

    a_day = (sends + deliveries) / 30 / MILLION
    fitting = [usd for usd, most, connections in plans if a_day <= most and usage.connections <= connections]
    return [
        Alternative("AppSync Events", appsync / MILLION, "appsync_operations"),
        Alternative("Azure Web PubSub", azure, "azure_standard_unit"),
        Alternative("Pusher", min(fitting, default=None), "pusher_plans"),
        Alternative("Ably", _ably(usage, prices, sends + deliveries, minutes), "ably_messages"),
    ]


def _ably(usage: Usage, prices: Mapping[str, float], messages: float, minutes: float) -> float | None:
    """Return what an old account of Ably pays; new ones pay by the user."""
    most = prices["ably_most_connections"]
    if usage.connections > most or usage.sends + usage.deliveries > prices["ably_most_messages"]:
        return None
    channel_minutes = minutes / usage.room_size
    usd = messages * prices["ably_messages"] + (minutes + channel_minutes) * prices["ably_minutes"]
    return prices["ably_package"] + usd / MILLION


# Capacity


class Quota(NamedTuple):
    """How much of a quota is used.

    Attributes:
        quota: Name, as in ``quotas.json`` where the account has it.
        label: For people.
        used: In the unit of the limit.
        limit: What the account, a partition or a function allows.
        remedy: What to do about it, whether or not it is short.
        parts: What it is used for, where it has several causes.
    """

    quota: str
    label: str
    used: float
    limit: float
    remedy: str
    parts: Mapping[str, float] = {}

    @property
    def share(self) -> float:
        """Used part of the limit, above 1 where it is broken."""
        return self.used / self.limit

    @property
    def is_short(self) -> bool:
        """Whether too little is left."""
        return self.share > ENOUGH


def capacity(usage: Usage, quotas: Mapping[str, float]) -> list[Quota]:
    """Return how much of each quota a stage uses, the most used one first.

    Args:
        usage: How the stage is used; ``connections`` are the most at a time.
        quotas: Values of ``quotas.json`` by name.
    """
    found = [
        _requests(usage, quotas["requests_per_second"]),
        _returns(usage, quotas["handshakes_per_second"]),
        _concurrency(usage, quotas["concurrent_executions"]),
        *_partitions(usage, quotas),
        _fanout(usage, quotas["requests_per_second"]),
    ]
    return sorted(found, key=lambda quota: quota.share, reverse=True)


def _load(usage: Usage) -> dict[str, float]:
    """Return requests a second by their cause; handshakes and their ends count as well."""
    return {
        "sends": usage.sends,
        "deliveries": usage.deliveries + usage.receipts,
        "heartbeat": 2 * usage.pings,
        "handshakes": 2 * usage.handshakes,
        "sweeper": min(SWEEP_PACE, usage.connections) if usage.sweeper else 0.0,
    }


def _ask(used: float, limit: float, what: str) -> str:
    return f"ask AWS for {f'{math.ceil(used / ENOUGH):,}' if used / limit > ENOUGH else 'more'} {what}"


def _requests(usage: Usage, limit: float) -> Quota:
    parts = _load(usage)
    used = sum(parts.values())
    remedies = []
    if 0 < usage.heartbeat < LONGEST_HEARTBEAT and parts["heartbeat"] > used / 10:
        used_then = used - parts["heartbeat"] * (1 - usage.heartbeat / LONGEST_HEARTBEAT)
        remedies.append(f"client_limits.heartbeat {LONGEST_HEARTBEAT} s: {used_then / limit:.0%}")
    else:
        used_then = used
    if used_then / limit > ENOUGH or not remedies:
        remedies.append("smaller rooms" if parts["deliveries"] > used / 2 else "fewer connections in an account")
        remedies.append(_ask(used_then, limit, "requests a second"))
    return Quota("requests_per_second", "requests a second", used, limit, ", ".join(remedies), parts)


def _returns(usage: Usage, limit: float) -> Quota:
    """All clients lose their connections at once, and return within the spread."""
    used = usage.connections / max(1.0, usage.spread)
    needed = math.ceil(usage.connections / limit / ENOUGH)
    if needed <= LONGEST_SPREAD:
        remedy = f"client_limits.spread {needed} s" if needed > usage.spread else "a longer client_limits.spread"
    else:
        most = usage.connections / LONGEST_SPREAD
        asking = _ask(most, limit, "handshakes a second")
        remedy = f"client_limits.spread {LONGEST_SPREAD} s, which is the most, and {asking}"
    return Quota("handshakes_per_second", f"handshakes, all return in {usage.spread:g} s", used, limit, remedy)


def _concurrency(usage: Usage, limit: float) -> Quota:
    measured = usage.measured
    sends = usage.sends * (usage.fanout_seconds + (measured.enqueue_seconds if usage.queued else 0.0))
    used = sends + usage.pings * measured.ping_seconds + usage.handshakes * measured.handshake_seconds
    used += 1 if usage.sweeper else 0
    remedy = _ask(used, limit, "concurrent executions")
    return Quota("concurrent_executions", "concurrent executions", used, limit, remedy)


def _partitions(usage: Usage, quotas: Mapping[str, float]) -> Iterator[Quota]:
    """Yield what one partition serves: a shard of the largest room, its log's first item, its group in the queue."""
    # No more clients come at once than handshakes are allowed. A join and a leave take two write units each.
    returning = min(usage.connections / max(1.0, usage.spread), quotas["handshakes_per_second"])
    joins = 2 * max(usage.handshakes, returning) * usage.room_size / usage.connections / usage.shards
    more = f"shards_per_room {usage.shards * 2}"
    yield Quota("shard_write_units", "joins and leaves in one shard", joins, quotas["shard_write_units"] / 2, more)
    of_room = usage.sends * usage.room_size / usage.connections
    reads = of_room * usage.room_read_units / usage.shards
    yield Quota("shard_read_units", "read units of one shard", reads, quotas["shard_read_units"], more)
    if usage.history:
        label = "messages numbered in one room"
        yield Quota("room_messages", label, of_room, quotas["shard_write_units"], "several rooms")
    if usage.fifo:
        yield Quota("fifo_group", "messages of one FIFO group", of_room, quotas["fifo_group"], "several rooms")


def _fanout(usage: Usage, requests: float) -> Quota:
    """The time of one fan-out, which has what other requests leave of the account's quota."""
    others = sum(_load(usage).values()) - usage.deliveries
    # At least a tenth of the quota, because a stage that has used all of it shows so in another row.
    pace = min(usage.pace or ENGINE_POSTS, ENGINE_POSTS, max(requests - others, requests / 10))
    remedy = "a higher pace, or smaller rooms" if usage.queued else "queued delivery"
    return Quota("fanout_seconds", "seconds of one fan-out", usage.room_size / pace, FANOUT_SECONDS, remedy)
