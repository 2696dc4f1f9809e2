"""Clients that stay connected and talk all the while, and the ledger of the messages they were owed.

The clients of ``talkers.py`` may be cut off and connect anew; these may not.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from integration_tests.harness.client import Client
from integration_tests.harness.copies import FanOuts
from integration_tests.load.terms import LATE_AFTER_ON_ONE_MACHINE, TERMS
from integration_tests.load.user_group import Arrival, Schedule, UserGroup
from scripts.waiting import eventually, scaled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from integration_tests.harness.ledger import Verdict
    from scripts.local.deployment import AppliedRoot

CLIENTS = 20
"""Clients, unless a test wants more; five in each room."""
MEMBERS = 5
INTERVAL = 0.2
"""Seconds between two messages: twenty clients speak every four seconds, which two cores serve beside Terraform."""
MESSAGES = 10
"""Messages after which the clients look whether to end."""
UNANSWERED = 2 * MESSAGES
"""Messages without an answer that the clients have at most when they go on; more would only wait behind each other.

On a busy machine the emulator serves fewer messages than the clients would send, and each would come later than the one
before it.
"""
TEXT_SIZE = 200
STAGE_TERMS = replace(TERMS, late_after=LATE_AFTER_ON_ONE_MACHINE)


class Talk:
    """Clients in rooms of five, each a sender and a listener; started by :func:`talking`.

    Args:
        instance: The stage's instance of the root.
        url: The stage's WebSocket URL.
        clients: Their number.
    """

    def __init__(self, instance: AppliedRoot, url: str, clients: int = CLIENTS) -> None:
        self.url = url
        self.clients = clients
        self.run = secrets.token_hex(4)
        self.began_at = time.monotonic()
        prefix = f"/aws/lambda/{instance.variables['name']}-"
        self._fan_outs = FanOuts(instance.access.aws.logs, prefix, time.time())
        self._users = UserGroup(url, self.run, terms=STAGE_TERMS)
        self._end = asyncio.Event()
        self._speech: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Connect the clients and let them talk.

        Raises:
            AssertionError: A handshake was refused.
        """
        now = time.monotonic()
        rooms = self.clients // MEMBERS
        arrivals = [Arrival(seat, f"{self.run}-{seat % rooms}", now) for seat in range(self.clients)]
        refused = await self._users.join(arrivals)
        assert not refused, refused
        self._speech = asyncio.create_task(self._speak())

    async def _speak(self) -> None:
        while not self._end.is_set():
            await self._users.talk(Schedule(time.monotonic(), INTERVAL, MESSAGES, TEXT_SIZE))
            await self._users.answered(scaled(STAGE_TERMS.patience), but=UNANSWERED)

    @property
    def attempted(self) -> int:
        """Messages that the clients have sent so far."""
        return self._users.progress().attempted

    def check_present(self) -> None:
        """Check that every client is still connected; raises AssertionError."""
        absent = self._users.absent()
        assert not absent, f"{len(absent)} of {self.clients} clients were cut off"

    async def keep_lines(self) -> None:
        """Read the functions' log lines, because an apply may remove a function with its log group."""
        await asyncio.to_thread(self._fan_outs.read)

    async def newcomer_hears_itself(self) -> None:
        """Let one more client connect, speak and leave.

        Raises:
            websockets.exceptions.InvalidStatus: Its handshake was refused.
            AssertionError: It did not hear itself.
        """
        client = await Client.connect(self.url, room := f"{self.run}-newcomer-{secrets.token_hex(3)}")
        try:
            await client.say(room)
            await client.expect(room, within=STAGE_TERMS.patience)
        finally:
            await client.close()

    async def end(self) -> None:
        """Stop talking, wait for the last deliveries, and disconnect; without a judgement."""
        self._end.set()
        if self._speech is not None:
            await self._speech
        await self._users.settle()

    async def judge(self) -> None:
        """Disconnect the clients, and check that nothing was lost, and nothing delivered twice without a reason.

        On a busy machine posts and sends to the queue time out, and are repeated. As many copies are allowed as the log
        lines of the fan-outs explain, and as many receipts that say failed although the message arrived. A message that
        the client was told to send again, because the table or the queue gave the function no answer, may reach no
        member. A receipt may come twice, because no line tells of an answer that was repeated.

        Raises:
            AssertionError: A message was lost or doubled, or a client was cut off; the message shows examples, whose
                times count from :attr:`began_at`.
        """
        self.check_present()
        await self._users.leave_all()
        verdict, story = await self.result()
        assert replace(verdict.total, duplicated=0, failed=0, missing=0, receipts_repeated=0).clean, story
        assert verdict.broken == 0, story
        assert not verdict.total.empty, story
        try:
            await self._explain(verdict.total.duplicated, verdict.total.failed, verdict.total.missing)
        except AssertionError as error:
            error.add_note(story)
            raise
        print(verdict.total)

    async def _explain(self, copies: int, failed: int, missing: int) -> None:
        """Wait until log lines explain copies, messages that were answered by an error, and what is missing."""

        async def are_explained() -> bool:
            await self.keep_lines()
            refusals = self._fan_outs.refusals()
            return (
                copies <= self._fan_outs.copies(MEMBERS)
                and failed <= self._fan_outs.doubts() + refusals
                and missing <= MEMBERS * min(failed, refusals)
            )

        sought = f"reasons for {copies} copies, {failed} messages that failed, {missing} deliveries that are missing"
        await eventually(are_explained, expected=True, within=STAGE_TERMS.patience, what=sought)

    async def result(self) -> tuple[Verdict, str]:
        """Return the outcome of the messages, and the same in words."""
        result = await self._users.finish()
        verdict = result.ledger.verdict()
        return verdict, "\n".join([str(verdict.total), *verdict.examples, *result.events])


@asynccontextmanager
async def talking(instance: AppliedRoot, clients: int = CLIENTS) -> AsyncIterator[Talk]:
    """Let clients talk while the context lasts, and check at its end that none missed a message.

    Args:
        instance: The stage's instance of the root.
        clients: Their number.

    Raises:
        AssertionError: A message was lost or doubled, or a client was cut off.
    """
    deployment = await asyncio.to_thread(instance.deployment)
    talk = Talk(instance, deployment.websocket_url, clients)
    try:
        await talk.begin()
        yield talk
    except Exception as error:
        await talk.end()
        error.add_note((await talk.result())[1])
        raise
    await talk.end()
    await talk.judge()
