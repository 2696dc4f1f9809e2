"""How long a message takes to everyone in a room, by the size of the room: a benchmark of a real stage.

One message is on its way at a time, so nothing waits for anything but its own fan-out; how a stage does under load is
what load runs show. The first message of each room is kept apart: functions may have to be started for it. The result
names no URL and no account, so it can be shared; README.md explains its fields.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import statistics
import time
from array import array
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from integration_tests.harness.client import Client
from integration_tests.harness.deadlines import scaled
from integration_tests.harness.latency import SATURATED_CPU
from integration_tests.harness.ledger import Ledger, read_stamp
from integration_tests.load.crew import MOVEMENTS_AT_ONCE, QUIET
from integration_tests.load.run import versions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from integration_tests.harness.client import Message
    from integration_tests.harness.ledger import Member
    from integration_tests.load.plan import Plan
    from integration_tests.targets.interface import Target

FORMAT = 1
LANDED_WITHIN = 60.0
"""Seconds after which what has not come counts as lost; an integration ends after 29."""
REGION_IN_HOST = re.compile(r"\.execute-api\.([a-z0-9-]+)\.")


@dataclass
class Flight:
    """One message on its way; times are monotonic seconds.

    Attributes:
        sent_at: When sending began.
        arrivals: When it came to a member, in order.
        answered_at: When the sender's receipt came.
        cpu: Share of one core that this process used meanwhile.
        landed: Set when it has come to everyone, and the receipt too.
    """

    sent_at: float = 0.0
    arrivals: array[float] = field(default_factory=lambda: array("d"))
    answered_at: float = 0.0
    cpu: float = 0.0
    landed: asyncio.Event = field(default_factory=asyncio.Event)

    def until(self, member: int) -> float:
        """Return the seconds until it had come to that many members."""
        return self.arrivals[member - 1] - self.sent_at


class Room:
    """One room full of clients, the first of which speaks.

    Args:
        plan: One room's size, messages and name.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.flights: list[Flight] = []
        self.ledger = Ledger(plan.run, transit=QUIET)
        self.clients: list[Client] = []
        self._name = plan.room_of(0)
        self._sender = self.ledger.sender(self._name, "speaker")

    async def open(self, url: str) -> None:
        """Connect everybody, at the plan's rate.

        Raises:
            OSError: Somebody could not connect.
            websockets.exceptions.InvalidHandshake: The same.
        """
        gate = asyncio.Semaphore(MOVEMENTS_AT_ONCE)
        start = time.monotonic()

        async def join(seat: int) -> None:
            member = self.ledger.member(self._name, f"client-{seat}")
            async with gate:
                await asyncio.sleep(max(0.0, start + seat / self.plan.connect_rate - time.monotonic()))
                client = await Client.connect(url, self._name, on_message=partial(self._take, member))
            member.joined_at = client.connected_at
            self.clients.append(client)

        async with asyncio.TaskGroup() as group:
            for seat in self.plan.seats:
                group.create_task(join(seat))

    async def send(self) -> None:
        """Send one message and wait until everybody has it, or should have."""
        flight = Flight()
        self.flights.append(flight)
        used = time.process_time()
        flight.sent_at = time.monotonic()
        sequence, text = self._sender.attempt(flight.sent_at, flight.sent_at)
        await self.clients[0].say(text.ljust(self.plan.size, "."), id=str(sequence))
        try:
            await asyncio.wait_for(flight.landed.wait(), scaled(LANDED_WITHIN))
        except TimeoutError:
            return  # the ledger will say what is lost
        flight.cpu = (time.process_time() - used) / (time.monotonic() - flight.sent_at)

    async def close(self) -> None:
        """Let everybody go."""
        await asyncio.gather(*(client.close() for client in self.clients))

    def _take(self, member: Member, message: Message) -> None:
        stamp = read_stamp(message.text)
        if stamp is None and message.text.startswith('{"receipt":'):
            sequence = self._take_receipt(json.loads(message.text)["receipt"], message.received_at)
        else:
            self.ledger.receive(member, message.text, message.received_at)
            if stamp is None or stamp.run != self.plan.run:
                return
            sequence = stamp.sequence
            self.flights[sequence].arrivals.append(message.received_at)
        flight = self.flights[sequence]
        if flight.answered_at and len(flight.arrivals) >= self.plan.connections:
            flight.landed.set()

    def _take_receipt(self, receipt: dict[str, Any], at: float) -> int:
        sequence = int(receipt["id"])
        self.flights[sequence].answered_at = at
        self._sender.acknowledge(sequence, at)
        if receipt.get("failed"):
            self._sender.fail(sequence)
        return sequence


async def measure(url: str, plans: Sequence[Plan], show: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measure one room after the other.

    Args:
        url: The stage's WebSocket URL.
        plans: One for each room; each sends one message more than is measured, for the cold start.
        show: Told each result as a line.

    Returns:
        One result for each plan.
    """
    results = []
    show(HEADING)
    for plan in plans:
        room = Room(plan)
        try:
            await room.open(url)
            for _ in range(plan.messages):
                await room.send()
        finally:
            await room.close()
        results.append(result_of(room))
        show(line_of(results[-1]))
    return results


def result_of(room: Room) -> dict[str, Any]:
    """Summarise what became of a room's messages; times are None where not one message came to everyone."""
    total = room.ledger.verdict().total
    cold, *flights = room.flights
    landed = [flight for flight in flights if flight.landed.is_set()]
    members = room.plan.connections
    last = [flight.until(members) for flight in landed]
    return {
        "members": members,
        "messages": len(flights),
        "lost": total.lost + total.missing,
        "duplicated": total.duplicated,
        "unexpected": total.unexpected,
        "cold_ms": milliseconds(cold.until(members)) if cold.landed.is_set() else None,
        "first_ms": over_messages([flight.until(1) for flight in landed]),
        "median_ms": over_messages([flight.until((members + 1) // 2) for flight in landed]),
        "last_ms": over_messages(last),
        "receipt_ms": over_messages([flight.answered_at - flight.sent_at for flight in landed]),
        "deliveries_per_second": round(members / statistics.median(last), 1) if last else None,
        "client_saturated": bool(landed) and statistics.median(flight.cpu for flight in landed) >= SATURATED_CPU,
    }


def is_clean(result: dict[str, Any]) -> bool:
    """Whether every message of a room came to everyone, once."""
    return not (result["lost"] or result["duplicated"] or result["unexpected"])


def over_messages(seconds: Sequence[float]) -> dict[str, float] | None:
    """Return what is typical of some messages and what is the worst of them, in milliseconds."""
    if not seconds:
        return None
    return {"median": milliseconds(statistics.median(seconds)), "worst": milliseconds(max(seconds))}


def milliseconds(seconds: float) -> float:
    """Return seconds as milliseconds, with as many digits as can be meant."""
    return round(seconds * 1_000, 1)


HEADING = (
    f"{'members':>8}{'first ms':>10}{'median ms':>11}{'last ms':>9}{'worst ms':>10}{'deliveries/s':>14}{'cold ms':>9}"
)


def line_of(result: dict[str, Any]) -> str:
    """Return a result as a line under the heading."""
    if result["last_ms"] is None:
        return f"{result['members']:>8}  no message came to everyone"
    text = (
        f"{result['members']:>8}{result['first_ms']['median']:>10}{result['median_ms']['median']:>11}"
        f"{result['last_ms']['median']:>9}{result['last_ms']['worst']:>10}{result['deliveries_per_second']:>14}"
        f"{result['cold_ms'] or '-':>9}"
    )
    return f"{text}  the client was saturated" if result["client_saturated"] else text


def document(target: Target, plans: Sequence[Plan], results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return everything that somebody else needs to compare their own stage."""
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
    """Return the region that a stage is in, by its URL or its account's session."""
    if match := REGION_IN_HOST.search(target.deployment.websocket_url):
        return match[1]
    return target.aws.session.region_name if target.aws else None


def configuration_of(target: Target) -> dict[str, Any]:
    """Return how the function that delivers is set up, if the account lets us look."""
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
