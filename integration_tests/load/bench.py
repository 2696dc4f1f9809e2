"""How long a message takes to all members of a room, by the size of the room: a benchmark of a real stage.

One message is on its way at a time, so that nothing waits for anything but its own fan-out; load runs show a stage
under load. The first message of each room is reported apart, because functions may have to be started for it. The
result names no URL and no account, so it can be shared; README.md explains its fields.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import statistics
import time
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from integration_tests.harness.latency import SATURATED_CPU, Latency
from integration_tests.harness.ledger import FINDINGS
from integration_tests.load.run import versions
from integration_tests.load.user_group import Arrival, Schedule, UserGroup
from integration_tests.load.workers import NoConnectionError
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from integration_tests.harness.ledger import Verdict
    from integration_tests.load.plan import Plan
    from integration_tests.targets.interface import Target

FORMAT = 1
WRONG = (*(finding for finding in FINDINGS if finding not in {"missing", "reordered"}), "broken")
"""Findings that a result counts; its ``lost`` includes the missing deliveries."""
EXAMPLES = 3
"""Of the findings of a room, shown under its line."""
SPEAKER = 0
"""Seat of the client that sends."""
REGION_IN_HOST = re.compile(r"\.execute-api\.([a-z0-9-]+)\.")


class Arrivals(Latency):
    """Delivery times of one message at a time.

    Args:
        members: How many deliveries a message takes.

    Attributes:
        seconds: Of the deliveries of this message so far, from sending, in order.
        complete: Set once it has come to all members.
    """

    def __init__(self, members: int) -> None:
        super().__init__()
        self._members = members
        self.begin()

    def begin(self) -> None:
        """Begin with the next message."""
        self.seconds: list[float] = []
        self.complete = asyncio.Event()

    def record(self, seconds: float) -> None:
        """Record one delivery."""
        super().record(seconds)
        self.seconds.append(seconds)
        if len(self.seconds) >= self._members:
            self.complete.set()


class Flight(NamedTuple):
    """One acknowledged message that came to all members; times are in seconds from sending.

    Attributes:
        arrivals: When it came to each member, in order.
        receipt: When its receipt came.
        cpu: Share of one core that this process used meanwhile.
    """

    arrivals: Sequence[float]
    receipt: float
    cpu: float


async def measure(url: str, plans: Sequence[Plan], show: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measure one room after the other.

    Args:
        url: The stage's WebSocket URL.
        plans: One for each room; each sends one message more than is measured, for the cold start.
        show: Called with each result as a line.

    Returns:
        One result for each plan.

    Raises:
        integration_tests.load.workers.NoConnectionError: A client could not connect.
    """
    results = []
    show(HEADING)
    for plan in plans:
        flights, verdict = await measure_room(url, plan)
        results.append(result_of(plan.connections, flights, verdict))
        show(line_of(results[-1]))
        for example in verdict.examples[:EXAMPLES]:
            show(f"          {example}")
    return results


async def measure_room(url: str, plan: Plan) -> tuple[list[Flight], Verdict]:
    """Fill one room, send one message after the other up to the first that fails, and empty the room."""
    arrivals, flights = Arrivals(plan.connections), list[Flight]()
    users, start = UserGroup(url, plan.run, arrivals, plan.terms), time.monotonic()
    try:
        refused = await users.join(
            [Arrival(seat, plan.room_of(seat), start + seat / plan.connect_rate) for seat in plan.seats]
        )
        if refused:
            raise NoConnectionError(Counter(refused.values()))
        while len(flights) < plan.messages and (flight := await send(users, arrivals, plan)):
            flights.append(flight)
        await users.quiet()
    finally:
        ended_at = time.monotonic()
        await users.leave_all()
        ledger = (await users.finish()).ledger
    ledger.ended_at = ended_at
    ledger.unsent = plan.messages - ledger.verdict().total.attempted
    return flights, ledger.verdict()


async def send(users: UserGroup, arrivals: Arrivals, plan: Plan) -> Flight | None:
    """Send one message; return None unless it and its receipt come within the patience."""
    if SPEAKER in users.absent():
        return None
    arrivals.begin()
    used, sent_at, patience = time.process_time(), time.monotonic(), scaled(plan.patience)
    try:
        async with asyncio.timeout(patience):
            await users.talk(Schedule(sent_at, 0.0, 1, plan.size))
            await arrivals.complete.wait()
    except TimeoutError:
        return None  # the ledger counts the loss
    cpu = (time.process_time() - used) / (time.monotonic() - sent_at)
    await users.answered(sent_at + patience - time.monotonic())
    sender = users.ledger().sender(plan.room_of(SPEAKER), f"client-{SPEAKER}")
    receipt = sender.answered_at[-1] - sender.sent_at[-1]
    return Flight(arrivals.seconds, receipt, cpu) if receipt < math.inf else None


def result_of(members: int, flights: Sequence[Flight], verdict: Verdict) -> dict[str, Any]:
    """Summarise a room; times are None where no message came to every member."""
    total, cold, flights = asdict(verdict.total), flights[:1], flights[1:]
    last = [flight.arrivals[-1] for flight in flights]
    return {
        "members": members,
        "messages": max(0, total["attempted"] - 1),
        "acknowledged": total["acknowledged"],
        **{name: total[name] for name in WRONG if name in total},
        "lost": total["lost"] + total["missing"],
        "broken": verdict.broken,
        "cold_ms": milliseconds(cold[0].arrivals[-1]) if cold else None,
        "first_ms": over_messages([flight.arrivals[0] for flight in flights]),
        "median_ms": over_messages([flight.arrivals[(members - 1) // 2] for flight in flights]),
        "last_ms": over_messages(last),
        "receipt_ms": over_messages([flight.receipt for flight in flights]),
        "deliveries_per_second": round(members / statistics.median(last), 1) if last else None,
        "client_saturated": bool(flights) and statistics.median(flight.cpu for flight in flights) >= SATURATED_CPU,
    }


def is_clean(result: dict[str, Any]) -> bool:
    """Whether every message of a room was acknowledged, and came to every member once and unaltered."""
    return result["last_ms"] is not None and not any(result[name] for name in WRONG)


def over_messages(seconds: Sequence[float]) -> dict[str, float] | None:
    """Return the median and the worst of some messages, in milliseconds."""
    if not seconds:
        return None
    return {"median": milliseconds(statistics.median(seconds)), "worst": milliseconds(max(seconds))}


def milliseconds(seconds: float) -> float:
    """Return seconds as milliseconds, with one digit after the point."""
    return round(seconds * 1_000, 1)


HEADING = (
    f"{'members':>8}{'first ms':>10}{'median ms':>11}{'last ms':>9}{'worst ms':>10}{'deliveries/s':>14}{'cold ms':>9}"
)


def line_of(result: dict[str, Any]) -> str:
    """Return a result as a line under the heading, with its findings."""
    wrong = ", ".join(f"{result[name]:,} {name.replace('_', ' ')}" for name in WRONG if result[name])
    if result["last_ms"] is None:
        return f"{result['members']:>8}  not measured: no message came to every member and was acknowledged: {wrong}"
    text = (
        f"{result['members']:>8}{result['first_ms']['median']:>10}{result['median_ms']['median']:>11}"
        f"{result['last_ms']['median']:>9}{result['last_ms']['worst']:>10}{result['deliveries_per_second']:>14}"
        f"{result['cold_ms'] or '-':>9}"
    )
    if result["client_saturated"]:
        text += "  the client was saturated"
    return f"{text}  WRONG: {wrong}" if wrong else text


def document(target: Target, plans: Sequence[Plan], results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the result as JSON, with everything needed to compare it with another stage."""
    return {
        "format": FORMAT,
        "benchmark": "fan-out",
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "stage": {"target": target.name, "region": region_of(target), **configuration_of(target)},
        "client": {**versions(), "cores": os.cpu_count()},
        "parameters": {
            "sizes": [plan.connections for plan in plans],
            "messages": plans[0].messages - 1,
            "characters": plans[0].size,
        },
        "rooms": results,
    }


def region_of(target: Target) -> str | None:
    """Return a stage's Region, by its URL or its account's session."""
    if match := REGION_IN_HOST.search(target.deployment.websocket_url):
        return match[1]
    return target.aws.session.region_name if target.aws else None


def configuration_of(target: Target) -> dict[str, Any]:
    """Return the configuration of the function that delivers, if the credentials may read it."""
    arn = target.deployment.outputs.get("sendmessage_function_arn")
    if target.aws is None or arn is None:
        return {}
    client = target.aws.session.client("lambda", endpoint_url=target.aws.endpoint_url)
    try:
        function = client.get_function_configuration(FunctionName=arn)
    except (BotoCoreError, ClientError):
        return {}
    environment = function.get("Environment", {}).get("Variables", {})
    return {
        "memory_mb": function.get("MemorySize"),
        "runtime": function.get("Runtime"),
        "architectures": function.get("Architectures"),
        "pace": environment.get("ROOMCAST_PACE"),
        "shards_per_room": environment.get("ROOMCAST_SHARDS_PER_ROOM"),
        "queued_delivery": bool(environment.get("ROOMCAST_QUEUE_URL")),
    }
