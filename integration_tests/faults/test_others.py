"""One member's trouble, and the wait of the others: without a queue, with one, and with one that keeps the order."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from integration_tests.conftest import table_of
from integration_tests.faults.faulty_run import GONE_WITHIN, Site, injected
from integration_tests.harness.client import Client, Message
from integration_tests.harness.faults.kinds import Fault, Latency, LimitData, Reset, Sliced, SlowClose, Status, Timeout
from integration_tests.harness.faults.rules import Rule
from integration_tests.harness.faults.through_proxy import routed_through_proxy
from scripts.waiting import eventually, scaled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from integration_tests.harness.faults.control import FaultControl
    from integration_tests.targets.interface import Target
    from scripts.local.deployment import Deployment

pytestmark = [pytest.mark.emulator_only, pytest.mark.long]

MEMBERS = 6
MESSAGES = 5
DELIVERY_SECONDS = 60.0
MORE_SECONDS = 6.0
"""How much longer the others may wait. Behind a member that each message waits for in turn, the last message would come
12 s later; with ``slow-close``, the next post on that connection is another member's, and is given up after 1.5 s."""

TROUBLES: Mapping[str, tuple[Fault, str]] = {
    "429": (Status(429), "before"),
    "500": (Status(500), "before"),
    "reset": (Reset(), "before"),
    "silence": (Timeout(), "before"),
    "slow": (Latency(4.0), "before"),
    "answer-reset": (Reset(), "after"),
    "answer-truncated": (LimitData(20), "after"),
    "answer-lost": (Timeout(), "after"),
    "slow-close": (SlowClose(4.0), "after"),
    "sliced": (Sliced(1, 0.05), "after"),
}
"""Faults that strike each post to one member, and whether before or after it."""


@pytest.fixture(scope="module")
def sites(
    target: Target, faults: FaultControl, with_queue: Deployment, with_fifo_queue: Deployment
) -> Iterator[Mapping[str, Site]]:
    """Three instances whose functions reach AWS through the proxy, by their kind of delivery."""
    assert target.aws is not None
    deployments = {"no-queue": target.deployment, "queue": with_queue, "fifo": with_fifo_queue}
    with ExitStack() as routes:
        for each in deployments.values():
            routes.enter_context(routed_through_proxy(target.aws, each, faults.url))
        yield {kind: Site(each.websocket_url, table_of(target, each), faults) for kind, each in deployments.items()}
        faults.replace()


class Room:
    """A room: members who all hear what the first one says; the last one gets into trouble.

    Attributes:
        troubled: The connection id of that one.
    """

    def __init__(self) -> None:
        self.troubled = ""
        self._heard: list[dict[str, float]] = [{} for _ in range(MEMBERS)]
        self._clients: list[Client] = []

    async def open(self, site: Site) -> None:
        """Let all members join."""
        name = f"others-{secrets.token_hex(4)}"
        await self._join(site.url, name, self._heard[-1])
        [self.troubled] = await site.table.members(name)
        await asyncio.gather(*(self._join(site.url, name, heard) for heard in self._heard[:-1]))

    async def _join(self, url: str, name: str, heard: dict[str, float]) -> None:
        def note(message: Message) -> None:
            heard.setdefault(message.text, message.received_at)

        self._clients.append(await Client.connect(url, name, on_message=note))

    async def longest_wait(self, subject: str) -> float:
        """Say some messages in a row, and give the longest wait of a member without trouble, in seconds."""
        said = {f"{subject} {number}": time.monotonic() for number in range(MESSAGES)}
        for text in said:
            said[text] = time.monotonic()
            await self._clients[-1].say(text)
        others = self._heard[:-1]

        async def missing() -> int:
            return sum(text not in heard for heard in others for text in said)

        await eventually(missing, 0, within=DELIVERY_SECONDS, every=0.02)
        return max(heard[text] - at for heard in others for text, at in said.items())

    async def close(self) -> None:
        """Let all members leave."""
        await asyncio.gather(*(each.close() for each in self._clients))


@pytest.mark.parametrize("kind", ["no-queue", "queue", "fifo"])
@pytest.mark.parametrize("trouble", TROUBLES)
async def test_others_wait_no_longer_for_one_members_trouble(
    sites: Mapping[str, Site], kind: str, trouble: str, tell: Callable[[str], None]
) -> None:
    site, room = sites[kind], Room()
    fault, when = TROUBLES[trouble]
    await room.open(site)
    await room.longest_wait("warm-up")
    usual = await room.longest_wait("before")
    rules = [Rule(f"management: {trouble}", fault, when, service="management", connection_id=room.troubled)]
    site.faults.replace(rules)

    wait = await room.longest_wait("meanwhile")

    [count] = counts = site.faults.replace()
    tell("\n".join([f"the others waited {wait:.2f} s, and {usual:.2f} s before", *injected(rules, counts)]))
    await room.close()
    assert count.struck > 0
    assert wait <= usual + scaled(MORE_SECONDS)
    await eventually(site.table.size, 0, within=GONE_WITHIN)
