"""How long a message takes to everyone in a room, by the size of the room: a benchmark of a real stage.

One message is on its way at a time, so nothing waits for anything but its own fan-out; how a stage does under load is
what load runs show. The first message of each room is kept apart: functions may have to be started for it. The result
names no URL and no account, so it can be shared; README.md explains its fields.
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import time
from array import array
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from websockets.exceptions import ConnectionClosed

from integration_tests.harness.client import Client
from integration_tests.harness.latency import SATURATED_CPU
from integration_tests.harness.ledger import FINDINGS, NO_QUESTION, Ledger
from integration_tests.load.crew import MOVEMENTS_AT_ONCE, silence
from integration_tests.load.replies import STRANGE, Replies
from integration_tests.load.run import versions
from scripts.waiting import TIMEOUT_FACTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from integration_tests.harness.client import Message
    from integration_tests.harness.ledger import Member, Verdict
    from integration_tests.load.plan import Plan
    from integration_tests.targets.interface import Target

FORMAT = 1
WRONG = (*(finding for finding in FINDINGS if finding not in {"missing", "reordered"}), "broken")
"""What a result counts of what went wrong; in ``lost`` the missing deliveries are counted too."""
EXAMPLES = 3
"""Of what went wrong in a room, shown under its line."""
REGION_IN_HOST = re.compile(r"\.execute-api\.([a-z0-9-]+)\.")


@dataclass
class Flight:
    """One message on its way; times are monotonic seconds.

    Attributes:
        sent_at: When sending began.
        arrivals: When it came to a member for the first time, in order.
        answered_at: When the sender's receipt, or an error, came; 0 before.
        cpu: ProcessResult of one core that this process used meanwhile.
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
        plan: One room's size, messages, patience and name.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.flights: list[Flight] = []
        self.ledger = Ledger(plan.run, time.monotonic(), plan.terms.scaled_by(TIMEOUT_FACTOR))
        self.clients: list[Client] = []
        self._members: list[Member] = []
        self._name = plan.room_of(0)
        self._sender = self.ledger.sender(self._name, "speaker")
        self._replies = Replies(self._sender)
        self._last_message_at = 0.0

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
                member.asked_at = time.monotonic()
                client = await Client.connect(
                    url, self._name, on_message=partial(self._take, member), within=self.plan.patience
                )
            member.joined_at = client.connected_at
            self.clients.append(client)
            self._members.append(member)

        async with asyncio.TaskGroup() as group:
            for seat in self.plan.seats:
                group.create_task(join(seat))

    async def talk(self) -> None:
        """Send the plan's messages, each when the one before has come to everyone; stop at one that does not."""
        for _ in range(self.plan.messages):
            if not await self._send():
                break
        await silence(lambda: self._last_message_at, self.ledger.terms.transit)
        self.ledger.ended_at = time.monotonic()
        self.ledger.unsent = self.plan.messages - len(self.flights)

    async def _send(self) -> bool:
        """Send one message and wait until everybody has it, or should have; return whether everybody has."""
        flight = Flight()
        self.flights.append(flight)
        used = time.process_time()
        flight.sent_at = time.monotonic()
        sequence, text = self._sender.attempt(flight.sent_at, flight.sent_at, self.plan.size)
        message_id, _ = self._replies.expect(sequence)
        try:
            async with asyncio.timeout(self.ledger.terms.patience):
                await self.clients[0].say(text, id=message_id)
                await flight.landed.wait()
        except (TimeoutError, ConnectionClosed):
            return False  # the ledger says what is lost
        flight.cpu = (time.process_time() - used) / (time.monotonic() - flight.sent_at)
        return True

    async def close(self) -> None:
        """Let everybody go."""
        for client, member in zip(self.clients, self._members, strict=True):
            member.left_at, member.leaving_at = client.ended_at, time.monotonic()
        await asyncio.gather(*(client.close() for client in self.clients))

    def _take(self, member: Member, message: Message) -> None:
        self._last_message_at = message.received_at
        if message.text.startswith("{") and self._members and member is self._members[0]:
            reply = self._replies.take(message.text, message.received_at)
            if reply is not STRANGE:
                self._take_reply(member, message, taken=reply.taken)
                return
        stamp = self.ledger.receive(member, message.text, message.received_at)
        if stamp is not None and stamp.sequence < len(self.flights):
            flight = self.flights[stamp.sequence]
            flight.arrivals.append(message.received_at)
            self._look_at(flight)

    def _take_reply(self, member: Member, message: Message, *, taken: bool) -> None:
        if not taken:
            self.ledger.stray(member, NO_QUESTION, message.text, message.received_at)
        elif not self._replies.unanswered and not self.flights[-1].answered_at:
            self.flights[-1].answered_at = message.received_at
            self._look_at(self.flights[-1])

    def _look_at(self, flight: Flight) -> None:
        if flight.answered_at and len(flight.arrivals) >= self.plan.connections:
            flight.landed.set()


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
            await room.talk()
        finally:
            await room.close()
        verdict = room.ledger.verdict()
        results.append(result_of(room, verdict))
        show(line_of(results[-1]))
        for example in verdict.examples[:EXAMPLES]:
            show(f"          {example}")
    return results


def result_of(room: Room, verdict: Verdict) -> dict[str, Any]:
    """Summarise what became of a room's messages; times are None where not one message came to everyone."""
    total = asdict(verdict.total)
    cold, *flights = room.flights
    landed = [flight for flight in flights if flight.landed.is_set()]
    members = room.plan.connections
    last = [flight.until(members) for flight in landed]
    return {
        "members": members,
        "messages": len(flights),
        "acknowledged": total["acknowledged"],
        **{name: total[name] for name in WRONG if name in total},
        "lost": total["lost"] + total["missing"],
        "broken": verdict.broken,
        "cold_ms": milliseconds(cold.until(members)) if cold.landed.is_set() else None,
        "first_ms": over_messages([flight.until(1) for flight in landed]),
        "median_ms": over_messages([flight.until((members + 1) // 2) for flight in landed]),
        "last_ms": over_messages(last),
        "receipt_ms": over_messages([flight.answered_at - flight.sent_at for flight in landed]),
        "deliveries_per_second": round(members / statistics.median(last), 1) if last else None,
        "client_saturated": bool(landed) and statistics.median(flight.cpu for flight in landed) >= SATURATED_CPU,
    }


def is_clean(result: dict[str, Any]) -> bool:
    """Whether every message of a room was acknowledged, and came to everyone, once and unaltered."""
    return result["last_ms"] is not None and not any(result[name] for name in WRONG)


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
    """Return a result as a line under the heading, and what went wrong in one more."""
    wrong = ", ".join(f"{result[name]:,} {name.replace('_', ' ')}" for name in WRONG if result[name])
    if result["last_ms"] is None:
        return f"{result['members']:>8}  not measured, because no message and its receipt came to everyone: {wrong}"
    text = (
        f"{result['members']:>8}{result['first_ms']['median']:>10}{result['median_ms']['median']:>11}"
        f"{result['last_ms']['median']:>9}{result['last_ms']['worst']:>10}{result['deliveries_per_second']:>14}"
        f"{result['cold_ms'] or '-':>9}"
    )
    if result["client_saturated"]:
        text += "  the client was saturated"
    return f"{text}  WRONG: {wrong}" if wrong else text


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
